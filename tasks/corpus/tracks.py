"""The tracks of a table: ids, files, labels and splits, every error of it found in one pass."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ...errors import quoted
from ...written import composed, find_path, is_hidden, is_of_another_system, is_there, is_web_address
from ..base import Track
from ..splits.names import SPLITS, split_named
from .problems import Problem, closest
from .table import Table, encoding_problem, readings

REQUIRED = ("id", "path", "labels")
OPTIONAL = ("split", "group", "work", "performer", "start", "end")

UNKNOWN = "?"
"""Before a label: nobody knows whether the track has it."""

_JOINTS = (",", ";", "/", "+", "&", "\n", "\t", " ")
"""Signs that labels are joined with by people and programs, instead of ``|``."""


def check_columns(table: Table) -> list[Problem]:
    """Return what is wrong with the names of the columns."""
    known, columns, found = (*REQUIRED, *OPTIONAL), table.columns, []
    line = 1 + bool(table.head)
    if not columns:
        return [Problem("columns", f"the file is empty; its first line should be {','.join(REQUIRED)},split,group")]
    for column in columns:
        absent = [name for name in known if name not in columns]
        if column not in known and (hint := closest(column.lower(), absent, 0.8)):
            found.append(Problem("columns", f"unknown column {quoted(column)}{hint} Rename it", line))
    hinted = " ".join(one.text for one in found)
    there = ", ".join(filter(None, columns))
    found += [
        Problem("columns", f"the column `{name}` is missing; found are {there}", line)
        for name in REQUIRED
        if name not in columns and f"mean {quoted(name)}" not in hinted
    ]
    if not found and not table.rows and not table.problems:
        found.append(Problem("columns", "no tracks below the line of column names"))
    return found


@dataclass(frozen=True)
class Reader:
    """Makes tracks of the rows of a table."""

    table: Table  # the rows
    folder: Path  # that paths start from
    labels: tuple[str, ...]  # of the task

    def tracks(self) -> tuple[list[Track], list[Problem]]:
        """Return the tracks in the table's order, and everything that is wrong with their rows."""
        problems: list[Problem] = []
        lines_of: dict[str, int] = {}
        tracks = []
        for row, line in zip(self.table.rows, self.table.lines, strict=True):
            found = len(problems)
            problems += [Problem("empty", f"the track has no {name}", line) for name in ("id", "path") if not row[name]]
            if row["id"] in lines_of:
                told = f"the id {quoted(row['id'])} stands in line {lines_of[row['id']]} already"
                problems.append(Problem("id", told, line))
            elif row["id"]:
                lines_of[row["id"]] = line
            start, end = (_seconds(row, line, column, problems) for column in ("start", "end"))
            if end is not None and end <= (start or 0.0):
                problems.append(Problem("seconds", f"the track ends at {end:g} s, which is not after its start", line))
            path = self._path(row["path"], line, problems)
            labels, unknown = self._track_labels(row["labels"], line, problems)
            group = composed(row.get("group", "")) or None
            if len(problems) == found:
                work, performer = (composed(row.get(kind, "")) or None for kind in ("work", "performer"))
                places = (row["id"], path, labels, group, start or 0.0, end)
                tracks.append(Track(*places, unknown=unknown, work=work, performer=performer))
        return tracks, problems + self._split_problems()

    def _path(self, written: str, line: int, problems: list[Problem]) -> Path:
        path = find_path(written, self.folder)
        if is_web_address(written):
            told = f"{quoted(written)} is an address; fetch the file and write where it is on this machine"
            problems.append(Problem("address", told, line))
        elif written and is_hidden(path):
            told = (
                f"{quoted(path.name)} begins with a dot: a note of a system or program, no recording. Remove the line"
            )
            problems.append(Problem("hidden", told, line))
        elif is_of_another_system(written) and not is_there(written, self.folder):
            name = re.split(r"[\\/]", written)[-1]
            told = (
                f"{quoted(written)} is a place on a Windows machine; write the path from {self.folder}, as audio/{name}"
            )
            problems.append(Problem("foreign path", told, line))
        return path

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.labels)

    def _track_labels(self, cell: str, line: int, problems: list[Problem]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the labels that the track has, and those of which a question mark says that nobody knows."""
        parts = dict.fromkeys(composed(label) for label in cell.split("|") if label.strip())
        doubtful = {p: composed(p[len(UNKNOWN) :]) for p in parts if p not in self._known and p.startswith(UNKNOWN)}
        given = dict.fromkeys(part for part in parts if part not in doubtful)
        strange = [label for label in (*given, *doubtful.values()) if label not in self._known]
        if strange and (joined := self._joined_otherwise(cell)):
            told = f"the labels {quoted(cell)} are not joined with `|`; write {'|'.join(joined)}"
            problems.append(Problem("joined labels", told, line))
            return (), ()
        for label in strange:
            told = f"the label {quoted(label)} is not among the labels of the task{closest(label, self.labels)}"
            problems.append(Problem("label", told, line))
        problems += [
            Problem("label", f"the label {quoted(label)} is given, and not known; take one out", line)
            for label in dict.fromkeys(doubtful.values())
            if label in given
        ]
        return tuple(given), tuple(dict.fromkeys(doubtful.values()))

    def _joined_otherwise(self, cell: str) -> list[str]:
        """Return the labels of a cell that joins them with another sign than ``|``; nothing if it does not."""
        bare = cell.strip().strip("[](){}")
        best: list[str] = []
        for joint in _JOINTS:
            parts = [composed(part.strip().strip("'\"“”‘’")) for part in bare.split(joint)]
            parts = [part for part in parts if part]
            known = sum(part in self._known for part in parts)
            whole = known == len(parts) and (len(parts) > 1 or bare != cell.strip())
            # Where a joint that nobody uses inside of names tears a cell, one known part is enough.
            if known and (whole or (joint in ",;" and len(parts) > 1)) and len(parts) > len(best):
                best = parts
        return best

    def _split_problems(self) -> list[Problem]:
        """Return the rows whose split is no split; an empty one is right where all are."""
        if "split" not in self.table.columns or not any(row["split"] for row in self.table.rows):
            return []
        found = []
        for row, line in zip(self.table.rows, self.table.lines, strict=True):
            split = row["split"]
            if split_named(split):
                continue
            told = f"the split {quoted(split)} is unknown" if split else "the track has no split, but others have"
            advice = closest(split.lower(), SPLITS) or "."
            rest = f"It is one of {', '.join(SPLITS)}; empty all to have them drawn"
            found.append(Problem("split", f"{told}{advice} {rest}", line))
        return found


def with_files_of_any_case(tracks: Sequence[Track]) -> tuple[list[Track], list[str]]:
    """Take the files that are meant where names differ from them only in upper and lower case, as some systems do.

    A file that another track names as it is written is that track's alone; where two names would mean one file, or one
    name two files, nothing is taken.

    Returns:
        The tracks, and the files that were taken.
    """
    # Path.exists raises for a name that is too long, and is slower.
    lacking = {t.path for t in tracks if not (os.path.exists(t.path) or is_there(str(t.path)))}  # noqa: PTH110
    if not lacking:
        return list(tracks), []
    there = {track.path for track in tracks} - lacking
    meant = {path: find_path(str(path), any_case=True) for path in lacking}
    counts = Counter(meant.values())
    taken = {
        path: file
        for path, file in meant.items()
        if file != path and counts[file] == 1 and file not in there and is_there(str(file))
    }
    return [replace(t, path=taken.get(t.path, t.path)) for t in tracks], sorted(map(str, taken.values()))


def _seconds(row: Mapping[str, str], line: int, column: str, problems: list[Problem]) -> float | None:
    cell = row.get(column, "")
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if 0 <= value < math.inf:
        return value
    hint = ""
    if re.fullmatch(r"\d+,\d+", cell):
        hint = f"; write {cell.replace(',', '.')}, with a point"
    elif clock := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", cell):
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        hint = f"; write {3600 * hours + 60 * minutes + seconds:g}"
    problems.append(Problem("seconds", f"`{column}` must be seconds, 0 or more, not {quoted(cell)}{hint}", line))
    return None


def with_likely_encoding(table: Table, folder: Path, labels: Sequence[str]) -> tuple[Table, str]:
    """Return a table whose encoding was a guess as it reads in the encoding that labels and files confirm.

    A foreign word counts as confirmed where it is a label of the task or a file that is there; a labels cell that is
    not refutes. Nothing is confirmed: the problem is the table's only one.

    Returns:
        The table, and the name of the encoding; empty if the table has the problem.
    """
    known = set(labels)
    best, most, named = table, 0, ""
    for name, tried in readings(table, (*REQUIRED, *OPTIONAL)):
        cells = {composed(part) for row in tried.rows for part in row.get("labels", "").split("|")}
        foreign = {cell for cell in cells if not cell.isascii()}
        paths = {row.get("path", "") for row in tried.rows}
        files = sum(is_there(path, folder) for path in paths if not path.isascii())
        score = len(foreign & known) + files
        if foreign <= known and score > most:
            best, most, named = tried, score, name
    if named:
        return best, named
    return replace(table, problems=(encoding_problem(table.source),)), ""
