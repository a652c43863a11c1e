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
from typing import Annotated

import typer

from .... import untrusted
from ....baselines.base import LoadOptions
from ....baselines.mert.encoder import CODE_VERSION
from ....baselines.mert.folder import require_dtype
from ....errors import CmbenchError, UsageError
from ....files import OLD, folder_beside, safe_name, write_atomically
from ....pretraining.merging.folder import write_merged
from ....pretraining.merging.merge import MergeSettings, merge_settings
from ....pretraining.merging.parameters import Parameters, open_parameters, require_same_network
from ....tasks.base import MINI_LABEL
from ....version import __version__
from ...observer import Observer
from ...protocol import get_protocol
from ...records.record import Record, read_record
from ..base import Evaluation

STATE = "sweep.json"
RECORDS = "records"
MODELS = "models"
MOST_SCALES = 200


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
    def title(self) -> str:
        """Editions and protocol."""
        records = list(self.base.records.values())
        editions = "/".join(dict.fromkeys(record.task.edition for record in records))
        return f"{editions} edition · protocol {records[0].protocol.name} ({records[0].protocol.sha256[:8]})"

    @property
    def warning(self) -> str:
        """What must stand beside every number; empty for real data."""
        return MINI_LABEL if any(r.task.edition == "mini" for r in self.base.records.values()) else ""

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
    wrong = UsageError(f"The scales {text!r} should read START:STOP:STEP or a list such as 0.1,0.2,0.5.")
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
        raise UsageError(f"{text!r} has more than {MOST_SCALES} scales; take a larger step.")
    scales = sorted({float(number) for number in numbers})
    if not all(math.isfinite(scale) for scale in scales):
        raise wrong
    return tuple(scales)


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    """What to merge, at which scales, and what to evaluate it on; its fields are the options of the command."""

    base: Annotated[
        str, typer.Option("--base", "-b", help="The model that all were adapted from: name, folder or hf:owner/name.")
    ]
    add: Annotated[list[str], typer.Option("--add", "-a", help="An adapted model; again for each further one.")]
    scales: Annotated[str, typer.Option(help="START:STOP:STEP, the stop included, or a list such as 0.1,0.2,0.5.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")]
    method: Annotated[str, typer.Option(help="`sum` (task arithmetic), `mean`, `ties` or `dare`.")] = "sum"
    density: Annotated[
        float | None,
        typer.Option(help="Share of each task vector that ties (0.2) and dare (0.1) keep.", show_default=False),
    ] = None
    seed: Annotated[int, typer.Option(help="Of what dare drops.")] = 0
    weight_norm: Annotated[
        str, typer.Option(help="`raw`: merge its two halves as they are; `folded`: merge their product.")
    ] = "raw"
    dtype: Annotated[str, typer.Option(help="Of the weights that are written: `float32` or `float16`.")] = "float32"
    keep: Annotated[bool, typer.Option("--keep", help="Keep the merged models.")] = False

    def merge_at(self, scale: float) -> MergeSettings:
        """Return the merge at a scale."""
        return merge_settings(
            len(self.add), self.method, scale, density=self.density, seed=self.seed, weight_norm=self.weight_norm
        )

    def sha256(self, models: Sequence[Parameters]) -> str:
        """Hash what every score depends on, the scale aside; the order of the added models does not matter.

        Args:
            models: the base, then the added models.
        """
        base, *added = [f"{model.weights_sha256} {model.preprocessor.normalise}" for model in models]
        protocol = get_protocol(self.protocol)
        protocol = protocol if self.seeds is None else protocol.with_seeds(self.seeds)
        run = {name: value for name, value in self.run_settings.items() if name not in ("device", "offline", "workers")}
        run["data_root"] = None if self.data_root is None else str(self.data_root)
        evaluation = run | {"protocol_sha256": protocol.sha256, "versions": [__version__, CODE_VERSION]}
        facts = [base, sorted(added), asdict(self.merge_at(0.0)), self.dtype, evaluation]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def cost(request: Request) -> str:
    """Say what a request takes."""
    models, scales = 1 + len(request.add), len(parse_scales(request.scales))
    return (
        f"Evaluates {models + scales} models (the base, {models - 1} added, {scales} merged) on "
        f"{', '.join(request.tasks)}, each as `cmbench run` does; `cmbench run --plan` estimates one. Finished ones "
        "are not computed again."
    )


