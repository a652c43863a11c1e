"""A record with the predictions that its scores were computed from: what comparisons are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import CmbenchError, UsageError
from ...files import sha256_of
from ..scoring.bootstrap import cluster_count
from ..scoring.intervals import Sample
from ..scoring.metrics import Bools, Floats, defined_labels, ranking_scores
from .folder import by_evaluation, read_records, record_files
from .predictions import KNOWN, LARGEST, RESAMPLED, read_predictions
from .record import RANKED, Record, read_record
from .setting import Setting

ROUNDING = 1e-6
"""Most that a record's macro score may differ from that of its predictions."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """A record and its predictions on the test tracks."""

    record: Record  # the scores
    path: Path  # of the record
    track_ids: tuple[str, ...]  # of the test tracks
    groups: tuple[str | None, ...]  # of the test tracks; ``None`` where unknown
    targets: Bools  # ``[tracks, labels]``
    probabilities: Floats  # ``[seeds, tracks, labels]``
    # of the probe trained again on resamples of the training tracks, ``[trainings, tracks, labels]``; ``None`` where it
    # was not
    resampled: Floats | None = None
    # ``[tracks, labels]``, false where nobody knows whether the target holds; ``None`` if all are known
    known: Bools | None = None
    models: int = 1  # pre-trainings that the predictions are of, one after the other, each with as many

    @property
    def sample(self) -> Sample:
        """What intervals and differences are drawn from."""
        trainings = 0 if self.resampled is None else len(self.resampled) // self.models
        return Sample(cluster_count(self.groups), trainings, choice=True)

    def judged(self, label: int) -> NDArray[np.intp]:
        """Return the rows of the tracks of which it is known whether they have a label."""
        return np.arange(len(self.targets)) if self.known is None else np.flatnonzero(self.known[:, label])

    def whole(self, labels: Sequence[int]) -> Bools:
        """Return for every track whether all of these labels are known ``[tracks]``."""
        known = np.ones_like(self.targets) if self.known is None else self.known
        return np.asarray(known[:, labels].all(axis=1))

    def rows(self, track_ids: tuple[str, ...]) -> Evidence:
        """Return the evidence on some of its tracks, in their order.

        Raises:
            CmbenchError: one of them is not among its tracks.
        """
        if track_ids == self.track_ids:
            return self
        place = {track: i for i, track in enumerate(self.track_ids)}
        missing = [track for track in track_ids if track not in place]
        if missing:
            raise CmbenchError(f"{self.path}: there is no prediction for track {missing[0]!r}.")
        rows = [place[track] for track in track_ids]
        return replace(
            self,
            track_ids=track_ids,
            groups=tuple(self.groups[i] for i in rows),
            targets=self.targets[rows],
            probabilities=self.probabilities[:, rows],
            resampled=None if self.resampled is None else self.resampled[:, rows],
            known=None if self.known is None else self.known[rows],
        )

    def same_truth(self, other: Evidence) -> bool:
        """Whether targets, and what is known of them, are those of other evidence on the same tracks."""
        if not np.array_equal(self.targets, other.targets):
            return False
        if self.known is None or other.known is None:
            return self.known is other.known
        return np.array_equal(self.known, other.known)


def iter_evidence(*places: Path, edition: str | None = None, protocol: str | None = None) -> Iterator[Evidence]:
    """Yield every record in the given files and below the given folders, with its predictions.

    Raises:
        UsageError: a place does not exist.
        CmbenchError: a file is not a record, or its predictions are missing, changed or damaged.
    """
    for path, record in read_records(*places):
        if edition in (None, record.task.edition) and protocol in (None, record.protocol.name):
            yield read_evidence(path)


def read_what_is_there(*places: Path) -> tuple[list[Evidence], list[str]]:
    """Read the records whose predictions are sound, and say what is wrong with the others.

    Raises:
        UsageError: a place does not exist.
    """
    found, problems = [], []
    for place in places:
        here = []
        for path in record_files(place):
            try:
                here.append(read_evidence(path))
            except CmbenchError as error:
                problems.append(str(error))
        found += by_evaluation(here, lambda evidence: evidence.record)
    return found, problems


def choose_records(
    places: Iterable[Path], edition: str | None = None, split: str | None = None, protocol: str | None = None
) -> dict[Path, Record]:
    """Return the records in the given files and below the given folders by their paths, models as they were evaluated.

    Raises:
        UsageError: a place does not exist, or there is no such record.
        CmbenchError: a file is not a record.
    """
    places = list(places)
    named = {"edition": edition, "split": split, "protocol": protocol}
    found = {
        path: record
        for path, record in read_records(*places)
        if all(named[what] in (None, there) for what, there in asdict(Setting.of(record)).items())
    }
    if not found:
        asked = "".join(f" of {what} {value}" for what, value in named.items() if value)
        raise UsageError(f"There is no record{asked} in {', '.join(map(str, places))}; `cmbench run` writes them.")
    return found


