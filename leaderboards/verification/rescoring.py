"""Every score of a record computed again from its predictions, and checked against what a score must satisfy."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from statistics import fmean

from pydantic import BaseModel

from ...benchmark.protocol import PROTOCOLS, Protocol
from ...benchmark.records.evidence import Evidence
from ...benchmark.records.record import ACCURACY, Interval, Record
from ...benchmark.records.scores import score_predictions
from ...errors import CmbenchError
from .findings import Finding

TOLERANCE = 1e-9
"""Of every number that is computed again."""

MOST_COST = 1e9
"""Seconds or MiB: more is no measurement, and a sum of such might not be a number any more."""

_WORDS = {"reason", "undefined_labels"}
"""Fields in words: they may change between versions of cmbench while the number does not."""


def rankable_protocol(record: Record) -> Protocol:
    """Return the protocol of a record.

    Raises:
        CmbenchError: it is not one of this cmbench, or its values or seeds are not the protocol's.
    """
    part = record.protocol
    protocol = PROTOCOLS.get(part.name)
    if protocol is None:
        raise CmbenchError(f"protocol {part.name!a} has no board; there is {' and '.join(PROTOCOLS)}.")
    if part.sha256 != protocol.sha256 or _plain(part.settings) != _plain(protocol.settings):
        raise CmbenchError(f"its settings are not those of the protocol {part.name}.")
    return protocol


def _plain(settings: Mapping[str, object]) -> object:
    """Return settings as JSON has them, without the words about their origin."""
    return json.loads(json.dumps({key: value for key, value in settings.items() if key != "origin"}))


def check_scores(evidence: Evidence, protocol: Protocol) -> Iterator[Finding]:
    """Compute every score again and compare.

    Raises:
        CmbenchError: the predictions cannot be scored.
    """
    record, where = evidence.record, evidence.record.task.name
    if len(evidence.probabilities) != len(protocol.probe.seeds):
        yield Finding(
            "error",
            "scores",
            where,
            f"predictions of {len(evidence.probabilities)} seeds; {protocol.name} has {len(protocol.probe.seeds)}.",
        )
        return
    if (names := tuple(label.label for label in record.labels)) != record.task.labels:
        yield Finding(
            "error", "labels", where, f"scores are of {len(names)} labels in an order that is not the task's."
        )
        return
    again = score_predictions(
        evidence.targets,
        evidence.probabilities,
        evidence.groups,
        record.task.labels,
        record.task.families,
        [label.train_support for label in record.labels],
        protocol,
        resampled=evidence.resampled,
        known=evidence.known,
        single_label=ACCURACY in record.metrics,
    )
    for part, computed in vars(again).items():
        if part not in _WORDS and (place := difference(getattr(record, part), computed)):
            yield Finding("error", "scores", where, f"{part}{place}, computed again from the predictions.")
    if record.undefined_labels.keys() != again.undefined_labels.keys():
        yield Finding(
            "error", "scores", where, "the labels without a score are not those that the test split leaves out."
        )


def difference(claimed: object, computed: object) -> str | None:
    """Return where, and by how much, two parts of a record differ; ``None`` if they agree to :data:`TOLERANCE`."""
    if isinstance(claimed, BaseModel) and isinstance(computed, BaseModel):
        return difference(dict(claimed), dict(computed))
    if isinstance(claimed, Mapping) and isinstance(computed, Mapping):
        if claimed.keys() != computed.keys():
            return " has other entries"
        pairs = [(f".{key}", claimed[key], computed[key]) for key in claimed if key not in _WORDS]
    elif isinstance(claimed, tuple | list) and isinstance(computed, tuple | list):
        if len(claimed) != len(computed):
            return f" has {len(claimed)} entries and not {len(computed)}"
        pairs = [(f"[{i}]", one, other) for i, (one, other) in enumerate(zip(claimed, computed, strict=True))]
    elif isinstance(claimed, float | int) and isinstance(computed, float | int):
        return None if abs(claimed - computed) <= TOLERANCE else f" is {claimed} and not {computed}"
    else:
        return None if claimed == computed else f" is {claimed!a} and not {computed!a}"
    for place, one, other in pairs:
        if found := difference(one, other):
            return place + found
    return None


def check_identities(record: Record) -> Iterator[Finding]:
    """Check what must hold between the numbers of a record whatever the predictions were."""
    where = record.task.name
    for problem in _identities(record):
        yield Finding("error", "identities", where, problem)


def _identities(record: Record) -> Iterator[str]:
    for name, metric in record.metrics.items():
        seeds = [value for value in metric.per_seed if value is not None]
        if metric.value is not None and (len(seeds) != len(metric.per_seed) or not _close(metric.value, fmean(seeds))):
            yield f"{name} is not the mean over its seeds."
        if not _contains(metric.interval, metric.value):
            yield f"the interval of {name} does not contain it."
    for metric_name, field in (("roc_auc", "roc_auc"), ("average_precision", "average_precision"), ("f1_macro", "f1")):
        listed = [value for label in record.labels if (value := getattr(label, field)) is not None]
        value = record.metrics[metric_name].value
        if (value is None) != (not listed) or (value is not None and not _close(value, fmean(listed))):
            yield f"{metric_name} is not the mean over its {len(listed)} labels."
    for label in record.labels:
        for field in ("roc_auc", "average_precision"):
            if not _contains(getattr(label, f"{field}_interval"), getattr(label, field)):
                yield f"the interval of {field} of {label.label!a} does not contain it."
    if not all(0 <= part <= MOST_COST for part in vars(record.cost).values()):
        yield f"a part of its cost is not between 0 and {MOST_COST:g}."
    if record.selection.layer not in {layer.layer for layer in record.layers}:
        yield f"the chosen layer {record.selection.layer!a} is not among the layers."
    defined = sum(label.roc_auc is not None for label in record.labels)
    if (record.defined_labels, record.total_labels) != (defined, len(record.labels)):
        yield "its counts of labels are not those of the labels listed."


def _close(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=0, abs_tol=TOLERANCE)


def _contains(interval: Interval | None, value: float | None) -> bool:
    if interval is None:
        return True
    return value is not None and interval.low - TOLERANCE <= value <= interval.high + TOLERANCE
