"""One door for every source: whatever is brought becomes a table of recordings.

A folder with a table; a table; a folder in the form of Hugging Face's ``audiofolder`` (``metadata.csv`` with
``file_name``, https://huggingface.co/docs/datasets/audio_dataset); folders named by label, perhaps in folders named by
split; a loader of mirdata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...errors import UsageError, quoted
from ...written import find_path
from ..corpus.description import read_description
from ..splits.names import split_named
from .recordings import Recordings, find_recordings, recordings_of
from .sheet import TABLES, WORKBOOKS, Sheet, plain, read_sheet, sheet_of

MIRDATA = "mirdata:"

_METADATA = ("metadata.csv", "metadata.jsonl")
_OURS = "task.yaml"
_AUDIO_KEY = "file_name"


@dataclass(frozen=True)
class Source:
    """What was brought."""

    kind: str  # in words
    name: str  # what it is called; the start of a task's name
    sheet: Sheet  # the table
    recordings: Recordings  # the audio files
    folder: Path  # where the task is written unless another is named
    path_column: str | None = None  # column that names the recordings, where that is known
    licence: str = ""  # as the source states it
    citation: str = ""  # as the source states it


def open_source(
    named: str, table: Path | None = None, audio: Path | None = None, encoding: str | None = None
) -> Source:
    """Find out what was brought.

    ``named`` is a folder, a table, or ``mirdata:NAME``; ``audio`` the folder of the recordings, for mirdata its data
    home.

    Raises:
        UsageError: there is no such thing, or it holds no recordings or no table that names them.
    """
    if named.startswith(MIRDATA):
        return _mirdata(named.removeprefix(MIRDATA), audio)
    place = find_path(named)
    if place.is_file():
        if table is not None:
            raise UsageError(
                f"{place} is a file, and --table names another; name the folder of the recordings instead."
            )
        return _beside(place, (audio or place.absolute().parent).expanduser(), place.absolute().parent, encoding)
    if not place.is_dir():
        raise UsageError(f"{place}: there is no such folder or table. `mirdata:NAME` names a loader of mirdata.")
    place = place.absolute()
    if table is not None:
        return _beside(table.expanduser(), (audio or place).expanduser(), place, encoding)
    recordings = _recordings(audio.expanduser() if audio else place)
    if metadata := sorted(p for name in _METADATA for p in place.rglob(name)):
        return _audiofolder(place, recordings, metadata, encoding)
    if tables := _tables(place):
        return _beside(_only(tables, recordings, encoding), recordings.folder, place, encoding)
    return _by_folder(place, recordings)


def _recordings(folder: Path) -> Recordings:
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of recordings.")
    found = find_recordings(folder)
    if not found.paths:
        raise UsageError(
            f"{folder}: no file in it has the ending of a recording (.wav, .flac, .mp3, .ogg, .m4a …). If the "
            "recordings are elsewhere, name their folder with --audio."
        )
    return found


def listed_tracks(folder: Path) -> Path | None:
    """Return the table that the ``task.yaml`` of a folder lists its tracks in; ``None`` if there is no such file."""
    if not (folder / _OURS).exists():
        return None
    try:
        texts = read_description(folder / _OURS).texts
    except UsageError:  # it is told when it would be replaced
        texts = {}
    return find_path(texts.get("tracks", "tracks.csv"), folder)


def _tables(folder: Path) -> list[Path]:
    """Return the files of a folder that may be its table; the one in which a task that was made of it lists is none."""
    ours = listed_tracks(folder)
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in TABLES and path.is_file() and not path.name.startswith((".", "~$"))
        and path != ours
    )  # fmt: skip


def _only(tables: Sequence[Path], recordings: Recordings, encoding: str | None) -> Path:
    if len(tables) == 1:
        return tables[0]
    named: dict[Path, int] = {}
    for path in tables:
        try:
            sheet = read_sheet(path, recordings, encoding)
        except UsageError:
            continue  # a text without rows is no table; if none of them is one, that is said below
        named[path] = max(sum(n.path is not None for n in recordings.name(sheet.column(c))) for c in sheet.columns)
    best = [path for path, count in named.items() if count and count == max(named.values())]
    if len(best) != 1:
        listed = ", ".join(path.name for path in tables)
        raise UsageError(
            f"{recordings.folder}: which of {listed} is the table of the recordings? Name it with --table."
        )
    return best[0]


def _beside(table: Path, audio: Path, folder: Path, encoding: str | None) -> Source:
    recordings = _recordings(audio)
    sheet = read_sheet(table, recordings, encoding)
    kind = "an Excel workbook" if table.suffix.lower() in WORKBOOKS else "a table"
    return Source(f"{kind} and the recordings it names", folder.name, sheet, recordings, folder)


def _audiofolder(folder: Path, recordings: Recordings, metadata: Sequence[Path], encoding: str | None) -> Source:
    """Join the metadata of all folders; a file's name is seen from the folder of its metadata."""
    rows: list[dict[str, str]] = []
    lines: list[int] = []
    files: list[str] = []
    for path in metadata:
        sheet = read_sheet(path, recordings, encoding)
        if _AUDIO_KEY not in sheet.columns:
            raise UsageError(
                f"{path}: the column `{_AUDIO_KEY}` is missing, by which an audiofolder names its recordings; found "
                f"are {', '.join(sheet.columns)}. Rename one of them, or rename the file if it is another table."
            )
        above = PurePosixPath(path.parent.relative_to(folder).as_posix())
        for row, line in zip(sheet.rows, sheet.lines, strict=True):
            file = str(above / row[_AUDIO_KEY].replace("\\", "/"))
            split = next(filter(None, map(split_named, PurePosixPath(file).parts[:-1])), "")
            rows.append({"split": split, **row, _AUDIO_KEY: file})
            lines.append(line)
            files.append(str(path.relative_to(folder)))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if not any(row["split"] for row in rows):
        columns.remove("split")
    sheet = Sheet(
        metadata[0],
        tuple(columns),
        tuple({name: row.get(name, "") for name in columns} for row in rows),
        tuple(lines),
        tuple(files),
    )
    return Source("a Hugging Face audiofolder", folder.name, sheet, recordings, folder, _AUDIO_KEY)


