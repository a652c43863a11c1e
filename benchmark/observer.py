"""What a run tells whoever watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .features.extract import Extracted
    from .records.record import FailedTrack, Record


class Observer:
    """Hears how a run goes and does nothing with it; the command line's observer overrides what it shows."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Tracks of a task are being found or rendered: ``done`` of ``total``."""

    def extracting(self, model: str, task: str, state: Extracted) -> None:
        """Features of a cell are being made."""

    def probing(self, model: str, task: str, done: int, total: int) -> None:
        """Probes of a cell are being trained: ``done`` of ``total`` steps at most."""

    def failed_tracks(self, task: str, edition: str, failed: tuple[FailedTrack, ...]) -> None:
        """Tracks of a task cannot be used; told once per task, with every track."""

    def finished(self, record: Record, was_there: bool) -> None:
        """Hear that a cell has its record; ``was_there`` if it had been computed before."""
