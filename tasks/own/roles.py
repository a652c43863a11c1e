"""Which column of a table is what: proposed from names and contents, and open to being told otherwise."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import UsageError, counted, quoted, unknown_name
from ..corpus.tracks import UNKNOWN
from ..splits.names import split_named
from .recordings import Meant, Recordings, clear
from .sheet import Sheet

NONE = "none"
"""Says that no column has a role."""

_IDS = (
    "id", "track_id", "trackid", "mbid", "uid", "identifier", "recording_id", "file_id", "clip_id", "no", "nr",
    "number",
)  # fmt: skip
_GROUPS = (
    "group", "album", "release", "concert", "disc", "disk", "cd", "session", "recording_session", "tape", "video",
    "youtube_id", "source", "collection", "artist", "performer", "singer", "musician", "player", "band", "ensemble",
    "informant", "speaker", "composer", "cassette", "reel", "artiste", "kunstler", "interprete", "kaset", "plak",
    "makara", "konser", "sanatci", "icraci", "okuyan", "kaynak_kisi", "δισκος", "κασετα", "καλλιτεχνης", "τραγουδιστης",
    "ερμηνευτης",
)  # fmt: skip
_FILES = (
    "file", "filename", "file_name", "path", "filepath", "file_path", "audio", "audio_file", "audio_path", "wav",
    "recording", "clip",
)  # fmt: skip
_SPLITS = ["split", "subset", "partition", "set", "fold"]
_STARTS = ["start", "start_s", "start_seconds", "start_time", "onset", "begin", "from"]
_ENDS = ["end", "end_s", "end_seconds", "end_time", "stop", "until", "to"]
_GENERIC = ["label", "labels", "tag", "tags", "class", "classes", "category", "categories"]
_MUSICAL = (
    "makam", "makams", "maqam", "maqamat", "mugham", "raga", "ragas", "raag", "raags", "raaga", "raagas", "tala",
    "talas", "tal", "taal", "taals", "taala", "taalas", "usul", "usuls", "iqa", "wazn", "dastgah", "gushe", "genre",
    "genres", "subgenre", "style", "styles", "form", "forms", "instrument", "instruments", "mode", "modes", "scale",
    "rhythm", "rhythms", "metre", "meter", "region", "regions", "place", "places", "country", "island", "dance",
    "dances", "mood", "moods", "language", "languages", "dromos", "dromoi", "tuning", "ethnicity", "tradition",
    "gharana", "laya",
)  # fmt: skip
_PROSE = (
    "title", "name", "track", "song", "piece", "work", "url", "link", "www", "date", "year", "month", "day", "time",
    "duration", "length", "comment", "comments", "note", "notes", "remark", "remarks", "description", "lyrics",
    "text", "bpm", "tempo", "key_confidence", "bitrate", "size", "md5", "sha256", "checksum", "licence", "license",
    "latitude", "longitude", "lat", "lon", "email", "folder", "directory", "dir",
)  # fmt: skip
_TRUE, _FALSE = {"1", "x", "yes", "true", "y", "+"}, {"0", "", "no", "false", "n", "-"}

LONGEST_LABEL = 60
MOST_DISTINCT = 1 / 3
"""Share of the rows that a column's different values may be of, if its name does not say that it holds labels."""


@dataclass(frozen=True)
class Choices:
    """What the user says of the columns; ``None`` leaves it to the proposal, :data:`NONE` says that there is none."""

    path: str | None = None
    labels: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    split: str | None = None
    id: str | None = None
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True)
class Roles:
    """The columns of a table by their role."""

    path: str  # names the recording
    labels: tuple[str, ...] = ()  # hold labels, one or several in a cell
    marks: tuple[str, ...] = ()  # are a label each: a cell says whether it holds
    group: tuple[str, ...] = ()  # what must not straddle splits, joined
    split: str | None = None  # train, valid or test
    id: str | None = None  # of the track
    start: str | None = None  # seconds
    end: str | None = None  # seconds
    why: Mapping[str, str] = field(default_factory=dict)  # of every column of the table, in words


