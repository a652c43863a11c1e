"""The story of the study: a run -> its chosen probes trained on parts of the training split -> curves and crossings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import typer

from ....errors import CmbenchError
from ....tasks.base import tradition_place
from ...commands.options import Models, Tasks
from ...comparing.compare import BOUND, RESAMPLES
from ...comparing.paired import Difference, Level, control_false_discoveries, difference, level, replicate
from ...comparing.summary import mean_over_traditions
from ...observer import Observer
from ...records.setting import common_setting
from ...scoring.intervals import Sample, fewest
from ...scoring.metrics import Doubles
from ..base import Evaluation
from ..cells import Cell, Found, Work, centred, chosen_probe, kept_work, probes_again, run_cells, score_level, stated
from .subsets import AXES, PARTS, POSITIVES, WHOLE, Size, draw_parts

SIZES = (*PARTS, WHOLE)
"""What scores there are of."""


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    """What to measure; its fields are the options of the command."""

    model: Models
    tasks: Tasks = field(default_factory=lambda: ["all"])
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder: records, what was computed, tables and figure.")] = (
        Path("efficiency")
    )
    draws: Annotated[int, typer.Option(min=2, help="Draws of every part of the training split.")] = 10


@dataclass(frozen=True)
class Pair:
    """Two models in one tradition, compared at every size.

    Attributes:
        tradition: its name.
        before: the first model.
        after: the second.
        changes: by size, second minus first; judged together, with those of the other traditions.
    """

    tradition: str
    before: str
    after: str
    changes: Mapping[Size, Difference]

    def ahead(self, size: Size) -> str | None:
        """Return the model that is shown to be better at a size; ``None`` where it cannot be told."""
        return {"gained": self.after, "lost": self.before}.get(self.changes[size].verdict)

    @property
    def crossings(self) -> tuple[tuple[Size, Size], ...]:
        """Neighbouring sizes that can be told, at which different models are ahead; between them the two cross."""
        found: list[tuple[Size, Size]] = []
        for sizes in AXES.values():
            told = [size for size in sizes if self.ahead(size)]
            found += [(low, high) for low, high in pairwise(told) if self.ahead(low) != self.ahead(high)]
        return tuple(found)


@dataclass(frozen=True)
class Efficiency(Found):
    """What was found; scores are 0 at chance and 1 for a perfect ranking.

    Attributes:
        draws: of every part.
        models: in the order in which they were asked for.
        curves: tradition -> model -> size -> score, the mean over the tradition's tasks.
        pairs: every two models in every tradition.
        kept: model -> size -> share of its full score, of means over traditions.
        short: task -> labels with fewer training positives than the largest part asks for, and all labels.
        undefined: tasks that are in no mean, as their test split defines no label.
    """

    draws: int
    models: tuple[str, ...]
    curves: Mapping[str, Mapping[str, Mapping[Size, Level]]]
    pairs: tuple[Pair, ...]
    kept: Mapping[str, Mapping[Size, Level]]
    short: Mapping[str, tuple[int, int]]
    undefined: tuple[str, ...]


def cost(request: Request) -> str:
    """Say what a request takes."""
    words, seconds = probes_again(2)
    further = f"trains each chosen probe on {request.draws * len(PARTS)} parts of its tracks: {words}"
    return stated(request, request.model, request.out, further, seconds)


def measure(request: Request, observer: Observer) -> Efficiency:
    """Evaluate models, train their chosen probes on parts of the training splits, and judge what these score.

    Raises:
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    cells = run_cells(request, request.model, request.out, observer)
    facts = {"draws": request.draws, "sizes": [size.words for size in PARTS], "resamples": RESAMPLES}
    work = [
        Work(cell, f"{cell.task} · parts", facts, partial(score_parts, cell, request.draws, request.device, observer))
        for cell in cells
    ]
    scores = kept_work(work, request.out, observer)
    return judge(cells, scores, request.draws)


def score_parts(
    cell: Cell, draws: int, device: str, observer: Observer, resamples: int = RESAMPLES
) -> dict[str, Doubles]:
    """Score a cell's chosen probe, trained on every part, on the test split and its resamples.

    Hidden state and learning rate are those that validation chose with all tracks; features are standardised over all
    of them, and validation says when to stop. An epoch has as many steps for a part as for the whole.

    Returns:
        ``[1 + resamples]`` by the words of a size: 0 at chance, 1 for a perfect ranking; and the record's own.

    Raises:
        CmbenchError: the model could use no track of a part.
    """
    from ....baselines.device import choose_device
    from ...probing.search import run_probes

    there = {track.id for track in cell.usable}
    usable = [track.id in there for track in cell.data.splits["train"]]
    parts = [drawn[:, usable] for drawn in draw_parts(cell.data, draws).values()]
    for size, drawn in zip(PARTS, parts, strict=True):
        if not drawn.any(axis=1).all():
            raise CmbenchError(f"{cell.model} could use no track of a draw of {size.words} of {cell.task}.")
    splits, settings, names = chosen_probe(cell)
    progress = partial(observer.probing, cell.model, cell.task)
    weights = np.concatenate(parts).astype(np.int32)
    probed = run_probes(*splits, settings, names, str(choose_device(device)), progress, resamples=weights)
    found = {WHOLE.words: centred(replicate(cell.judged, resamples))}
    for size, logits in zip(PARTS, np.split(probed.logits, len(parts)), strict=True):
        found[size.words] = centred(replicate(cell.predicted(logits, logits), resamples))
    return found


