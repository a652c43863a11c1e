"""A range of scales for a merge, evaluated: chosen on validation, shown with the test scores beside.

Each merged model is evaluated by :func:`...run.run` like any other and then let go. What is finished is noted in
``sweep.json``, so that the same command goes on where it was stopped; a wider range adds to what is there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from statistics import fmean

from .... import untrusted
from ....baselines.base import LoadOptions
from ....baselines.mert.encoder import CODE_VERSION
from ....baselines.mert.folder import require_dtype
from ....errors import CmbenchError, UsageError
from ....files import OLD, folder_beside, safe_name, write_atomically
from ....pretraining.merging.folder import write_merged
from ....pretraining.merging.merge import MergeSettings
from ....pretraining.merging.parameters import Parameters, open_parameters, require_same_network
from ....version import __version__
from ...observer import Observer
from ...protocol import get_protocol
from ...records.record import Record, read_record

STATE = "sweep.json"
RECORDS = "records"
MODELS = "models"
MOST_SCALES = 200

HONESTY = (
    "The scale is chosen by the mean validation score. Test scores are shown beside it, not chosen by: a scale picked "
    "for its test score is selected on the test set, and that score is then too good."
)


@dataclass(frozen=True)
class SweptModel:
    """A model of the sweep with its records.

    Attributes:
        name: of the model.
        scale: of the merge; ``None`` for the base and the added models.
        records: task -> record.
    """

    name: str
    scale: float | None
    records: Mapping[str, Record]

    @property
    def valid_score(self) -> float:
        """Mean over the tasks of the score by which validation chose the probe."""
        return fmean(record.selection.valid_score for record in self.records.values())


@dataclass(frozen=True)
class Sweep:
    """The models of a sweep on the same tasks.

    Attributes:
        base: the model that all were adapted from.
        added: the adapted models.
        merged: one for each scale, ascending.
    """

    base: SweptModel
    added: tuple[SweptModel, ...]
    merged: tuple[SweptModel, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(self.base.records)

    @property
    def levels(self) -> tuple[SweptModel, ...]:
        """All models: the base, what was added, the merges."""
        return (self.base, *self.added, *self.merged)

    @property
    def chosen(self) -> SweptModel:
        """The merge with the best mean validation score; of equal ones that nearest to the base."""
        return max(self.merged, key=lambda level: (level.valid_score, -abs(level.scale or 0.0)))

    @property
    def at_the_edge(self) -> bool:
        """Whether the chosen scale is an end of the range, so that a better one may lie beyond."""
        return len(self.merged) > 1 and self.chosen in (self.merged[0], self.merged[-1])


def parse_scales(text: str) -> tuple[float, ...]:
    """Read ``0.05:0.5:0.05`` (start, stop, step; the stop is included) or ``0.1,0.2,0.5``; ascending, each once.

    Raises:
        UsageError: it is neither, or has more than :data:`MOST_SCALES` scales.
    """
    wrong = UsageError(f"--sweep {text!r} should read START:STOP:STEP or a list such as 0.1,0.2,0.5.")
    try:
        numbers = [Decimal(part.strip()) for part in text.split(":" if ":" in text else ",")]
    except InvalidOperation as error:
        raise wrong from error
    if not all(number.is_finite() for number in numbers):
        raise wrong
    if ":" in text:
        if len(numbers) != 3 or numbers[2] <= 0 or numbers[0] > numbers[1]:
            raise wrong
        start, stop, step = numbers
        count = (stop - start) / step + 1
        # Decimals, because 0.05 * 3 is not 0.15 in binary.
        numbers = [start + i * step for i in range(int(min(count, Decimal(MOST_SCALES + 1))))]
    if len(numbers) > MOST_SCALES:
        raise UsageError(f"--sweep {text!r} has more than {MOST_SCALES} scales; take a larger step.")
    scales = sorted({float(number) for number in numbers})
    if not all(math.isfinite(scale) for scale in scales):
        raise wrong
    return tuple(scales)


@dataclass(frozen=True)
class Evaluation:
    """What the models of a sweep are evaluated on; the arguments of :func:`...run.run`.

    Attributes:
        tasks: as a run takes them.
        edition: ``full`` or ``mini``; ``None`` for ``full``.
        protocol: name.
        data_root: folder of the real data sets.
        seeds: of the chosen probe, if not the protocol's.
        mini_scale: factor on the number of tracks of the ``mini`` edition.
        mini_seed: seed of the ``mini`` edition.
        device: where encoders and probes compute.
        offline: never touch the network.
        workers: decoding threads and rendering processes.
    """

    tasks: tuple[str, ...]
    edition: str | None = None
    protocol: str = "cmbench-1"
    data_root: str | None = None
    seeds: int | None = None
    mini_scale: float = 1.0
    mini_seed: int = 0
    device: str = "auto"
    offline: bool = False
    workers: int | None = None

    def run(self, out: Path, observer: Observer, model: str) -> list[Record]:
        """Evaluate a model; its records go below ``out``."""
        from ...run import run

        return run([model], out=out, observer=observer, **asdict(self))

    @property
    def facts(self) -> dict[str, object]:
        """What a score depends on: the data and the protocol by name, the protocol's values, the code's version."""
        protocol = get_protocol(self.protocol)
        sha256 = protocol.sha256 if self.seeds is None else protocol.with_seeds(self.seeds).sha256
        names = {key: value for key, value in asdict(self).items() if key not in ("device", "offline", "workers")}
        return names | {"protocol_sha256": sha256, "versions": [__version__, CODE_VERSION]}


Notes = dict[str, dict[str, object]]
"""Finished models by key: the hash of their weights, and the files of their records."""


@dataclass(frozen=True)
class SweepFolder:
    """Where a sweep keeps its records and what it has finished.

    Attributes:
        path: the folder.
        request: hash of everything that a score depends on, the scales aside.
    """

    path: Path
    request: str

    def finished(self) -> Notes:
        """Return what is noted; nothing if the sweep that is there was another one.

        Raises:
            UsageError: the file is damaged.
        """
        state = self.path / STATE
        if not state.is_file():
            return {}
        try:
            content = untrusted.read_object(state)
            finished = {key: dict(noted) for key, noted in dict(content["finished"]).items()}
            return finished if content["request"] == self.request else {}
        except (UsageError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{state} is not the file of a sweep; remove it to begin anew.") from error

    def note(self, finished: Notes) -> None:
        """Write down what is finished."""
        content = {"sweep_version": 1, "request": self.request, "finished": finished}
        write_atomically(self.path / STATE, (json.dumps(content, indent=2) + "\n").encode())

    def read(self, noted: Mapping[str, object]) -> list[Record]:
        """Return the records of a finished model; none if one of them is gone or of other weights."""
        files, found = noted.get("records"), []
        for file in files if isinstance(files, list) else ():
            try:
                found.append(read_record(self.path / RECORDS / str(file)))
            except (OSError, CmbenchError):
                return []
        return found if all(r.model.weights_sha256 == noted.get("weights_sha256") for r in found) else []


RunCells = Callable[[str], list[Record]]
"""Evaluates a model (a name or a folder) on the tasks of the sweep; the records go into the sweep's folder."""


