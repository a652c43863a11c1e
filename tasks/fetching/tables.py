"""Reading what a data root holds: id lists, tables with a header, audio files by name."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import UsageError
from ...untrusted import LARGEST_TABLE, open_plain, parse_npy, read_bytes, read_text

LIST_SUFFIXES = (".npy", ".txt", ".tsv")
"""An id list is looked for under these endings, in this order."""

AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".w64", ".au", ".caf", ".oga", ".mp2"),
    *(".m4a", ".mp4", ".webm", ".mka", ".mkv", ".wma", ".aac", ".mov", ".m4b", ".3gp", ".ac3", ".wv", ".ape", ".avi"),
)
"""An audio file is looked for under these endings; of two with one name the earlier ending wins. Those of the second
line need ``cmbench[av]``."""

_BESIDE_AUDIO = (
    *(".json", ".txt", ".md", ".csv", ".tsv", ".html", ".description", ".url", ".nfo", ".log", ".m3u", ".m3u8", ".cue"),
    *(".jpg", ".jpeg", ".png", ".webp", ".vtt", ".srt", ".ass", ".lrc", ".mid", ".zip", ".pdf"),
    *(".part", ".ytdl", ".temp", ".tmp", ".crdownload", ".aria2"),
)
"""What programs put beside audio: notes, pictures, words, and what a download has not finished."""


def list_file(folder: Path, name: str) -> Path | None:
    """Return the file that holds the id list ``name``, or ``None`` if the folder has none."""
    for suffix in LIST_SUFFIXES:
        candidate = folder / f"{name}{suffix}"
        if candidate.is_file():
            return candidate
    return None


def read_list(path: Path) -> tuple[str, ...]:
    """Return the entries of an id list in their order: a one-dimensional array, or one entry a line.

    An array file is read without pickle: it may hold strings or whole numbers, never Python objects.
    Blank lines and white space around an entry are dropped.

    Raises:
        UsageError: the file cannot be read as such a list.
    """
    entries = _array_entries(path) if path.suffix == ".npy" else read_text(path, LARGEST_TABLE).splitlines()
    return tuple(kept for kept in (entry.strip() for entry in entries) if kept)


def _array_entries(path: Path) -> list[str]:
    try:
        array = parse_npy(read_bytes(path, LARGEST_TABLE))
    except (ValueError, OSError) as error:
        raise UsageError(
            f"{path} is not a plain array of ids ({error}). Files with Python objects inside are never opened; write "
            f"the ids as text instead, one a line, to {path.with_suffix('.txt').name} and remove {path.name}."
        ) from error
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise UsageError(f"{path} is not a list of ids: expected a one-dimensional array of strings or whole numbers.")
    if array.dtype.kind == "S":
        return [entry.decode("utf-8", errors="replace") for entry in array.tolist()]
    return [str(entry) for entry in array.tolist()]


def read_table(path: Path, columns: Sequence[str], delimiter: str = "\t") -> Iterator[tuple[int, dict[str, str]]]:
    """Yield ``(line number, row)`` of a UTF-8 table with a header; a row maps every column's name to its cell.

    A cell in double quotes may contain the delimiter.

    Raises:
        UsageError: the header lacks a column, a row has too few or too many cells, or the file is not such a table;
            the message gives the line.
    """
    with open_plain(path) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, delimiter=delimiter)
        try:
            header = next(reader, [])
            if lacking := [name for name in columns if name not in header]:
                raise UsageError(
                    f"{path}, line 1: the header lacks the column {', '.join(map(repr, lacking))}; it has "
                    f"{', '.join(header[:12]) or 'nothing'}{' …' if len(header) > 12 else ''}."
                )
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise UsageError(
                        f"{path}, line {reader.line_num}: {len(cells)} cells, but the header has {len(header)} columns."
                    )
                yield reader.line_num, dict(zip(header, cells, strict=True))
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{path}, after line {reader.line_num}: not UTF-8 text ({error.reason}). Save it as UTF-8."
            ) from error
        except csv.Error as error:
            raise UsageError(f"{path}, line {reader.line_num}: {error}.") from error


def cell_values(cell: str) -> tuple[str, ...]:
    """Return the values that a cell joins with ``|``, in Unicode's composed form (NFC), without blanks.

    Tags reach us through files written on different systems; ``ü`` may be one code point or two.
    """
    values = (unicodedata.normalize("NFC", part.strip()) for part in cell.split("|"))
    return tuple(value for value in values if value)


def audio_by_stem(folder: Path, *, any_ending: bool = False) -> dict[str, Path]:
    """Return the audio files directly in ``folder`` by their name without the ending; none if there is no folder.

    With ``any_ending``, files of unknown endings come after those of :data:`AUDIO_SUFFIXES`; hidden files are no data.
    """
    if not folder.is_dir():
        return {}
    rank = {suffix: i for i, suffix in enumerate(AUDIO_SUFFIXES)}

    def is_audio(path: Path) -> bool:
        unknown = any_ending and path.suffix.lower() not in _BESIDE_AUDIO and path.is_file()
        return not path.name.startswith(".") and (path.suffix.lower() in rank or unknown)

    files = (path for path in folder.iterdir() if is_audio(path))
    best: dict[str, Path] = {}
    for path in sorted(files, key=lambda p: (rank.get(p.suffix.lower(), len(rank)), p.name)):
        best.setdefault(path.stem, path)
    return best
