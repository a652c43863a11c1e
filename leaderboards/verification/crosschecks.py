"""What an entry says twice, or another entry says too: each pair of statements that must agree is held together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from ...baselines.base import EncoderCard
from ...benchmark.protocol import Protocol
from ...benchmark.records.evidence import Evidence
from ...benchmark.records.record import Record, hashed
from ...tasks.base import Task
from ..entry import Entry
from .copies import agreement
from .findings import Finding
from .known import DEFINED, WEIGHTS, name_of, released
from .rescoring import TOLERANCE

FUSED = "fused"
"""The candidate of the probe that sums all layers."""

SAME_MODEL = 0.9
"""Correlation of means under which two runs are of two encoders; two runs of one have 0.97 and more."""

MINI_BEST: Mapping[str, float] = {
    "carnatic": 0.717,
    "fma_medium": 0.826,
    "hindustani": 0.726,
    "lyra": 0.774,
    "magnatagatune": 0.875,
    "turkish_makam": 0.673,
}
"""Task -> best ROC-AUC of any model that was ever measured on its mini edition."""

COST_FACTOR = 5.0
"""Between two runs on one kind of device, from which a cost is implausible."""


def check_hashes(evidence: Evidence, task: Task, protocol: Protocol) -> Iterator[Finding]:
    """Compute a record's fingerprint and the hash of its cell again from its parts, as the code does."""
    record, where = evidence.record, evidence.record.task.name
    if fingerprint(record) != record.model.fingerprint:
        yield Finding("error", "hashes", where, "its fingerprint is not that of its model's parts, by the code.")
    if cell(record, task, protocol) != record.cell_sha256:
        said = "cell_sha256 is not the hash of its model, task and protocol: one of them was changed after the run."
        yield Finding("error", "hashes", where, said)


def fingerprint(record: Record) -> str:
    """Return the fingerprint of a record's model, computed as :class:`EncoderCard` does."""
    facts = record.model.model_dump(exclude={"fingerprint"})
    return EncoderCard(**facts, min_seconds=0).fingerprint


def cell(record: Record, task: Task, protocol: Protocol) -> str:
    """Return the hash of what a record's result depends on, computed from the record as the run computed it."""
    stated, part = record.task, hashed(record.task)
    # JSON files sort their keys; the run hashed these in the order of labels and of splits.
    part["families"] = {label: stated.families[label] for label in stated.labels}
    for name, counts in (("tracks", stated.tracks), ("groups", stated.groups)):
        part[name] = {split: counts.get(split) for split in ("train", "valid", "test")}
    windows = protocol.windowing.of(record.model.max_seconds).sha256(task.max_track_seconds)
    facts = [hashed(record.model), part, windows, protocol.sha256]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def check_selection(evidence: Evidence, protocol: Protocol) -> Iterator[Finding]:
    """Hold what the validation split chose against the layers that are listed."""
    record = evidence.record
    for problem in _selection(record, protocol):
        yield Finding("error", "selection", record.task.name, problem)


def _selection(record: Record, protocol: Protocol) -> Iterator[str]:
    listed, chosen = {layer.layer: layer for layer in record.layers}, record.selection
    names = set(record.model.layer_names)
    lacking = protocol.probe.each_layer and not names <= set(listed)
    if len(listed) != len(record.layers) or set(listed) - names - {FUSED} or lacking:
        yield "the layers listed are not those of the model."
    if len(record.model.layer_names) != record.model.layers:
        yield "its count of layers is not that of their names."
    one = listed.get(chosen.layer)
    if one is None or one.score is None:
        return
    if abs(one.score - chosen.valid_score) > TOLERANCE or one.learning_rate != chosen.learning_rate:
        yield "score or learning rate of the chosen layer are not those of the list."
    if any(layer.score is not None and layer.score > one.score + TOLERANCE for layer in record.layers):
        yield "the chosen layer is not the one with the best validation score."
    if any(layer.learning_rate not in protocol.probe.learning_rates for layer in record.layers):
        yield "a learning rate is not one of the protocol's."
    if len(chosen.epochs_per_seed) != len(protocol.probe.seeds):
        yield "it does not say how many epochs each seed was trained."


def check_identity(entry: Entry) -> Iterator[Finding]:
    """Check that an entry is of one model, and hold its name and hashes against models that are known."""
    models = [e.record.model for e in entry.evidence]
    first = models[0].model_dump()
    for e, model in zip(entry.evidence, models, strict=True):
        if changed := [name for name, value in model.model_dump().items() if value != first[name]]:
            said = f"{changed[0]} of the model is another than in the record of {entry.evidence[0].record.task.name}."
            yield Finding("error", "hashes", e.record.task.name, said)
    weights = models[0].weights_sha256
    for name in dict.fromkeys((entry.submission.name, models[0].name)):
        known = released(name)
        if known is None or weights in WEIGHTS.get(known, ()):
            continue
        if known in WEIGHTS:
            said = f"it is called {name!a}, and its weights are none of {known}'s."
            yield Finding("error" if known in DEFINED else "flag", "known", entry.key, said)
        else:
            said = f"it is called {name!a} as a released model; that it is that model is the submitter's claim."
            yield Finding("unverified", "known", entry.key, said)
    owner = name_of(weights)
    if owner is not None and released(models[0].name) != owner:
        yield Finding(
            "flag", "known", entry.key, f"its weights are those of {owner}, under the name {models[0].name!a}."
        )
    yield from _card(entry)


