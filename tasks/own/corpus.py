"""From what was brought to a task: tracks, labels, splits, and everything that is wrong, told at once."""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import UnusableAudio, UsageError, counted, quoted
from ...opening import opened
from ...written import composed
from ..base import Track
from ..corpus.description import family_of_label
from ..corpus.tracks import UNKNOWN
from ..splits.draw import blocks_of, draw_missing, few_to_judge
from ..splits.names import SPLITS, split_named
from .label_cells import is_mark, read_cells
from .recordings import Meant
from .roles import Choices, Roles, family_of, is_true, propose, seconds
from .sheet import Sheet
from .sources import Source

FEWEST_BLOCKS = 3
"""Groups (tracks, where there are no groups) of a label that is kept: one for each split."""

BLOCKS_FOR_INTERVALS = 5
"""Groups of the test split from which on scores have intervals."""


@dataclass(frozen=True)
class TableProblem:
    """Something that is wrong."""

    kind: str  # what all problems of this kind have in common
    where: str  # line of the table, file or label
    text: str  # what is wrong
    remedy: str  # what to do about all of this kind
    loses: int = 0  # tracks that are left out because of it


@dataclass(frozen=True)
class Proposal:
    """A task as it would be written."""

    source: Source  # what was brought
    roles: Roles  # which column is what
    rows: int  # of the table
    tracks: tuple[Track, ...]  # those that can be used
    labels: tuple[str, ...]  # ordered by family and support
    families: Mapping[str, str]  # label -> family
    split_of: Mapping[str, str]  # track id -> split; empty where no split can be drawn
    drawn: tuple[str, ...]  # splits that were drawn here rather than given
    problems: tuple[TableProblem, ...]  # what is wrong
    notes: tuple[str, ...]  # what a reader should know, and nothing is wrong with

    @property
    def lost(self) -> int:
        """Rows that are left out because of a problem."""
        return sum(problem.loses for problem in self.problems)

    def support(self, split: str) -> Counter[str]:
        """Return how many tracks of a split have each label."""
        return Counter(label for t in self.tracks if self.split_of.get(t.id) == split for label in t.labels)


def propose_task(
    source: Source, choices: Choices, fewest: int = FEWEST_BLOCKS, workers: int = 4, check_audio: bool = True
) -> Proposal:
    """Turn what was brought into a task.

    A label of fewer than ``fewest`` groups is left out; ``workers`` threads open the recordings.

    Raises:
        UsageError: no column names recordings, or none holds labels.
    """
    roles, named = propose(source.sheet, source.recordings, choices, source.path_column)
    problems: list[TableProblem] = []
    notes: list[str] = []
    labels_of, families = _labels(source.sheet, roles, problems, notes)
    paths = _paths(source, roles, named, problems, notes)
    if check_audio:
        _open_all(paths, source.sheet, workers, problems)
    tracks, given = _tracks(source, roles, paths, labels_of, problems)
    tracks = _without_rare(tracks, families, fewest, bool(given), problems)
    split_of, drawn = _splits(tracks, given, problems)
    _require_choice(tracks, split_of, problems)
    _tell_groups(tracks, split_of, roles, drawn, notes)
    if split_of and (warning := few_to_judge(sum(split == "test" for split in split_of.values()))):
        notes.append(warning.strip())
    support = Counter(label for track in tracks for label in track.labels)
    order = sorted(support, key=lambda label: (list(families.values()).index(families[label]), -support[label], label))
    return Proposal(
        source, roles, len(source.sheet.rows), tuple(tracks), tuple(order), {n: families[n] for n in order},
        split_of, drawn, tuple(problems), tuple(notes),
    )  # fmt: skip


