"""The story of the study: a run -> probes on every hidden state -> families by state, and labels across traditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ....errors import counted
from ...commands.options import Models, Tasks
from ...comparing.compare import BOUND, RESAMPLES
from ...comparing.paired import Level, control_false_discoveries, difference, replicate
from ...observer import Observer
from ...records.setting import Setting, common_setting
from ...scoring.intervals import Sample, fewest
from ...scoring.metrics import Doubles
from ..base import Evaluation
from ..cells import Cell, centred, kept, kept_path, run_cells, score_level, stated
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
class Where:
    """What was found.

    Attributes:
        setting: that all was measured in.
        trainings: of every probe, on resamples of the training groups.
        homes: models outermost, then families, then probes.
        across: labels that several traditions have, probes of one scored in another.
    """

    setting: Setting
    trainings: int
    homes: tuple[Home, ...]
    across: tuple[Across, ...]

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
    return stated(request, request.model, request.out, f"trains {what}", 3)


def measure(request: Request, observer: Observer) -> Where:
    """Evaluate models, probe every hidden state on the test tracks, and carry labels from tradition to tradition.

    Raises:
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    cells = run_cells(request, request.model, request.out, observer)
    scores = []
    for done, cell in enumerate(cells):
        observer.studying(f"{cell.model} · {cell.task} · hidden states", done, len(cells))
        by_state = []
        for state, name in enumerate(cell.states):
            facts = cell.facts | {"state": name, "trainings": request.trainings, "resamples": RESAMPLES}
            make = partial(score_state, cell, state, request.trainings, request.device, observer)
            by_state.append(kept(kept_path(request.out, cell, name), facts, make)[0])
        scores.append(by_state)
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
    train, test = (track_means(cell.splits[split])[:, state] for split in ("train", "test"))
    probed: dict[str, Scored] = {name: on_resamples(fit, train, cell, drawn, [test])[0] for name, fit in FITS.items()}
    probed[PROBES[-1]] = perceptron(cell, state, drawn, device, partial(observer.probing, cell.model, cell.task))
    found = {}
    for name, scored in probed.items():
        scores = replicate(cell.predicted(*scored), resamples)
        for family, columns in cell.evidence.record.task.columns().items():
            found[f"{name}/{family}"] = centred(scores, columns)
    return found


def find_homes(
    cells: Sequence[Cell], scores: Sequence[Sequence[Mapping[str, Doubles]]], trainings: int
) -> tuple[Home, ...]:
    """Judge the states of every model, family and probe.

    Args:
        cells: models outermost.
        scores: of each cell and state, as :func:`score_state` returns them.
        trainings: of every probe.
    """
    by_model: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        by_model.setdefault(cell.model, []).append(i)
    homes = []
    for model, rows in by_model.items():
        families: dict[str, list[int]] = {}
        for i in rows:
            for family in cells[i].evidence.record.task.columns():
                families.setdefault(family, []).append(i)
        for probe in PROBES:
            homes += _homes_of(model, probe, families, cells, scores, trainings)
    order = list(dict.fromkeys(home.family for home in homes))
    return tuple(sorted(homes, key=lambda h: (list(by_model).index(h.model), order.index(h.family))))


def _homes_of(
    model: str,
    probe: str,
    families: Mapping[str, Sequence[int]],
    cells: Sequence[Cell],
    scores: Sequence[Sequence[Mapping[str, Doubles]]],
    trainings: int,
) -> list[Home]:
    """Judge the families of a model by one probe: all pairs of states of all of them together."""
    levels, changes, pairs, tasks = {}, [], [], {}
    for family, rows in families.items():
        # A task whose test split defines no label of the family has no score of it, by any model and state.
        there = [i for i in rows if not np.isnan(scores[i][0][f"{probe}/{family}"][0])]
        states = range(len(cells[rows[0]].states))
        tasks[family] = tuple(cells[i].task for i in there)
        if not there:
            levels[family] = tuple(Level(None, reason="no label is defined") for _ in states)
            continue
        means = [np.mean([scores[i][state][f"{probe}/{family}"] for i in there], axis=0) for state in states]
        sample = fewest([Sample(cells[i].judged.sample.groups, trainings) for i in there])
        levels[family] = tuple(score_level(mean, sample) for mean in means)
        for i, j in combinations(states, 2):
            pairs.append((family, i, j))
            changes.append(difference(means[i], means[j], sample, BOUND))
    worse = set()
    for (family, i, j), change in zip(pairs, control_false_discoveries(changes), strict=True):
        if change.verdict in ("gained", "lost"):
            worse.add((family, i if change.verdict == "gained" else j))
    names = cells[next(iter(families.values()))[0]].states
    return [
        Home(model, family, probe, tasks[family], names, found, tuple(
            k for k, one in enumerate(found) if one.value is not None and (family, k) not in worse
        ))
        for family, found in levels.items()
    ]  # fmt: skip
