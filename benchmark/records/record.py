"""The one result format: a JSON record for each (model, task, edition, split, protocol).

Tables, figures and boards are views over records and hold no number of their own. A value that does not exist is
``null`` with a reason; NaN is never written. Everything that may differ between two runs of the same command
(times, memory, machine) is in ``environment`` and ``cost``; the rest is the same to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ... import untrusted
from ...errors import CmbenchError
from ...files import SEAL, _canonical, safe_name, seal_is_broken, sealed, write_atomically

SCHEMA_VERSION = "1.3"
"""1.1 adds :attr:`LayerScore.families`, 1.2 :attr:`Record.content_sha256`, 1.3 :attr:`LabelScore.known`,
:attr:`TaskPart.unknown_sha256`, :attr:`ModelPart.max_seconds` and :attr:`EnvironmentPart.batch_seconds`; older records
are read too, without them."""

LARGEST = 64 * 2**20
"""Bytes of a record; that of the largest task has about 200 kB."""

UNSEALED_VERSIONS = ("1.0", "1.1")
"""Versions whose records do not state the hash of their content."""

READ_VERSIONS = (*UNSEALED_VERSIONS, "1.2", SCHEMA_VERSION)
"""Every version that was ever written; all of them are read."""

Score = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    """A part of a record: no unknown key, no NaN, no change after construction."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(_Part):
    """A two-sided interval of a score."""

    low: Score
    high: Score


class Metric(_Part):
    """A score over all labels: the mean over seeds, with its interval.

    ``value`` is ``null`` where no label is defined; ``reason`` then says why.
    """

    value: Score | None
    interval: Interval | None
    per_seed: tuple[Score | None, ...]
    reason: str | None = None


class _Ranked(_Part):
    """Scores by which labels or families are ranked."""

    def ranked(self, metric: str) -> tuple[float | None, Interval | None]:
        """Return ``roc_auc`` or ``average_precision`` with its interval."""
        return getattr(self, metric), getattr(self, f"{metric}_interval")


class LabelScore(_Ranked):
    """One label: mean over seeds. ``reason`` says why a score is ``null``.

    ``known`` counts the test tracks of which it is known, if not of all; prevalence is a share of these.
    """

    label: str
    family: str
    support: int
    train_support: int
    prevalence: Score
    roc_auc: Score | None
    roc_auc_interval: Interval | None
    average_precision: Score | None
    average_precision_interval: Interval | None
    f1: Score | None
    reason: str | None = None
    known: int | None = None


class FamilyScore(_Ranked):
    """Macro means over the defined labels of one family."""

    family: str
    labels: int
    defined: int
    roc_auc: Score | None
    roc_auc_interval: Interval | None
    average_precision: Score | None
    average_precision_interval: Interval | None


class LayerFamilyScore(_Part):
    """Macro means, on the validation split, over the labels of one family that it defines.

    Where it defines none, and where no learning rate could be trained, ``defined`` is 0 and both scores are ``null``.
    """

    family: str
    labels: int
    defined: int
    roc_auc: Score | None
    average_precision: Score | None


class LayerScore(_Part):
    """The best learning rate of one candidate input, judged on the validation split (one seed).

    ``families`` is ``null`` in records of schema 1.0, which did not store it.
    """

    layer: str
    learning_rate: Number
    roc_auc: Score | None
    average_precision: Score | None
    score: Score | None
    epochs: int
    families: tuple[LayerFamilyScore, ...] | None = None


class Selection(_Part):
    """What the validation split chose."""

    layer: str
    learning_rate: Number
    valid_score: Score
    fused_weights: tuple[Number, ...] | None
    epochs_per_seed: tuple[int, ...]


class FailedTrack(_Part):
    """A track that could not be used."""

    id: str
    split: str
    file: str
    reason: str


class Coverage(_Part):
    """How many tracks were asked for and used."""

    asked: dict[str, int]
    used: dict[str, int]
    failed: tuple[FailedTrack, ...]
    warnings: tuple[FailedTrack, ...] = ()