def _labels(
    sheet: Sheet, roles: Roles, problems: list[TableProblem], notes: list[str]
) -> tuple[list[tuple[str, ...]], dict[str, str]]:
    """Return the labels of every row, those that are not known behind a question mark, and the family of every label.

    A label is called ``family--value``, as in the built-in tasks, where its column's name says more than ``labels``. A
    cell with nothing but a question mark says that none of its column's labels is known.
    """
    found: list[list[str]] = [[] for _ in sheet.rows]
    families: dict[str, str] = {}
    for column in roles.labels:
        cells, sign = read_cells(sheet.column(column))
        if sign and sign != "|":
            notes.append(f"The labels in {quoted(column)} are joined with {quoted(sign)}; each counts by itself.")
        if marks := sorted({cell for cell in sheet.column(column) if is_mark(cell) and cell != UNKNOWN}):
            notes.append(f"{', '.join(map(quoted, marks))} in {quoted(column)} counts as an empty cell.")
        family, named = family_of(column), dict[str, None]()
        for row, values in enumerate(cells):
            for value in values:
                if not value.isprintable():
                    problems.append(TableProblem("labels with control characters", sheet.where(row), quoted(value),
                                            "write the label anew in the table"))  # fmt: skip
                    continue
                doubt, value = (UNKNOWN, value[1:].strip()) if value.startswith(UNKNOWN) else ("", value)
                label = value if family is None or "--" in value else f"{family}--{value}"
                families[label] = family_of_label(label)
                named[label] = None
                found[row].append(doubt + label)
        for row in (row for row, cell in enumerate(sheet.column(column)) if cell == UNKNOWN):
            found[row] += [UNKNOWN + label for label in named]
    for column in roles.marks:
        families[column] = family_of_label(column)
        for row, cell in enumerate(sheet.column(column)):
            found[row] += [UNKNOWN + column] if cell == UNKNOWN else [column] * is_true(cell)
    bare = [row for row, labels in enumerate(found) if not labels]
    if bare:
        notes.append(
            f"{counted(len(bare), 'row')} without a label, {sheet.where(bare[0])} the first. Such a recording counts "
            "as having none of the labels; if nobody has labelled it yet, write ? into its cell, or take it out."
        )
    alike: dict[str, list[str]] = defaultdict(list)
    for label in families:
        alike[re.sub(r"[\W_]+", "", label.casefold())].append(label)
    problems += [
        TableProblem("labels that differ only in case, blanks or signs", ", ".join(map(quoted, same)),
                "counted as different", "write them alike in the table, if they are the same")
        for same in alike.values() if len(same) > 1
    ]  # fmt: skip
    return [tuple(dict.fromkeys(labels)) for labels in found], families


def _paths(
    source: Source, roles: Roles, named: Sequence[Meant], problems: list[TableProblem], notes: list[str]
) -> list[Path | None]:
    sheet, cells = source.sheet, source.sheet.column(roles.path)
    used = {one.path for one in named}
    extra = [path for path in source.recordings.paths if source.recordings.folder / path not in used]
    free = {composed(path.name): str(path) for path in extra}

    def wrong(row: int, kind: str, text: str, remedy: str) -> None:
        problems.append(TableProblem(kind, sheet.where(row), text, remedy, 1))

    folder = source.recordings.folder
    for row, (cell, one) in enumerate(zip(cells, named, strict=True)):
        if not cell:
            wrong(row, "rows without a recording", f"{quoted(roles.path)} is empty", "fill it in, or delete the row")
        elif not one.paths:
            remedy = f"put the file below {folder}, or mend its name"
            wrong(row, "recordings that are not there", quoted(cell) + _alike(cell, free), remedy)
        elif one.path is None:
            listed = ", ".join(str(p.relative_to(folder)) for p in one.paths[:3])
            remedy = "write the folder too, with / between"
            wrong(row, "names that several recordings have", f"{quoted(cell)}: {listed}", remedy)
    if other := sum(one.other_ending and one.path is not None for one in named):
        notes.append(f"{counted(other, 'recording')} with another ending than the table says; the names are the same.")
    if (zeros := [row for row, one in enumerate(named) if one.other_zeros and one.path is not None]) and (
        first := named[zeros[0]].path
    ):
        notes.append(f"{counted(len(zeros), 'number')} without the zeros of the files' names, as Excel writes them: "
                     f"{quoted(cells[zeros[0]])} is taken for {first.name}.")  # fmt: skip
    if extra:
        notes.append(f"{counted(len(extra), 'recording')} in no row, and not used: "
                     f"{', '.join(map(str, extra[:3]))}{' …' if len(extra) > 3 else ''}")  # fmt: skip
    return [one.path for one in named]


def _alike(cell: str, free: Mapping[str, str]) -> str:
    """Ask whether one of the recordings that no row names is meant, if its name is much alike."""
    close = difflib.get_close_matches(re.split(r"[/\\\\]", cell)[-1], free, n=1, cutoff=0.8)
    return f"; did you mean {quoted(free[close[0]])}?" if close else ""


