"""The story of the study: a run -> its test tracks altered, heard and judged -> what every family loses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ....baselines.base import LoadOptions
from ....processes import no_main_module, processes
from ...commands.options import Models, Tasks
from ...comparing.compare import RESAMPLES
from ...comparing.paired import replicate, resample_seed
from ...models import Encoders
from ...observer import Observer
from ...records.record import Record
from ...records.setting import common_setting
from ...scoring.bootstrap import cluster_weights
from ...scoring.intervals import Sample
from ...scoring.metrics import Bools, Doubles
from ...views.words import ALL
from ..answers import Answer, Answers, Sides, answer, together
from ..base import Evaluation
from ..cells import Cell, Work, centred, kept_work, run_cells, settled, stated
from .alterations import ALTERATIONS, KINDS, VERSION, require_librosa
from .hearing import CLEAN, hear

if TYPE_CHECKING:
    from ...records.evidence import Evidence
    from .alterations import Each, Window

MODAL = frozenset({"makam", "raga", "mode"})
"""Families whose labels stay what they are when music is transposed, and rest on pitch."""

APART, NAMED = "modes less others", "modes named alike"
"""How much better modes are known than other labels; share of tracks for which the same mode is named as when clean."""


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    """What to measure; its fields are the options of the command."""

    model: Models
    tasks: Tasks = field(default_factory=lambda: ["all"])
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder: records, what was computed, tables and figure.")] = (
        Path("robustness")
    )


ALTERING = 0.005
"""Seconds of a core for a second of audio, the mean over the alterations, decoding included (measured)."""

RETRAINED = 0.4
"""Share of a run's time for probes that training the chosen ones again takes, about (our choice)."""


def cost(request: Request) -> str:
    """Say what a request takes."""
    further = (
        f"encodes every test track {len(ALTERATIONS)} times more, altered (once for all models of a sampling rate), "
        "and trains the chosen probes once more"
    )
    return stated(request, request.model, request.out, further, partial(_seconds, models=len(set(request.model))))


def _seconds(record: Record, models: int) -> float:
    """Return what altering, encoding and probing take after the run of a record, seconds."""
    used, spent = record.coverage.used, record.cost
    share = used["test"] / max(1, sum(used.values()))
    again = share * len(ALTERATIONS) * (spent.encode_seconds + ALTERING / models * spent.audio_seconds)
    return again + RETRAINED * spent.probe_seconds


def measure(request: Request, observer: Observer) -> Answers:
    """Evaluate models, then judge their test tracks altered.

    Raises:
        UsageError: librosa is not installed.
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    require_librosa()
    cells = run_cells(request, request.model, request.out, observer)
    encoders = Encoders(LoadOptions(request.device, request.offline), noted=True)
    names = {encoders.card(name).name: name for name in request.model}
    facts = {"alterations": [*ALTERATIONS], "version": VERSION, "resamples": RESAMPLES}
    with _at_once(request.workers or os.cpu_count() or 1) as each:
        work = []
        for done, cell in enumerate(cells):
            same_task = [one for one in cells[done:] if one.task == cell.task]
            make = partial(_heard, same_task, names, encoders, request, observer, each)
            work.append(Work(cell, f"{cell.task} · altered", facts, make, ("altered",)))
        scored = [*zip(cells, kept_work(work, request.out, observer), strict=True)]
    models = dict.fromkeys(cell.model for cell in cells)
    answers = [one for model in models for one in judge(model, [pair for pair in scored if pair[0].model == model])]
    return Answers(common_setting(cell.evidence.record for cell in cells), tuple(answers))


@contextmanager
def _at_once(workers: int) -> Iterator[Each]:
    """Give what does something to several windows at once, in processes that are started when there is work."""
    if workers == 1:
        yield map
        return
    with processes(workers) as pool:

        def each(*work: Any) -> list[Sequence[Window]]:
            with no_main_module():
                return [*pool.map(*work)]

        yield each


def _heard(
    cells: Sequence[Cell],
    names: Mapping[str, str],
    encoders: Encoders,
    how: Evaluation,
    observer: Observer,
    each: Each,
) -> dict[str, Doubles]:
    """Hear the first cell's tracks in every form; return the scores by part and form, and what they were drawn from."""
    forms = hear(cells, names, encoders, [*ALTERATIONS.values()], how, observer, each)
    clean = forms[CLEAN]
    found = {f"{part}\t{form}": scores for form, one in forms.items() for part, scores in _parts(one, clean)}
    return found | {"": np.array([clean.sample.groups, clean.sample.trainings, len(clean.track_ids)], np.float64)}


def _parts(heard: Evidence, clean: Evidence) -> Iterator[tuple[str, Doubles]]:
    """Yield the score of every part of the labels in one form, ``[1 + resamples]``."""
    scores, families = replicate(heard, RESAMPLES), heard.record.task.columns()
    yield ALL, settled(centred(scores))
    yield from ((family, settled(centred(scores, columns))) for family, columns in families.items())
    modes = [k for family, columns in families.items() if family in MODAL for k in columns]
    if 0 < len(modes) < len(heard.record.task.labels):
        others = [k for family, columns in families.items() if family not in MODAL for k in columns]
        yield APART, settled(centred(scores, modes) - centred(scores, others))
    if len(modes) > 1:
        yield NAMED, _named_alike(heard, clean, modes)


def _named_alike(heard: Evidence, clean: Evidence, modes: Sequence[int]) -> Doubles:
    """Return the share of the tracks with a mode whose most probable one is what it was, ``[1 + resamples]``."""
    first, second = (one.probabilities[:, :, modes].mean(axis=0).argmax(axis=1) for one in (clean, heard))
    held: Bools = np.asarray(clean.targets[:, modes].any(axis=1))
    drawn = cluster_weights(clean.groups, RESAMPLES, resample_seed(clean))
    weights = np.concatenate([np.ones((1, len(held)), drawn.dtype), drawn]) * held
    total = weights.sum(axis=1)
    share: Doubles = np.divide(weights @ (first == second), total, out=np.full(len(total), np.nan), where=total > 0)
    return share


def judge(model: str, scored: Sequence[tuple[Cell, Mapping[str, Doubles]]]) -> list[Answer]:
    """Judge what every kind of alteration changes of a model, and then every direction; both with their q-values.

    Args:
        model: its name.
        scored: its cells, with their scores by part and form.
    """
    families = dict.fromkeys(family for cell, _ in scored for family in cell.evidence.record.task.columns())
    found = []
    for asked in (KINDS, {name: (name,) for name in ALTERATIONS if (name,) not in KINDS.values()}):
        answers = []
        for question, part in product(asked, (ALL, *families, APART, NAMED)):
            if there := [one for one in scored if f"{part}\t{CLEAN}" in one[1]]:
                sides = [_sides(*one, part, asked[question]) for one in there]
                answers.append(answer(question, model, part, sides))
        found += together(answers)
    return found


def _sides(cell: Cell, scores: Mapping[str, Doubles], part: str, forms: Sequence[str]) -> Sides:
    groups, trainings, tracks = scores[""]
    after = np.mean([scores[f"{part}\t{form}"] for form in forms], axis=0)
    # Names are those of the seeds' mean alone: how they differ by training is not in their resamples.
    sample = Sample(float(groups), 0 if part == NAMED else int(trainings))
    return Sides(cell.task, cell.data.task.tradition, scores[f"{part}\t{CLEAN}"], after, sample, int(tracks))
