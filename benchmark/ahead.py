"""The mini editions of a run, rendered one after the other beside the cells: the first cell waits for its own alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

from ..processes import processes
from ..tasks.base import LoadContext, TaskData


@contextmanager
def rendered_ahead(data: Sequence[TaskData], context: LoadContext) -> Iterator[Callable[[TaskData], None]]:
    """Give a function that returns when the audio of a task is there; how far it is, is told while somebody waits.

    Leaving the block stops what is not wanted any more; finished tracks are kept.

    Raises:
        CmbenchError: by the function; audio cannot be written.
    """
    stopped, wanted = Event(), ""

    def render(one: TaskData) -> None:
        def progress(what: str, done: int, total: int) -> None:
            if stopped.is_set():
                raise CancelledError
            if wanted == one.task.name:
                context.progress(what, done, total)

        one.task.load(one.edition, replace(context, progress=progress, pool=renderers))

    # One set of processes for all: each start loads numpy and scipy again.
    with processes(context.workers) as renderers, ThreadPoolExecutor(1, thread_name_prefix="render") as pool:
        rendering = {one.task.name: pool.submit(render, one) for one in data if one.edition == "mini"}
        pool.submit(renderers.shutdown)

        def wait(one: TaskData) -> None:
            nonlocal wanted
            wanted = one.task.name
            if one.task.name in rendering:
                rendering[one.task.name].result()
            wanted = ""

        try:
            yield wait
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