def _open_all(paths: list[Path | None], sheet: Sheet, workers: int, problems: list[TableProblem]) -> None:
    """Open every recording, and give up those that no decoder here opens."""

    def why(path: Path) -> str | None:
        try:
            with opened(path):
                return None
        except UnusableAudio as error:
            return error.reason

    wanted = list(dict.fromkeys(path for path in paths if path is not None))
    with ThreadPoolExecutor(max_workers=workers) as pool:
        reasons = dict(zip(wanted, pool.map(why, wanted), strict=True))
    for row, path in enumerate(paths):
        if path is not None and (reason := reasons[path]):
            problems.append(TableProblem("recordings that cannot be read", f"{sheet.where(row)}, {path.name}", reason,
                                    "replace the file, or convert it to FLAC or WAV", 1))  # fmt: skip
            paths[row] = None


def _tracks(
    source: Source,
    roles: Roles,
    paths: Sequence[Path | None],
    labels_of: Sequence[tuple[str, ...]],
    problems: list[TableProblem],
) -> tuple[list[Track], dict[str, str]]:
    """Return the tracks of the rows that can be used, and the split that the table gives each."""
    sheet = source.sheet
    seen: dict[tuple[Path, float, float | None], int] = {}
    ids: set[str] = set()
    tracks, given = [], {}
    for row, (cells, path) in enumerate(zip(sheet.rows, paths, strict=True)):
        if path is None:
            continue
        start = (seconds(cells[roles.start]) if roles.start else None) or 0.0
        end = seconds(cells[roles.end]) if roles.end else None
        where = sheet.where(row)
        if end is not None and end <= start:
            problems.append(TableProblem("excerpts without a length", where, f"from {start:g} s to {end:g} s",
                                    "mend start and end", 1))  # fmt: skip
            continue
        if (other := seen.setdefault((path, start, end), row)) != row:
            problems.append(TableProblem("recordings that stand in two rows", where,
                                    f"{path.name} stands in {sheet.where(other)} already",
                                    "join the rows: several labels go into one cell with | between", 1))  # fmt: skip
            continue
        split = split_named(cells[roles.split]) if roles.split else ""
        if roles.split and cells[roles.split] and not split:
            problems.append(
                TableProblem("unknown splits", where, quoted(cells[roles.split]), "write train, valid or test", 1)
            )
            continue
        id_ = cells[roles.id] if roles.id else _id_of(path, source.recordings.folder, start if roles.start else None)
        if id_ in ids:
            id_ = f"{id_}@{sheet.lines[row]}"
        ids.add(id_)
        known = tuple(label for label in labels_of[row] if not label.startswith(UNKNOWN))
        unknown = tuple(label[1:] for label in labels_of[row] if label.startswith(UNKNOWN) and label[1:] not in known)
        tracks.append(Track(id_, path, known, _group_of(cells, roles.group), start, end, unknown=unknown))
        given[id_] = split
    return tracks, given if any(given.values()) else {}


def _id_of(path: Path, folder: Path, start: float | None) -> str:
    bare = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    return bare.with_suffix("").as_posix() + (f"@{start:g}" if start is not None else "")


def _group_of(cells: Mapping[str, str], columns: Sequence[str]) -> str | None:
    """Return a track's groups, joined with ``|``; of several columns each value says of which."""
    several = len(columns) > 1
    names = [
        f"{column} {part.strip()}" if several else part.strip()
        for column in columns for part in re.split(r"[|;]", cells[column]) if part.strip()
    ]  # fmt: skip
    return "|".join(dict.fromkeys(names)) or None


