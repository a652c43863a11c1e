"""The story of the study: a run -> its test tracks altered, heard and judged -> what every family loses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ....baselines.base import LoadOptions
from ....errors import counted
from ...commands.options import Models, Tasks
from ...commands.progress import spoken_seconds
from ...comparing.compare import BOUND, RESAMPLES
from ...comparing.paired import (
    NOTHING_DEFINED,
    Difference,
    Level,
    control_false_discoveries,
    difference,
    level,
    replicate,
    resample_seed,
)
from ...comparing.summary import mean_over_traditions
from ...models import Encoders
from ...observer import Observer
from ...records.folder import iter_records
from ...records.record import Record
from ...records.setting import Setting, common_setting
from ...scoring.bootstrap import cluster_weights
from ...scoring.intervals import Sample, fewest
from ...scoring.metrics import Doubles
from ...views.words import ALL
from ..base import Evaluation
from ..cells import RECORDS, Cell, centred, kept, kept_path, run_cells
from .alterations import ALTERATIONS, VERSION, require_librosa
from .hearing import CLEAN, hear

if TYPE_CHECKING:
    from ...records.evidence import Evidence

MODAL = frozenset({"makam", "raga", "mode"})
"""Families whose labels stay what they are when music is transposed, and rest on pitch."""

MODES, OTHERS, NAMED = "modes", "all but modes", "named alike"
"""All labels of these families; all others of the same tasks; tracks that keep their most probable mode."""


@dataclass(frozen=True, kw_only=True)
class Request(Evaluation):
    """What to measure; its fields are the options of the command."""

    model: Models
    tasks: Tasks = field(default_factory=lambda: ["all"])
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder: records, what was computed, tables and figure.")] = (
        Path("robustness")
    )


@dataclass(frozen=True)
class Scores:
    """What one model scores on one task, in every form.

    Attributes:
        model: its name.
        task: its name.
        tradition: of the task.
        tracks: that were heard in every form.
        sample: that the replicates were drawn from.
        parts: family, or another part of the labels -> form -> score, 0 at chance, ``[1 + resamples]``; :data:`NAMED`
            is the share of tracks.
    """

    model: str
    task: str
    tradition: str
    tracks: int
    sample: Sample
    parts: Mapping[str, Mapping[str, Doubles]]


@dataclass(frozen=True)
class Robustness:
    """What was found, by model, part of the labels, and kind or name of alteration.

    Attributes:
        setting: that all was measured in.
        tracks: task -> test tracks.
        kinds: change of the score that is 0 at chance, mean over traditions; both directions of a shift are averaged.
        single: the same, direction by direction.
        named: share of the tracks with a mode that keep their most probable one, by model and kind.
        apart: what modes lose more than the other labels of their tasks, by model and kind.
    """

    setting: Setting
    tracks: Mapping[str, int]
    kinds: Mapping[tuple[str, str, str], Difference]
    single: Mapping[tuple[str, str, str], Difference]
    named: Mapping[tuple[str, str], Level]
    apart: Mapping[tuple[str, str], Difference]

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
        return tuple(dict.fromkeys(model for model, _, _ in self.kinds))

    @property
    def parts(self) -> tuple[str, ...]:
        """All labels, then their families."""
        return tuple(dict.fromkeys(part for _, part, _ in self.kinds))


KINDS: Mapping[str, tuple[str, ...]] = {
    kind: tuple(one.name for one in ALTERATIONS.values() if one.kind == kind)
    for kind in dict.fromkeys(one.kind for one in ALTERATIONS.values())
}
"""The alterations that are judged as one."""


ALTERING = 0.008
"""Seconds of a core for a second of audio, the mean over the alterations, decoding included (measured)."""

RETRAINED = 0.4
"""Share of a run's time for probes that training the chosen ones again takes (measured)."""


