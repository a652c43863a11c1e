"""The story of a run: tasks x models -> records."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from ..baselines.base import Encoder, LoadOptions
from ..errors import Missing, MissingError, UsageError, quoted
from ..files import name_on_any_disk, safe_name
from ..paths import cache_root
from ..paths import data_root as configured_data_root
from ..tasks.audit.audit import ensure_audit
from ..tasks.base import LoadContext, Task, TaskData
from ..tasks.choice import only_if_ready, select_tasks
from ..tasks.splits.sample import sample
from ..written import split_list
from .executors.base import WorkerSettings, get_executor
from .models import Encoders
from .observer import Observer
from .protocol import DEFAULT_PROTOCOL, Protocol, get_protocol
from .records.corpora import claim

if TYPE_CHECKING:
    from .records.record import Record

EDITIONS = ("full", "mini")


def run(
    model: str | Encoder | Sequence[str | Encoder],
    tasks: str | Sequence[str] = "all",
    *,
    edition: str | None = None,
    split: str | None = None,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
    data_root: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] = "results",
    device: str = "auto",
    precision: str = "float32",
    seeds: int | None = None,
    offline: bool = False,
    force: bool = False,
    workers: int | None = None,
    mini_scale: float = 1.0,
    mini_seed: int = 0,
    limit: int | None = None,
    executor: str = "local",
    ray_address: str | None = None,
    cpus_per_worker: int | None = None,
    gpus_per_worker: float | None = None,
    batch_seconds: float | None = None,
    observer: Observer | None = None,
) -> list[Record]:
    """Evaluate models on tasks and return one record for each cell, models outermost.

    Finished cells are read, not computed again; features of unfinished ones are taken from the store as far as they
    are there. Everything that is missing is found before anything is computed.

    Args:
        model: names, paths of folders in Hugging Face format, encoder objects, or a comma-separated string of names.
        tasks: ``all`` (the paper's six), ``ready`` (those of the six whose data is here; the observer, or a logged
            warning, names the others), ``installed`` (all that is installed), task names, traditions, paths to a
            ``task.yaml``; a sequence or a comma-separated string.
        edition: ``full`` or ``mini``; ``None`` for ``full``. Custom tasks have their own data in any case.
        split: ``group-safe`` for the one in which no group straddles; ``None`` for the task's own. Results on different
            splits are different cells and share no column.
        protocol: name of a protocol, or one of your own.
        data_root: folder of the real data sets; ``CMBENCH_DATA`` if not given.
        out: folder of the records.
        device: where encoders and probes compute.
        precision: of the encoders' arithmetic, ``float32`` or ``bfloat16``; the latter is another model by name.
        seeds: number of probe seeds, if not the protocol's; the protocol's name and hash then say so.
        offline: never touch the network.
        force: compute finished cells again.
        workers: decoding threads and rendering processes; the number of processors if not given, and for a worker of
            a cluster that of its own.
        mini_scale: factor on the number of tracks of the ``mini`` edition.
        mini_seed: seed of the ``mini`` edition.
        limit: about this many tracks of each task, a sample of whole groups: for a first look, never ranked.
        executor: who encodes and probes: ``local``, or ``ray`` for a cluster (docs/scale.md).
        ray_address: of the cluster; ``auto`` for the one of this machine; one of its own if not given.
        cpus_per_worker: of the cluster; 4, or all of a smaller node, if not given.
        gpus_per_worker: fractions too; 1 if not given and there are any.
        batch_seconds: audio that an encoder takes at once, seconds; by its device if not given.
        observer: notified of how the run goes.

    Raises:
        MissingError: data or weights are not on this machine; nothing has been computed.
        UsageError: a name or a value means nothing.
        CmbenchError: a cell cannot be computed; finished cells are kept.
    """
    _let_idle_threads_sleep()
    check_request(edition, mini_scale, workers, Path(out))
    chosen = get_protocol(protocol, seeds)
    place = WorkerSettings(workers, ray_address, cpus_per_worker, gpus_per_worker)
    executed_by = get_executor(executor)
    watch = observer or Observer()
    context = LoadContext(
        data_root=require_data_root(data_root),
        cache_root=cache_root(),
        workers=workers or os.cpu_count() or 1,
        progress=watch.preparing,
        mini_scale=mini_scale,
        mini_seed=mini_seed,
    )
    encoders = Encoders(LoadOptions(device, offline, precision), noted=True, batch_seconds=batch_seconds)
    if device not in ("auto", "cpu") and executor == "local":
        # A device that is not there is said before anything is rendered.
        _ = encoders.device
    names = [encoders.add(m) for m in as_models(model)]
    chosen_tasks, if_ready = select_tasks(tasks), only_if_ready(tasks)
    data = preflight(encoders, names, chosen_tasks, edition, context, split, if_ready, watch, render=False)
    data = data if limit is None else [sample(one, limit) for one in data]
    claim(Path(out), (one.task for one in data))
    for one in data:
        ensure_audit(one, context.cache_root)
    # Torch is loaded only now that there is something to compute.
    from .ahead import rendered_ahead
    from .cell import begin_cell

    watch.planned(len(names) * len(data))
    records = []
    with rendered_ahead(data, context) as wait_for, executed_by(encoders, place) as executing:
        for name, one in product(names, data):
            wait_for(one)
            records.append(begin_cell(encoders, name, one, chosen, watch, executing, out=Path(out), force=force))
        finished = [record() for record in records]
    claim(Path(out), (one.task for one in data))
    return finished


def check_request(edition: str | None, mini_scale: float, workers: int | None, out: Path) -> None:
    """Raise a usage error for a value that means nothing."""
    if edition is not None and edition not in EDITIONS:
        raise UsageError(f"There is no edition {quoted(edition)}; choose {' or '.join(EDITIONS)}.")
    if not (math.isfinite(mini_scale) and mini_scale > 0):
        raise UsageError(f"The scale of the mini edition must be positive, not {mini_scale}.")
    if workers is not None and workers < 1:
        raise UsageError(f"At least one worker is needed, not {workers}.")
    for what, folder in (("--out", out), ("CMBENCH_CACHE", cache_root())):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{what}: {folder} is a file, where a folder is needed.")


def require_data_root(named: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder of the real data sets, ``None`` if there is none; a usage error if it is no folder."""
    root = configured_data_root(named)
    if root is not None and not root.is_dir():
        raise UsageError(f"The data root {root} is not a folder; see --data-root and CMBENCH_DATA.")
    return root