def judge(cells: Sequence[Cell], scores: Sequence[Mapping[str, Doubles]], draws: int) -> Efficiency:
    """Give every score its interval, and compare models at every size; q-values are of all traditions and sizes.

    Args:
        cells: models outermost.
        scores: of each cell, as :func:`score_parts` returns them.
        draws: of every part.

    Raises:
        CmbenchError: no task's test split defines a label.
    """
    models = tuple(dict.fromkeys(cell.model for cell in cells))
    without = [any(np.isnan(found[size.words][0]) for size in SIZES) for found in scores]
    undefined = tuple(dict.fromkeys(cell.task for cell, none in zip(cells, without, strict=True) if none))
    judged = [i for i, cell in enumerate(cells) if cell.task not in undefined]
    if not judged:
        raise CmbenchError(f"No label is defined by the test split of {', '.join(undefined)}: nothing can be scored.")
    traditions = sorted({cells[i].data.task.tradition for i in judged}, key=tradition_place)
    rows: dict[tuple[str, str], list[int]] = {(t, model): [] for t in traditions for model in models}
    for i in judged:
        rows[cells[i].data.task.tradition, cells[i].model].append(i)
    means: _Means = {
        (*key, size): np.mean([scores[i][size.words] for i in rows[key]], axis=0) for key in rows for size in SIZES
    }
    samples = {
        (t, size): fewest([_sample(cells[i], size, draws) for i in rows[t, models[0]]])
        for t in traditions
        for size in SIZES
    }
    return Efficiency(
        setting=common_setting(cell.evidence.record for cell in cells),
        draws=draws,
        models=models,
        curves={
            t: {m: {size: score_level(means[t, m, size], samples[t, size]) for size in SIZES} for m in models}
            for t in traditions
        },
        pairs=tuple(_pairs(means, samples, models, traditions)),
        kept={model: _kept(means, samples, model, traditions) for model in models},
        short={cell.task: _short(cell) for cell in cells},
        undefined=undefined,
    )


_Means: TypeAlias = dict[tuple[str, str, Size], Doubles]
"""Replicates ``[1 + resamples]`` by tradition, model and size."""

_Samples: TypeAlias = dict[tuple[str, Size], Sample]


def _sample(cell: Cell, size: Size, draws: int) -> Sample:
    """Return what scores at a size were drawn from: test groups, and draws of the part or the record's trainings."""
    whole = cell.judged.sample
    return whole if size == WHOLE else replace(whole, trainings=draws)


def _pairs(means: _Means, samples: _Samples, models: Sequence[str], traditions: Sequence[str]) -> Iterator[Pair]:
    """Yield every two models in every tradition."""
    for first, second in combinations(models, 2):
        # Leads and crossings are looked for among all sizes: all are judged together.
        changes = [
            difference(means[t, first, size], means[t, second, size], samples[t, size], BOUND)
            for t, size in product(traditions, SIZES)
        ]
        judged = iter(control_false_discoveries(changes))
        for tradition in traditions:
            yield Pair(tradition, first, second, {size: next(judged) for size in SIZES})


def _kept(means: _Means, samples: _Samples, model: str, traditions: Sequence[str]) -> dict[Size, Level]:
    """Return the share of a model's full score above chance that is there at each size, mean over traditions."""
    at = {size: mean_over_traditions({t: means[t, model, size] for t in traditions}) for size in SIZES}
    full, found = at[WHOLE], {}
    for size, part in at.items():
        share = np.divide(part, full, out=np.full_like(full, np.nan), where=full > 0)
        found[size] = level(share, fewest([samples[t, one] for t in traditions for one in (size, WHOLE)]))
    return found


def _short(cell: Cell) -> tuple[int, int]:
    """Return how many labels have fewer training positives than the largest part asks for, and of how many."""
    most = max(size.amount for size in PARTS if size.unit == POSITIVES)
    positives = cell.splits["train"].labels.sum(axis=0)
    return int((positives < most).sum()), len(positives)
