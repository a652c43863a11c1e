"""What a run says: one line of JSON for each report in ``log.jsonl``, on a board if asked, and a bar with the time."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CmbenchError
from ...files import write_atomically
from ...terminal import ProgressBar
from ...untrusted import LARGEST_TABLE, read_bytes

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console

    from .checkpoints import TrainingState
    from .metrics import Metrics
    from .tensorboard import EventFiles

FILE = "log.jsonl"


CHECK = "check"
"""Key of a line's check sum: the first digits of the hash of the rest. Version 0.1.0 wrote none."""


_CHECKED = re.compile(rf'(.*), "{CHECK}": "([0-9a-f]{{16}})"}}'.encode(), re.DOTALL)
_SUM = re.compile(rb'"[0-9a-f]{16}"}$')


def read_log(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a log.

    Raises:
        CmbenchError: a line is damaged.
    """
    return [line for _, line in _lines(file, torn=False)]


def require_sound(file: Path) -> None:
    """Look at every line of a log; the last may be half, where the run was killed while it wrote.

    Raises:
        CmbenchError: a line is damaged.
    """
    if file.exists():
        deque(_lines(file, torn=True), maxlen=0)


def with_check(line: Mapping[str, object]) -> str:
    """Return a line of the log with its check sum."""
    body = json.dumps(line, allow_nan=False)[:-1]
    return f'{body}, "{CHECK}": "{_check(body.encode())}"}}'


def _check(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _require_checked(text: bytes) -> None:
    """Raise if a line is not what its check sum says; what has neither the key nor a sum is of version 0.1.0."""
    found = _CHECKED.fullmatch(text)
    if found and found[2].decode() != _check(found[1]):
        raise ValueError("its check sum differs")
    if not found and (f'"{CHECK}": '.encode() in text or _SUM.search(text)):
        raise ValueError("its check sum is spoilt")


def _lines(file: Path, torn: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    content = read_bytes(file, LARGEST_TABLE)
    texts = content.splitlines()
    for number, text in enumerate(texts):
        try:
            _require_checked(text)
            line = json.loads(text)
            int(line["step"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if torn and number == len(texts) - 1 and not content.endswith(b"\n"):
                return
            raise CmbenchError(
                f"{file}, line {number + 1}: damaged, or not a line of a log ({error}). Nothing was changed; put back "
                "a copy of the file, or move it away."
            ) from error
        yield text.decode("utf-8"), line


class Log(ProgressBar):
    """The log of a run; a context manager.

    Args:
        file: to append to; ``None`` where another process writes.
        steps: of the whole run.
        every: updates between two lines.
        console: where bars and messages go.
        board: shown what is written to the file.
    """

    def __init__(
        self, file: Path | None, steps: int, every: int, console: Console | None, board: EventFiles | None = None
    ) -> None:
        self._file = file
        self._board = board
        self._every = every
        super().__init__(console)
        self._steps = steps
        self._spent = 0.0
        self._count = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the display away; what was printed stays."""
        super().__exit__(kind, error, trace)
        if self._board is not None:
            self._board.close()

    def forget_after(self, step: int) -> None:
        """Remove the lines of updates after ``step``: they are done again.

        Raises:
            CmbenchError: a line cannot be read.
        """
        kept = self._kept(step)
        if self._board is not None:
            self._board.begin(map(json.loads, kept))

    def _kept(self, step: int) -> list[str]:
        if self._file is None or not self._file.exists():
            return []
        kept = [text for text, line in _lines(self._file, torn=True) if line["step"] <= step]
        write_atomically(self._file, "".join(line + "\n" for line in kept).encode())
        return kept

    def _write(self, line: Mapping[str, object]) -> None:
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as out:
                out.write(with_check(line) + "\n")
            if self._board is not None:
                self._board.add(line)

    def update(self, progress: TrainingState, rate: float, metrics: Metrics, norm: float, seconds: float) -> None:
        """Report an update.

        Args:
            progress: after it.
            rate: its learning rate.
            metrics: of its crops.
            norm: of its gradient, before clipping.
            seconds: that it took.
        """
        self._spent += seconds
        self._count += 1
        detail = f"{progress.stage} · loss {metrics.loss:.3f}"
        self.show("pre-training", progress.step, self._steps, f"{progress.step}/{self._steps} · {detail}")
        if progress.step % self._every and progress.in_stage != 1:
            return
        line = {"kind": "update", "step": progress.step, "stage": progress.stage, "in_stage": progress.in_stage}
        self._write(
            line
            | {"learning_rate": rate, "gradient_norm": norm, "seconds": self._spent / self._count, "time": time.time()}
            | metrics.as_dict()
        )
        if not self.console.is_interactive:
            self.print(f"update {progress.step} · {detail} · {self._spent / self._count:.2f} s")
        self._spent, self._count = 0.0, 0

    def measured(self, progress: TrainingState, found: Mapping[str, Metrics]) -> None:
        """Report what was measured on held-out music, by tradition."""
        for tradition, metrics in found.items():
            line = {"kind": "held-out", "step": progress.step, "stage": progress.stage, "tradition": tradition}
            self._write(line | {"time": time.time()} | metrics.as_dict())
        if found:
            losses = ", ".join(f"{tradition} {metrics.loss:.3f}" for tradition, metrics in found.items())
            self.print(f"update {progress.step} · held-out loss: {losses}")
