"""FMA-medium: 20 genres, several to a track, on 30-second clips.

Labels in the published order with their test support: pxaris/ccml at 1f20c2f, ``evaluation/fma/*.txt``;
counting the genres of the published lists gives both again.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import Missing, MissingError, UsageError
from .base import SPLITS, Edition, LoadContext, Splits, Task, Track
from .mini import mini_edition
from .official import (
    LAYOUT,
    LISTS_REPOSITORY,
    PAPER,
    absent_lists,
    labels_among,
    read_lists,
    require_published_support,
    task_folder,
    unlabelled,
)
from .tables import cell_values, read_table

TEST_SUPPORT = {
    "Rock": 1396,
    "Electronic": 1259,
    "Punk": 649,
    "Experimental": 441,
    "Hip-Hop": 446,
    "Folk": 325,
    "Garage": 280,
    "Instrumental": 275,
    "Indie-Rock": 263,
    "Pop": 247,
    "Chip Music": 181,
    "Ambient Electronic": 203,
    "International": 224,
    "IDM": 192,
    "Techno": 145,
    "Downtempo": 159,
    "Soundtrack": 175,
    "Chiptune": 123,
    "House": 132,
    "Hardcore": 118,
}
LABELS = tuple(TEST_SUPPORT)
UNLABELLED = {"train": 1478, "valid": 197, "test": 383}
"""Tracks without any of the 20 genres, by split; they stay in, as rows of zeros."""

SOURCE = "https://github.com/mdeff/fma"
LISTS_SOURCE = f"{LISTS_REPOSITORY}/tree/main/data/fma/split"
_FIELD_LIMIT = 2**24
_GENRES = ("track", "genres_all")
_ARTIST = ("artist", "id")


@dataclass(frozen=True)
class Annotation:
    """What the metadata say of one track.

    Attributes:
        genres: every genre's name, parents included.
        group: the artist, or ``None`` if unknown.
    """

    genres: frozenset[str]
    group: str | None


def load_full(task: Task, context: LoadContext) -> Splits:
    """Read FMA-medium from ``<data root>/fma_medium``; the layout is in ``docs/tasks.md``.

    Raises:
        MissingError: lists, genres or audio are not there; everything that is missing is named at once.
        UsageError: a file cannot be read, or the genres contradict the published counts.
    """
    folder = task_folder(task, context, SOURCE)
    missing = absent_lists(task, folder, LISTS_SOURCE)
    lists = {} if missing else _lists(folder)
    wanted = {track for ids in lists.values() for track in ids}
    annotations: dict[str, Annotation] = {}
    if table := _genre_table(folder):
        annotations = _annotations(folder, table, wanted)
        missing += unlabelled(task, lists, annotations.keys(), table) if lists else []
    else:
        missing.append(_absent_genres(task, folder))
    root = next((root for root in (folder / "fma_medium", folder) if (root / "000").is_dir()), None)
    if context.needs_audio and root is None:
        missing.append(_absent_audio(task, folder))
    if missing:
        raise MissingError(missing)
    audio = root or folder / "fma_medium"

    def track(name: str) -> Track:
        annotation = annotations[name]
        labels = labels_among(task, annotation.genres)
        return Track(id=name, path=audio / name[:3] / f"{name}.mp3", labels=labels, group=annotation.group)

    return require_published_support(task, {name: tuple(map(track, lists[name])) for name in SPLITS})


def track_id(entry: str, where: Path) -> str:
    """Return an id as its six digits: ``2`` and ``000002`` are the same track.

    Args:
        entry: the id as it is written.
        where: the file or folder that it was read from, for the message.

    Raises:
        UsageError: the entry is not a whole number of at most six digits.
    """
    if not (entry.isascii() and entry.isdigit() and len(entry) <= 6):
        raise UsageError(f"{where}: {entry!r} is not an FMA track id (up to six digits).")
    return entry.zfill(6)


def read_metadata(table: Path) -> dict[str, Annotation]:
    """Return what ``metadata.tsv`` says: columns ``track_id``, ``genres`` (joined with ``|``), optionally ``group``.

    Raises:
        UsageError: a row cannot be read, or a track has two rows.
    """
    found: dict[str, Annotation] = {}
    for line, row in read_table(table, ("track_id", "genres")):
        name = track_id(row["track_id"].strip(), table)
        if name in found:
            raise UsageError(f"{table}, line {line}: track {name} has a row already.")
        found[name] = Annotation(frozenset(cell_values(row["genres"])), row.get("group", "").strip() or None)
    return found


def read_tracks(table: Path, wanted: Collection[str]) -> dict[str, Annotation]:
    """Return what the official ``tracks.csv`` says of the wanted tracks, with the names of ``genres.csv`` beside it.

    The genres are those of ``track.genres_all``, which has every genre's parents. In the published labels no genre
    occurs without its parent, which ``track.genres`` would not give.

    Args:
        table: ``fma_metadata/tracks.csv``: two header lines (group, name), a third with the index' name.
        wanted: six-digit ids; the file has 106,574 tracks, FMA-medium 25,000.

    Raises:
        UsageError: a file is not the official one.
    """
    titles = {
        row["genre_id"]: row["title"] for _, row in read_table(table.parent / "genres.csv", ("genre_id", "title"), ",")
    }
    found: dict[str, Annotation] = {}
    for line, identity, row in _official_rows(table):
        name = track_id(identity, table)
        if name not in wanted:
            continue
        try:
            genres = frozenset(titles[str(number)] for number in json.loads(row[_GENRES]))
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{table}, line {line}: genres_all is {row[_GENRES]!r}; expected a list of ids that genres.csv has."
            ) from error
        found[name] = Annotation(genres, f"artist-{row[_ARTIST]}" if row[_ARTIST] else None)
    return found


def _official_rows(table: Path) -> Iterator[tuple[int, str, dict[tuple[str, str], str]]]:
    """Yield line, track id and the two columns that are used, of every row of ``tracks.csv``."""
    limit = csv.field_size_limit(_FIELD_LIMIT)  # a biography can exceed the csv module's default of 128 KiB
    try:
        with table.open(encoding="utf-8", newline="") as handle:
            reader = csv.reader(handle)
            columns = list(zip(next(reader, []), next(reader, []), strict=False))
            if lacking := [name for name in (_GENRES, _ARTIST) if name not in columns]:
                raise UsageError(
                    f"{table}: the two header lines lack {', '.join('.'.join(name) for name in lacking)}; expected the "
                    "official tracks.csv of fma_metadata.zip."
                )
            places = {name: columns.index(name) for name in (_GENRES, _ARTIST)}
            for cells in reader:
                if not cells or not cells[0].isdigit():
                    continue
                if len(cells) != len(columns):
                    raise UsageError(f"{table}, line {reader.line_num}: {len(cells)} cells, expected {len(columns)}.")
                yield reader.line_num, cells[0], {name: cells[place] for name, place in places.items()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{table} is not the official tracks.csv of fma_metadata.zip: {error}.") from error
    finally:
        csv.field_size_limit(limit)


def _genre_table(folder: Path) -> Path | None:
    """Return the file that gives the genres: the simple table if there is one, else the official one."""
    simple = folder / "metadata.tsv"
    return simple if simple.is_file() else _official_table(folder)


def _lists(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the ids of every split, six digits each."""
    where = folder / "split"
    return {name: tuple(track_id(entry, where) for entry in entries) for name, entries in read_lists(folder).items()}


