"""What an executor is: it does pure functions, here or elsewhere, and changes nothing about what they return.

An executor is one file in this folder that defines ``EXECUTOR``, a class of that kind; it is asked for by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from ...errors import UsageError, quoted
from ...plugins import of_folder

if TYPE_CHECKING:
    from ..models import Encoders

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

OnProgress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""


@dataclass(frozen=True)
class WorkerSettings:
    """Where an executor works, and how large its workers are; the local one is the process itself."""

    threads: int | None = None  # that decode in one worker; as many as it has processors if not given
    # of a cluster; ``auto`` for the one of this machine, ``None`` for one that is started and ended
    address: str | None = None
    cpus: int | None = None  # of one worker
    gpus: float | None = None  # of one worker, fractions too


class Executor(Protocol):
    """Does the work of a run. Leaving its block ends whatever it still does."""

    name: str
    threads: int
    """Decoding threads of one worker."""

    def __init__(self, encoders: Encoders, place: WorkerSettings) -> None:
        """Be ready for work.

        Raises:
            CmbenchError: the place is not there, or has no room for one worker.
        """
        ...

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        ...

    def each(self, work: Callable[[Encoders, Sequence[S]], Iterator[T]], items: Sequence[S]) -> Iterator[T]:
        """Yield what a function makes of every item, each once, in any order.

        Each may be done in another process; doing one again does no harm.
        """
        ...

    def start(self, work: Callable[[OnProgress], T], then: Callable[[T], R], progress: OnProgress) -> Callable[[], R]:
        """Begin something pure, and return what waits for its end.

        ``then`` takes what it returned, in this process, as soon as may be and once; ``progress`` hears how far it is,
        where that can be told.
        """
        ...


def executors() -> dict[str, type[Executor]]:
    """Return every executor by name."""
    return {one.name: one for one in of_folder(__package__, "EXECUTOR")}


def get_executor(name: str) -> type[Executor]:
    """Return an executor by name.

    Raises:
        UsageError: there is none.
    """
    known = executors()
    if name not in known:
        raise UsageError(f"There is no executor {quoted(name)}; there are {', '.join(sorted(known))}.")
    return known[name]
