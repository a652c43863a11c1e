"""What a study is: a question that takes audio, encoders or probes, where a view only reads records.

A study is a command, ``cmbench study NAME``, a result that is computed from a request, and its files. How what was
found is printed and written it shares with the views (:mod:`..views.base`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from ..commands.options import (
    DataRoot,
    Device,
    MiniScale,
    MiniSeed,
    Offline,
    RunEdition,
    RunProtocol,
    Seeds,
    Tasks,
    Workers,
)
from ..observer import Observer
from ..protocol import DEFAULT_PROTOCOL
from ..views.base import Shown

if TYPE_CHECKING:
    from rich.console import Console

    from ...tasks.base import LoadContext
    from ..records.record import Record

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Study(Shown[T], Generic[R, T]):
    """A question, how it is answered, and what is shown of the answer.

    Attributes:
        request: a frozen dataclass of what is asked for. Its fields are the options of the command, written as typer
            has them (:mod:`..commands.options` has those that many share). A field ``out`` is a folder in which the
            study keeps what it makes; it is the command's ``--out``, too, which every other study is given.
        compute: answers a request, the same for the same request; the observer hears how far it is.
        cost: what answering a request takes, in a sentence; stated before it begins, and alone with ``--plan``.
        further: writes what is neither table, row, figure nor text, and returns the paths.
        failed: whether the answer is that something is not as it should be; the exit code is then 1.
        goes_on: whether the same command goes on where it was interrupted.
        origin: `` of distribution …`` if another one offers it; set by the registry.
    """

    request: type[R]
    compute: Callable[[R, Observer], T]
    cost: Callable[[R], str] | None = None
    further: Callable[[T, Path], Sequence[Path]] | None = None
    failed: Callable[[T], bool] = lambda _: False
    goes_on: bool = False
    origin: str = ""

    @property
    def options(self) -> Mapping[str, Parameter]:
        """The fields of the request as parameters of a command, its own before those that it inherits."""
        kinds, given = get_type_hints(self.request, include_extras=True), vars(self.request)
        ordered = sorted(
            given["__dataclass_fields__"].values(), key=lambda one: one.name not in given["__annotations__"]
        )
        return {
            one.name: Parameter(one.name, Parameter.KEYWORD_ONLY, default=_default(one), annotation=kinds[one.name])
            for one in ordered
        }

    @property
    def keeps(self) -> bool:
        """Whether the study itself keeps what it makes in a folder."""
        return "out" in self.options


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return Parameter.empty if one.default is MISSING else one.default


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What models are evaluated on, how and where: the beginning of a request that evaluates some.

    The fields are the arguments of :func:`..run.run`, which says what each is.
    """

    tasks: Tasks
    edition: RunEdition = None
    protocol: RunProtocol = DEFAULT_PROTOCOL
    data_root: DataRoot = None
    seeds: Seeds = None
    mini_scale: MiniScale = 1.0
    mini_seed: MiniSeed = 0
    device: Device = "auto"
    offline: Offline = False
    workers: Workers = None

    @property
    def run_settings(self) -> dict[str, Any]:
        """What these fields hold, by name: arguments of :func:`..run.run`, without what a study adds."""
        return {one.name: getattr(self, one.name) for one in fields(Evaluation)}

    def run(self, models: Sequence[str], out: Path, observer: Observer) -> list[Record]:
        """Evaluate models as ``cmbench run`` does; their records go below ``out``, and finished ones are read."""
        from ..run import run

        return run(models, out=out, observer=observer, **self.run_settings)


def screen_of(observer: Observer) -> Console:
    """Return the console that an observer shows things on, for what brings bars of its own; else one that is quiet."""
    from ...terminal import ProgressBar

    return observer.console if isinstance(observer, ProgressBar) else ProgressBar(None).console


def load_context(
    observer: Observer, data_root: Path | None = None, workers: int | None = None, scale: float = 1.0, seed: int = 0
) -> LoadContext:
    """Return where the tasks' audio is, and who hears how its preparation goes; ``scale`` and ``seed`` are of mini."""
    from ...paths import cache_root
    from ...tasks.base import LoadContext
    from ..run import require_data_root

    return LoadContext(
        data_root=require_data_root(data_root),
        cache_root=cache_root(),
        workers=workers or os.cpu_count() or 1,
        progress=observer.preparing,
        mini_scale=scale,
        mini_seed=seed,
    )
