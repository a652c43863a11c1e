"""A Ray cluster does the work: shards by a pool of actors that keep their encoder, cells by tasks.

A worker that dies costs the shards it was at, which go to another; nodes that come while the work goes on are used. All
nodes see the audio and the cache at the same paths. Ray hands functions and results over as pickles, so a cluster is
for people who trust each other; what is stored stays safetensors and JSON.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

from ...errors import CmbenchError, UsageError
from .base import OnProgress, R, S, T, WorkerSettings

if TYPE_CHECKING:
    from ..models import Encoders

AT_ONCE = 2
"""Items of one worker: one is decoded while the other is encoded. What waits besides stays with the driver."""

LOOK_SECONDS = 1.0
"""Between two looks at the nodes."""

LOSSES = 3
"""Workers that one item may cost before the work is given up."""

USUAL_CPUS = 4
"""Of a worker where none are asked for, and a node has as many."""

_HANDED_ON = ("CMBENCH_", "HF_", "OMP_", "MKL_")
"""Beginnings of the environment variables that workers share with the driver."""


class _Worker:
    """Lives in a process of its own; its encoder stays loaded from one item to the next."""

    def __init__(self, encoders: Encoders, folder: str) -> None:
        os.chdir(folder)  # paths that were given are relative to it
        self._encoders = encoders

    def ready(self) -> None:
        """Answer once this is placed."""

    def do(self, work: Callable[[Encoders, Sequence[S]], Iterator[T]], item: S) -> list[T]:
        """Return what a function makes of one item."""
        return list(work(self._encoders, [item]))


@dataclass(eq=False)
class _Hand:
    """A worker as the driver sees it."""

    actor: Any
    arriving: Any
    busy: int = 0


@dataclass(eq=False)
class _Begun(Generic[T, R]):
    """A task that was handed out, and what is done with its result."""

    ref: Any
    then: Callable[[T], R]
    result: R | None = None
    done: bool = False


class OnRay:
    """An executor on a Ray cluster: the one that was joined already, that of an address, or one of its own."""

    name = "ray"

    def __init__(self, encoders: Encoders, place: WorkerSettings) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise UsageError('The executor ray needs Ray: pip install "cmbench[cluster]".') from error
        self._ray, self._joined = ray, not ray.is_initialized()
        if self._joined:
            handed = {name: value for name, value in os.environ.items() if name.startswith(_HANDED_ON)}
            try:
                _knock(place.address)
                ray.init(
                    address=place.address,
                    runtime_env={"env_vars": handed},
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                    configure_logging=False,
                )
            except (ConnectionError, TimeoutError) as error:
                raise UsageError(
                    f"No Ray cluster answers at {place.address}: start one with `ray start --head`, or leave out "
                    "--ray-address."
                ) from error
        self._needs = self._measure(place)
        self.threads = place.threads or int(self._needs["num_cpus"])
        self._hands: list[_Hand] = []
        self._begun: list[_Begun[Any, Any]] = []
        self._looked = 0.0
        self._unplaced = 0
        self._encoders = ray.put(encoders)

    def _nodes(self) -> list[dict[str, float]]:
        nodes = self._ray.nodes()  # type: ignore[no-untyped-call]
        return [node["Resources"] for node in nodes if node["Alive"]]

    def _measure(self, place: WorkerSettings) -> dict[str, float]:
        """Return what one worker takes of its node."""
        nodes = self._nodes()
        most = {kind: max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in ("CPU", "GPU")}
        cpus = place.cpus or max(1, min(USUAL_CPUS, int(most["CPU"])))
        gpus = place.gpus if place.gpus is not None else min(1.0, most["GPU"])
        needs = {"num_cpus": float(cpus), "num_gpus": float(gpus)}
        if not any(_room(node, needs) for node in nodes):
            raise UsageError(
                f"No node has room for a worker of {cpus} CPUs and {gpus:g} GPUs; the largest has {most['CPU']:g} and "
                f"{most['GPU']:g}. Take smaller --cpus-per-worker and --gpus-per-worker."
            )
        return needs

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End whatever still runs, and leave the cluster."""
        for begun in self._begun:
            if not begun.done:
                self._ray.cancel(begun.ref, force=True)
        self._dismiss(list(self._hands))
        if self._joined:
            self._ray.shutdown()

    def _dismiss(self, hands: Sequence[_Hand]) -> None:
        for hand in hands:
            self._hands.remove(hand)
            self._ray.kill(hand.actor)

    def _staff(self, items: int) -> None:
        """Have as many workers as there are places for, and items; probes that wait get a place each."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        places = sum(_room(node, self._needs) for node in self._nodes())
        probes = sum(not begun.done for begun in self._begun)
        wanted = min(items, max(1, places - probes))
        idle = [hand for hand in self._hands if not hand.busy]
        self._dismiss(idle[: max(0, len(self._hands) - wanted)])
        worker = self._ray.remote(max_concurrency=AT_ONCE, **self._needs)(_Worker)  # type: ignore[call-overload]
        for _ in range(wanted - len(self._hands)):
            actor = worker.remote(self._encoders, str(Path.cwd()))
            self._hands.append(_Hand(actor, actor.ready.remote()))

    def each(self, work: Callable[[Encoders, Sequence[S]], Iterator[T]], items: Sequence[S]) -> Iterator[T]:
        """Yield what a function makes of every item, as soon as a worker has it."""
        left, handed = deque(range(len(items))), self._ray.put(work)
        at: dict[Any, tuple[_Hand, int]] = {}
        lost = [0] * len(items)
        while left or at:
            self._staff(len(left) + len(at))
            for busy in range(AT_ONCE):
                for hand in self._hands:
                    if left and hand.arriving is None and hand.busy == busy:
                        item = left.popleft()
                        at[hand.actor.do.remote(handed, items[item])] = hand, item
                        hand.busy += 1
            arriving = {hand.arriving: hand for hand in self._hands if hand.arriving is not None}
            done = self._wait([*at, *arriving])
            for ref in done:
                if ref in arriving:
                    self._arrived(arriving[ref])
                    continue
                hand, item = at.pop(ref)
                hand.busy -= 1
                try:
                    yield from self._get(ref)
                except self._ray.exceptions.RayActorError:
                    self._bury(hand)
                    left.appendleft(item)
                    lost[item] += 1
                    if lost[item] >= LOSSES:
                        raise CmbenchError(
                            f"{LOSSES} workers died at the same part of the work; most often they are out of memory. "
                            "Take larger --cpus-per-worker, so that fewer share a node."
                        ) from None
            self._settle()

    def _wait(self, refs: list[Any]) -> list[Any]:
        """Return what is done of some tasks, a moment later at most."""
        if not refs:
            time.sleep(LOOK_SECONDS / 10)
            return []
        done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        if not done:
            done, _ = self._ray.wait(refs, num_returns=1, timeout=LOOK_SECONDS)
        return list(done)

    def _arrived(self, hand: _Hand) -> None:
        """Take a worker that has its place into account; raise :class:`CmbenchError` if several in a row had none."""
        try:
            self._get(hand.arriving)
        except self._ray.exceptions.RayActorError as error:
            self._bury(hand)
            self._unplaced += 1
            if self._unplaced >= LOSSES:
                raise CmbenchError(
                    "Workers cannot be started on this cluster: every node needs cmbench, and sees the folder in which "
                    f"the command was typed ({error})."
                ) from error
        else:
            hand.arriving, self._unplaced = None, 0

    def _bury(self, hand: _Hand) -> None:
        """Have a worker that died, or is out of reach, no more, and look for another place at once."""
        if hand in self._hands:
            self._dismiss([hand])
            self._looked = 0.0

    def _get(self, ref: Any) -> Any:
        """Return a result; what was raised for people is raised as it was."""
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CmbenchError):
                raise error.cause from None
            raise

    def start(self, work: Callable[[OnProgress], T], then: Callable[[T], R], progress: OnProgress) -> Callable[[], R]:
        """Hand something out, and return what waits for it; Ray tries again where a worker dies."""
        task = self._ray.remote(**self._needs)(_do)  # type: ignore[call-overload]
        begun = _Begun(task.remote(work, str(Path.cwd())), then)
        self._begun.append(begun)

        def result() -> R:
            self._dismiss(list(self._hands))
            while not begun.done:
                progress(0, 1)
                self._ray.wait([begun.ref], timeout=LOOK_SECONDS)
                self._settle()
            return begun.result  # type: ignore[return-value]

        return result

    def _settle(self) -> None:
        for begun in self._begun:
            if not begun.done and self._ray.wait([begun.ref], timeout=0)[0]:
                begun.result, begun.done = begun.then(self._get(begun.ref)), True


def _knock(address: str | None) -> None:
    """Raise where nobody listens at ``host:port``; Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=LOOK_SECONDS * 10).close()


def _do(work: Callable[[OnProgress], T], folder: str) -> T:
    os.chdir(folder)
    return work(lambda done, total: None)


def _room(node: dict[str, float], needs: dict[str, float]) -> int:
    asked = ((node.get(kind, 0.0), needs[need]) for kind, need in (("CPU", "num_cpus"), ("GPU", "num_gpus")))
    return min(int(there / take + 1e-9) for there, take in asked if take)


EXECUTOR = OnRay
