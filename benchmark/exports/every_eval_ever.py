"""Records as *Every Eval Ever* evaluations, schema 0.3.0 (evaleval/every_eval_ever: schemas/eval.schema.json).

One evaluation for each model and section, with one result for each task and metric that has a value. The schema wants
details as strings. Its file names are version-4 UUIDs; here they are drawn from a hash of the records, so that the same
records give the same files.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ...errors import CmbenchError
from ...files import safe_name
from ..records.sections import Row, Section
from .cards import NAMES, dataset_name

if TYPE_CHECKING:
    from ..records.record import Metric, Record

EEE_VERSION = "0.3.0"

METRICS = {
    "roc_auc": ("auroc", "auroc", "macro"),
    "average_precision": ("average_precision", "average_precision", "macro"),
    "f1_micro": ("f1_micro", "f1", "micro"),
    "f1_macro": ("f1_macro", "f1", "macro"),
    "accuracy": ("accuracy", "accuracy", ""),
    "argmax_f1_macro": ("argmax_f1_macro", "f1", "macro"),
}
"""Metric -> id, kind and average in the words of that schema."""


def eee_files(found: Sequence[Section], organisation: str, relationship: str) -> dict[str, dict[str, object]]:
    """Return evaluations by their path in such a store: ``data/benchmark/developer/model/uuid.json``.

    ``relationship`` is of ``organisation`` to the models: ``first_party``, ``third_party``, ``collaborative``,
    ``other``.

    Raises:
        CmbenchError: a record's moment of creation cannot be read.
    """
    files = {}
    for section in found:
        for row in section.rows:
            records = [record for _, record in section.records_of(row)]
            results = [
                _result(section, record, name, metric)
                for record in records
                for name, metric in record.metrics.items()
                if metric.value is not None
            ]
            if results:
                evaluation = _evaluation(section, row, records, results, organisation, relationship)
                files[_path(section, row, records)] = evaluation
    return files


def _benchmark(section: Section) -> str:
    return "cmbench" if section.edition == "full" else f"cmbench-{section.edition}"


def _model_id(record: Record) -> tuple[str, str]:
    """Developer and id: of the hub where the weights come from there, else ``unknown`` and the name."""
    if record.model.source.startswith("hf:"):
        name = record.model.source.removeprefix("hf:").partition("@")[0].partition(" ")[0]
        if name.count("/") == 1:
            return name.split("/")[0], name
    return "unknown", record.model.name


def _path(section: Section, row: Row, records: Sequence[Record]) -> str:
    text = section.slug + "".join(record.stable_json() for record in records)
    name = uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)
    developer, _ = _model_id(records[0])
    folders = (_benchmark(section), developer, row.name.rpartition("/")[2])
    return "/".join(("data", *map(safe_name, folders), f"{name}.json"))


def _evaluation(
    section: Section,
    row: Row,
    records: Sequence[Record],
    results: Sequence[dict[str, object]],
    organisation: str,
    relationship: str,
) -> dict[str, object]:
    model, created = records[0].model, max(record.environment.created for record in records)
    developer, name = _model_id(records[0])
    moment = _unix_time(created)
    versions = dict.fromkeys(record.environment.cmbench for record in records)
    details = {"edition": section.edition, "split": section.split, "protocol": section.protocol}
    return {
        "schema_version": EEE_VERSION,
        "evaluation_id": f"{_benchmark(section)}-{section.split}-{section.protocol}/{name}/{moment}",
        "evaluation_timestamp": created,
        "retrieved_timestamp": moment,
        "source_metadata": {
            "source_name": "cmbench",
            "source_type": "evaluation_run",
            "source_organization_name": organisation,
            "evaluator_relationship": relationship,
            "additional_details": details | ({"warning": section.warning} if section.warning else {}),
        },
        "eval_library": {"name": "cmbench", "version": ", ".join(versions)},
        "model_info": {
            "name": row.name,
            "id": name,
            "developer": developer,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "open_weights" if model.source.startswith("hf:") else "unknown",
                "fingerprint": model.fingerprint,
                "weights_sha256": model.weights_sha256,
                "licence": model.licence,
                "source": model.source,
                "parameters": str(model.parameters),
                "trained_on": ", ".join(model.trained_on) or "nothing",
            },
        },
        "evaluation_results": list(results),
    }


def _unix_time(created: str) -> str:
    """Seconds since 1970 of a record's moment; without a time zone it is taken for UTC."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError as error:
        raise CmbenchError(f"A record says that it was created at {created!r}, which is no ISO 8601 time.") from error
    return str(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


def _result(section: Section, record: Record, name: str, metric: Metric) -> dict[str, object]:
    metric_id, kind, average = METRICS.get(name, (f"cmbench.{name}", name, ""))
    settings, task = record.protocol.settings, record.task
    uncertainty: dict[str, object] = {"num_samples": record.coverage.used["test"]}
    if metric.interval:
        level, resamples = settings.get("interval_level"), settings.get("resamples")
        uncertainty["confidence_interval"] = {
            "lower": metric.interval.low,
            "upper": metric.interval.high,
            **({"confidence_level": level} if isinstance(level, float) else {}),
            "method": "cluster bootstrap over groups of tracks",
        }
        if isinstance(resamples, int):
            uncertainty["num_bootstrap_samples"] = resamples
    details = {
        "labels_scored": f"{record.defined_labels} of {record.total_labels}",
        "labels_without_score": ", ".join(record.undefined_labels) or "none",
        "layer": record.selection.layer,
        "seeds": str(len(metric.per_seed)),
        "tracks_used": ", ".join(f"{split} {count}" for split, count in record.coverage.used.items()),
        "protocol_sha256": record.protocol.sha256,
        "predictions_sha256": record.predictions.sha256,
    }
    return {
        "evaluation_result_id": f"{record.stem}.{name}",
        "evaluation_name": dataset_name(record),
        "source_data": {
            "dataset_name": dataset_name(record),
            "source_type": "other",
            "additional_details": {
                "task": task.name,
                "tradition": task.tradition,
                "edition": task.edition,
                "split": f"test of {task.split}",
                "split_sha256": task.split_sha256,
                "label_sha256": task.label_sha256,
                "licence": task.licence,
                "citation": task.citation,
                **({"warning": section.warning} if section.warning else {}),
            },
        },
        "evaluation_timestamp": record.environment.created,
        "metric_config": {
            "metric_id": metric_id,
            "metric_name": NAMES.get(name, name),
            "metric_kind": kind,
            "metric_unit": "proportion",
            **({"metric_parameters": {"average": average}} if average else {}),
            "lower_is_better": False,
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": 1.0,
        },
        "score_details": {"score": metric.value, "details": details, "uncertainty": uncertainty},
    }
