"""From windows to batches of equal length, while the windows are still being decoded; a few are held at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Window = NDArray[np.float32]


def batches(windows: Iterable[Window], size: Callable[[int], int]) -> Iterator[tuple[list[int], Window]]:
    """Yield batches, each as soon as it is full; the last ones when all windows are there.

    Which windows make a batch depends on their order and lengths alone, not on how fast they come.

    Args:
        windows: each ``[samples]``; lengths may differ between windows, never within a batch.
        size: windows of a batch by their length in samples.

    Yields:
        The positions of the windows, and the windows ``[batch, samples]``.
    """
    waiting: dict[int, list[tuple[int, Window]]] = {}
    for position, window in enumerate(windows):
        group = waiting.setdefault(len(window), [])
        group.append((position, window))
        if len(group) >= size(len(window)):
            yield _stacked(waiting.pop(len(window)))
    for group in waiting.values():
        yield _stacked(group)


def _stacked(group: list[tuple[int, Window]]) -> tuple[list[int], Window]:
    return [position for position, _ in group], np.stack([window for _, window in group])


class Ahead:
    """Windows that another thread takes while those before them are encoded."""

    def __init__(self, windows: Iterable[Window], samples: int) -> None:
        self._windows, self._samples = iter(windows), samples
        self.waited = 0.0  # seconds for which the windows were waited for

    def __iter__(self) -> Iterator[Window]:
        """Yield the windows once."""
        with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
            coming = thread.submit(self._take)
            while True:
                started = time.perf_counter()
                taken = coming.result()
                self.waited += time.perf_counter() - started
                if not taken:
                    return
                coming = thread.submit(self._take)
                while taken:
                    yield taken.pop(0)

    def _take(self) -> list[Window]:
        taken: list[Window] = []
        held = 0
        while held < self._samples and (window := next(self._windows, None)) is not None:
            taken.append(window)
            held += len(window)
        return taken