def evidence_of(records: Sequence[Record], place: Path) -> list[Evidence]:
    """Return the evidence of some records, in their order; others may lie beside them, of other music or models.

    Raises:
        CmbenchError: one of them is not there, or its predictions are missing, changed or damaged.
    """
    there = read_records(place)
    paths = [next((path for path, record in there if record == one), None) for one in records]
    for one, path in zip(records, paths, strict=True):
        if path is None:
            raise CmbenchError(f"{place}: the record of {one.model.name} on {one.task.name} is gone.")
    return [read_evidence(path) for path in paths if path is not None]


def read_evidence(path: Path) -> Evidence:
    """Read a record and the predictions beside it.

    Raises:
        CmbenchError: it is not a record, or its predictions are missing, changed or damaged.
    """
    record = read_record(path)
    file = path.parent / Path(record.predictions.file).name
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CmbenchError(f"{path}: its predictions {file.name} cannot be read ({error.strerror}).") from error
    if sha256_of(content) != record.predictions.sha256:
        raise CmbenchError(f"{file}: these are not the predictions that {path.name} was computed from (hash differs).")
    evidence = make_evidence(record, path, content, file)
    _require_own_scores(evidence, file)
    return evidence


def make_evidence(record: Record, path: Path, content: bytes, file: Path, largest: int = LARGEST) -> Evidence:
    """Put a record and its predictions together.

    ``largest``: bytes that the arrays may take.

    Raises:
        CmbenchError: it is not a predictions file, or does not fit the record's labels.
    """
    arrays = read_predictions(content, file, largest)
    if any(arrays[name].ndim != 1 for name in ("track_ids", "groups", "labels")):
        raise CmbenchError(f"{file}: its track ids, groups and labels are not lists.")
    labels = tuple(map(str, arrays["labels"]))
    ids, groups = [str(i) for i in arrays["track_ids"]], [str(g) or None for g in arrays["groups"]]
    targets, probabilities = arrays["targets"], arrays["probabilities"]
    if (
        labels != record.task.labels
        or len(set(ids)) != len(ids)
        or len(groups) != len(ids)
        or probabilities.dtype.kind not in "fiu"
        or targets.dtype.kind != "b"
        or targets.shape != (len(ids), len(labels))
        or probabilities.ndim != 3
        or probabilities.shape[1:] != targets.shape
        or not len(probabilities)
    ):
        raise CmbenchError(f"{file}: its arrays do not fit one another or the labels of {path.name}.")
    resampled = arrays.get(RESAMPLED)
    trainings = 0 if resampled is None else len(resampled)
    if trainings != record.protocol.settings.get("train_resamples", 0):
        raise CmbenchError(f"{file}: {trainings} trainings on resamples are not those of the protocol of {path.name}.")
    if resampled is not None and (resampled.dtype.kind != "f" or resampled.shape[1:] != targets.shape):
        raise CmbenchError(
            f"{file}: what was trained on resamples does not fit the tracks or the labels of {path.name}."
        )
    return Evidence(
        record,
        path,
        tuple(ids),
        tuple(groups),
        targets.astype(np.bool_),
        _shares(probabilities, file),
        None if resampled is None else _shares(resampled, file),
        _known(arrays.get(KNOWN), targets, record, file),
    )


def _shares(probabilities: NDArray[np.generic], file: Path) -> Floats:
    """Return probabilities as float32; raise :class:`CmbenchError` if one is not in [0, 1]."""
    # Before the conversion, which would turn a number too large for it into infinity with a warning.
    values = probabilities.astype(np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all() and (values <= 1).all()):
        raise CmbenchError(f"{file}: a probability is not in [0, 1].")
    return values.astype(np.float32)


def _known(known: NDArray[np.generic] | None, targets: NDArray[np.generic], record: Record, file: Path) -> Bools | None:
    """Return which targets are known; raise :class:`CmbenchError` if it does not fit the targets or the protocol."""
    if known is None:
        return None
    if record.protocol.settings.get("unknown", "negative") != "masked":
        raise CmbenchError(f"{file}: it leaves labels out, which the protocol {record.protocol.name} does not allow.")
    fits = known.dtype.kind == "b" and known.shape == targets.shape
    if not fits or (targets.astype(np.bool_) & ~known.astype(np.bool_)).any():
        raise CmbenchError(f"{file}: what is known of its labels does not fit them.")
    return known.astype(np.bool_)


def _require_own_scores(evidence: Evidence, file: Path) -> None:
    """Refuse a record whose macro scores are not those of its predictions: one of the two was changed."""
    truth, known = evidence.targets, evidence.known
    defined, _ = defined_labels(truth, known)
    if not defined.any():
        return
    scores = np.mean([ranking_scores(truth, p, known=known) for p in evidence.probabilities], axis=0)
    for metric, values in zip(RANKED, scores, strict=True):
        stated, found = evidence.record.metrics[metric].value, float(values[defined].mean())
        if stated is None or abs(stated - found) > ROUNDING:
            raise CmbenchError(
                f"{evidence.path}: {metric} is {stated} there and {found:.6f} by the predictions in {file.name}. One "
                "of the two was changed after the run; run the model again with --force."
            )
