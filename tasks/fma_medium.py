"""FMA-medium: 20 genres, several to a track, on 30-second clips.

Labels in the published order with their test support: pxaris/ccml at 1f20c2f, ``evaluation/fma/*.txt``;
counting the genres of the published lists gives both again.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..errors import Missing, MissingError, UsageError
from .base import Edition, LoadContext, Splits, Task, Track
from .fetching.archives import unpack
from .fetching.carry_out import pending, require_usual_source
from .fetching.published import (
    LAYOUT,
    LISTS_COMMIT,
    LISTS_LICENCE,
    LISTS_REPOSITORY,
    PAPER,
    absent_lists,
    labels_among,
    prepare_command,
    read_lists,
    require_published_support,
    task_folder,
    unlabelled,
)
from .fetching.tables import cell_values, list_file, read_table
from .mini import mini_edition
from .preparing import Download, Plan, PrepareContext, Step
from .splits.names import SPLITS

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
LISTS_AT = f"https://raw.githubusercontent.com/pxaris/ccml/{LISTS_COMMIT}/data/fma/split"
LIST_SHA256 = {
    "train": "814bd60f1c7f2f77f6499db2c553199f4e166dbd647e32added56d6a41fa4176",
    "valid": "27c63d59dfabeb64fdec716f8f220a27442a45e13b1e5ffd9979b3102243ac46",
    "test": "2902f2b01054b57d9d535bbb51c88abc6cc92fbda908414081d4144448c895ae",
}
"""SHA-256 of each published list's six-digit ids, sorted and joined by line feeds; the files' own are not known."""
ARCHIVES_AT = "https://os.unil.cloud.switch.ch/fma"
ARCHIVES = {
    "fma_metadata.zip": (342 * 2**20, "sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733"),
    "fma_medium.zip": (22 * 2**30, "sha1:c67b69ea232021025fca9231fc1c7c1a063ab50b"),
}
"""Size (rounded there) and hash of each archive: mdeff/fma, ``README.md``."""
CLIPS = 25000
CLIP_SECONDS = 30.0
_FIELD_LIMIT = 2**24
_GENRES = ("track", "genres_all")
_ARTIST = ("artist", "id")


@dataclass(frozen=True)
class Annotation:
    """What the metadata say of one track."""

    genres: frozenset[str]  # every genre's name, parents included
    group: str | None  # the artist, or ``None`` if unknown


def load_full(task: Task, context: LoadContext) -> Splits:
    """Read FMA-medium from ``<data root>/fma_medium``; the layout is in ``docs/data.md``.

    Raises:
        MissingError: lists, genres or audio are not there; everything that is missing is named at once.
        UsageError: a file cannot be read, or the genres contradict the published counts.
    """
    folder = task_folder(task, context, SOURCE)
    missing = absent_lists(task, folder, LISTS_SOURCE, fetchable=True)
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
        path = audio / name[:3] / f"{name}.mp3"
        return Track(id=name, path=path, labels=labels, group=annotation.group, seconds=CLIP_SECONDS)

    return require_published_support(task, {name: tuple(map(track, lists[name])) for name in SPLITS})


def prepare(task: Task, context: PrepareContext) -> Plan:
    """Plan the split lists, the metadata and the clips, but for what is there in any layout that the loader reads.

    Raises:
        UsageError: another source than the usual one was asked for.
    """
    require_usual_source(task, context)
    folder = context.data_root / task.name
    lists = [
        Download(f"{LISTS_AT}/{name}.npy", folder / "split" / f"{name}.npy", LISTS_LICENCE)
        for name in SPLITS
        if list_file(folder / "split", name) is None
    ]
    metadata, clips = _archive(folder, "fma_metadata.zip"), _archive(folder, "fma_medium.zip")
    downloads, steps = list(pending(lists)), []
    if _genre_table(folder) is None:
        downloads += pending([metadata])
        steps.append(Step("unpack tracks.csv and genres.csv", partial(_unpack_metadata, metadata), size=2**28))
    if max(sum(1 for _ in root.glob("[0-9][0-9][0-9]/*.mp3")) for root in (folder / "fma_medium", folder)) < CLIPS:
        downloads += pending([clips])
        steps.append(Step(f"unpack {CLIPS} clips", partial(_unpack_clips, clips), size=clips.size))
    if lists:
        steps.append(Step("compare the split lists with the published ones", partial(_check_lists, folder)))
    notes = [] if lists else [_lists_compared(folder)]
    return Plan(tuple(downloads), tuple(steps), notes=tuple(notes))


def _archive(folder: Path, name: str) -> Download:
    size, digest = ARCHIVES[name]
    licence = "CC BY 4.0" if "metadata" in name else "the artist's Creative Commons licence, track by track"
    return Download(f"{ARCHIVES_AT}/{name}", folder / name, licence, size, digest)


def _lists_compared(folder: Path) -> str:
    found = {name: hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest() for name, ids in _lists(folder).items()}
    others = [name for name in SPLITS if found[name] != LIST_SHA256[name]]
    if not others:
        return "The ids of the split lists are the published ones."
    return (
        f"The ids of {' and '.join(others)} in {folder / 'split'} are not the published ones: scores cannot be "
        "compared with published ones. Remove the lists and prepare again to get those."
    )


def _check_lists(folder: Path, context: PrepareContext) -> None:
    context.tell(_lists_compared(folder))


def _unpack_metadata(archive: Download, context: PrepareContext) -> None:
    """Unpack the two tables that are read; features.csv and echonest.csv, 1 GB, are not needed."""
    wanted = {"fma_metadata/tracks.csv", "fma_metadata/genres.csv"}
    unpack([archive.path], archive.path.parent, wanted.__contains__, context.progress)


def _unpack_clips(archive: Download, context: PrepareContext) -> None:
    count = unpack([archive.path], archive.path.parent, lambda name: name.endswith(".mp3"), context.progress)
    context.tell(f"{count} clips are unpacked; {archive.path.name} is not needed any more and may be removed.")


def track_id(entry: str, where: Path) -> str:
    """Return an id as its six digits: ``2`` and ``000002`` are the same track.

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
    return Missing(
        what=f"labels of {task.name} (fma_metadata/tracks.csv and genres.csv, or metadata.tsv)",
        where=str(folder / "fma_metadata"),
        source=f"{SOURCE} (fma_metadata.zip, 342 MiB)",
        licence="CC BY 4.0",
        command=f"{prepare_command(task, folder)}, or unpack fma_metadata.zip into {folder} ({LAYOUT})",
    )


def _absent_audio(task: Task, folder: Path) -> Missing:
    return Missing(
        what=f"audio of {task.name} (25000 clips)",
        where=f"{folder / 'fma_medium'} (folders 000 to 155)",
        source=f"{SOURCE} (fma_medium.zip, 22 GiB)",
        licence="the artist's Creative Commons licence, track by track",
        command=f"{prepare_command(task, folder)}, or unpack fma_medium.zip into {folder} ({LAYOUT})",
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
    editions={"full": Edition("full", LABELS, load_full), "mini": mini_edition("fma_medium", LABELS)},
    prepare=prepare,
    mean_seconds=CLIP_SECONDS,
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