class ModelPart(_Part):
    """The encoder's card."""

    name: str
    family: str
    fingerprint: str
    sample_rate: int
    layers: int
    layer_names: tuple[str, ...]
    dim: int
    parameters: int
    licence: str
    trained_on: tuple[str, ...]
    weights_sha256: str
    code_version: str
    preprocessing: str
    dtype: str
    source: str
    description: str
    max_seconds: Number | None = None


class TaskPart(_Part):
    """The task, the edition and the split."""

    name: str
    title: str
    tradition: str
    edition: str
    split: str
    labels: tuple[str, ...]
    families: dict[str, str]
    split_sha256: str
    label_sha256: str
    audio_sha256: str
    tracks: dict[str, int]
    groups: dict[str, int | None]
    licence: str
    citation: str
    notes: tuple[str, ...]
    unknown_sha256: str | None = None

    def columns(self) -> dict[str, list[int]]:
        """Return the positions of every family's labels, families in the order in which the labels name them."""
        found: dict[str, list[int]] = {}
        for k, label in enumerate(self.labels):
            found.setdefault(self.families[label], []).append(k)
        return found


def hashed(part: ModelPart | TaskPart) -> dict[str, object]:
    """Return what of a part enters the hash of a cell: what came later only where it says something."""
    facts = part.model_dump(mode="json")
    return {k: v for k, v in facts.items() if v is not None or k not in ("max_seconds", "unknown_sha256")}


class ProtocolPart(_Part):
    """The protocol by name, hash and content."""

    name: str
    sha256: str
    settings: dict[str, object]


class PredictionsPart(_Part):
    """The predictions file beside the record."""

    file: str
    sha256: str


class EnvironmentPart(_Part):
    """The machine and the moment; differs between runs.

    ``batch_seconds`` is the audio of the smallest batch that this run encoded, at most, ``null`` where all features had
    been there; less than was asked for where a device had no room.
    """

    created: str
    cmbench: str
    python: str
    platform: str
    packages: dict[str, str]
    device: str
    device_name: str
    threads: int
    batch_seconds: Number | None = None


class CostPart(_Part):
    """What the cell cost; differs between runs. Times of resumed work add up.

    Peak memory is that of the whole process up to the end of the cell.
    """

    audio_seconds: Number
    encode_seconds: Number
    probe_seconds: Number
    peak_memory_mib: Number


class Record(_Part):
    """The result of one model on one task under one protocol.

    ``content_sha256`` is the hash of the rest of the file as canonical JSON; it is set by :func:`write_record`, checked
    by :func:`read_record`, and ``null`` in records of schema 1.0 and 1.1. It finds damage and edits, not forgery.
    """

    schema_version: str = SCHEMA_VERSION
    content_sha256: str | None = None
    cell_sha256: str
    model: ModelPart
    task: TaskPart
    protocol: ProtocolPart
    metrics: dict[str, Metric]
    defined_labels: int
    total_labels: int
    undefined_labels: dict[str, str]
    labels: tuple[LabelScore, ...]
    families: tuple[FamilyScore, ...]
    selection: Selection
    layers: tuple[LayerScore, ...]
    coverage: Coverage
    predictions: PredictionsPart
    environment: EnvironmentPart
    cost: CostPart

    @property
    def stem(self) -> str:
        """File name without its ending."""
        return cell_stem(self.task.name, self.task.edition, self.task.split, self.protocol.name)

    def _repr_html_(self) -> str:
        from .notebook import record_html

        return record_html(self)

    def stable_json(self) -> str:
        """Return the canonical JSON without the parts that may differ between two runs."""
        return _canonical(self.model_dump(mode="json", exclude={"environment", "cost", SEAL}))


RANKED = ("roc_auc", "average_precision")
METRICS = (*RANKED, "f1_micro", "f1_macro")
"""What every record has."""

