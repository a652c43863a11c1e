"""Lyra: instruments, genres and places of 1,570 pieces of Greek traditional and folk music.

Labels in the published order with their test support: pxaris/ccml at 1f20c2f, ``evaluation/lyra/*.txt``;
counting the published tables gives both again.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from ..errors import Missing, MissingError, UsageError
from .base import Edition, LoadContext, Splits, Task, Track
from .fetching.carry_out import pending, require_usual_source
from .fetching.published import (
    LAYOUT,
    PAPER,
    families_by_prefix,
    labels_among,
    prepare_command,
    require_published_support,
    task_folder,
)
from .fetching.tables import audio_by_stem, cell_values, read_table
from .mini import mini_edition
from .preparing import Download, Plan, PrepareContext, Step

TEST_SUPPORT = {
    "instruments--Voice": 223,
    "genres--Traditional": 277,
    "instruments--Violin": 171,
    "instruments--Percussion": 186,
    "instruments--Laouto": 141,
    "instruments--Guitar": 156,
    "instruments--Klarino": 120,
    "genres--Nisiotiko": 64,
    "place--None": 61,
    "instruments--Bass": 38,
    "instruments--Accordion": 56,
    "instruments--Santouri": 39,
    "genres--Aegean": 30,
    "place--Aegean-sea": 30,
    "genres--Epirotic": 30,
    "place--Epirus": 30,
    "instruments--Bouzouki": 41,
    "genres--Mikrasiatiko": 38,
    "place--Asia-minor": 38,
    "genres--Rebetiko": 36,
    "genres--Laiko": 8,
    "instruments--Piano": 3,
    "instruments--Lyra": 42,
    "instruments--Oud": 47,
    "genres--Macedonian": 15,
    "place--Macedonia": 15,
    "genres--Peloponnesian": 10,
    "place--Peloponnese": 10,
    "instruments--Mandolin": 10,
    "instruments--Kanonaki": 31,
}
LABELS = tuple(TEST_SUPPORT)
DUPLICATED_LABELS = (
    ("genres--Aegean", "place--Aegean-sea"),
    ("genres--Epirotic", "place--Epirus"),
    ("genres--Mikrasiatiko", "place--Asia-minor"),
    ("genres--Macedonian", "place--Macedonia"),
    ("genres--Peloponnesian", "place--Peloponnese"),
)
"""Pairs of labels that no piece of the data set tells apart."""

SOURCE = "https://github.com/pxaris/lyra-dataset"
TABLES_AT = "https://raw.githubusercontent.com/pxaris/lyra-dataset/55f84a2c3b93feb34e3043edb61591f299240f82/data/split"
TABLES_LICENCE = "CC BY-NC-SA 4.0"
TABLES = {
    "training": (172392, "sha256:7df7d9637ae91a15d4a465b18160aa73e4a147166441194eb72605c079f90dbd"),
    "test": (46007, "sha256:849cc544b88e852efc4c6a3a96df6b511435a322e1f5b62825f2ee82bc5d552f"),
}
"""The authors' two tables with their bytes and hashes."""
FAMILIES = {"instruments": "instrument", "genres": "genre"}
_LABEL_COLUMNS = ("instruments", "genres", "place")
_COLUMNS = ("id", *_LABEL_COLUMNS, "youtube-id", "start-ts", "end-ts")
_VALID_SEED = 10
VALID_SHA256 = "cc4c8dae73af8982e3e2f5f31eaa3a742e1b4ad4dc248a88f8828394c6ebed4c"
"""SHA-256 of the validation pieces' ids, in file order, joined by line feeds."""


def load_full(task: Task, context: LoadContext) -> Splits:
    """Read Lyra from ``<data root>/lyra``; the layout is in ``docs/data.md``.

    Raises:
        MissingError: a table or the audio is not there; everything that is missing is named at once.
        UsageError: a table cannot be read or is not the published one.
    """
    folder = task_folder(task, context, SOURCE)
    tables = {name: folder / "split" / f"{name}.tsv" for name in TABLES}
    missing = [_absent_table(task, path) for path in tables.values() if not path.is_file()]
    audio = audio_by_stem(folder / "audio", any_ending=True)
    if context.needs_audio and not audio:
        missing.append(_absent_audio(task, folder / "audio"))
    if missing:
        raise MissingError(missing)
    audio, strangers = named_audio(audio, [row for path in tables.values() for _, row in read_table(path, _COLUMNS)])
    if context.needs_audio and strangers:
        _tell_strangers(folder / "audio", tuple(path.name for path in strangers))
    found = {name: read_pieces(task, path, audio) for name, path in tables.items()}
    train, valid = draw_valid(found["training"])
    if len(found["training"]) == task.counts["train"] + task.counts["valid"] and ids_sha256(valid) != VALID_SHA256:
        raise UsageError(f"{tables['training']} is not the published table: its rows give another validation split.")
    return require_published_support(task, {"train": train, "valid": valid, "test": found["test"]})