@dataclass(frozen=True)
class Merges:
    """The merges of a sweep.

    Attributes:
        models: the base, then the added models.
        settings_of: the merge at a scale.
        dtype: of the merged weights.
        keep: keep the merged models, below :data:`MODELS`.
    """

    models: Sequence[Parameters]
    settings_of: Callable[[float], MergeSettings]
    dtype: str = "float32"
    keep: bool = False

    def request_sha256(self, evaluation: Evaluation) -> str:
        """Hash what every score depends on, the scale aside; the order of the added models does not matter."""
        base, *added = [f"{model.weights_sha256} {model.preprocessor.normalise}" for model in self.models]
        facts = [base, sorted(added), asdict(self.settings_of(0.0)), self.dtype, evaluation.facts]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def run(self, scale: float, run_cells: RunCells, folder: Path) -> list[Record]:
        """Merge at one scale in a temporary folder, and evaluate the model that is there."""
        name = merge_name(folder, scale)
        base, *added = self.models
        with folder_beside(folder / "merging") as made:
            place = made / name
            write_merged(base, added, self.settings_of(scale), place, name, self.dtype)
            records = run_cells(str(place))
            if self.keep:
                kept = folder / MODELS / name
                kept.parent.mkdir(exist_ok=True)
                if kept.exists():
                    kept.rename(made / OLD)
                place.rename(kept)
        return records


