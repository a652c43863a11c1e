"""The process itself does the work, one thing after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from .base import OnProgress, R, S, T, WorkerSettings

if TYPE_CHECKING:
    from ..models import Encoders


class Local:
    """An executor that does everything at once, here."""

    name = "local"

    def __init__(self, encoders: Encoders, place: WorkerSettings) -> None:
        self._encoders = encoders
        self.threads = place.threads or os.cpu_count() or 1

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def each(self, work: Callable[[Encoders, Sequence[S]], Iterator[T]], items: Sequence[S]) -> Iterator[T]:
        """Yield what a function makes of all items."""
        yield from work(self._encoders, items)

    def start(self, work: Callable[[OnProgress], T], then: Callable[[T], R], progress: OnProgress) -> Callable[[], R]:
        """Do something to its end, and return what came of it."""
        result = then(work(progress))
        return lambda: result


EXECUTOR = Local
