"""Processes that work beside this one, and what this one has taken."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from types import ModuleType


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def no_main_module() -> Iterator[None]:
    """Start processes that do not run the user's script again, so that it needs no ``__main__`` guard.

    A spawned process imports the parent's main module first (multiprocessing.spawn: get_preparation_data); ours need
    nothing of it. An executor starts its processes when work is submitted, so submit within.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes that are ended with the block; what has not started by then is dropped.

    They are spawned, because torch's threads do not survive a fork.
    """
    pool = ProcessPoolExecutor(count, get_context("spawn"), _leave_interrupts_to_the_parent)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def peak_memory_mib() -> float:
    """Largest resident set of this process so far, MiB; 0 where the platform does not tell."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
