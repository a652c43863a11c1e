"""Models by tasks: what each learnt of each tradition, and what changed against a base model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from ...baselines.published import Reported, published
from ...errors import UsageError
from ...tasks.base import WESTERN, tradition_place
from ..records.evidence import Evidence
from ..records.record import Record
from ..records.setting import common_setting
from .compare import BOUND, RESAMPLES, TaskChange, compare
from .lineage import base_of, is_control
from .paired import RANKED, Difference, replicate_all
from .summary import centred_score, judge_tasks

# Words in an encoder's list of corpora that tell the tradition it was trained on.
CORPORA: Mapping[str, str] = {
    "turkish": "turkish",
    "makam": "turkish",
    "hindustani": "hindustani",
    "carnatic": "carnatic",
    "lyra": "greek",
    "greek": "greek",
}

KINDS = ("base", "single-culture", "multi-cultural", "merged", "other", "control")
"""What a model is to the base, in the order of the rows."""

MERGED = re.compile(r"\b(task arithmetic|merged?)\b", re.IGNORECASE)
"""Words in an encoder's description that tell a merge of models."""


@dataclass(frozen=True)
class Cell:
    """One model on one task, as fractions.

    Attributes:
        roc_auc: macro ROC-AUC; ``None`` if undefined.
        average_precision: macro average precision.
        change: of the score that is 0 at chance (:mod:`.summary`) against the base, judged as everywhere; ``None`` for
            the base itself and without predictions.
        plain_change: of the mean of both metrics, as the paper has it; ``None`` for the base itself.
        in_culture: whether the model was trained on the task's tradition.
    """

    roc_auc: float | None
    average_precision: float | None
    change: Difference | None
    plain_change: float | None
    in_culture: bool

    @property
    def shown_change(self) -> float | None:
        """The change that is judged; of reported figures, whose chance is not known, :attr:`plain_change`."""
        return self.plain_change if self.change is None else self.change.change

    @property
    def mean(self) -> float | None:
        """Mean of ROC-AUC and average precision, if both are there."""
        return _plain_mean([self.roc_auc, self.average_precision])


@dataclass(frozen=True)
class TransferMatrix:
    """Models by tasks.

    Attributes:
        title: edition, split and protocol; or that the figures are reported.
        edition: ``full``, ``mini``, ``custom`` or ``reported``.
        base: the model that the others are compared with.
        models: rows, by kind; within a kind as they were given.
        kinds: model -> one of :data:`KINDS`.
        tasks: columns, by tradition.
        traditions: task -> tradition.
        cells: what there is; a model need not have been run on every task.
        paper: model -> plain mean of its ROC-AUC and AP cells, as the CultureMERT paper averages; ``None`` if one is
            missing.
        centred: model -> mean over traditions, each counted once, of the chance-centred scores; ``None`` if a cell or
            a chance level is missing.
        warning: what must stand beside every number; empty for the whole of real data that we measured.
    """

    title: str
    edition: str
    base: str
    models: tuple[str, ...]
    kinds: Mapping[str, str]
    tasks: tuple[str, ...]
    traditions: Mapping[str, str]
    cells: Mapping[tuple[str, str], Cell]
    paper: Mapping[str, float | None]
    centred: Mapping[str, float | None]
    warning: str = ""

    def mean_score(self, model: str, traditions: Iterable[str]) -> float | None:
        """Mean of ROC-AUC and AP over the tasks of some traditions; ``None`` if a cell is missing."""
        wanted = set(traditions)
        return _paper_average([self.cells.get((model, t)) for t in self.tasks if self.traditions[t] in wanted])

    def column_change(self, task: str) -> float | None:
        """Mean change on a task over the models but the base and controls; ``None`` if a cell is missing."""
        learnt = [model for model in self.models if self.kinds[model] not in ("base", "control")]
        cells = [self.cells.get((model, task)) for model in learnt]
        return _plain_mean([cell.shown_change if cell else None for cell in cells])

    def mean_change(self, model: str, traditions: Iterable[str] | None = None) -> float | None:
        """Mean change of the mean score over the tasks of some traditions; ``None`` if a cell is missing."""
        wanted = set(self.traditions.values()) if traditions is None else set(traditions)
        cells = [self.cells.get((model, task)) for task in self.tasks if self.traditions[task] in wanted]
        return _plain_mean([cell.shown_change if cell else None for cell in cells])


