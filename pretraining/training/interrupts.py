"""Ctrl-C and SIGTERM while a run trains: the update is finished and saved before the process leaves."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

TERMINATED = 128 + signal.SIGTERM
"""Exit code after SIGTERM, as a shell has it."""


class Interrupts:
    """Keeps Ctrl-C and SIGTERM until :meth:`leave`; a second Ctrl-C is obeyed at once. A context manager.

    ``torchrun`` follows Ctrl-C with a SIGTERM of its own, so that one is no second wish. Outside of the main thread,
    where Python delivers no signals, it keeps nothing.

    Attributes:
        asked: the first signal that came; 0 before there was one.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Begin to keep signals."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) != signal.SIG_IGN:  # as of a job that a shell put into the background
                    self._before[number] = signal.signal(number, self._keep) or signal.SIG_DFL
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let signals do again what they did."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _keep(self, number: int, frame: FrameType | None) -> None:
        self.asked = self.asked or number
        if signal.SIGINT in self._before:
            signal.signal(signal.SIGINT, self._before[signal.SIGINT])

    def leave(self) -> None:
        """End the program as the signal would have.

        Raises:
            SystemExit: it was SIGTERM.
            KeyboardInterrupt: it was Ctrl-C, here or in another process of the run.
        """
        if self.asked == signal.SIGTERM:
            raise SystemExit(TERMINATED)
        raise KeyboardInterrupt