def _card(entry: Entry) -> Iterator[Finding]:
    """Hold what the model card says of hashes, counts and licence against records and submission."""
    model = entry.evidence[0].record.model
    said = {
        "fingerprint": model.fingerprint,
        "weights_sha256": model.weights_sha256,
        "parameters": str(model.parameters),
        "sample_rate": str(model.sample_rate),
        "licence": entry.submission.licence,
        "license": entry.submission.licence,
    }
    for name, value in said.items():
        stated = entry.card_facts.get(name)
        if isinstance(stated, str) and stated.strip() and stated.strip().casefold() not in (value.casefold(), "other"):
            yield Finding("flag", "card", entry.key, f"its card says {name} {stated[:80]!a}, the entry {value!a}.")


def check_usable(evidence: Evidence, others: Sequence[Evidence]) -> Iterator[Finding]:
    """Flag tracks that an entry declares unusable and that others used, or that every machine can render."""
    record = evidence.record
    failed = {track.id for track in record.coverage.failed}
    if not failed:
        return
    if record.task.edition == "mini":
        said = f"{len(failed)} tracks are declared unusable; every machine can render them."
        yield Finding("flag", "tracks", record.task.name, said)
        return
    for other in others:
        same = other.record.task.split_sha256 == record.task.split_sha256
        used = failed - {track.id for track in other.record.coverage.failed}
        if same and used:
            said = f"{len(used)} tracks are declared unusable that others used, the first {min(used)!a}."
            yield Finding("flag", "tracks", record.task.name, said)
            return


def check_mini_ceiling(evidence: Evidence) -> Iterator[Finding]:
    """Flag a score on ``mini`` more than half the way from the best model that was measured to a perfect one."""
    record = evidence.record
    best, value = MINI_BEST.get(record.task.name), record.metrics["roc_auc"].value
    if record.task.edition != "mini" or best is None or value is None:
        return
    if value > (1 + best) / 2:
        ceiling = f"{(1 + best) / 2:.3f}; the best was {best:.3f}"
        said = f"roc_auc {value:.3f} lies above the plausible ceiling of mini, {ceiling}."
        yield Finding("flag", "suspicious", record.task.name, said)


def check_others(entry: Entry, others: Sequence[Entry]) -> Iterator[Finding]:
    """Compare what an entry says with what others say of the same model, audio or run."""
    for other in others:
        if other.submission.model_fingerprint == entry.submission.model_fingerprint:
            found = agreement(entry.evidence, other.evidence)
            if found.compared and found.means < SAME_MODEL:
                said = (
                    f"it says to be the model of {other.key}, whose predictions are others ({found.means:.2f} alike)."
                )
                yield Finding("flag", "hashes", entry.key, said)
        theirs = {e.record.task.name: e.record for e in other.evidence}
        for e in entry.evidence:
            record = theirs.get(e.record.task.name)
            if record is not None and (other_said := _contradiction(e.record, record)):
                yield Finding("flag", "cost", e.record.task.name, f"{other_said} {other.key}.")


def _contradiction(one: Record, other: Record) -> str | None:
    same_audio = one.task.split_sha256 == other.task.split_sha256
    if one.task.edition == "mini" and same_audio and one.task.audio_sha256 != other.task.audio_sha256:
        return "its audio has another hash than that of"
    same_tracks = one.task.audio_sha256 == other.task.audio_sha256 and one.coverage.used == other.coverage.used
    if same_audio and same_tracks and abs(one.cost.audio_seconds - other.cost.audio_seconds) > 1:
        return "it counts other seconds of audio than"
    if one.predictions.sha256 == other.predictions.sha256 and one.cost != other.cost:
        return "its predictions are to the bit, and its cost is not, that of"
    return None


def check_reproduced_cost(entry: Entry) -> Iterator[Finding]:
    """Flag a cost that a maintainer's own run on the same kind of device does not bear out."""
    for e, own in zip(entry.evidence, entry.reproduced_evidence, strict=bool(entry.reproduced_evidence)):
        one, other = e.record, own.record
        if one.environment.device_name != other.environment.device_name:
            continue
        low, high = sorted((one.cost.encode_seconds, other.cost.encode_seconds))
        if high > 1 and high > COST_FACTOR * low:
            said = (
                f"{one.cost.encode_seconds:.3g} s of encoding; the reproduction took {other.cost.encode_seconds:.3g} s."
            )
            yield Finding("flag", "cost", one.task.name, said)
