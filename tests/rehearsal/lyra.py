"""Lyra as its authors and its users have it: two tables on GitHub, and the audio of videos that only a user can have.

Read: pxaris/lyra-dataset, ``README.md`` (``data/split/training.tsv`` and ``test.tsv``, pieces as timestamped links into
videos) and those tables themselves (columns ``id instruments genres place coordinates is-danced youtube-id start-ts
end-ts``, values joined with ``|``, whole seconds, many pieces to a video); pxaris/ccml,
``training/datasets/lyra.py`` (a tenth of the training table, drawn with seed 10, is validation).

Not read: what programs users fetch videos with; the files here are Ogg and WAV under the video's id, some pieces as
files of their own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmbench.tasks import lyra
from cmbench.tasks.base import Task
from cmbench.tests.rehearsal.corpus import Form, Item, items
from cmbench.tests.rehearsal.sound import SHORT, encoded
from cmbench.tests.rehearsal.web import Web

COLUMNS = ("id", "instruments", "genres", "place", "coordinates", "is-danced", "youtube-id", "start-ts", "end-ts")
PIECE = 2
"""Seconds of a piece: tables hold whole seconds."""


def ids(task: Task, split: str, size: int) -> list[str]:
    """Slugs of pieces."""
    return [f"tragoudi-{split}-{i}" for i in range(size)]


def put(task: Task, form: Form, web: Web, monkeypatch: pytest.MonkeyPatch) -> tuple[Item, ...]:
    """Serve the two tables; return the pieces in the splits that the authors' draw gives."""
    sizes = form.sizes(task)
    table = sizes["train"] + sizes["valid"]
    rows = items(task, {"train": table, "valid": 6, "test": sizes["test"]}, ids, lyra.DUPLICATED_LABELS)
    training = [one for one in rows if one.split == "train"]
    test = [one for one in rows if one.split == "test"]
    shuffled = list(range(table))
    np.random.RandomState(10).shuffle(shuffled)
    valid = set(shuffled[: table // 10])
    drawn = tuple(
        Item(one.id, "valid" if one.number in valid else "train", one.labels, one.number, one.fault) for one in training
    )
    known = {}
    for name, pieces in (("training", training), ("test", test)):
        content = "\n".join("\t".join(row) for row in (COLUMNS, *map(_row, pieces))).encode() + b"\n"
        web.put(f"{lyra.TABLES_AT}/{name}.tsv", content)
        known[name] = (len(content), f"sha256:{hashlib.sha256(content).hexdigest()}")
    monkeypatch.setattr(lyra, "TABLES", known)
    chosen = [one.id for one in drawn if one.split == "valid"]
    monkeypatch.setattr(lyra, "VALID_SHA256", hashlib.sha256("\n".join(chosen).encode()).hexdigest())
    return (*drawn, *test)


def video(one: Item) -> str:
    """The video that a piece is in; test pieces are in videos of their own."""
    return f"vid{'T' if one.split == 'test' else '_'}{one.group:07d}"


def put_audio(pieces: Sequence[Item], folder: Path) -> None:
    """Put what a user has into ``folder``: whole videos, and single pieces where something is wrong with one."""
    folder.mkdir(parents=True, exist_ok=True)
    videos: dict[str, list[Item]] = {}
    for one in pieces:
        videos.setdefault(video(one), []).append(one)
    for name, inside in videos.items():
        if any(one.fault for one in inside):
            _put_singly(inside, folder)
            continue
        rate = 24000
        wave = np.zeros(rate * (PIECE * 2 + 1), dtype=np.float32)
        for one in inside:
            sound = _samples(one, rate)
            wave[rate * (one.number % 2) * PIECE :][: len(sound)] = sound
        form = "ogg" if sum(map(ord, name)) % 2 else "wav"
        soundfile.write(folder / f"{name}.{form}", wave, rate)


def _samples(one: Item, rate: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return soundfile.read(io.BytesIO(encoded(one.id, one.labels, PIECE, "WAV", rate)), dtype="float32")[0]  # type: ignore[no-any-return]


def _put_singly(inside: Sequence[Item], folder: Path) -> None:
    """A video that went wrong: its pieces as files of their own, as far as there are any."""
    for one in inside:
        path = folder / f"{one.id}.mp3"
        if one.fault == "missing":
            continue
        if one.fault in ("corrupt", "container"):
            path.write_bytes(b"\x1aE\xdf\xa3webm" * 300)
        else:
            seconds = SHORT if one.fault == "short" else PIECE
            path.write_bytes(encoded(one.id, one.labels, seconds))


def _row(one: Item) -> tuple[str, ...]:
    """A row of the table, with a tag that is no label of the task."""
    values: dict[str, list[str]] = {"instruments": ["Tsampouna"], "genres": [], "place": []}
    for label in one.labels:
        column, _, value = label.partition("--")
        values[column].append(value)
    start = PIECE * (one.number % 2)
    cells = ("|".join(values[column]) for column in ("instruments", "genres", "place"))
    return (one.id, *cells, "39.1|22.0", "1", video(one), str(start), str(start + PIECE))
