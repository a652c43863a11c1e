"""The story of the study: a run -> its chosen probes trained on parts of the training split -> curves and crossings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ....errors import CmbenchError
from ....tasks.base import tradition_place
from ....tasks.splits.names import SPLITS
from ...commands.options import Models, Tasks
from ...comparing.compare import BOUND, RESAMPLES
from ...comparing.paired import Difference, Level, control_false_discoveries, difference, level, replicate
from ...comparing.summary import mean_over_traditions
from ...observer import Observer
from ...records.setting import Setting, common_setting
from ...scoring.intervals import Sample, fewest
from ...scoring.metrics import Doubles
from ..base import Evaluation
from ..cells import Cell, centred, in_state, kept, kept_path, run_cells, score_level, stated
from .subsets import AXES, PARTS, Size, draw_parts

if TYPE_CHECKING:
    from ...probing.search import ProbeSplit
    from ...protocol import ProbeSettings

FULL = "full"
"""Name of the whole training split among the parts that are kept."""


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
class Curve:
    """One model in one tradition, from little data to all of it.

    Attributes:
        model: its name.
        tradition: its name.
        points: score by size, 0 at chance and 1 for a perfect ranking, the mean over the tradition's tasks.
    """

    model: str
    tradition: str
    points: Mapping[Size, Level]


@dataclass(frozen=True)
class Pair:
    """Two models in one tradition, compared at every size.

    Attributes:
        tradition: its name.
        before: the first model.
        after: the second.
        changes: by size, second minus first; judged together with those of the other traditions.
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
class Efficiency:
    """What was found.

    Attributes:
        setting: that all was measured in.
        draws: of every part.
        curves: models outermost, traditions in the usual order.
        pairs: every two models in every tradition.
        kept: model -> size -> share of its full score above chance, mean over traditions.
        short: task -> labels with fewer training positives than 20, and all labels.
    """

    setting: Setting
    draws: int
    curves: tuple[Curve, ...]
    pairs: tuple[Pair, ...]
    kept: Mapping[str, Mapping[Size, Level]]
    short: Mapping[str, tuple[int, int]]

    @property
    def title(self) -> str:
        """Edition, split and protocol in words."""
        return self.setting.title

    @property
    def warning(self) -> str:
        """What must stand beside every number; empty for the whole of real data."""
        return self.setting.warning

    @property
    def models(self) -> tuple[str, ...]:
        """The models, in the order in which they were asked for."""
        return tuple(dict.fromkeys(curve.model for curve in self.curves))

    @property
    def traditions(self) -> tuple[str, ...]:
        """The traditions, in the usual order."""
        return tuple(dict.fromkeys(curve.tradition for curve in self.curves))


def cost(request: Request) -> str:
    """Say what a request takes."""
    count = request.draws * len(PARTS)
    return stated(request, request.model, request.out, f"trains each chosen probe on {count} parts of its tracks", 2)


