"""Records in the formats of other tools: model cards of the hub, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...baselines.cards import markdown_table
from ...errors import UsageError
from ...tasks.splits.names import is_sample
from ..comparing.paired import RANKED
from ..views.words import with_interval

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from ..records.record import Metric, Record

NAMES = {
    "roc_auc": "ROC-AUC (macro)",
    "average_precision": "average precision (macro)",
    "f1_micro": "F1 (micro)",
    "f1_macro": "F1 (macro)",
    "accuracy": "accuracy",
    "argmax_f1_macro": "F1 of the most probable label (macro)",
}

USUAL_SPLITS = ("official", "own")
"""The split that a task has by itself; every other is another test set."""


def dataset_name(record: Record) -> str:
    """Return how an export names a task; synthetic data and any split but the task's usual one say so."""
    suffix = {"full": "", "mini": " (mini, synthetic)"}.get(record.task.edition, f" ({record.task.edition})")
    return record.task.title + suffix + ("" if record.task.split in USUAL_SPLITS else f" ({record.task.split} split)")


def _scored(records: Sequence[Record]) -> list[tuple[Record, str, Metric]]:
    """Every defined metric of every record; what is undefined has no place in a table of others."""
    return [(r, name, m) for r in records for name, m in r.metrics.items() if m.value is not None]


def evaluated(records: Sequence[Record]) -> list[EvalResult]:
    """Return the scores of one model as the hub's model cards hold them.

    Values are fractions. The task's edition and split, the protocol and the interval are in the arguments of each.
    """
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="audio-classification",
            task_name="music auto-tagging",
            dataset_type=f"{record.task.name}-{record.task.edition}",
            dataset_name=dataset_name(record),
            dataset_config=record.task.edition,
            dataset_split=f"test ({record.task.split})",
            metric_type=name,
            metric_name=NAMES.get(name, name),
            metric_value=metric.value,
            metric_args={
                "protocol": record.protocol.name,
                "interval": [metric.interval.low, metric.interval.high] if metric.interval else None,
                "defined_labels": f"{record.defined_labels} of {record.total_labels}",
            },
        )
        for record, name, metric in _scored(records)
    ]


def eval_results(records: Sequence[Record], dataset: str) -> list[dict[str, object]]:
    """Return the content of an ``.eval_results/*.yaml`` file of a hub model repository.

    The format (hub-docs: ``eval_results.yaml``) refers to a benchmark by the id of its data set on the hub. The hub
    ranks what has the same task id, so edition, split and protocol are part of it: a score on ``mini`` is never beside
    one on real data.

    Raises:
        UsageError: a record is of a sample of its tracks.
    """
    if limited := [record for record in records if is_sample(record.task.split)]:
        raise UsageError(
            f"The record of {limited[0].model.name} on {limited[0].task.name} is of a sample (--limit), which is never "
            "ranked; leave it out."
        )
    return [
        {
            "dataset": {"id": dataset, "task_id": f"{record.stem}.{name}"},
            "value": metric.value,
            "date": record.environment.created,
            "notes": f"{dataset_name(record)}, split {record.task.split}, protocol {record.protocol.name}",
        }
        for record, name, metric in _scored(records)
    ]


def scores_table(records: Sequence[Record]) -> str:
    """Return a Markdown table: one row per record, ROC-AUC and average precision in percent with intervals."""
    return markdown_table(
        ("task", "split", "protocol", "labels", "test tracks", "ROC-AUC, %", "AP, %"),
        [
            (
                dataset_name(record),
                record.task.split,
                record.protocol.name,
                f"{record.defined_labels} of {record.total_labels}",
                str(record.coverage.used["test"]),
                *(with_interval(record.metrics[m].value, record.metrics[m].interval) for m in RANKED),
            )
            for record in records
        ],
    )
