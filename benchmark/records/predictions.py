"""The predictions of a record as an ``.npz`` without pickle, written and read."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import CmbenchError
from ...untrusted import parse_npy

LARGEST = 2**30
"""Bytes that the arrays of one predictions file may take: the largest task needs 5 MiB."""

_ARRAYS = ("track_ids", "groups", "labels", "targets", "probabilities")
KNOWN = "known"
"""Of which targets it is known whether they hold, ``[tracks, labels]``; only there where some are not."""

RESAMPLED = "resampled"
"""Array of the probe trained again on resamples of the training tracks; not there where it was not."""


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
            wanted = (*_ARRAYS, *(name for name in (RESAMPLED, KNOWN) if f"{name}.npy" in names))
            return {name: parse_npy(_unpacked(archive, archive.getinfo(f"{name}.npy"))) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise CmbenchError(f"{where}: this is not a predictions file ({error}).") from error
    except (RuntimeError, TypeError, MemoryError) as error:
        # An encrypted archive.
        raise CmbenchError(f"{where}: this is not a predictions file ({type(error).__name__}: {error}).") from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Python's bzip2 and LZMA readers unpack a whole block whatever they are asked for.
        raise ValueError(f"{member.filename} is compressed by a method that NumPy does not write")
    with archive.open(member) as opened:
        # `read()` would unpack up to 1 GiB before it looks at the size.
        content = opened.read(member.file_size)
        if len(content) != member.file_size or opened.read(1):
            raise ValueError(f"{member.filename} has not the size that the archive says")
    return content


def predictions_bytes(
    track_ids: Iterable[str],  # of the test tracks
    groups: Iterable[str | None],  # of the test tracks; an unknown group is stored as an empty string
    labels: Iterable[str],  # ordered label names
    targets: NDArray[np.bool_],  # ``[tracks, labels]``
    probabilities: NDArray[np.float32],  # float32 ``[seeds, tracks, labels]``
    # ``[trainings, tracks, labels]``, stored as float16; left out if there is none
    resampled: NDArray[np.float32] | None = None,
    # ``[tracks, labels]``, false where nobody knows whether the target holds; ``None`` if all are known
    known: NDArray[np.bool_] | None = None,
) -> bytes:
    """Return a predictions file: ``.npz`` without pickle, the same bytes for the same content."""
    arrays = {
        "track_ids": np.array(list(track_ids), dtype=np.str_),
        "groups": np.array([g or "" for g in groups], dtype=np.str_),
        "labels": np.array(list(labels), dtype=np.str_),
        "targets": targets.astype(np.bool_),
        "probabilities": probabilities.astype(np.float32),
    }
    if resampled is not None and len(resampled):
        arrays[RESAMPLED] = resampled.astype(np.float16)
    if known is not None:
        arrays[KNOWN] = known.astype(np.bool_)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            # A fixed date keeps the archive the same on every run.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content.getvalue())
    return buffer.getvalue()