def measure(request: Request, observer: Observer) -> Efficiency:
    """Evaluate models, train their chosen probes on parts of the training splits, and judge what these score.

    Raises:
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    cells = run_cells(request, request.model, request.out, observer)
    scores = []
    for done, cell in enumerate(cells):
        observer.studying(f"{cell.model} · {cell.task} · parts", done, len(cells))
        facts = cell.facts | {"draws": request.draws, "sizes": [size.words for size in PARTS], "resamples": RESAMPLES}
        make = partial(score_parts, cell, request.draws, request.device, observer)
        scores.append(kept(kept_path(request.out, cell), facts, make)[0])
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
    drawn = np.concatenate(parts).astype(np.int32)
    probed = run_probes(*splits, settings, names, str(choose_device(device)), progress, resamples=drawn)
    found = {FULL: centred(replicate(cell.judged, resamples))}
    for size, logits in zip(PARTS, np.split(probed.logits, len(parts)), strict=True):
        found[size.words] = centred(replicate(cell.predicted(logits, logits), resamples))
    return found


def chosen_probe(cell: Cell) -> tuple[list[ProbeSplit], ProbeSettings, tuple[str, ...]]:
    """Return what the chosen probe of a cell sees of each split, the settings that train it alone, and its states."""
    from ...probing.search import FUSED_NAME

    selection, probe = cell.evidence.record.selection, cell.protocol.probe
    alone = replace(probe, learning_rates=(selection.learning_rate,), seeds=(probe.search_seed,), halve_at=())
    if selection.layer == FUSED_NAME:
        return [cell.splits[split] for split in SPLITS], replace(alone, each_layer=False), cell.states
    splits = in_state(cell.splits, cell.states.index(selection.layer))
    return splits, replace(alone, each_layer=True, fused=False), (selection.layer,)


def judge(cells: Sequence[Cell], scores: Sequence[Mapping[str, Doubles]], draws: int) -> Efficiency:
    """Give every score its interval, and compare models at every size.

    Args:
        cells: models outermost.
        scores: of each cell, as :func:`score_parts` returns them.
        draws: of every part.
    """
    by_model: dict[str, dict[str, list[int]]] = {}
    for i, cell in enumerate(cells):
        by_model.setdefault(cell.model, {}).setdefault(cell.data.task.tradition, []).append(i)
    traditions = sorted({cell.data.task.tradition for cell in cells}, key=tradition_place)
    sizes = [size for axis in AXES.values() for size in axis]
    means = {
        (model, tradition, size): np.mean([scores[i][FULL if size.full else size.words] for i in rows], axis=0)
        for model, there in by_model.items()
        for tradition, rows in there.items()
        for size in sizes
    }
    samples = {
        (tradition, size): fewest(
            [_sample(cell, size, draws) for cell in cells if cell.data.task.tradition == tradition]
        )
        for tradition in traditions
        for size in sizes
    }
    curves = tuple(
        Curve(model, t, {size: score_level(means[model, t, size], samples[t, size]) for size in sizes})
        for model in by_model
        for t in traditions
    )
    tasks = {cell.task: cell for cell in cells}
    return Efficiency(
        setting=common_setting(cell.evidence.record for cell in cells),
        draws=draws,
        curves=curves,
        pairs=_pairs(list(by_model), traditions, sizes, means, samples),
        kept={model: _kept(model, traditions, sizes, means, samples) for model in by_model},
        short={name: _short(cell) for name, cell in tasks.items()},
    )


def _sample(cell: Cell, size: Size, draws: int) -> Sample:
    """Return what scores at a size were drawn from: test groups, and draws of the part or the record's trainings."""
    whole = cell.judged.sample
    return whole if size.full else Sample(whole.groups, draws)


def _pairs(
    models: Sequence[str],
    traditions: Sequence[str],
    sizes: Sequence[Size],
    means: Mapping[tuple[str, str, Size], Doubles],
    samples: Mapping[tuple[str, Size], Sample],
) -> tuple[Pair, ...]:
    """Compare every two models at every size; q-values are among traditions, as in ``report forgetting``."""
    found = []
    for before, after in combinations(models, 2):
        by_size = {
            size: control_false_discoveries(
                [difference(means[before, t, size], means[after, t, size], samples[t, size], BOUND) for t in traditions]
            )
            for size in sizes
        }
        found += [
            Pair(tradition, before, after, {size: by_size[size][i] for size in sizes})
            for i, tradition in enumerate(traditions)
        ]
    return tuple(found)


def _kept(
    model: str,
    traditions: Sequence[str],
    sizes: Sequence[Size],
    means: Mapping[tuple[str, str, Size], Doubles],
    samples: Mapping[tuple[str, Size], Sample],
) -> dict[Size, Level]:
    """Return the share of a model's full score above chance that is there at each size, mean over traditions."""
    whole, found = sizes[-1], {}
    full = mean_over_traditions({t: means[model, t, whole] for t in traditions})
    for size in sizes:
        part = mean_over_traditions({t: means[model, t, size] for t in traditions})
        share = np.divide(part, full, out=np.full_like(full, np.nan), where=full > 0)
        found[size] = level(share, fewest([samples[t, s] for t in traditions for s in (size, whole)]))
    return found


def _short(cell: Cell) -> tuple[int, int]:
    """Return how many labels have fewer training positives than the largest part asks for, and of how many."""
    most = max(size.amount for size in PARTS if size.unit == "positives")
    positives = cell.splits["train"].labels.sum(axis=0)
    return int((positives < most).sum()), len(positives)