def merge_name(folder: Path, scale: float) -> str:
    """Return the name of the merge at a scale."""
    return f"{folder.name}-scale-{scale:.12g}"


def sweep_scales(
    names: Sequence[str],
    scales: Sequence[float],
    settings_of: Callable[[float], MergeSettings],
    evaluation: Evaluation,
    out: Path,
    observer: Observer,
    dtype: str = "float32",
    keep: bool = False,
) -> Sweep:
    """Evaluate the base, the added models, and their merge at every scale; what is finished is not computed again.

    Args:
        names: the base, then the added models: short names, folders, or ``hf:owner/name@revision``.
        scales: of the merges, ascending.
        settings_of: the merge at a scale.
        evaluation: tasks and protocol.
        out: folder of the sweep.
        observer: notified of how the runs go.
        dtype: of the merged weights.
        keep: keep the merged models, below :data:`MODELS`.

    Raises:
        UsageError: the models do not fit together, two share a name, or the folder is no sweep's.
        MissingError: models or data are not on this machine.
        CmbenchError: a cell cannot be computed; finished models are kept.
    """
    out = out.expanduser().resolve()
    require_dtype(dtype)
    settings_of(scales[0])
    if out.exists() and not (out / STATE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds something that is not a sweep; name another folder.")
    options = LoadOptions(device="cpu", offline=evaluation.offline)
    with folder_beside(out) as made:
        models = [open_parameters(name, options, made) for name in names]
        merges = Merges(models, settings_of, dtype, keep)
        folder = SweepFolder(out, merges.request_sha256(evaluation))
        return run_sweep(names, merges, scales, partial(evaluation.run, out / RECORDS, observer), folder)


def run_sweep(
    names: Sequence[str], merges: Merges, scales: Sequence[float], run_cells: RunCells, folder: SweepFolder
) -> Sweep:
    """Do what :func:`sweep_scales` does, with opened models.

    Args:
        names: of the base and the added models, as a run takes them.
        merges: the same models, opened, and how they are merged.
        scales: of the merges, ascending.
        run_cells: evaluates a model.
        folder: of the sweep.

    Raises:
        UsageError: the models do not fit together, two share a name, or the folder is no sweep's.
        CmbenchError: a cell cannot be computed; finished models are kept.
    """
    notes = folder.finished()
    shown = [*(model.name for model in merges.models), *(merge_name(folder.path, scale) for scale in scales)]
    if twice := [name for name in shown if [safe_name(n) for n in shown].count(safe_name(name)) > 1]:
        raise UsageError(f"Two models of the sweep are named {twice[0]}; rename a folder.")
    for model in merges.models[1:]:
        require_same_network(merges.models[0], model)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.note(notes)

    def level(key: str, scale: float | None, evaluate: Callable[[], list[Record]], there: bool = True) -> SweptModel:
        records = folder.read(notes.get(key, {})) if there else []
        if not records:
            records = evaluate()
            files = [f"{safe_name(r.model.name)}/{r.stem}.json" for r in records]
            notes[key] = {"weights_sha256": records[0].model.weights_sha256, "records": files}
            folder.note(notes)
        return SweptModel(records[0].model.name, scale, {r.task.name: r for r in records})

    base, *added = [
        level(f"model {model.name} {model.weights_sha256}", None, partial(run_cells, name))
        for name, model in zip(names, merges.models, strict=True)
    ]
    merged = [
        level(
            f"scale {scale:.12g}",
            scale,
            partial(merges.run, scale, run_cells, folder.path),
            there=not merges.keep or (folder.path / MODELS / merge_name(folder.path, scale)).is_dir(),
        )
        for scale in scales
    ]
    return Sweep(base, tuple(added), tuple(merged))
