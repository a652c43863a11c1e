"""Custom tasks: a ``task.yaml`` that names the labels, and a ``tracks.csv`` that lists the tracks.

``task.yaml``::

    name: my_ragas
    labels: [raga--kalyani, raga--thodi, instrument--Veena]
    # all below is optional
    title: My ragas
    tradition: carnatic          # any text
    description: One sentence.
    licence: CC BY 4.0           # or `license`
    citation: Whom to cite.
    families: {raga--kalyani: raga}   # default: what stands before `--`, else `tag`
    max_track_seconds: 120
    tracks: tracks.csv           # from the folder of this file

``tracks.csv`` (UTF-8) has the columns ``id, path, labels`` and, if wanted, ``split`` (train, valid, test), ``group``,
``start`` and ``end`` (seconds). Labels, and the groups of a track that has several, are joined with ``|``; paths start
from the folder of ``task.yaml``; further columns are kept and ignored. A missing audio file is no error here: the run
counts it in its coverage.

Splits that are missing are drawn once (:mod:`cmbench.tasks.splits.draw`) and written into ``tracks.csv`` when the
tracks are first used, so that every later run has the same ones. Looking at a task writes nothing.
"""

from __future__ import annotations

import csv
import difflib
import io
import logging
import math
import os
import re
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..errors import UsageError
from .base import TASK_WORDS, TRADITIONS, Edition, LoadContext, Splits, Task, Track
from .registry import registry
from .splits.draw import SHARES, draw_splits
from .splits.names import SPLITS

_KEYS = (
    "name", "title", "tradition", "description", "license", "licence", "citation", "labels", "families",
    "max_track_seconds", "tracks",
)  # fmt: skip
_INFORMATIVE = ("source", "sample_rate")
_REQUIRED_COLUMNS = ("id", "path", "labels")
_OPTIONAL_COLUMNS = ("split", "group", "start", "end")
_NAME = re.compile(r"\w[\w.-]{0,63}")
"""What a task may be called: its name becomes part of file names."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Table:
    """A ``tracks.csv`` as it stands in the file.

    Attributes:
        path: of the file.
        columns: in the file's order.
        rows: the cells of each track by column.
        lines: where each row ends in the file, counted from 1.
        newline: how the file ends its lines.
        encoding: ``utf-8``, or ``utf-8-sig`` if the file begins with a byte-order mark.
        content: of the file when it was read.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    lines: tuple[int, ...]
    newline: str
    encoding: str
    content: bytes


def load_task(path: Path) -> Task:
    """Return the task that a ``task.yaml`` describes, with one edition, ``custom``.

    Missing splits are drawn here, and written into the task's ``tracks.csv`` when the task is loaded.

    Args:
        path: the yaml file.

    Raises:
        UsageError: a file is absent or wrong; the message names the file and the line.
    """
    facts, lines = _read_yaml(path)
    labels = _labels(path, facts, lines)
    families = _families(path, facts, lines, labels)
    name = _name(path, facts, lines)
    table = _read_table(path.parent / _text(path, facts, lines, "tracks", "tracks.csv"))
    tracks = _tracks(table, path.parent, labels)
    split_of, drawn = _split_of(table, tracks)
    splits = {split: tuple(t for t in tracks if split_of[t.id] == split) for split in SPLITS}

    def load(task: Task, context: LoadContext) -> Splits:
        if drawn and context.writes:
            _write_splits(table, split_of, drawn)
        return splits

    both = ("license", "licence")
    if all(key in facts for key in both):
        _refuse(path, lines["licence"], "`license` and `licence` are the same; keep one")
    return Task(
        name=name,
        title=_text(path, facts, lines, "title", name),
        tradition=_text(path, facts, lines, "tradition", "other"),
        description=_text(path, facts, lines, "description", ""),
        labels=labels,
        families=families,
        licence=_text(path, facts, lines, "license" if "license" in facts else "licence", "not stated"),
        citation=_text(path, facts, lines, "citation", ""),
        access=f"your own files, listed in {table.path}",
        editions={"custom": Edition("custom", labels, load)},
        max_track_seconds=_max_track_seconds(path, facts, lines),
        counts={split: len(tracks) for split, tracks in splits.items()},
        test_support=dict(Counter(label for track in splits["test"] for label in track.labels)),
        group_source=f"the column `group` of {table.path}",
    )