def plain_name(name: str) -> str:
    """Return a column's name in small letters without accents, its words joined with ``_``."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    return re.sub(r"\W+", "_", bare.replace("ı", "i")).strip("_")


def propose(
    sheet: Sheet, recordings: Recordings, choices: Choices, path: str | None = None
) -> tuple[Roles, list[Meant]]:
    """Return the role of every column, and what each cell of the path's column means.

    ``path`` names the recordings where the source's form says so.

    Raises:
        UsageError: a chosen column does not exist, or no column names recordings, or none holds labels.
    """
    chosen = [choices.path, *(choices.labels or ()), *(choices.group or ()), choices.split, choices.id, choices.start]
    for name in [*chosen, choices.end]:
        if name not in (None, NONE, *sheet.columns):
            raise unknown_name("column", str(name), sheet.columns, f"the first line of {sheet.source}")
    path, named, apart = _path_column(sheet, recordings, choices.path or path)
    by = f", with the folder in {quoted(apart)}" if apart else ""
    why = {path: f"the recording{by}: {clear(named)} of {len(named)} found"}
    taken = {path, *(choices.labels or ()), *(choices.group or ())}

    def single(
        told: str | None, names: Sequence[str], reason: str, fits: Callable[[Sequence[str]], bool]
    ) -> str | None:
        free = (c for n in names for c in sheet.columns if plain_name(c) == n and c not in taken)
        found = told or next((c for c in free if fits(sheet.column(c))), NONE)
        if found == NONE:
            return None
        taken.add(found)
        why[found] = reason
        return found

    split = single(choices.split, _SPLITS, "the split", _are_splits)
    start = single(choices.start, _STARTS, "where the excerpt starts", _are_times)
    end = single(choices.end, _ENDS, "where the excerpt ends", _are_times)
    id_ = single(choices.id, _IDS, "the track's id", lambda cells: all(cells) and len(set(cells)) == len(cells))
    group = _group(sheet, choices.group, taken, why)
    taken |= set(group)
    labels, marks = _label_columns(sheet, choices.labels, taken, why)
    why |= {c: "the recording's folder" if c == apart else "not used" for c in sheet.columns if c not in why}
    if not (labels or marks):
        others = [quoted(column) for column in sheet.columns if column != path]
        remedy = f"Name it with --labels COLUMN; there are {', '.join(others)}" if others else "Add one to the table"
        raise UsageError(
            f"{sheet.source}: no column seems to hold labels: one named labels, genre, makam … or whose values recur. "
            f"{remedy}."
        )
    return Roles(path, labels, marks, group, split, id_, start, end, why), named


def _path_column(sheet: Sheet, recordings: Recordings, told: str | None) -> tuple[str, list[Meant], str]:
    """Return the column that names the recordings, what its cells mean, and the column that tells the folder, if any.

    Raises:
        UsageError: no column does, or several that differ, or each of its names is that of several recordings.
    """
    found = {c: recordings.name(sheet.column(c)) for c in ([told] if told else sheet.columns)}

    def rank(column: str) -> tuple[int, int, int, int]:
        name, named = plain_name(column), found[column]
        looks = sum("." in cell or "/" in cell or "\\" in cell for cell in sheet.column(column))
        return sum(bool(n.paths) for n in named), clear(named), looks, 2 * (name in _FILES) + (name in _IDS)

    best = max(found, key=rank)
    if not any(n.paths for n in found[best]):
        raise UsageError(_names_nothing(sheet, recordings, told))
    if not told and plain_name(best) not in (*_FILES, *_IDS) and (first := recordings.name([best])[0]).paths:
        raise UsageError(
            f"{sheet.source}: its first line names a recording ({quoted(best)} is {first.paths[0].name}), not columns. "
            "Put a line of names above it, one for each column: file, label …"
        )
    rivals = [c for c in found if rank(c) == rank(best) and found[c] != found[best]]
    if rivals:
        raise UsageError(
            f"{sheet.source}: the columns {quoted(best)} and {quoted(rivals[0])} both name the recordings, and not the "
            f"same ones. Say which is right: --path {shlex.quote(best)}, or --path {shlex.quote(rivals[0])}."
        )
    named, apart = found[best], ""
    for column in sheet.columns if any(len(n.paths) > 1 for n in named) else ():
        told_apart = recordings.told_apart(found[best], sheet.column(column))
        if column != best and clear(told_apart) > clear(named):
            named, apart = told_apart, column
    if not clear(named):
        raise UsageError(_names_several(sheet, recordings, best, named))
    return best, named, apart


def _names_nothing(sheet: Sheet, recordings: Recordings, told: str | None) -> str:
    columns = [told] if told else sheet.columns
    cells = {c: next((cell for cell in sheet.column(c) if cell), "") for c in columns}
    shown = ", ".join(f"{quoted(column)} begins with {quoted(cell[:40])}" for column, cell in cells.items())
    which = f"The column {quoted(told)} names" if told else f"No column of {sheet.source} names"
    return (
        f"{which} {'none of ' if told else ''}the {len(recordings.paths)} recordings in {recordings.folder} (such as "
        f"{recordings.paths[0]}): {shown}. Write the names of the files into a column; or, if the recordings that are "
        "meant are elsewhere, name their folder with --audio FOLDER."
    )


def _names_several(sheet: Sheet, recordings: Recordings, column: str, named: Sequence[Meant]) -> str:
    row = next(row for row, one in enumerate(named) if one.paths)
    paths = [str(path.relative_to(recordings.folder)) for path in named[row].paths]
    folder = named[row].paths[0].parent
    return (
        f"{sheet.where(row)}: {quoted(sheet.rows[row][column])} in the column {quoted(column)} is the name of "
        f"{len(paths)} recordings ({', '.join(paths[:3])}{' …' if len(paths) > 3 else ''}), and so are the others. "
        f"Write the folder before the name, as in {paths[0]}, or into a column of its own; or take the recordings of "
        f"one folder: --audio {shlex.quote(str(folder))}."
    )


def _group(sheet: Sheet, told: Sequence[str] | None, taken: set[str], why: dict[str, str]) -> tuple[str, ...]:
    if told is not None:
        group = tuple(name for name in told if name != NONE)
        why |= dict.fromkeys(group, "the group that stays in one split")
        return group
    fit = [
        c for n in _GROUPS for c in sheet.columns
        if plain_name(c) == n and c not in taken and (n == "group" or len({*sheet.column(c)} - {""}) >= 3)
    ]  # fmt: skip
    numbered = [c for c in sheet.columns if c not in taken and c not in fit and _are_numbered(c, sheet.column(c))]
    for name in numbered[: not fit]:
        fit = [name]
    for name in fit[:1]:
        why[name] = f"the group that stays in one split ({len({*sheet.column(name)} - {''})} of them)"
    for name in [*fit[1:], *(c for c in numbered if c not in fit)]:
        why[name] = f"not used; could be the group (--group {name})"
    return tuple(fit[:1])


def _are_numbered(column: str, cells: Sequence[str]) -> bool:
    """Whether a column's cells are one word with numbers (``reel 1``, ``reel 2`` …) and recur: things, no labels."""
    if plain_name(column) in (*_GENERIC, *_MUSICAL, *_PROSE, *_IDS):
        return False
    values = Counter(cell for cell in cells if cell)
    words = {re.sub(r"\d+", "0", value) for value in values}
    return (
        len(values) >= 3 and len(words) == 1 and bool(re.search(r"[^\W\d]", words.pop())) and len(cells) > len(values)
    )


