"""What a run tells whoever watches it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..errors import Missing
    from .features.extract import Extracted
    from .records.record import FailedTrack, Record

logger = logging.getLogger(__name__)


class Observer:
    """Hears how a run goes; the command line's observer overrides what it shows.

    All but one it hears in silence: that a task was left out is never without a word.
    """

    def not_ready(self, task: str, missing: tuple[Missing, ...]) -> None:
        """Say that a task of ``ready`` is left out, and what it lacks."""
        logger.warning("%s is left out, it is not here: %s", task, left_out(missing))

    def planned(self, cells: int) -> None:
        """Hear how many cells there are, finished ones included, before the first of them."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Tracks of a task are being found or rendered: ``done`` of ``total``."""

    def extracting(self, model: str, task: str, state: Extracted) -> None:
        """Features of a cell are being made."""

    def probing(self, model: str, task: str, done: int, total: int) -> None:
        """Probes of a cell are being trained: ``done`` of ``total`` steps at most."""

    def studying(self, what: str, done: int, total: int) -> None:
        """Of what a study computes, ``done`` of ``total`` parts are done, and ``what`` is next."""

    def failed_tracks(self, task: str, edition: str, failed: tuple[FailedTrack, ...]) -> None:
        """Tracks of a task cannot be used; reported once per task, with every track."""

    def finished(self, record: Record, was_there: bool) -> None:
        """Hear that a cell has its record; ``was_there`` if it had been computed before."""


def left_out(missing: tuple[Missing, ...]) -> str:
    """Return what a task lacks and what to type, in one line."""
    return "; ".join(f"{one.what} ({one.command})" for one in missing)