def _refuse(path: Path, line: int | None, problem: str) -> NoReturn:
    end = "" if problem.endswith("?") else "."
    raise UsageError(f"{path}{'' if line is None else f':{line}'}: {problem}{end}")


def _closest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""


def _read_bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; it should be {what}.") from None
    except OSError as error:
        raise UsageError(f"{path}: {what} cannot be read: {error.strerror}.") from error


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(path, line, f"the byte {data[error.start]:#04x} is not UTF-8; save the file with the encoding UTF-8")


def _read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the facts of a ``task.yaml`` and the line of each of its keys."""
    import yaml

    text = _decoded(path, _read_bytes(path, "the description of a task"))
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        facts = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a date and is none
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error)
        _refuse(path, None if mark is None else mark.line + 1, f"not valid YAML: {said}")
    if not isinstance(node, yaml.MappingNode):
        _refuse(path, None, f"it must hold `key: value` lines, {', '.join(_KEYS)}")
    lines: dict[str, int] = {}
    known = (*_KEYS, *_INFORMATIVE)
    for key_node, _ in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in lines:
            _refuse(path, line, f"the key {key!r} stands in line {lines[key]} already")
        if key not in known:
            _refuse(path, line, f"unknown key {key!r}{_closest(key, known) or '.'} Known are {', '.join(known)}")
        lines[key] = line
    for key in ("name", "labels"):
        if key not in facts:
            _refuse(path, None, f"the key `{key}` is missing")
    return facts, lines


def _text(path: Path, facts: Mapping[str, Any], lines: Mapping[str, int], key: str, default: str) -> str:
    value = facts.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        _refuse(path, lines[key], f"`{key}` must be text, not {value!r}; put it in quotes")
    return value.strip() or default


def _name(path: Path, facts: Mapping[str, Any], lines: Mapping[str, int]) -> str:
    name = _text(path, facts, lines, "name", "")
    if not _NAME.fullmatch(name):
        _refuse(path, lines["name"], f"{name!r} cannot be a task's name; use letters, digits, `_`, `-` and `.`")
    if name in registry() or name in TRADITIONS or name in TASK_WORDS:
        _refuse(path, lines["name"], f"the name {name!r} is taken by cmbench itself; choose another")
    return name


def _nfc(label: str) -> str:
    """Write accented letters in one way: file systems and editors differ, and the eye sees no difference."""
    return unicodedata.normalize("NFC", label.strip())


def _labels(path: Path, facts: Mapping[str, Any], lines: Mapping[str, int]) -> tuple[str, ...]:
    listed, line = facts["labels"], lines["labels"]
    if not isinstance(listed, list) or not listed:
        _refuse(path, line, "`labels` must be a list with at least one label")
    seen: set[str] = set()
    for label in listed:
        if not isinstance(label, str):
            _refuse(path, line, f"the label {label!r} is not text for YAML; put it in quotes")
        clean = _nfc(label)
        if not clean or "|" in clean or not clean.isprintable():
            _refuse(path, line, f"{label!r} cannot be a label: it is empty, or has `|` or a control character in it")
        if clean in seen:
            _refuse(path, line, f"the label {clean!r} is listed twice")
        seen.add(clean)
    return tuple(_nfc(label) for label in listed)


def _families(
    path: Path, facts: Mapping[str, Any], lines: Mapping[str, int], labels: tuple[str, ...]
) -> dict[str, str]:
    given = facts.get("families") or {}
    if not isinstance(given, dict) or not all(isinstance(v, str) for pair in given.items() for v in pair):
        _refuse(path, lines["families"], "`families` must give each label its family, `label: family`")
    named = {_nfc(label): family for label, family in given.items()}
    for label in named:
        if label not in labels:
            _refuse(path, lines["families"], f"`families` names {label!r}, which is no label{_closest(label, labels)}")
    default = {label: label.split("--")[0] if "--" in label.strip("-") else "tag" for label in labels}
    return default | named


def _max_track_seconds(path: Path, facts: Mapping[str, Any], lines: Mapping[str, int]) -> float | None:
    value = facts.get("max_track_seconds")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        _refuse(path, lines["max_track_seconds"], f"`max_track_seconds` must be a positive number, not {value!r}")
    return float(value)


def _read_table(path: Path) -> _Table:
    """Read a ``tracks.csv`` and check its columns, not its contents."""
    data = _read_bytes(path, "the list of tracks")
    text = _decoded(path, data)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        _refuse(path, reader.line_num, f"not valid CSV: {error}")
    if not rows:
        _refuse(path, None, f"the file is empty; its first line should be {','.join(_REQUIRED_COLUMNS)},split,group")
    columns = tuple(rows[0])
    _check_columns(path, columns)
    if len(rows) == 1:
        _refuse(path, None, "no tracks below the line of column names")
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if len(row) != len(columns):
            _refuse(path, line, f"{len(row)} cells under {len(columns)} columns; quote cells that hold a comma")
    return _Table(
        path=path,
        columns=columns,
        rows=tuple(dict(zip(columns, row, strict=True)) for row in rows[1:]),
        lines=tuple(lines[1:]),
        newline="\r\n" if b"\r\n" in data else "\n",
        encoding="utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8",
        content=data,
    )


def _check_columns(path: Path, columns: tuple[str, ...]) -> None:
    known = (*_REQUIRED_COLUMNS, *_OPTIONAL_COLUMNS)
    if len(columns) == 1 and re.search(r"[;\t]", columns[0]):
        _refuse(path, 1, f"the columns must be separated by commas, not as in {columns[0]!r}")
    for column, count in Counter(columns).items():
        if count > 1:
            _refuse(path, 1, f"two columns are named {column!r}")
        absent = [k for k in known if k not in columns]
        if column not in known and (hint := _closest(column.lower(), absent, 0.8)):
            _refuse(path, 1, f"unknown column {column!r}{hint} Rename it")
    missing = [column for column in _REQUIRED_COLUMNS if column not in columns]
    if missing:
        _refuse(path, 1, f"the column `{missing[0]}` is missing; found are {', '.join(columns)}")


def _tracks(table: _Table, folder: Path, labels: tuple[str, ...]) -> list[Track]:
    """Return the tracks of a table in its order."""
    lines_of: dict[str, int] = {}
    tracks = []
    for row, line in zip(table.rows, table.lines, strict=True):
        for column in ("id", "path"):
            if not row[column]:
                _refuse(table.path, line, f"the track has no {column}")
        if row["id"] in lines_of:
            _refuse(table.path, line, f"the id {row['id']!r} stands in line {lines_of[row['id']]} already")
        lines_of[row["id"]] = line
        start, end = _seconds(table, row, line, "start"), _seconds(table, row, line, "end")
        if end is not None and end <= (start or 0.0):
            _refuse(table.path, line, f"the track ends at {end:g} s, which is not after its start")
        tracks.append(
            Track(
                id=row["id"],
                path=folder / row["path"],
                labels=_track_labels(table, row, line, labels),
                group=row.get("group") or None,
                start=start or 0.0,
                end=end,
            )
        )
    return tracks


def _seconds(table: _Table, row: Mapping[str, str], line: int, column: str) -> float | None:
    cell = row.get(column, "")
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        _refuse(table.path, line, f"`{column}` must be seconds, 0 or more, not {cell!r}")
    return value


def _track_labels(table: _Table, row: Mapping[str, str], line: int, labels: tuple[str, ...]) -> tuple[str, ...]:
    given = dict.fromkeys(_nfc(label) for label in row["labels"].split("|") if label.strip())
    for label in given:
        if label not in labels:
            hint = _closest(label, labels)
            _refuse(table.path, line, f"the label {label!r} is not among the labels of the task{hint}")
    return tuple(given)


def _split_of(table: _Table, tracks: list[Track]) -> tuple[dict[str, str], list[str]]:
    """Return the split of every track by its id, and which splits no track had, so that they were drawn."""
    split_of = {row["id"]: row.get("split", "") for row in table.rows}
    for (id_, split), line in zip(split_of.items(), table.lines, strict=True):
        if split not in SPLITS and any(split_of.values()):
            problem = f"the split {split!r} is unknown" if split else f"the track {id_!r} has no split, but others have"
            hint = {"val": "valid", "validation": "valid", "dev": "valid"}.get(split.lower())
            advice = f"; did you mean {hint!r}?" if hint else _closest(split.lower(), SPLITS) or "."
            _refuse(
                table.path, line, f"{problem}{advice} It is one of {', '.join(SPLITS)}; empty all to have them drawn"
            )
    missing = [split for split in SPLITS if split not in split_of.values()]
    if missing:
        split_of |= _drawn(table, tracks, split_of, missing)
    return split_of, missing


def _drawn(table: _Table, tracks: list[Track], split_of: Mapping[str, str], missing: list[str]) -> dict[str, str]:
    """Draw the missing splits out of the training tracks, or out of all tracks where none has a split."""
    pool = [track for track in tracks if split_of[track.id] in ("", "train")]
    if not pool:
        _refuse(table.path, None, "no track is in the split 'train', and the other splits cannot spare any")
    taken = {split: SHARES[split] for split in missing if split != "train"}
    shares = {"train": 1.0 - sum(taken.values())} | taken
    try:
        drawn = draw_splits(pool, shares)
    except UsageError as error:
        raise UsageError(f"{table.path}: {error}") from None
    for split in taken:
        chosen = [track.labels for track in pool if drawn[track.id] == split]
        if not any(0 < sum(label in labels for labels in chosen) < len(chosen) for label in {*sum(chosen, ())}):
            _refuse(
                table.path,
                None,
                f"there are too few tracks or groups to draw the split {split!r}: none of its {len(chosen)} would have "
                "a label that another of them lacks. Add tracks, or fill in the column `split`; nothing was written",
            )
    return drawn


def _write_splits(table: _Table, split_of: Mapping[str, str], drawn: list[str]) -> None:
    """Replace a ``tracks.csv`` by itself with its splits filled in, all at once, unless that was done before.

    Raises:
        UsageError: it cannot be written, or is not what it was when it was read.
    """
    columns = list(table.columns)
    if "split" not in columns:
        columns.insert(columns.index("path") + 1, "split")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator=table.newline)
    writer.writeheader()
    writer.writerows({**row, "split": split_of[row["id"]]} for row in table.rows)
    filled, now = text.getvalue().encode(table.encoding), _read_bytes(table.path, "the list of tracks")
    if now == filled:
        return
    if now != table.content:
        raise UsageError(f"{table.path} was changed while its splits were drawn; nothing was written. Start again.")
    target = table.path.resolve()
    try:
        descriptor, new = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(filled)
                stream.flush()
                os.fsync(descriptor)
            shutil.copymode(target, new)
            Path(new).replace(target)
        finally:
            Path(new).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{table.path} has tracks without a split, and the drawn splits cannot be written into it "
            f"({error.strerror}). Copy the folder to a place where you may write, or fill in the column `split`."
        ) from error
    counts = Counter(split_of.values())
    _log.warning(
        "%s had no tracks in %s: drew them by group and label and wrote them into the file (%s).",
        table.path,
        " and ".join(drawn),
        ", ".join(f"{split} {counts[split]}" for split in SPLITS),
    )
