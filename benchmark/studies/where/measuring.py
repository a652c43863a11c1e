"""The story of the study: a run -> probes on every hidden state -> families by state, and labels across traditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ....errors import counted
from ...commands.options import Models, Tasks
from ...comparing.compare import BOUND, RESAMPLES
from ...comparing.paired import NOTHING_DEFINED, Difference, Level, control_false_discoveries, difference, replicate
from ...observer import Observer
from ...records.setting import common_setting
from ...scoring.intervals import Sample, fewest
from ...scoring.metrics import Doubles
from ..base import Evaluation
from ..cells import Cell, Found, Work, centred, kept_work, probes_again, run_cells, score_level, settled, stated
from .probes import FITS, PROBES, Scored, on_resamples, perceptron, track_means
from .shared import Across, across


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    """What to measure; its fields are the options of the command."""

    model: Models
    tasks: Tasks = field(default_factory=lambda: ["all"])
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder: records, what was computed, tables and figures.")
    ] = Path("where")
    trainings: Annotated[
        int, typer.Option(min=2, help="Resamples of the training groups that every probe is trained on again.")
    ] = 10


@dataclass(frozen=True)
class Home:
    """Where a model has a family of labels, by one probe.

    Attributes:
        model: its name.
        family: of labels.
        probe: one of :data:`.probes.PROBES`.
        tasks: whose labels of the family are scored; each counts once.
        states: names of the hidden states.
        levels: score of each, 0 at chance and 1 for a perfect ranking.
        possible: states that are not shown to be worse than another, by position.
    """

    model: str
    family: str
    probe: str
    tasks: tuple[str, ...]
    states: tuple[str, ...]
    levels: tuple[Level, ...]
    possible: tuple[int, ...]

    @property
    def best(self) -> int | None:
        """Position of the state with the highest score, the first of equals; ``None`` where none has a score."""
        known = [(-one.value, k) for k, one in enumerate(self.levels) if one.value is not None]
        return min(known)[1] if known else None


@dataclass(frozen=True)
class Where(Found):
    """What was found.

    Attributes:
        trainings: of every probe, on resamples of the training groups.
        homes: models outermost, then probes, then families.
        across: labels that several traditions have, probes of one scored in another.
    """

    trainings: int
    homes: tuple[Home, ...]
    across: tuple[Across, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models, in the order in which they were asked for."""
        return tuple(dict.fromkeys(home.model for home in self.homes))

    @property
    def families(self) -> tuple[str, ...]:
        """The families, in the order of the tasks."""
        return tuple(dict.fromkeys(home.family for home in self.homes))

    def home(self, model: str, family: str, probe: str) -> Home:
        """Return one of the homes."""
        return next(h for h in self.homes if (h.model, h.family, h.probe) == (model, family, probe))


def cost(request: Request) -> str:
    """Say what a request takes."""
    what = f"{len(PROBES)} probes on every hidden state, each again on {counted(request.trainings, 'resample')}"
    words, seconds = probes_again(3)
    return stated(request, request.model, request.out, f"trains {what}: {words}", seconds)


def measure(request: Request, observer: Observer) -> Where:
    """Evaluate models, probe every hidden state on the test tracks, and carry labels from tradition to tradition.

    Raises:
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    cells = run_cells(request, request.model, request.out, observer)
    facts = {"trainings": request.trainings, "resamples": RESAMPLES}
    work = [
        Work(
            cell,
            f"{cell.task} · {name}",
            facts | {"state": name},
            partial(score_state, cell, state, request.trainings, request.device, observer),
            (name,),
        )
        for cell in cells
        for state, name in enumerate(cell.states)
    ]
    found = iter(kept_work(work, request.out, observer))
    scores = [[next(found) for _ in cell.states] for cell in cells]
    return Where(
        setting=common_setting(cell.evidence.record for cell in cells),
        trainings=request.trainings,
        homes=find_homes(cells, scores, request.trainings),
        across=across(cells, request.trainings, request.out, observer),
    )


def score_state(
    cell: Cell, state: int, trainings: int, device: str, observer: Observer, resamples: int = RESAMPLES
) -> dict[str, Doubles]:
    """Score every probe on one hidden state on the test split and its resamples, family by family.

    Returns:
        ``[1 + resamples]`` by probe and family (``linear/raga``): 0 at chance, 1 for a perfect ranking.
    """
    from ...probing.resampling import training_draws

    drawn = training_draws(cell.data, cell.usable, trainings)
    train, _, test = map(track_means, cell.seen(state))
    probed: dict[str, Scored] = {name: on_resamples(fit, train, cell, drawn, [test])[0] for name, fit in FITS.items()}
    probed[PROBES[-1]] = perceptron(cell, state, drawn, device, partial(observer.probing, cell.model, cell.task))
    found = {}
    for name, scored in probed.items():
        scores = replicate(cell.predicted(*scored), resamples)
        for family, columns in cell.evidence.record.task.columns().items():
            found[f"{name}/{family}"] = settled(centred(scores, columns))
    return found


def find_homes(
    cells: Sequence[Cell], scores: Sequence[Sequence[Mapping[str, Doubles]]], trainings: int
) -> tuple[Home, ...]:
    """Judge the states of every model, probe and family: of a model and probe, all pairs of states together.

    Args:
        cells: models outermost.
        scores: of each cell and state, as :func:`score_state` returns them.
        trainings: of every probe.
    """
    homes: list[Home] = []
    for model, probe in product(dict.fromkeys(cell.model for cell in cells), PROBES):
        own = [(cell, found) for cell, found in zip(cells, scores, strict=True) if cell.model == model]
        families = dict.fromkeys(family for cell, _ in own for family in cell.evidence.record.task.columns())
        drawn = [_home(model, family, probe, own, trainings) for family in families]
        judged = iter(control_false_discoveries([one for _, changes in drawn for one in changes.values()]))
        for home, changes in drawn:
            verdicts = {pair: next(judged).verdict for pair in changes}
            worse = {i if verdict == "gained" else j for (i, j), verdict in verdicts.items() if verdict in SHOWN}
            homes.append(replace(home, possible=tuple(k for k in home.possible if k not in worse)))
    return tuple(homes)


SHOWN = ("gained", "lost")
"""Verdicts by which one of two states is better."""


def _home(
    model: str, family: str, probe: str, own: Sequence[tuple[Cell, Sequence[Mapping[str, Doubles]]]], trainings: int
) -> tuple[Home, dict[tuple[int, int], Difference]]:
    """Return where a family may be as long as no state is worse than another, and how all pairs of states differ."""
    key, names = f"{probe}/{family}", own[0][0].states
    # A task whose test split defines no label of the family has no score of it, by any model and state.
    there = [(cell, found) for cell, found in own if key in found[0] and not np.isnan(found[0][key][0])]
    tasks = tuple(cell.task for cell, _ in there)
    if not there:
        return Home(model, family, probe, tasks, names, (Level(None, reason=NOTHING_DEFINED),) * len(names), ()), {}
    means = [np.mean([found[state][key] for _, found in there], axis=0) for state in range(len(names))]
    sample = fewest([Sample(cell.judged.sample.groups, trainings) for cell, _ in there])
    levels = tuple(score_level(mean, sample) for mean in means)
    changes = {(i, j): difference(means[i], means[j], sample, BOUND) for i, j in combinations(range(len(names)), 2)}
    return Home(model, family, probe, tasks, names, levels, tuple(range(len(names)))), changes
