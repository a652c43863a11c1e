"""How a run looks in a terminal: bars with audio-hours done, speed and time left; each bad file named once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from ...terminal import ProgressBar
from ..observer import Observer, left_out

if TYPE_CHECKING:
    from ...errors import Missing
    from ..features.extract import Extracted
    from ..records.record import FailedTrack, Record


def spoken_seconds(seconds: float) -> str:
    """Write a length of audio as a person would: hours from one hour on, else minutes or seconds."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


class TerminalObserver(ProgressBar, Observer):
    """Shows a run on a console.

    Args:
        console: where bars and messages go (standard error, so that results can be piped).
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._doing = ""
        self._began = time.perf_counter()
        self._named: set[tuple[str, str]] = set()

    def _show(self, doing: str, share: float, detail: str) -> None:
        if self.show(doing, share, 1.0, detail):
            self._doing, self._began = doing, time.perf_counter()
            if not self.console.is_terminal:
                self.console.print(f"{doing} …", markup=False)

    def not_ready(self, task: str, missing: tuple[Missing, ...]) -> None:
        """Name a task of ``ready`` that is not here."""
        self.console.print(
            f"[yellow]not here[/] {escape(task)}: {escape(left_out(missing))}", highlight=False, soft_wrap=True
        )

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how many tracks of a task are rendered."""
        self._show(what, done / max(total, 1), f"{done}/{total} tracks")

    def extracting(self, model: str, task: str, state: Extracted) -> None:
        """Show audio done and its multiple of real time."""
        if state.tracks == state.total and state.audio_seconds == 0:
            return
        doing = f"{model} · {task} · features"
        elapsed = time.perf_counter() - self._began if doing == self._doing else 0.0
        speed = f" at {state.audio_seconds / elapsed:.0f}x real time" if elapsed > 0 and state.audio_seconds else ""
        self._show(doing, state.share, f"{spoken_seconds(state.audio_seconds)} of audio{speed}")

    def probing(self, model: str, task: str, done: int, total: int) -> None:
        """Show how far the probes are."""
        self._show(f"{model} · {task} · probes", done / max(total, 1), "")

    def failed_tracks(self, task: str, edition: str, failed: tuple[FailedTrack, ...]) -> None:
        """Name every unusable file with its reason, once for all models."""
        if (task, edition) in self._named:
            return
        self._named.add((task, edition))
        for one in failed:
            self.console.print(
                f"[yellow]unusable[/] {escape(task)} {one.split}: {escape(one.file)} ({escape(one.reason)})",
                highlight=False,
                soft_wrap=True,
            )

    def finished(self, record: Record, was_there: bool) -> None:
        """Print one line for each finished cell."""
        value = record.metrics["roc_auc"].value
        score = "–" if value is None else f"{100 * value:.1f}"
        note = "finished before" if was_there else f"{record.cost.encode_seconds + record.cost.probe_seconds:.0f} s"
        self.console.print(
            f"{escape(record.model.name)} · {escape(record.task.name)}: ROC-AUC {score} ({note})",
            highlight=False,
            soft_wrap=True,
        )
