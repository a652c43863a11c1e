"""The cells of a run as a study goes on from them: records, and the features that their probes were trained on.

A study trains further probes on them. What these score is judged like any record: an :class:`Evidence` with other
predictions of the same tracks, so that intervals and differences are those of every other view.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import counted
from ...files import safe_name, sha256_of, write_atomically
from ...tasks.splits.names import SPLITS
from ...version import __version__
from ..commands.progress import spoken_seconds
from ..comparing.compare import refuse_mismatch
from ..comparing.paired import Level, level
from ..comparing.summary import centre
from ..protocol import ProbeSettings, Protocol, get_protocol
from ..records.evidence import Evidence, evidence_of
from ..records.folder import iter_records
from ..records.setting import Setting
from ..scoring.intervals import Sample
from ..scoring.metrics import Bools, Doubles, Floats
from .base import Evaluation, load_context

if TYPE_CHECKING:
    from ...tasks.base import TaskData, Track
    from ..comparing.paired import Replicates
    from ..models import Encoders
    from ..observer import Observer
    from ..probing.inputs import WindowFeatures
    from ..probing.search import ProbeSplit
    from ..records.record import Record

RECORDS = "records"
"""Folder below that of a study: the records that it begins with."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Cell:
    """One model on one task, measured, with its features at hand.

    Attributes:
        evidence: the record and its predictions.
        data: the task's tracks, as the protocol reads them.
        splits: what probes see of each split.
        usable: the training tracks that could be used, in their order.
        shared: the test tracks that every model of the study could use.
        protocol: that it was measured under.
    """

    evidence: Evidence
    data: TaskData
    splits: Mapping[str, ProbeSplit]
    usable: Sequence[Track]
    shared: tuple[str, ...]
    protocol: Protocol

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.evidence.record.model.name

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.evidence.record.task.name

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the hidden states."""
        return self.evidence.record.model.layer_names

    def seen(self, state: int | None = None) -> tuple[ProbeSplit, ProbeSplit, ProbeSplit]:
        """Return what probes see of training, validation and test: one hidden state by position, or all."""
        train, valid, test = (self.splits[split] for split in SPLITS)
        if state is None:
            return train, valid, test
        one = partial(StateFeatures, state=state)
        return (
            replace(train, features=one(train.features)),
            replace(valid, features=one(valid.features)),
            replace(test, features=one(test.features)),
        )

    def truth(self, split: str) -> tuple[Bools, Bools]:
        """Return the labels of a split, and which of them are known, ``[tracks, labels]`` each."""
        one = self.splits[split]
        return one.labels, np.ones_like(one.labels) if one.known is None else one.known

    @property
    def judged(self) -> Evidence:
        """The record's own predictions of the shared test tracks."""
        return self.evidence.rows(self.shared)

    def predicted(self, probabilities: Floats, resampled: Floats | None) -> Evidence:
        """Return the evidence of other probes on the same tracks.

        Args:
            probabilities: of all usable test tracks, ``[probes, tracks, labels]``; scores that rank will do.
            resampled: of probes on other training samples, ``[trainings, tracks, labels]``; ``None`` for no such.
        """
        return replace(self.evidence, probabilities=probabilities, resampled=resampled).rows(self.shared)

    @cached_property
    def facts(self) -> dict[str, object]:
        """What everything that is computed from the cell depends on."""
        shared = hashlib.sha256("\n".join(self.shared).encode()).hexdigest()
        record = self.evidence.record
        return {"cell": record.cell_sha256, "predictions": record.predictions.sha256, "tracks": shared}


@dataclass(frozen=True)
class Found:
    """What a study found on cells that were measured alike.

    Attributes:
        setting: in which.
    """

    setting: Setting

    @property
    def title(self) -> str:
        """Edition, split and protocol in words."""
        return self.setting.title

    @property
    def warning(self) -> str:
        """What must stand beside every number; empty for the whole of real data."""
        return self.setting.warning


class StateFeatures:
    """The features of a split in one hidden state alone."""

    layers = 1

    def __init__(self, features: WindowFeatures, state: int) -> None:
        """Take a hidden state by its position."""
        self._features, self._state = features, state
        self.dim, self.track_of_window = features.dim, features.track_of_window

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        """Return the features of some windows ``[len(rows), 1, dim]``."""
        return self._features.take(rows)[:, [self._state]]