def sweep_scales(request: Request, observer: Observer) -> Sweep:
    """Evaluate the base, the added models, and their merge at every scale; what is finished is not computed again.

    Args:
        request: what to merge and to evaluate on.
        observer: notified of how the runs go.

    Raises:
        UsageError: the models do not fit together, two share a name, or the folder is no sweep's.
        MissingError: models or data are not on this machine.
        CmbenchError: a cell cannot be computed; finished models are kept.
    """
    scales = parse_scales(request.scales)
    out = request.out.expanduser().resolve()
    require_dtype(request.dtype)
    request.merge_at(scales[0])
    if out.exists() and not (out / STATE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds something that is not a sweep; name another folder.")
    options = LoadOptions(device="cpu", offline=request.offline)
    with folder_beside(out) as made:
        models = [open_parameters(name, options, made) for name in (request.base, *request.add)]
        shown = [*(model.name for model in models), *(merge_name(out, scale) for scale in scales)]
        if twice := [name for name in shown if [safe_name(n) for n in shown].count(safe_name(name)) > 1]:
            raise UsageError(f"Two models of the sweep are named {twice[0]}; rename a folder.")
        for model in models[1:]:
            require_same_network(models[0], model)
        return Sweeping(request, out, models, observer).all(scales)


def merge_name(folder: Path, scale: float) -> str:
    """Return the name of the merge at a scale."""
    return f"{folder.name}-scale-{scale:.12g}"


Notes = dict[str, dict[str, object]]
"""Finished models by key: the hash of their weights, and the files of their records."""


@dataclass(frozen=True)
class Sweeping:
    """A sweep as it goes: its folder has the records and what is finished.

    Attributes:
        request: what is asked for.
        out: the folder.
        models: the base, then the added models, opened.
        observer: notified of how the runs go.
    """

    request: Request
    out: Path
    models: Sequence[Parameters]
    observer: Observer

    def all(self, scales: Sequence[float]) -> Sweep:
        """Evaluate the base, the added models and the merge at every scale."""
        request, sha256 = self.request, self.request.sha256(self.models)
        notes = self._finished(sha256)
        self.out.mkdir(parents=True, exist_ok=True)

        def note() -> None:
            content = {"sweep_version": 1, "request": sha256, "finished": notes}
            write_atomically(self.out / STATE, (json.dumps(content, indent=2) + "\n").encode())

        def level(key: str, scale: float | None, evaluate: Callable[[], list[Record]], there: bool) -> SweptModel:
            records = self._read(notes.get(key, {})) if there else []
            if not records:
                records = evaluate()
                files = [f"{safe_name(r.model.name)}/{r.stem}.json" for r in records]
                notes[key] = {"weights_sha256": records[0].model.weights_sha256, "records": files}
                note()
            return SweptModel(records[0].model.name, scale, {r.task.name: r for r in records})

        note()
        base, *added = [
            level(f"model {model.name} {model.weights_sha256}", None, partial(self._run, name), True)
            for name, model in zip((request.base, *request.add), self.models, strict=True)
        ]
        merged = []
        for scale in scales:
            there = not request.keep or (self.out / MODELS / merge_name(self.out, scale)).is_dir()
            merged.append(level(f"scale {scale:.12g}", scale, partial(self._merged, scale), there))
        return Sweep(base, tuple(added), tuple(merged))

    def _run(self, model: str) -> list[Record]:
        return self.request.run([model], self.out / RECORDS, self.observer)

    def _merged(self, scale: float) -> list[Record]:
        """Merge at one scale in a temporary folder, and evaluate the model that is there."""
        name = merge_name(self.out, scale)
        base, *added = self.models
        with folder_beside(self.out / "merging") as made:
            place = made / name
            write_merged(base, added, self.request.merge_at(scale), place, name, self.request.dtype)
            records = self._run(str(place))
            if self.request.keep:
                kept = self.out / MODELS / name
                kept.parent.mkdir(exist_ok=True)
                if kept.exists():
                    kept.rename(made / OLD)
                place.rename(kept)
        return records

    def _finished(self, sha256: str) -> Notes:
        """Return what is noted; nothing if the sweep that is there was another one."""
        state = self.out / STATE
        if not state.is_file():
            return {}
        try:
            content = untrusted.read_object(state)
            finished = {key: dict(noted) for key, noted in dict(content["finished"]).items()}
            return finished if content["request"] == sha256 else {}
        except (UsageError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{state} is not the file of a sweep; remove it to begin anew.") from error

    def _read(self, noted: Mapping[str, object]) -> list[Record]:
        """Return the records of a finished model; none if one of them is gone or of other weights."""
        files, found = noted.get("records"), []
        for file in files if isinstance(files, list) else ():
            try:
                found.append(read_record(self.out / RECORDS / str(file)))
            except (OSError, CmbenchError):
                return []
        return found if all(r.model.weights_sha256 == noted.get("weights_sha256") for r in found) else []