def read_pieces(task: Task, table: Path, audio: dict[str, Path]) -> tuple[Track, ...]:
    """Return the pieces of one published table, in its order.

    ``audio`` are files by name without ending. A piece's own file (named by its ``id``) is used whole; else that of its
    video (named by its ``youtube-id``) is used from ``start-ts`` to ``end-ts``, seconds.

    Raises:
        UsageError: a row cannot be read.
    """
    pieces = []
    for line, row in read_table(table, _COLUMNS):
        piece, video = row["id"], row["youtube-id"]
        start, end = _seconds(table, line, row["start-ts"]), _seconds(table, line, row["end-ts"])
        if not start < end:
            raise UsageError(f"{table}, line {line}: {piece} ends at {end} s, before it starts ({start} s).")
        tags = {f"{column}--{value}" for column in _LABEL_COLUMNS for value in cell_values(row[column])}
        labels = labels_among(task, tags)
        if piece not in audio and video in audio:
            pieces.append(Track(piece, audio[video], labels, group=video, start=start, end=end, seconds=end - start))
        else:
            path = audio.get(piece, table.parents[1] / "audio" / f"{piece}.mp3")
            pieces.append(Track(piece, path, labels, group=video, seconds=end - start))
    return tuple(pieces)


def named_audio(audio: Mapping[str, Path], rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, Path], list[Path]]:
    """Return the files by the piece or video that they hold, and those of none.

    A program that fetches videos ends the name with the video's id, alone, after a hyphen or in brackets.
    """
    listed = {row[column] for row in rows for column in ("id", "youtube-id")}
    found = {name: path for name, path in audio.items() if name in listed}
    strangers = []
    for name, path in audio.items():
        tail = re.search(r"(?:-|\[)([\w-]{11})\]?$", name)
        if name not in listed and tail and tail[1] in listed:
            found.setdefault(tail[1], path)
        elif name not in listed:
            strangers.append(path)
    return found, strangers


@cache
def _tell_strangers(folder: Path, names: tuple[str, ...]) -> None:
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    logging.getLogger(__name__).warning(
        "%s: %d files belong to no piece or video of the tables and are not used (%s); name a file as the `id` of its "
        "piece or the `youtube-id` of its video.",
        folder,
        len(names),
        shown,
    )