def _without_rare(
    tracks: list[Track], families: Mapping[str, str], fewest: int, given: bool, problems: list[TableProblem]
) -> list[Track]:
    """Take labels out that are in too few groups to be in every split; where the splits are given, they stay."""
    block_of = blocks_of(tracks)
    blocks: dict[str, set[str]] = defaultdict(set)
    for track in tracks:
        for label in track.labels:
            blocks[label].add(block_of.get(track.id, f"\0{track.id}"))
    rare = set() if given else {label for label in families if len(blocks[label]) < fewest}
    never = {label for label in families if not blocks[label]}
    common = {
        label for label in families if label not in rare | never and all(label in t.labels + t.unknown for t in tracks)
    }
    kind = "group" if block_of else "recording"
    problems += [
        TableProblem(f"labels of fewer than {counted(fewest, kind)}, left out", quoted(label),
                counted(len(blocks[label]), kind),
                "add recordings; with --fewest 1 they are kept, and not scored where a split lacks them")
        for label in sorted(rare)
    ] + [
        TableProblem("labels that every recording has, left out", quoted(label), "nothing tells it apart",
                "add recordings without it") for label in sorted(common)
    ]  # fmt: skip
    gone = rare | common | never

    def kept(labels: Sequence[str]) -> tuple[str, ...]:
        return tuple(label for label in labels if label not in gone)

    return [replace(t, labels=kept(t.labels), unknown=kept(t.unknown)) for t in tracks]


def _splits(
    tracks: Sequence[Track], given: Mapping[str, str], problems: list[TableProblem]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the split of every track, and which splits were drawn; no split where none can be drawn."""
    without = [id_ for id_, split in given.items() if not split]
    problems += [
        TableProblem("rows without a split", id_, "others have one", "fill in the split, or empty all")
        for id_ in without
    ]
    missing = tuple(split for split in SPLITS if split not in given.values())
    if not tracks or without or not missing:
        return ({} if without else dict(given)), ()
    pool = [t for t in tracks if given.get(t.id, "train") == "train"]
    if not pool:
        problems.append(TableProblem("no recordings to learn from", "all recordings", "none is in train",
                                "fill the splits in anew, or have them drawn with --split none"))  # fmt: skip
        return {}, ()
    try:
        return {**given, **draw_missing(pool, missing)}, missing
    except UsageError as error:
        remedy = "add recordings" if pool == list(tracks) else "add recordings, or draw all splits with --split none"
        if any(track.group for track in pool):
            remedy += (", or let each recording stand for itself with --group none (if two of one group are in train "
                       "and test, scores then look better than they are)")  # fmt: skip
        problems.append(TableProblem("no split can be drawn", "all recordings", str(error), remedy))
        return {}, ()


def _require_choice(tracks: Sequence[Track], split_of: dict[str, str], problems: list[TableProblem]) -> None:
    """Give the splits up if a scored one has no label that one of its tracks has and another has not."""
    for split in ("valid", "test") if split_of else ():
        mine = [track.labels for track in tracks if split_of[track.id] == split]
        if not any(0 < sum(label in labels for labels in mine) < len(mine) for label in {*sum(mine, ())}):
            problems.append(TableProblem("splits with nothing to compare", f"the split {split}",
                                    f"none of its {counted(len(mine), 'recording')} has a label that another of them "
                                    "lacks", "fill in the column of the splits anew, or have them drawn with --split "
                                    "none"))  # fmt: skip
            split_of.clear()
            return


def _tell_groups(
    tracks: Sequence[Track], split_of: Mapping[str, str], roles: Roles, drawn: Sequence[str], notes: list[str]
) -> None:
    if not roles.group:
        notes.append(
            "No column says which recordings belong together (album, concert, artist): two of one album may be in "
            "train and test, and scores then look better than they are. --group COLUMN names one."
        )
        return
    if alone := sum(track.group is None for track in tracks):
        notes.append(
            f"{counted(alone, 'recording')} with an empty {' and '.join(map(quoted, roles.group))}: each counts as a "
            "group of its own. If a cell stands for those below it, too, fill them in."
        )
    block_of = blocks_of(tracks)
    at: dict[str, set[str]] = defaultdict(set)
    for id_, split in split_of.items():
        if id_ in block_of:
            at[block_of[id_]].add(split)
    torn = sorted(block for block, splits in at.items() if len(splits) > 1)
    if torn and not drawn:
        notes.append(f"The given splits tear {counted(len(torn), 'group')} apart ({', '.join(torn[:3])}); `--split "
                     "group-safe` runs on splits that do not.")  # fmt: skip
    tested = sum("test" in splits for splits in at.values())
    if split_of and tested < BLOCKS_FOR_INTERVALS:
        notes.append(
            f"The test split has {counted(tested, 'group')}; scores have no intervals below {BLOCKS_FOR_INTERVALS}."
        )
