"""A record with the predictions that its scores were computed from: what comparisons are made of."""

from __future__ import annotations

import io
import math
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from ..errors import CmbenchError, UsageError
from ..files import sha256_of
from .metrics import Bools, Floats, defined_labels, ranking_scores
from .record import Record, read_record
from .record_folder import by_evaluation, record_files

LARGEST = 2**30
"""Bytes that the arrays of one predictions file may take: the largest task needs 5 MiB."""

ROUNDING = 1e-6
"""Most that a record's macro score may differ from that of its predictions."""

_ARRAYS = ("track_ids", "groups", "labels", "targets", "probabilities")


@dataclass(frozen=True, eq=False)
class Evidence:
    """A record and its predictions on the test tracks.

    Attributes:
        record: the scores.
        path: of the record.
        track_ids: of the test tracks.
        groups: of the test tracks; ``None`` where unknown.
        targets: ``[tracks, labels]``.
        probabilities: ``[seeds, tracks, labels]``.
    """

    record: Record
    path: Path
    track_ids: tuple[str, ...]
    groups: tuple[str | None, ...]
    targets: Bools
    probabilities: Floats

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
        return Evidence(
            self.record,
            self.path,
            track_ids,
            tuple(self.groups[i] for i in rows),
            self.targets[rows],
            self.probabilities[:, rows],
        )


def iter_evidence(*places: Path, edition: str | None = None, protocol: str | None = None) -> Iterator[Evidence]:
    """Yield every record in the given files and below the given folders, with its predictions.

    Args:
        places: files and folders.
        edition: only records of this one; ``None`` for all.
        protocol: only records under the protocol of this name; ``None`` for all.

    Raises:
        UsageError: a place does not exist.
        CmbenchError: a file is not a record, or its predictions are missing, changed or damaged.
    """
    for path, record in _records(places):
        if edition in (None, record.task.edition) and protocol in (None, record.protocol.name):
            yield read_evidence(path)


def _records(places: Iterable[Path]) -> Iterator[tuple[Path, Record]]:
    """Yield records with their paths, place by place, models in the order of :func:`by_evaluation`."""
    for place in places:
        yield from by_evaluation([(path, read_record(path)) for path in record_files(place)], lambda pair: pair[1])


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

    Args:
        places: files and folders.
        edition: only records of it; all if not given.
        split: only records on it; all if not given.
        protocol: only records under it; all if not given.

    Raises:
        UsageError: a place does not exist, or there is no such record.
        CmbenchError: a file is not a record.
    """
    places = list(places)
    found = {}
    for path, record in _records(places):
        wanted = ((edition, record.task.edition), (split, record.task.split), (protocol, record.protocol.name))
        if all(asked in (None, there) for asked, there in wanted):
            found[path] = record
    if not found:
        named = {"edition": edition, "split": split, "protocol": protocol}
        asked = "".join(f" of {what} {value}" for what, value in named.items() if value)
        raise UsageError(f"There is no record{asked} in {', '.join(map(str, places))}; `cmbench run` writes them.")
    return found


def evidence_of(records: Sequence[Record], place: Path) -> list[Evidence]:
    """Return the evidence of some records; others may lie beside them, of other music, models or numbers of seeds.

    Args:
        records: as :func:`.run.run` returned them.
        place: folder that they were written into.

    Raises:
        CmbenchError: one of them is not there, or its predictions are missing, changed or damaged.
    """
    found = [(path, record) for path, record in _records([place]) if record in records]
    if missing := [one for one in records if one not in (record for _, record in found)]:
        raise CmbenchError(f"{place}: the record of {missing[0].model.name} on {missing[0].task.name} is gone.")
    return [read_evidence(path) for path, _ in found]


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

    Args:
        record: the scores.
        path: of the record.
        content: of the predictions file.
        file: path of the predictions file, for messages.
        largest: bytes that its arrays may take.

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
        or probabilities.shape != (len(probabilities), *targets.shape)
        or not len(probabilities)
    ):
        raise CmbenchError(f"{file}: its arrays do not fit one another or the labels of {path.name}.")
    # Before the conversion, which would turn a number too large for it into infinity with a warning.
    values = probabilities.astype(np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all() and (values <= 1).all()):
        raise CmbenchError(f"{file}: a probability is not in [0, 1].")
    return Evidence(record, path, tuple(ids), tuple(groups), targets.astype(np.bool_), values.astype(np.float32))


def _require_own_scores(evidence: Evidence, file: Path) -> None:
    """Refuse a record whose macro scores are not those of its predictions: one of the two was changed."""
    defined, _ = defined_labels(evidence.targets)
    if not defined.any():
        return
    scores = np.mean([ranking_scores(evidence.targets, p) for p in evidence.probabilities], axis=0)
    for metric, values in zip(("roc_auc", "average_precision"), scores, strict=True):
        stated, found = evidence.record.metrics[metric].value, float(values[defined].mean())
        if stated is None or abs(stated - found) > ROUNDING:
            raise CmbenchError(
                f"{evidence.path}: {metric} is {stated} there and {found:.6f} by the predictions in {file.name}. One "
                "of the two was changed after the run; run the model again with --force."
            )


def read_predictions(content: bytes, where: Path, largest: int = LARGEST) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of a predictions file; nothing is unpickled, and no more than ``largest`` bytes are unpacked.

    Raises:
        CmbenchError: it is not such a file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > largest:
                raise CmbenchError(f"{where}: its arrays would take {size / 2**30:.2f} GiB: no predictions file.")
            names = archive.namelist()
            if len(set(names)) != len(names):
                raise ValueError("an array is there twice")
            return {name: _array(_unpacked(archive, archive.getinfo(f"{name}.npy"))) for name in _ARRAYS}
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise CmbenchError(f"{where}: this is not a predictions file ({error}).") from error
    except (RuntimeError, SyntaxError, TokenError, TypeError, MemoryError) as error:
        # An encrypted archive; a header that is no dictionary, or nested too deeply for the parser.
        raise CmbenchError(f"{where}: this is not a predictions file ({type(error).__name__}: {error}).") from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return a member's content; never more of it is unpacked than the archive says that there is."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Python's bzip2 and LZMA readers unpack a whole block whatever they are asked for.
        raise ValueError(f"{member.filename} is compressed by a method that NumPy does not write")
    with archive.open(member) as opened:
        # `read()` would unpack up to 1 GiB before it looks at the size.
        content = opened.read(member.file_size)
        if len(content) != member.file_size or opened.read(1):
            raise ValueError(f"{member.filename} has not the size that the archive says")
    return content


def _array(content: bytes) -> NDArray[np.generic]:
    """Return the array of one ``.npy``; memory is taken only after its header was found to fit what follows it."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is not of npy format 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biufU" or not dtype.isnative:
        raise ValueError(f"an array of type {dtype}")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell() or dtype.itemsize == 0:
        raise ValueError(f"an array header of shape {shape} before {len(content) - file.tell()} bytes")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    array: NDArray[np.generic] = flat.reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "b" and flat.size and flat.view(np.uint8).max() > 1:
        raise ValueError("a truth value that is neither true nor false")
    if dtype.kind == "U" and flat.size:
        code = flat.view(np.uint32)
        if code.max() > sys.maxunicode or ((code >= 0xD800) & (code <= 0xDFFF)).any():
            raise ValueError("a text with a character that does not exist")
    return array
