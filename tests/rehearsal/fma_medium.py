"""FMA-medium as its authors deliver it: two archives, and the split of the ISMIR 2023 study from GitHub.

Read: mdeff/fma, ``README.md`` (names, addresses and hashes of the archives; ``tracks.csv`` of all 106,574 tracks,
``genres.csv`` with ids, titles and parents) and ``utils.py`` (``tracks.csv`` has two header lines and its index in the
first column, ``genres.csv`` one; lists such as ``genres_all`` are Python literals; clips lie at ``000/000002.mp3``).

Not read: the archives' own listings, so the third line of ``tracks.csv``, which names the index and which pandas
passes over, is as pandas writes such a table.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable

import numpy as np
import pytest

from cmbench.tasks import fma_medium
from cmbench.tasks.base import Task
from cmbench.tasks.splits.names import SPLITS
from cmbench.tests.rehearsal.corpus import Form, Item, items, published_rows, spread
from cmbench.tests.rehearsal.sound import SECONDS, file_of
from cmbench.tests.rehearsal.web import Web
from cmbench.tests.tasks.conftest import Fault

COLUMNS = (
    ("album", "title"),
    ("artist", "bio"),
    ("artist", "id"),
    ("set", "split"),
    ("set", "subset"),
    ("track", "genre_top"),
    ("track", "genres"),
    ("track", "genres_all"),
    ("track", "title"),
)
"""Some of the 52 columns, in their order."""


def ids(task: Task, split: str, size: int) -> list[str]:
    """Six-digit ids: published ones if the lists are beside the checkout."""
    rows = published_rows("fma_medium/fma_ccml.tsv.gz")
    if listed := [row["track_id"] for row in rows if row["split"] == split]:
        return spread(listed, size)
    first = {"train": 2, "valid": 100_000, "test": 150_000}[split]
    return [f"{first + 3 * i:06d}" for i in range(size)]


def put(task: Task, form: Form, web: Web, monkeypatch: pytest.MonkeyPatch) -> tuple[Item, ...]:
    """Serve lists, metadata and clips; the clips' archive is cut twice. Return the tracks."""
    tracks = items(task, form.sizes(task), ids)
    for split in SPLITS:
        listed = [one.id for one in tracks if one.split == split]
        target = io.BytesIO()
        np.save(target, np.array([int(name) for name in listed]))  # ids as numbers lose their zeros
        web.put(f"{fma_medium.LISTS_AT}/{split}.npy", target.getvalue())
        digest = hashlib.sha256("\n".join(sorted(listed)).encode()).hexdigest()
        monkeypatch.setitem(fma_medium.LIST_SHA256, split, digest)
    clips = ((f"fma_medium/{one.id[:3]}/{one.id}.mp3", file_of(one.id, one.labels, one.fault)) for one in tracks)
    files = {
        "fma_metadata.zip": _zipped(
            [
                ("fma_metadata/tracks.csv", _tracks(task, tracks)),
                ("fma_metadata/genres.csv", _genres(task)),
                ("fma_metadata/features.csv", b"large"),
            ]
        ),
        "fma_medium.zip": _zipped([("fma_medium/README.txt", np.random.default_rng(1).bytes(700_000)), *clips]),
    }
    for name, content in files.items():
        web.put(f"{fma_medium.ARCHIVES_AT}/{name}", content)
    known = {name: (len(content), f"sha1:{hashlib.sha1(content).hexdigest()}") for name, content in files.items()}
    monkeypatch.setattr(fma_medium, "ARCHIVES", known)
    monkeypatch.setattr(fma_medium, "CLIP_SECONDS", SECONDS)
    # What is unpacked counts as all of it: two of the listed clips are not in the archive.
    monkeypatch.setattr(fma_medium, "CLIPS", len(tracks) - 2)
    at = fma_medium.ARCHIVES_AT.removeprefix("https://")
    web.faults[f"{at}/fma_medium.zip"] += [Fault(cut=300_000), Fault(cut=300_000)]
    return tracks


def _zipped(members: Iterable[tuple[str, bytes | None]]) -> bytes:
    """An archive of what is there."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            if content is not None:
                archive.writestr(name, content)
    return packed.getvalue()


def _genres(task: Task) -> bytes:
    """Ids, titles and parents; a genre that is no label among them."""
    rows = ["genre_id,#tracks,parent,title,top_level", "1,9,0,Polka,1"]
    rows += [f"{number},9,0,{label},{number}" for number, label in enumerate(task.labels, 12)]
    return "\n".join(rows).encode() + b"\n"


def _tracks(task: Task, tracks: Iterable[Item]) -> bytes:
    """The table, with a track of another subset and a biography of several lines in it."""
    number = {label: i for i, label in enumerate(task.labels, 12)}
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["", *(group for group, _ in COLUMNS)])
    writer.writerow(["", *(name for _, name in COLUMNS)])
    writer.writerow(["track_id", *("" for _ in COLUMNS)])
    bio = '<p>Born, "played",\nand recorded.</p>'
    writer.writerow([1, "Other", bio, 1, "training", "large", "", "[]", "[1]", "Not of medium"])
    for one in tracks:
        genres = [number[label] for label in one.labels]
        artist = 1000 + one.group  # on both sides of the split, as the published ones are
        cells = ["Album", bio, artist, "training", "medium", "Rock", genres[:1], [1, *genres], f"Track {one.number}"]
        writer.writerow([int(one.id), *cells])
    return target.getvalue().encode()