def _official_table(folder: Path) -> Path | None:
    """Return ``tracks.csv`` if it and ``genres.csv`` are there."""
    table = folder / "fma_metadata" / "tracks.csv"
    return table if table.is_file() and table.with_name("genres.csv").is_file() else None


def _annotations(folder: Path, table: Path, wanted: Collection[str]) -> dict[str, Annotation]:
    """Return genres and artists; the simple table's genres come first, artists that it lacks from the official one."""
    official = _official_table(folder)
    known = read_tracks(official, wanted) if official else {}
    if table == official:
        return known
    simple = read_metadata(table)
    return {
        name: replace(annotation, group=annotation.group or (known[name].group if name in known else None))
        for name, annotation in simple.items()
    }


def _absent_genres(task: Task, folder: Path) -> Missing:
    """Say that the genres are missing."""
    return Missing(
        what=f"labels of {task.name} (fma_metadata/tracks.csv and genres.csv, or metadata.tsv)",
        where=str(folder / "fma_metadata"),
        source=f"{SOURCE} (fma_metadata.zip, 342 MiB)",
        licence="CC BY 4.0",
        command=f"unpack fma_metadata.zip into {folder} ({LAYOUT})",
    )


def _absent_audio(task: Task, folder: Path) -> Missing:
    """Say that there is no audio."""
    return Missing(
        what=f"audio of {task.name} (25000 clips)",
        where=f"{folder / 'fma_medium'} (folders 000 to 155)",
        source=f"{SOURCE} (fma_medium.zip, 22 GiB)",
        licence="the artist's Creative Commons licence, track by track",
        command=f"unpack fma_medium.zip into {folder} ({LAYOUT})",
    )


TASK = Task(
    name="fma_medium",
    title="FMA-medium",
    tradition="western",
    description="The 20 most frequent genres of FMA-medium, a track's sub-genres and their parents both.",
    labels=LABELS,
    families=dict.fromkeys(LABELS, "genre"),
    licence="Audio: each artist's Creative Commons licence. Metadata: CC BY 4.0. Split lists: Apache-2.0.",
    citation=(
        "M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson. FMA: A Dataset for Music Analysis. ISMIR 2017. Labels "
        f"and split: {PAPER}"
    ),
    access=(
        "Download fma_medium.zip (22 GiB) and fma_metadata.zip (342 MiB) as github.com/mdeff/fma describes and unpack "
        "both into the data root. Take the split lists from github.com/pxaris/ccml, data/fma/split."
    ),
    editions={"full": Edition("full", LABELS, load_full), "mini": mini_edition("fma_medium")},
    counts={"train": 17486, "valid": 2498, "test": 4996},
    test_support=TEST_SUPPORT,
    notes=(
        "20 genres of the hierarchy, several to a track (Punk comes with Rock); not FMA's 16 root genres with one "
        "each.",
        "The split is ccml's random one, not FMA's own: artists are on both sides. 20 of the 25000 tracks are in no "
        "split.",
        f"{UNLABELLED['train']} train, {UNLABELLED['valid']} valid and {UNLABELLED['test']} test tracks have none of "
        "the 20 genres; they stay in as rows of zeros and count as negatives everywhere.",
    ),
    group_kind="artist",
    group_source="fma_metadata/tracks.csv, or the column `group` of metadata.tsv, in the task's data folder",
)