ACCURACY, ARGMAX_F1 = SINGLE_LABEL = ("accuracy", "argmax_f1_macro")
"""What records of tasks with one label a track have besides."""


def cell_stem(task: str, edition: str, split: str, protocol: str) -> str:
    """File name, without its ending, of a cell's record and predictions."""
    return f"{task}.{edition}.{split}.{protocol}"


def write_record(record: Record, folder: Path) -> Path:
    """Write a record with its seal below ``folder``, one sub-folder per model, and return its path."""
    path = folder / safe_name(record.model.name) / f"{record.stem}.json"
    write_atomically(path, _canonical(sealed(record.model_dump(mode="json"))).encode())
    return path


def read_record(path: Path) -> Record:
    """Read and check one record.

    Raises:
        CmbenchError: the file is not a record of a schema version that this cmbench reads, or has changed since it was
            written.
    """
    content = untrusted.read_bytes(path, LARGEST)
    record = parse_record(content, path)
    unsealed = record.content_sha256 is None and record.schema_version not in UNSEALED_VERSIONS
    if unsealed or seal_is_broken(json.loads(content)):
        raise CmbenchError(
            f"{path} has changed since it was written ({SEAL} {'is missing' if unsealed else 'differs'}). "
            "`cmbench run` with the same --out computes it again; or delete it, or take the file from where it came."
        )
    return record


def parse_record(content: bytes, path: Path) -> Record:
    """Return the record that a file's content is.

    Raises:
        CmbenchError: it is not a record of a schema version that this cmbench reads.
    """
    try:
        record = Record.model_validate_json(content)
    except ValidationError as error:
        if (version := _stated_version(content)) not in (None, *READ_VERSIONS):
            # What another version may hold would be reported as an error of its fields.
            raise CmbenchError(_other_version(path, version)) from error
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "the top level"
        told = f"{path} is not a cmbench record of schema {SCHEMA_VERSION}: {first['msg']} at {place}."
        raise CmbenchError(told) from error
    if record.schema_version not in READ_VERSIONS:
        raise CmbenchError(_other_version(path, record.schema_version))
    if empty := next(_empty_parts(record), ""):
        raise CmbenchError(
            f"{path} is no whole record: {empty}. `cmbench run` with the same --out computes it again; or delete it."
        )
    return record


def _empty_parts(record: Record) -> Iterator[str]:
    """Say which parts that every run fills are empty, or lack what others count on: their types allow it."""
    task, coverage = record.task, record.coverage
    if lacking := [name for name in METRICS if name not in record.metrics]:
        yield f"it has no {' and no '.join(lacking)} among its metrics"
    if not all(metric.per_seed for metric in record.metrics.values()):
        yield "a metric has no seeds"
    if sorted(one.label for one in record.labels) != sorted(task.labels) or not task.labels:
        yield "its scores by label are not of the labels of its task"
    if sorted(task.families) != sorted(task.labels) or {f.family for f in record.families} != {*task.families.values()}:
        yield "its families are not those of its labels"
    if not record.layers or not record.model.layer_names:
        yield "it has no layers"
    counts = {"task.tracks": task.tracks, "coverage.asked": coverage.asked, "coverage.used": coverage.used}
    for what, counted in counts.items():
        if not {"train", "valid", "test"} <= counted.keys():
            yield f"{what} does not count every split"
    for what, text in {"model": record.model.name, "task": task.name, "protocol": record.protocol.name}.items():
        if not text:
            yield f"its {what} has no name"


def _other_version(path: Path, version: object) -> str:
    return (
        f"{path} is not a cmbench record of schema {' or '.join(READ_VERSIONS)}: it says {version!r}. Read it with the "
        "cmbench that wrote it."
    )


def _stated_version(content: bytes) -> object:
    """Return the schema version that a file states; ``None`` if it is no JSON object or states none."""
    try:
        stated = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return stated.get("schema_version") if isinstance(stated, dict) else None