def run_cells(request: Evaluation, models: Sequence[str], out: Path, observer: Observer) -> list[Cell]:
    """Evaluate models as ``cmbench run`` does, and return every cell with its features, models outermost.

    Args:
        request: on what, and how.
        models: by name.
        out: folder of the study; the records go below it.
        observer: hears how it goes.

    Raises:
        CmbenchError: as :func:`..run.run`.
    """
    from ...baselines.base import LoadOptions
    from ...tasks.choice import only_if_ready, select_tasks
    from ..models import Encoders
    from ..run import preflight

    models = list(dict.fromkeys(models))
    records = request.run(models, out / RECORDS, observer)
    found = {(e.record.model.name, e.record.task.name): e for e in evidence_of(records, out / RECORDS)}
    encoders = Encoders(LoadOptions(request.device, request.offline), noted=True)
    context = load_context(observer, request.data_root, request.workers, request.mini_scale, request.mini_seed)
    tasks, if_ready = select_tasks(request.tasks), only_if_ready(request.tasks)
    data = preflight(encoders, models, tasks, request.edition, context, if_ready=if_ready)
    protocol = get_protocol(request.protocol, request.seeds)
    cells = []
    for name in models:
        for one in data:
            evidence = found[encoders.card(name).name, one.task.name]
            others = [found[encoders.card(other).name, one.task.name] for other in models]
            cells.append(_cell(evidence, others, one.read_as(protocol.unknown), protocol, encoders, name, observer))
    return cells


def _cell(
    evidence: Evidence,
    others: Sequence[Evidence],
    data: TaskData,
    protocol: Protocol,
    encoders: Encoders,
    name: str,
    observer: Observer,
) -> Cell:
    """Open the features of a measured cell; what is not in the store any more is encoded again."""
    from ..cell import extract_all, open_store
    from ..executors.base import WorkerSettings, get_executor
    from ..judge import probe_split

    for other in others:
        refuse_mismatch(evidence.record, other.record)
    card = encoders.card(name)
    windowing = protocol.windowing.of(card.max_seconds)
    store = open_store(card, data, windowing)
    tracks = [track for split in SPLITS for track in data.splits[split]]
    entries = store.valid_entries(tracks)
    if len(entries) < len(tracks):
        store.describe(card, data.task, data.edition, windowing)
        with get_executor("local")(encoders, WorkerSettings()) as executor:
            entries, _ = extract_all(encoders, name, data, store, windowing, executor, observer)
    opened = {split: probe_split(data, split, store, entries) for split in SPLITS}
    seen = set(evidence.track_ids).intersection(*(other.track_ids for other in others))
    return Cell(
        evidence=evidence,
        data=data,
        splits={split: found for split, (_, found) in opened.items()},
        usable=opened["train"][0],
        shared=tuple(track for track in evidence.track_ids if track in seen),
        protocol=protocol,
    )


@dataclass(frozen=True)
class Work:
    """Something that a study computes of a cell, and keeps.

    Attributes:
        cell: of which.
        what: in words, beside the name of the model, for who waits.
        facts: what it depends on beside the cell.
        make: computes it.
        parts: what its file is named after, beside the cell.
    """

    cell: Cell
    what: str
    facts: Mapping[str, object]
    make: Callable[[], Mapping[str, Doubles]]
    parts: tuple[str, ...] = ()


def kept_work(work: Sequence[Work], out: Path, observer: Observer) -> list[Mapping[str, Doubles]]:
    """Return what all of it gives: computed, or what an earlier call with the same folder and facts kept."""
    found = []
    for done, one in enumerate(work):
        observer.studying(f"{one.cell.model} · {one.what}", done, len(work))
        found.append(kept(kept_path(out, one.cell, *one.parts), {**one.cell.facts, **one.facts}, one.make))
    return found


