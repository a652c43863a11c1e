"""A range of scales for a merge, evaluated: chosen on validation, shown with the test scores beside.

Each merged model is evaluated by :func:`...run.run` like any other and then let go. The run knows what is finished: the
same command merges again and goes on where it was stopped, and a wider range adds to what is there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer

from ....baselines.base import LoadOptions
from ....baselines.mert.folder import require_dtype
from ....errors import UsageError
from ....files import OLD, folder_beside, safe_name
from ....pretraining.merging.folder import write_merged
from ....pretraining.merging.merge import MergeSettings, merge_settings
from ....pretraining.merging.parameters import Parameters, open_parameters, require_same_network
from ....tasks.base import MINI_LABEL
from ...observer import Observer
from ...records.record import Record
from ..base import Evaluation

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


def cost(request: Request) -> str:
    """Say what a request takes."""
    models, scales = 1 + len(request.add), len(parse_scales(request.scales))
    return (
        f"Evaluates {models + scales} models (the base, {models - 1} added, {scales} merged) on "
        f"{', '.join(request.tasks)}, each as `cmbench run` does; `cmbench run --plan` estimates one. What is finished "
        "is merged again, but not evaluated."
    )


def sweep_scales(request: Request, observer: Observer) -> Sweep:
    """Evaluate the base, the added models, and their merge at every scale; finished cells are not computed again.

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
    if out.exists() and not (out / RECORDS).is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds something that is not a sweep; name another folder.")
    options = LoadOptions(device="cpu", offline=request.offline)
    with folder_beside(out) as made:
        models = [open_parameters(name, options, made) for name in (request.base, *request.add)]
        shown = [*(model.name for model in models), *(merge_name(out, scale) for scale in scales)]
        if twice := [name for name in shown if [safe_name(n) for n in shown].count(safe_name(name)) > 1]:
            raise UsageError(f"Two models of the sweep are named {twice[0]}; rename a folder.")
        for model in models[1:]:
            require_same_network(models[0], model)
        base, *added = [_level(request.run([name], out / RECORDS, observer)) for name in (request.base, *request.add)]
        merged = [_level(_merged(request, models, scale, out, observer), scale) for scale in scales]
    return Sweep(base, tuple(added), tuple(merged))


def merge_name(folder: Path, scale: float) -> str:
    """Return the name of the merge at a scale."""
    return f"{folder.name}-scale-{scale:.12g}"


def _level(records: Sequence[Record], scale: float | None = None) -> SweptModel:
    return SweptModel(records[0].model.name, scale, {r.task.name: r for r in records})


def _merged(
    request: Request, models: Sequence[Parameters], scale: float, out: Path, observer: Observer
) -> list[Record]:
    """Merge at one scale in a temporary folder, and evaluate the model that is there."""
    name = merge_name(out, scale)
    base, *added = models
    with folder_beside(out / "merging") as made:
        place = made / name
        write_merged(base, added, request.merge_at(scale), place, name, request.dtype)
        records = request.run([str(place)], out / RECORDS, observer)
        if request.keep:
            kept = out / MODELS / name
            kept.parent.mkdir(exist_ok=True)
            if kept.exists():
                kept.rename(made / OLD)
            place.rename(kept)
    return records