def cost(request: Request) -> str:
    """Say what a request takes; in minutes where records tell what the models took."""
    folder, times = request.out / RECORDS, len(ALTERATIONS)
    models = counted(len(set(request.model)), "model")
    text = (
        f"Evaluates {models} as `cmbench run` does on {', '.join(request.tasks)} (`cmbench run --plan`), "
        f"then encodes every test track {times} times more, altered, and trains the chosen probes once more."
    )
    seconds = [_seconds(record) for record in iter_records(folder)] if folder.is_dir() else []
    if seconds:
        took = spoken_seconds(sum(seconds))
        text += (
            f" By the {counted(len(seconds), 'record')} in {folder}: about {took} on one core, less what is kept there."
        )
    return f"{text} The same command goes on where it was stopped."


def _seconds(record: Record) -> float:
    """Return what altering, encoding and probing take after the run of a record, seconds."""
    used, spent = record.coverage.used, record.cost
    share = used["test"] / max(1, sum(used.values()))
    again = share * len(ALTERATIONS) * (spent.encode_seconds + ALTERING * spent.audio_seconds)
    return again + RETRAINED * spent.probe_seconds


def measure(request: Request, observer: Observer) -> Robustness:
    """Evaluate models, then judge their test tracks altered.

    Raises:
        UsageError: librosa is not installed.
        CmbenchError: a cell cannot be computed; what was done before is kept.
    """
    require_librosa()
    cells = run_cells(request, request.model, request.out, observer)
    encoders = Encoders(LoadOptions(request.device, request.offline), noted=True)
    names = {encoders.card(name).name: name for name in request.model}
    found = []
    for done, cell in enumerate(cells):
        observer.studying(f"{cell.model} · {cell.task} · altered", done, len(cells))
        facts = cell.facts | {"alterations": [*ALTERATIONS], "version": VERSION, "resamples": RESAMPLES}
        make = partial(_heard, cell, names[cell.model], encoders, request.device, observer)
        found.append(_scores(cell, kept(kept_path(request.out, cell), facts, make)[0]))
    return judge(found, common_setting(cell.evidence.record for cell in cells))


_ABOUT = "about"
"""Name of the array that holds tracks, groups and trainings."""


def _heard(cell: Cell, name: str, encoders: Encoders, device: str, observer: Observer) -> dict[str, Doubles]:
    """Hear a cell's tracks in every form; return the scores by part and form, as one file holds them."""
    forms = hear(cell, name, encoders, [*ALTERATIONS.values()], device, observer)
    clean = forms[CLEAN]
    found = {f"{part}\t{form}": scores for form, one in forms.items() for part, scores in _parts(one, clean)}
    return found | {_ABOUT: np.array([len(clean.track_ids), clean.sample.groups, clean.sample.trainings], np.float64)}


def _scores(cell: Cell, arrays: Mapping[str, Doubles]) -> Scores:
    tracks, groups, trainings = arrays[_ABOUT]
    parts: dict[str, dict[str, Doubles]] = {}
    for part, form in (name.split("\t") for name in arrays if name != _ABOUT):
        parts.setdefault(part, {})[form] = arrays[f"{part}\t{form}"]
    sample = Sample(float(groups), int(trainings))
    return Scores(cell.model, cell.task, cell.data.task.tradition, int(tracks), sample, parts)


def _parts(heard: Evidence, clean: Evidence, resamples: int = RESAMPLES) -> Iterator[tuple[str, Doubles]]:
    """Yield the score of every part of the labels in one form, ``[1 + resamples]``."""
    scores, families = replicate(heard, resamples), heard.record.task.columns()
    modes = [k for family, columns in families.items() if family in MODAL for k in columns]
    others = [k for family, columns in families.items() if family not in MODAL for k in columns]
    named = {MODES: modes, OTHERS: others} if modes and others else {}
    for part, columns in {ALL: None, **families, **named}.items():
        yield part, centred(scores, columns)
    if len(modes) > 1:
        yield NAMED, _named_alike(heard, clean, modes, resamples)