def _label_columns(
    sheet: Sheet, told: Sequence[str] | None, taken: set[str], why: dict[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    free = [c for c in (told or sheet.columns) if c != NONE and (told is not None or (c not in taken and c not in why))]
    marks = tuple(c for c in free if _is_mark(sheet.column(c)) and plain_name(c) not in (*_GENERIC, *_MUSICAL))
    marks = marks if len(marks) > 1 or told is not None else ()
    labels = []
    for column in free:
        values = Counter(cell for cell in sheet.column(column) if cell)
        if column in marks or not values:
            continue
        named = plain_name(column) in (*_GENERIC, *_MUSICAL)
        if told is not None or named or _recurs(column, values, len(sheet.rows)):
            labels.append(column)
            why[column] = f"labels: {counted(len(values), 'different value')}"
    why |= dict.fromkeys(marks, "a label by itself")
    return tuple(labels), marks


def _is_mark(cells: Sequence[str]) -> bool:
    said = {cell.casefold() for cell in cells} - {UNKNOWN}
    return said <= _TRUE | _FALSE and bool(said & _TRUE) and bool(said & _FALSE)


def is_true(cell: str) -> bool:
    """Whether a cell of a label's own column says that the label holds."""
    return cell.casefold() in _TRUE


def _recurs(column: str, values: Counter[str], rows: int) -> bool:
    """Whether a column of an unknown name looks like one of labels: few values, each of several rows, no numbers."""
    if plain_name(column) in (*_PROSE, *_GROUPS, *_IDS) or sum(map(_is_number, values)) > len(values) / 2:
        return False
    few = 2 <= len(values) <= max(2, rows * MOST_DISTINCT)
    return few and sum(values.values()) >= 3 * len(values) and max(map(len, values)) <= LONGEST_LABEL


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d+([.,]\d+)?", text) is not None


def _are_splits(cells: Sequence[str]) -> bool:
    """Whether most cells name a split: one typing error is a problem to be told, no reason to pass it by."""
    return sum(bool(split_named(cell)) for cell in cells) > sum(map(bool, cells)) / 2


def seconds(cell: str) -> float | None:
    """Return a time in seconds, written as seconds, ``m:ss`` or ``h:mm:ss``; ``None`` if it is none."""
    if not re.fullmatch(r"(\d+:){0,2}\d+([.,]\d+)?", cell):
        return None
    total = 0.0
    for part in cell.replace(",", ".").split(":"):
        total = 60.0 * total + float(part)
    return total


def _are_times(cells: Sequence[str]) -> bool:
    return any(cells) and all(seconds(cell) is not None for cell in cells if cell)


def family_of(column: str) -> str | None:
    """Return the family of a column's labels; ``None`` where the column's name says nothing of them."""
    name = plain_name(column)
    return None if name in _GENERIC else name