def transfer_matrix(
    found: Sequence[Evidence],
    base: str | None = None,
    in_culture: Mapping[str, Sequence[str]] | None = None,
    *,
    resamples: int = RESAMPLES,
) -> TransferMatrix:
    """Build the matrix of some records with their predictions.

    Args:
        found: one record for each model and task, all of one edition, split and protocol.
        base: name of the model that the others are compared with; by lineage (:func:`.lineage.base_of`) if not given.
        in_culture: model -> traditions it was trained on; read from the cards' corpora for models not named here.
        resamples: of the paired bootstrap.

    Raises:
        UsageError: no records, mixed measurements, two records of one cell, or an unknown base.
    """
    models = tuple(dict.fromkeys(e.record.model.name for e in found))
    if not models:
        raise UsageError("There is no record to make a matrix of; `cmbench run` writes them.")
    setting = common_setting(e.record for e in found)
    keys = [(e.record.model.name, e.record.task.name) for e in found]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise UsageError(f"There are two records of {twice[0][0]} on {twice[0][1]}; name the folder of one run.")
    base = base or base_of({e.record.model.name: e.record.model for e in found})
    if base not in models:
        raise UsageError(f"There is no record of the base {base!r}; there are {', '.join(models)}.")
    replicate_all(found, resamples)
    traditions = {e.record.task.name: e.record.task.tradition for e in found}
    sides = {model: [e for e in found if e.record.model.name == model] for model in models}
    changes = {
        model: compare(sides[base], sides[model], resamples=resamples, labels=False).tasks
        for model in models
        if model != base and {e.record.task.name for e in sides[model]} & {e.record.task.name for e in sides[base]}
    }
    judged = {model: judge_tasks(tasks, BOUND) for model, tasks in changes.items()}
    cells: dict[tuple[str, str], Cell] = {}
    cultures = _cultures(found, in_culture or {})
    kinds_of = _kinds(found, base, cultures)
    for (model, task), e in zip(keys, found, strict=True):
        change = judged.get(model, {}).get(task)
        roc_auc, precision = (e.record.metrics[metric].value for metric in RANKED)
        own = traditions[task] in cultures[model]
        plain = _plain_change(changes[model], task) if change else None
        cells[model, task] = Cell(roc_auc, precision, change, plain, own)
    tasks = _ordered(traditions)
    return TransferMatrix(
        title=setting.title,
        warning=setting.warning,
        edition=setting.edition,
        base=base,
        models=tuple(sorted(models, key=lambda model: KINDS.index(kinds_of[model]))),
        kinds=kinds_of,
        tasks=tasks,
        traditions=traditions,
        cells=cells,
        paper={model: _paper_average([cells.get((model, task)) for task in tasks]) for model in models},
        centred={model: _centred(sides[model], tasks) for model in models},
    )


