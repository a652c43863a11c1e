"""How a run looks: which cell of how many, audio-hours done, speed and time left; each bad file named once."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from ...terminal import ProgressBar
from ..observer import Observer, left_out

if TYPE_CHECKING:
    from types import TracebackType

    from ...errors import Missing
    from ..features.extract import Extracted
    from ..records.record import FailedTrack, Record


QUIET_SECONDS = 15.0
"""Between two lines where the output is no terminal."""

LATEST = 6
"""Finished cells from which the time that is left is estimated."""


def spoken_seconds(seconds: float) -> str:
    """Write a length as a person would: hours from one hour on, else minutes or seconds."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _roughly(seconds: float) -> str:
    """Write an estimate without digits that it does not have."""
    if seconds >= 5400:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(seconds, 1):.0f} s"


class TerminalObserver(ProgressBar, Observer):
    """Shows a run on a console: which cell of how many, about how long it takes; in a file a line now and then."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, left=False)
        self._doing, self._shown = "", ""
        self._began = self._cell_began = time.perf_counter()
        self._said = -math.inf
        self._named: set[tuple[str, str]] = set()
        self._cells = self._done = self._found = 0
        self._took: list[float] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display away, and say how many cells had been finished before."""
        super().__exit__(kind, error, trace)
        if self._found:
            self.print(f"{self._found} cell{'s' * (self._found > 1)} finished before")

    @property
    def _where(self) -> str:
        """``cell 8 of 36, about 4 min left``; nothing before the first cell."""
        if not self._cells:
            return ""
        latest = self._took[-LATEST:]
        left = (self._cells - self._done) * sum(latest) / len(latest) if latest else 0.0
        about = f", about {_roughly(left)} left" if left else ""
        return f"cell {min(self._done + 1, self._cells)} of {self._cells}{about}"

    def _show(self, doing: str, share: float, detail: str) -> None:
        if doing != self._doing:
            self._doing, self._began = doing, time.perf_counter()
            self._shown = " · ".join(filter(None, (self._where, doing)))
        self.show(self._shown, share, 1.0, detail)
        if not self.console.is_interactive and time.perf_counter() - self._said >= QUIET_SECONDS:
            self._say(f"{' · '.join(filter(None, (self._where, doing)))}: {100 * share:.0f} %")

    def _say(self, line: str) -> None:
        """Print a line, and keep quiet for a while where nobody looks."""
        self._said = time.perf_counter()
        self.print(line)

    def planned(self, cells: int) -> None:
        """Count the cells from here."""
        self._cells, self._done, self._cell_began = cells, 0, time.perf_counter()

    def not_ready(self, task: str, missing: tuple[Missing, ...]) -> None:
        """Name a task of ``ready`` that is not here."""
        self.console.print(
            f"[yellow]not here[/] {escape(task)}: {escape(left_out(missing))}", highlight=False, soft_wrap=True
        )

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how many tracks of a task are rendered."""
        self._show(what, done / max(total, 1), f"{done}/{total} tracks")
        self._cell_began = time.perf_counter()  # it is done once for all models, and tells nothing of further cells

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

    def studying(self, what: str, done: int, total: int) -> None:
        """Show how far a study is, and from its latest parts the time that is left."""
        if done == 0:
            self.planned(total)
            self._took = []
        elif done > self._done:
            now = time.perf_counter()
            self._took.append(now - self._cell_began)
            self._cell_began, self._done = now, done
        self._show(what, done / max(total, 1), "")

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
        """Count a cell, and print it if it is new: on a terminal each, else now and then."""
        now = time.perf_counter()
        took, self._cell_began = now - self._cell_began, now
        self._done += 1
        if was_there:
            self._found += 1
            return
        self._took.append(took)
        value = record.metrics["roc_auc"].value
        score = "–" if value is None else f"{100 * value:.1f}"
        line = f"{record.model.name} · {record.task.name}: ROC-AUC {score} ({spoken_seconds(took)})"
        if self.console.is_interactive:
            self.print(line)
        elif now - self._said >= QUIET_SECONDS:
            self._say(f"{self._where} · {line}")
