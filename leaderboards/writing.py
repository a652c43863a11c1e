"""The files of an entry, as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..benchmark.evidence import Evidence
from ..errors import CmbenchError


def entry_files(evidence: Sequence[Evidence]) -> dict[str, bytes]:
    """Return records and predictions as they lie in an entry, by relative path.

    The bytes are those of the run: nothing is written anew, so a record's hashes stay true.

    Raises:
        CmbenchError: a record or its predictions do not carry the cell's name.
    """
    files = {}
    for e in evidence:
        stem = e.record.stem
        if e.record.predictions.file != f"{stem}.npz":
            raise CmbenchError(f"{e.path}: its predictions should be called {stem}.npz; run the model again.")
        files[f"records/{stem}.json"] = e.path.read_bytes()
        files[f"predictions/{stem}.npz"] = (e.path.parent / Path(e.record.predictions.file).name).read_bytes()
    return files