def _let_idle_threads_sleep() -> None:
    """Keep torch's threads from spinning while they wait, unless the user or an earlier import of torch decided.

    Decoding threads and other programs share the processors with torch: on a busy two-core machine the many small
    steps of one cell's probes took 3 to 20 s with spinning threads and under 1 s without (single runs, one after the
    other).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def as_models(model: str | Encoder | Sequence[str | Encoder]) -> list[str | Encoder]:
    """Return the models of a request, one by one.

    Raises:
        UsageError: there is none, or one is neither a name nor an encoder.
    """
    models: list[object] = [*split_list(model)] if isinstance(model, str) else [model]
    models = list(model) if isinstance(model, list | tuple) else models
    if not models:
        raise UsageError("No model was named. Try `--model chroma`, or `cmbench models` for the list.")
    for one in models:
        if isinstance(one, type) or not isinstance(one, str | Encoder):
            raise UsageError(
                f"{one!r} is not a model: name one, or pass an object with a `card` (EncoderCard) and `encode(audio)`"
                + (", not its class." if isinstance(one, type) else ".")
            )
    return [one for one in models if isinstance(one, str | Encoder)]


def preflight(
    encoders: Encoders,  # has the models
    names: Iterable[str],  # of the models
    tasks: Sequence[Task],  # to load
    edition: str | None,  # ``full`` or ``mini``; ``None`` for ``full``
    context: LoadContext,  # where to look, and how
    split: str | None = None,  # another than the usual one
    if_ready: Collection[str] = (),  # names of tasks that are left out, and named, if their data is not here
    watch: Observer | None = None,  # notified of these
    # whether the audio of the mini edition must be there; if not, files that may be absent are named
    render: bool = True,
) -> list[TaskData]:
    """Load every model once and every task, real data first, so that nothing is rendered or computed in vain.

    Raises:
        MissingError: with everything that is missing, of all models and tasks; or no task at all is here.
    """
    missing: list[Missing] = []
    absent: dict[str, tuple[Missing, ...]] = {}
    cards: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            card = encoders.card(name)
        except MissingError as error:
            missing.extend(error.missing)
            continue
        if (other := cards.setdefault(name_on_any_disk(card.name), name)) != name:
            raise UsageError(f"Models {other} and {name} would share the folder {safe_name(card.name)}; rename one.")
    editions = {t.name: edition_of(t, edition) for t in tasks}
    data: dict[str, TaskData] = {}
    for task in sorted(tasks, key=lambda t: editions[t.name] == "mini"):
        if missing and editions[task.name] == "mini":
            break
        try:
            audio = render or editions[task.name] != "mini"
            data[task.name] = task.load(editions[task.name], replace(context, needs_audio=audio), split)
        except MissingError as error:
            if task.name in if_ready:
                absent[task.name] = error.missing
            else:
                missing.extend(error.missing)
    if len(absent) == len(tasks):
        missing.extend(one for found in absent.values() for one in found)
    if missing:
        replaceable = any("mini" in t.editions and editions[t.name] == "full" for t in tasks if t.name not in data)
        raise MissingError(missing, mini_would_do=replaceable)
    for name, found in absent.items():
        (watch or Observer()).not_ready(name, found)
    return [data[t.name] for t in tasks if t.name in data]


def edition_of(task: Task, edition: str | None) -> str:
    """Return the edition that a task is asked for in: a custom task's own, else the named one, else ``full``."""
    if "custom" in task.editions:
        return "custom"
    return edition or "full"