def draw_valid(training: Sequence[Track]) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """Return ``(train, valid)`` of the training table: the published draw of a tenth, both parts in file order.

    The row numbers are shuffled by NumPy's legacy generator with seed 10 and the first tenth, rounded down, is
    validation (pxaris/ccml at c327fc3, ``training/datasets/lyra.py``, ``torch_train_val_split``). That generator's
    stream is frozen (NEP 19), so the draw does not depend on NumPy's version.
    """
    import numpy as np

    rows = list(range(len(training)))
    np.random.RandomState(_VALID_SEED).shuffle(rows)
    chosen = set(rows[: len(rows) // 10])
    train = tuple(track for row, track in enumerate(training) if row not in chosen)
    return train, tuple(track for row, track in enumerate(training) if row in chosen)


def ids_sha256(tracks: Sequence[Track]) -> str:
    """Return the SHA-256 of the tracks' ids joined by line feeds."""
    return hashlib.sha256("\n".join(track.id for track in tracks).encode()).hexdigest()


def prepare(task: Task, context: PrepareContext) -> Plan:
    """Plan the two tables and a list of the videos; the audio only the user can have.

    Raises:
        UsageError: another source than the usual one was asked for.
    """
    require_usual_source(task, context)
    folder = context.data_root / task.name
    tables = [
        Download(f"{TABLES_AT}/{name}.tsv", folder / "split" / f"{name}.tsv", TABLES_LICENCE, size, digest)
        for name, (size, digest) in TABLES.items()
    ]
    downloads, listed = pending(tables), folder / "videos.tsv"
    steps = []
    if downloads or not listed.is_file():
        steps.append(Step(f"list the videos and their pieces in {listed}", partial(_list_videos, tables, listed)))
    return Plan(downloads, tuple(steps), tuple(_missing_audio(task, folder, [one.path for one in tables])))


def _list_videos(tables: Sequence[Download], listed: Path, context: PrepareContext) -> None:
    """Write which videos hold which pieces, so that a reader need not join the tables by hand."""
    pieces = [row for table in tables for _, row in read_table(table.path, _COLUMNS)]
    videos = dict.fromkeys(row["youtube-id"] for row in pieces)
    lines = ["youtube-id\turl\tpieces\tfirst-start-s\tlast-end-s"]
    for video in videos:
        mine = [row for row in pieces if row["youtube-id"] == video]
        first, last = min(float(row["start-ts"]) for row in mine), max(float(row["end-ts"]) for row in mine)
        lines.append(f"{video}\thttps://www.youtube.com/watch?v={video}\t{len(mine)}\t{first:g}\t{last:g}")
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    context.tell(f"{len(videos)} videos with {len(pieces)} pieces are listed in {listed}.")


def _missing_audio(task: Task, folder: Path, tables: Sequence[Path]) -> list[Missing]:
    """Return nothing if every piece has audio, else one entry that counts and samples those that have none."""
    audio = audio_by_stem(folder / "audio", any_ending=True)
    if not all(table.is_file() for table in tables) or not audio:
        return [_absent_audio(task, folder / "audio")]
    rows = [row for table in tables for _, row in read_table(table, _COLUMNS)]
    audio, strangers = named_audio(audio, rows)
    pieces = [(row["id"], row["youtube-id"]) for row in rows]
    without = [(piece, video) for piece, video in pieces if piece not in audio and video not in audio]
    if not without:
        return []
    videos = list(dict.fromkeys(video for _, video in without))
    shown = ", ".join(videos[:3]) + (", …" if len(videos) > 3 else "")
    what = f"audio of {task.name} ({len(without)} of {len(pieces)} pieces, of {len(videos)} videos: {shown})"
    if strangers:
        names = ", ".join(path.name for path in strangers[:3]) + (", …" if len(strangers) > 3 else "")
        what += f"; {len(strangers)} files there belong to none ({names})"
    return [replace(_absent_audio(task, folder / "audio"), what=what)]


def _seconds(table: Path, line: int, cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise UsageError(f"{table}, line {line}: {cell!r} is not a time in seconds.") from error


def _absent_table(task: Task, path: Path) -> Missing:
    return Missing(
        what=f"labels and split of {task.name} ({path.name})",
        where=str(path),
        source=f"{SOURCE}/tree/main/data/split",
        licence=TABLES_LICENCE,
        command=f"{prepare_command(task, path.parents[1])}, or put {path.name} at {path}",
    )


def _beside(folder: Path) -> str:
    """Name what lies in the folder though it is no audio."""
    names = sorted(path.name for path in folder.iterdir() if path.name[:1] != ".") if folder.is_dir() else []
    if not names:
        return ""
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f" (there lie {len(names)} files that are no audio: {shown})"


def _absent_audio(task: Task, folder: Path) -> Missing:
    return Missing(
        what=f"audio of {task.name} ({sum(task.counts.values())} pieces of 74 videos)",
        where=f"{folder}{_beside(folder)}",
        source="the YouTube videos named in the tables",
        licence="the broadcaster's; not redistributable",
        command=f"put <id>.<ending> per piece or <youtube-id>.<ending> per video into {folder} ({LAYOUT})",
    )


TASK = Task(
    name="lyra",
    title="Lyra",
    tradition="greek",
    description="Instruments, genres and places of Greek traditional and folk music.",
    labels=LABELS,
    families=families_by_prefix(LABELS, FAMILIES),
    licence="Metadata: CC BY-NC-SA 4.0. Audio: not distributed; rights with the broadcaster and the performers.",
    citation=(
        "C. Papaioannou, I. Valiantzas, T. Giannakopoulos, M. Kaliakatsos-Papakostas, A. Potamianos. A Dataset for "
        f"Greek Traditional and Folk Music: Lyra. ISMIR 2022. Labels and validation split: {PAPER}"
    ),
    access=(
        "Labels and split are public at github.com/pxaris/lyra-dataset; the audio is not, but every piece names its "
        "YouTube video with start and end. Put your own copy of the pieces or of the 74 videos into the data root."
    ),
    editions={"full": Edition("full", LABELS, load_full), "mini": mini_edition("lyra", LABELS)},
    prepare=prepare,
    # Mean of end minus start over the 1,570 rows of both tables.
    mean_seconds=183.0,
    counts={"train": 1116, "valid": 124, "test": 330},
    test_support=TEST_SUPPORT,
    notes=(
        "Five pairs of labels are identical in all 1570 pieces ("
        + "; ".join(" = ".join(pair) for pair in DUPLICATED_LABELS)
        + "): 25 labels are distinct, and five regions count twice in every macro average.",
        "place--None is a published label: it means that no place is given.",
        "No test video occurs in training or validation; the validation pieces are drawn from the training table "
        "piece by piece, so all 124 share a video with training pieces.",
        "The authors distribute mel-spectrograms of the audio (7.8 GB); they cannot stand in for audio here.",
    ),
    group_safe_sha256="07ddacdd2f2c6d9c0ee236b430a0ec72ef69f5aaed4812bbd1baea62741f74bc",
    group_kind="video",
    group_source="the column youtube-id of split/training.tsv and test.tsv",
)