def kept(path: Path, facts: Mapping[str, object], make: Callable[[], Mapping[str, Doubles]]) -> Mapping[str, Doubles]:
    """Return what was computed before from the same facts, or compute and keep it.

    Args:
        path: of the file, safetensors.
        facts: everything that the arrays depend on, beside the version of cmbench.
        make: computes them, by name.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import save

    key = hashlib.sha256(json.dumps([__version__, facts], sort_keys=True).encode()).hexdigest()
    if path.is_file():
        try:
            with safe_open(path, "numpy") as file:
                noted = file.metadata() or {}
                if noted.get("facts") == key:
                    there = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                    if noted.get("content") == sha256_of(save(there)):
                        return there
                    logger.warning("%s is damaged and is made again", path)
        except (SafetensorError, OSError) as error:
            logger.warning("%s cannot be read and is made again: %s", path, error)
    made = {name: np.ascontiguousarray(array) for name, array in make().items()}
    write_atomically(path, save(made, {"facts": key, "content": sha256_of(save(made))}))
    return made


def kept_path(out: Path, cell: Cell, *parts: str) -> Path:
    """Return where a study keeps what it computed of a cell."""
    return out / "kept" / safe_name(cell.model) / f"{safe_name('-'.join((cell.task, *parts)))}.safetensors"


def centred(found: Replicates, labels: Sequence[int] | None = None) -> Doubles:
    """Return the score that is 0 at chance of some labels, or of all, ``[1 + resamples]``; see :mod:`..comparing`."""
    return centre(*(found.macro(metric, labels) for metric in ("roc_auc", "average_precision", "prevalence")))


def settled(samples: Doubles) -> Doubles:
    """Leave out what another choice of the hidden state may have given, where both sides of a change have one."""
    return samples[:-1]


def score_level(samples: Doubles, sample: Sample) -> Level:
    """Give a score its interval (:func:`..comparing.paired.level`); none is above 1.

    Args:
        samples: ``[1 + resamples]``, the split itself first.
        sample: that was drawn from.
    """
    found = level(samples, sample)
    return found if found.high is None else replace(found, high=min(found.high, 1.0))


def stated(
    request: Evaluation, models: Sequence[str], out: Path, further: str, seconds: Callable[[Record], float]
) -> str:
    """Say what a study takes: a run, and what follows it; in minutes where records tell what these took.

    Args:
        request: what is asked for.
        models: by name.
        out: folder of the study.
        further: what is done after the run, in words.
        seconds: what that takes for the cell of a record.
    """
    from ...tasks.choice import select_tasks

    counts = len(dict.fromkeys(models)), len(select_tasks(request.tasks))
    what = f"{counted(counts[0], 'model')} on {counted(counts[1], 'task')}"
    text = f"Evaluates {what} as `cmbench run` does (`cmbench run --plan` estimates that), then {further}."
    folder = out / RECORDS
    if found := [seconds(record) for record in iter_records(folder)] if folder.is_dir() else []:
        took = spoken_seconds(counts[0] * counts[1] * fmean(found))
        text += (
            f" By the {counted(len(found), 'record')} in {folder}: about {took} on one core, less what is kept there."
        )
    else:
        text += f" In minutes it is not known before the first record is in {folder}; then `--plan` says it."
    return f"{text} The same command goes on where it was stopped."


def probes_again(times: int) -> tuple[str, Callable[[Record], float]]:
    """Return how to say, and to work out from a record, that probes are trained so many times as long as in a run."""
    words = "about as much as the probes of that run" if times == 1 else f"about {times} times the probes of that run"
    return f"{words}; no audio is decoded for it", lambda record: times * record.cost.probe_seconds


def chosen_probe(cell: Cell) -> tuple[tuple[ProbeSplit, ProbeSplit, ProbeSplit], ProbeSettings, tuple[str, ...]]:
    """Return what the chosen probe of a cell sees of each split, the settings that train it alone, and its states."""
    from ..probing.search import FUSED_NAME

    selection, probe = cell.evidence.record.selection, cell.protocol.probe
    alone = replace(probe, learning_rates=(selection.learning_rate,), seeds=(probe.search_seed,), halve_at=())
    if selection.layer == FUSED_NAME:
        return cell.seen(), replace(alone, each_layer=False), cell.states
    return (
        cell.seen(cell.states.index(selection.layer)),
        replace(alone, each_layer=True, fused=False),
        (selection.layer,),
    )
