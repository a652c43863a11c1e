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
    single_label: true           # each track has exactly one label; accuracy then stands beside the other scores
    tracks: tracks.csv           # from the folder of this file
    encoding: windows-1254       # of files that are not UTF-8

``tracks.csv`` has the columns ``id, path, labels`` and, if wanted, ``split`` (train, valid, test), ``group``, ``work``,
``performer`` (for ``--split work-safe`` and ``performer-safe``), ``start`` and ``end`` (seconds); separator and
encoding are found out (:mod:`.corpus.table`). Labels, and the groups of
a track that has several, are joined with ``|``; paths start from the folder of ``task.yaml``; further columns are kept
and ignored. A missing audio file is no error here: the run counts it in its coverage.

``cmbench tasks new`` (:mod:`.own`) writes both files from what people have.

Splits that are missing are drawn once (:mod:`.corpus.division`) and written into ``tracks.csv`` when the tracks are
first used, so that every later run has the same ones. Looking at a task writes nothing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container
from pathlib import Path

from ..errors import UsageError, counted
from ..written import find_path, looks_like_a_path
from .base import Edition, LoadContext, Splits, Task, Track
from .corpus.description import Description, read_description
from .corpus.division import split_of, write_splits
from .corpus.problems import Problem, require_all_sound
from .corpus.table import Table, read_table
from .corpus.tracks import OPTIONAL, REQUIRED, Reader, check_columns, with_files_of_any_case, with_likely_encoding
from .splits.names import SPLITS

TASK_FILES = ("task.yaml", "task.yml")

_log = logging.getLogger(__name__)


def task_file(name: str, known: Container[str] = ()) -> Path | None:
    """Return the ``task.yaml`` that a name means: the file itself, or the one in a folder.

    A name among ``known`` means something else where there is no such file.

    Returns:
        The file, which need not exist if the name ends as one; ``None`` if the name is not that of a file or folder.

    Raises:
        UsageError: there is such a file or folder, but it describes no task; or there is none, and the name can only
            be that of one.
    """
    found = find_path(name)
    if name.endswith((".yaml", ".yml")):
        return found
    try:
        inside = [found / file for file in TASK_FILES if (found / file).is_file()]
        is_folder, is_file = found.is_dir(), found.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return None
    if inside:
        return inside[0]
    if name in known:
        return None
    if is_folder:
        others = sorted(file.name for file in found.iterdir() if file.suffix in (".yaml", ".yml"))
        hint = f"if {others[0]} is one, name that file; else " if others else ""
        raise UsageError(
            f"{found}: this folder has no task.yaml, which describes a task; {hint}`cmbench tasks new {found}` makes "
            "one of a folder of recordings."
        )
    if is_file:
        beside = found.with_name(TASK_FILES[0])
        hint = f"name {beside}" if beside.is_file() else "name the task.yaml that goes with it"
        raise UsageError(f"{found}: this file does not describe a task; {hint}.")
    if looks_like_a_path(name):
        raise UsageError(f"There is no file or folder {found}; `cmbench tasks` lists the tasks known by name.")
    return None


def load_task(path: Path) -> Task:
    """Return the task that a ``task.yaml`` describes, with one edition, ``custom``.

    Missing splits are drawn here, and written into the task's ``tracks.csv`` when the task is loaded.

    Raises:
        UsageError: a file is absent or wrong; the message names all that is wrong, with file, line and remedy.
    """
    said = read_description(path)
    table, tracks, problems = _read_tracks(said)
    require_all_sound([(path, said.problems), (table.path, problems)])
    splits_by_id, drawn = split_of(table, tracks)
    splits = {split: tuple(t for t in tracks if splits_by_id[t.id] == split) for split in SPLITS}

    def load(task: Task, context: LoadContext) -> Splits:
        if drawn and context.writes:
            write_splits(table, splits_by_id, drawn)
        return splits

    texts = said.texts
    return Task(
        name=said.name,
        title=texts.get("title", said.name),
        tradition=texts.get("tradition", "other"),
        description=texts.get("description", ""),
        labels=said.labels,
        families=said.families,
        licence=texts.get("license", texts.get("licence", "not stated")),
        citation=texts.get("citation", ""),
        access=f"your own files, listed in {table.path}",
        editions={"custom": Edition("custom", said.labels, load)},
        max_track_seconds=said.max_track_seconds,
        single_label=said.single_label,
        counts={split: len(tracks) for split, tracks in splits.items()},
        test_support=dict(Counter(label for track in splits["test"] for label in track.labels)),
        group_source=f"the column `group` of {table.path}",
        described_in=path,
    )


def _read_tracks(said: Description) -> tuple[Table, list[Track], list[Problem]]:
    """Return the table of a task, its tracks, and everything that is wrong with it."""
    folder = said.path.parent
    file = find_path(said.texts.get("tracks", "tracks.csv"), folder)
    columns = (*REQUIRED, *OPTIONAL)
    table = read_table(file, "the list of tracks", expected=columns, encoding=said.texts.get("encoding"))
    if table.source.guessed:
        table, encoding = with_likely_encoding(table, folder, said.labels)
        if not encoding:
            return table, [], list(table.problems)
        _log.warning("%s is not UTF-8; read as %s, in which its labels and files are found.", file, encoding)
    problems = check_columns(table)
    if problems or "labels" not in table.columns:
        return table, [], [*problems, *table.problems]
    # Labels that are wrong in task.yaml are reported there; here they are known as they are written.
    tracks, wrong = Reader(table, folder, said.labels).tracks()
    tracks, taken = with_files_of_any_case(tracks)
    if taken:
        _log.warning(
            "%s: %s differ from their files in upper and lower case only, and are taken for them; the first is %s.",
            file, counted(len(taken), "path"), taken[0],
        )  # fmt: skip
    if not said.labels:
        wrong = [one for one in wrong if "label" not in one.kind]
    found = [*table.problems, *wrong]
    return table, tracks, sorted(found, key=lambda one: one.line or 0)