def _named_alike(heard: Evidence, clean: Evidence, modes: Sequence[int], resamples: int) -> Doubles:
    """Return the share of the tracks with a mode whose most probable one is what it was, ``[1 + resamples]``."""
    first, second = (one.probabilities[:, :, modes].mean(axis=0).argmax(axis=1) for one in (clean, heard))
    held = clean.targets[:, modes].any(axis=1)
    drawn = cluster_weights(clean.groups, resamples, resample_seed(clean))
    weights = np.concatenate([np.ones((1, len(held)), drawn.dtype), drawn]) * held
    total = weights.sum(axis=1)
    share: Doubles = np.divide(weights @ (first == second), total, out=np.full(len(total), np.nan), where=total > 0)
    return share


def judge(found: Sequence[Scores], setting: Setting, bound: float = BOUND) -> Robustness:
    """Judge what every alteration changes, each tradition once; q-values are among all changes of a model.

    Args:
        found: one for each model and task.
        setting: of all.
        bound: changes smaller than this count as none, as a fraction.
    """
    one_by_one = {name: (name,) for names in KINDS.values() for name in names}
    kinds, single, named, apart = {}, {}, {}, {}
    for model in dict.fromkeys(one.model for one in found):
        own = [one for one in found if one.model == model]
        parts = dict.fromkeys(part for one in own for part in one.parts if part not in (MODES, OTHERS, NAMED))
        for into, wanted in ((kinds, KINDS), (single, one_by_one)):
            keys = [(part, kind) for part in parts for kind in wanted]
            changes = control_false_discoveries([_change(own, part, wanted[kind], bound) for part, kind in keys])
            into |= {(model, *key): change for key, change in zip(keys, changes, strict=True)}
        if modal := _with(own, NAMED):
            sample = Sample(min(one.sample.groups for one in modal))
            named |= {(model, kind): level(_mean(modal, NAMED, forms), sample) for kind, forms in KINDS.items()}
        if modal := _with(own, MODES, OTHERS):
            changes = control_false_discoveries([_apart(modal, forms, bound) for forms in KINDS.values()])
            apart |= {(model, kind): change for kind, change in zip(KINDS, changes, strict=True)}
    return Robustness(setting, {one.task: one.tracks for one in found}, kinds, single, named, apart)


def _mean(tasks: Sequence[Scores], part: str, forms: Sequence[str]) -> Doubles:
    """Return the mean over forms and tasks, each tradition once, ``[1 + resamples]``."""
    by_tradition: dict[str, list[Doubles]] = {}
    for one in tasks:
        by_tradition.setdefault(one.tradition, []).append(np.mean([one.parts[part][form] for form in forms], axis=0))
    return mean_over_traditions({name: np.mean(scores, axis=0) for name, scores in by_tradition.items()})


def _with(tasks: Sequence[Scores], *parts: str) -> list[Scores]:
    """Return the tasks on which some parts of the labels have a score."""
    return [
        one for one in tasks if all(part in one.parts and not np.isnan(one.parts[part][CLEAN][0]) for part in parts)
    ]


def _change(tasks: Sequence[Scores], part: str, forms: Sequence[str], bound: float) -> Difference:
    there = _with(tasks, part)
    if not there:
        return Difference(None, None, None, reason=NOTHING_DEFINED)
    sample = fewest([one.sample for one in there])
    return difference(_mean(there, part, (CLEAN,)), _mean(there, part, forms), sample, bound)


def _apart(tasks: Sequence[Scores], forms: Sequence[str], bound: float) -> Difference:
    """Judge what modes change less what the other labels of their tasks change."""
    others, modes = (_mean(tasks, part, forms) - _mean(tasks, part, (CLEAN,)) for part in (OTHERS, MODES))
    return difference(others, modes, fewest([one.sample for one in tasks]), bound)