def reported_matrix(protocol: str = "culturemert") -> TransferMatrix:
    """Build the matrix of reported figures: by default the table of the CultureMERT paper.

    Args:
        protocol: key of a reported protocol.

    Raises:
        UsageError: there are no reported figures under that protocol.
    """
    from ...tasks.registry import registry

    rows = [row for row in published() if row.protocol == protocol]
    if not rows:
        raise UsageError(f"No figures are reported under {protocol!r}.")
    traditions = {task: registry()[task].tradition for task in rows[0].scores}
    base = rows[0]
    cells = {(row.model, t): _reported_cell(row, base, t, traditions[t]) for row in rows for t in traditions}
    tasks = _ordered(traditions)
    return TransferMatrix(
        title="reported by others, not measured by cmbench",
        warning="reported: figures of others, not measured by cmbench",
        edition="reported",
        base=base.model,
        models=tuple(row.model for row in rows),
        kinds={row.model: _reported_kind(row, base) for row in rows},
        tasks=tasks,
        traditions=traditions,
        cells=cells,
        paper={row.model: _paper_average([cells[row.model, task] for task in tasks]) for row in rows},
        centred=dict.fromkeys((row.model for row in rows), None),
    )


def _reported_cell(row: Reported, base: Reported, task: str, tradition: str) -> Cell:
    roc_auc, precision = (row.scores[task].get(metric) for metric in RANKED)
    now, was = _plain_mean([roc_auc, precision]), _plain_mean([base.scores[task].get(metric) for metric in RANKED])
    change = None if row is base or now is None or was is None else now - was
    adapted = "CultureMERT" in row.model
    return Cell(roc_auc, precision, None, change, adapted and tradition != "western")


def _reported_kind(row: Reported, base: Reported) -> str:
    if row is base:
        return "base"
    if "CultureMERT" not in row.model:
        return "other"
    return "merged" if "-TA-" in row.model else "multi-cultural"


def by_kind(found: Sequence[Evidence], base: str) -> list[Evidence]:
    """Return records with their models by kind, as the matrix has its rows; within a kind as they were given."""
    kinds = _kinds(found, base, _cultures(found, {}))
    return sorted(found, key=lambda e: KINDS.index(kinds[e.record.model.name]))


def _cultures(found: Sequence[Evidence], given: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Return the traditions that each model was trained on: those given, or those of its card."""
    first = {e.record.model.name: e.record for e in reversed(found)}
    return {model: set(given.get(model, cultures_of(record))) for model, record in first.items()}


def _kinds(found: Sequence[Evidence], base: str, cultures: Mapping[str, set[str]]) -> dict[str, str]:
    """Return one of :data:`KINDS` for each model: a merge by its description, else by how many traditions it learnt."""
    kinds = {}
    for record in (e.record for e in reversed(found)):
        learnt = len(cultures[record.model.name] - {WESTERN})
        kind = ("other", "single-culture", "multi-cultural")[min(learnt, 2)]
        merged = MERGED.search(record.model.description)
        kinds[record.model.name] = "control" if is_control(record.model) else "merged" if merged else kind
    return kinds | {base: "base"}


def cultures_of(record: Record) -> set[str]:
    """Return the traditions that a model's card says it was trained on, by the words of :data:`CORPORA`."""
    corpora = " ".join(record.model.trained_on).lower()
    return {tradition for word, tradition in CORPORA.items() if word in corpora}


def _plain_change(changes: Sequence[TaskChange], task: str) -> float | None:
    """Return the change of the mean of ROC-AUC and AP on the tracks that both models could use."""
    return _plain_mean([d.change for change in changes if change.task == task for d in change.metrics.values()])


def _ordered(traditions: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(traditions, key=lambda task: (tradition_place(traditions[task]), task)))


def _plain_mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; ``None`` of nothing, or if one is missing."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _paper_average(cells: Sequence[Cell | None]) -> float | None:
    return _plain_mean([v for cell in cells for v in ((cell.roc_auc, cell.average_precision) if cell else (None,))])


def _centred(side: Sequence[Evidence], tasks: Sequence[str]) -> float | None:
    """Mean over traditions of the chance-centred scores; ``None`` if a cell or a score is missing."""
    scores: dict[str, list[float | None]] = {}
    for e in side:
        scores.setdefault(e.record.task.tradition, []).append(centred_score(e.record))
    complete = {e.record.task.name for e in side} == set(tasks)
    return _plain_mean([_plain_mean(values) for values in scores.values()]) if complete else None