def _by_folder(folder: Path, recordings: Recordings) -> Source:
    """Read labels off the folders, below folders named by split where all are."""
    loose = [path for path in recordings.paths if len(path.parts) < 2]
    if loose:
        raise UsageError(
            f"{folder}: there is no table in it, and {len(loose)} recordings ({loose[0]} …) lie in no folder named by "
            "their label. Put a table beside them (a column of file names and one of labels; CSV, or Excel), name one "
            "with --table, or move each into a folder named by its label."
        )
    split = all(split_named(path.parts[0]) and len(path.parts) > 2 for path in recordings.paths)
    label = 1 if split else 0
    depth = {len(path.parts) for path in recordings.paths}
    grouped = min(depth) > label + 2
    cells = [("path", *(("split",) if split else ()), "label", *(("group",) if grouped else ()))]
    for path in recordings.paths:
        parts = path.parts
        cells.append(
            (
                str(path),
                *((split_named(parts[0]),) if split else ()),
                parts[label],
                *(("/".join(parts[label : label + 2]),) if grouped else ()),
            )
        )
    sheet = sheet_of(folder, list(enumerate(cells)))
    return Source("folders named by label", folder.name, sheet, recordings, folder, "path")


def _mirdata(name: str, home: Path | None) -> Source:
    """Read what a loader of mirdata tells of its tracks: attributes and plain properties, and ``metadata``.

    Annotations are not loaded: mirdata reads them only when a cached property is asked for.
    """
    try:
        import mirdata
    except ImportError as error:
        raise UsageError(f'mirdata:{name} needs mirdata: `pip install "cmbench[mirdata]"`.') from error
    try:
        dataset = mirdata.initialize(name, data_home=str(home.expanduser()) if home else None)
    except ValueError as error:
        known = ", ".join(mirdata.list_datasets())
        raise UsageError(f"mirdata has no data set {quoted(name)} ({error}); it has {known}.") from error
    words = f"import mirdata; mirdata.initialize({name!r}, data_home={str(dataset.data_home)!r}).download()"
    fetch = f'python -c "{words}"'
    root = Path(dataset.data_home)
    try:
        facts = [_track_facts(dataset.track(track_id)) for track_id in dataset.track_ids]
    except FileNotFoundError as error:
        raise UsageError(
            f"mirdata:{name}: one of its files is not on this machine ({error}). Get it with {fetch}"
        ) from error
    audio = [f for f in facts if f.get("audio_path") and Path(f["audio_path"]).is_file()]
    if not audio:
        raise UsageError(
            f"mirdata:{name}: none of its {len(facts)} tracks has its audio in {root}. Get it with {fetch}, or name "
            "the folder that has it with --audio."
        )
    columns = list(dict.fromkeys(key for fact in facts for key in fact))
    kept = [c for c in columns if c == "audio_path" or not c.endswith("_path")]
    sheet = sheet_of(
        Path(f"{MIRDATA}{name}"), [(0, kept), *((n, [f.get(c, "") for c in kept]) for n, f in enumerate(facts, 1))]
    )
    paths = [PurePosixPath(Path(f["audio_path"]).resolve().relative_to(root.resolve()).as_posix()) for f in audio]
    return Source(
        f"mirdata's {name}", name, sheet, recordings_of(root.resolve(), paths), Path(name).absolute(), "audio_path",
        licence=" ".join(str(getattr(dataset, "_license_info", "") or "").split()),
        citation=" ".join(str(getattr(dataset, "_bibtex", "") or "").split()),
    )  # fmt: skip


def _track_facts(track: Any) -> dict[str, str]:
    """Return what a track tells without any file of annotations being read, as cells."""
    facts: dict[str, object] = {"id": track.track_id}
    facts |= {name: value for name, value in vars(track).items() if not name.startswith("_")}
    for name, kind in _class_attributes(track):
        if isinstance(kind, property) and name not in ("audio", "track_audio_property"):
            value = getattr(track, name)
            facts |= {name: value} if isinstance(value, str | int | float | list) else {}
    if isinstance(metadata := getattr(track, "metadata", None), dict):
        facts |= metadata
    facts.pop("track_id", None)
    return {name: cell for name, value in facts.items() if (cell := plain(value))}


def _class_attributes(track: Any) -> list[tuple[str, object]]:
    return [(n, v) for cls in reversed(type(track).__mro__) for n, v in vars(cls).items() if not n.startswith("_")]
