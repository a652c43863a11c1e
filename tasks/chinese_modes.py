"""CNPM, the Chinese National Pentatonic Mode data set: the mode (gong, shang, jue, zhi, yu) of 287 recordings.

Layout: ``label.csv`` and the audio that it names, as the publisher's script reads them (datasets/ccmusic-database/CNPM
on the Hugging Face hub, ``CNPM.py`` at 0b292f6: a row is found by ``File_Name``, an audio file's name with its ending;
``Pattern`` is the number of a mode in the order of :data:`PATTERNS`). The columns were read once more in public code
of 2026-03 that reads such a table. Since then the hub has the data as Arrow files behind a form of terms; who loads
them with the library ``datasets`` writes the table of its columns ``pattern`` and ``audio``. The card counts 287
recordings; how many there are of each mode is not said, so no counts are typed in here.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import Missing, MissingError, UsageError
from .base import Edition, LoadContext, Splits, Task, Track
from .fetching.carry_out import require_usual_source
from .fetching.published import families_by_prefix, task_folder
from .fetching.tables import read_table
from .mini import mini_edition
from .preparing import Plan, PrepareContext
from .splits.draw import draw_splits
from .splits.names import SPLITS

PATTERNS = ("Gong", "Shang", "Jue", "Zhi", "Yu")
"""Modes in the order of their numbers, 0 to 4."""
LABELS = tuple(f"mode--{name}" for name in PATTERNS)
RECORDINGS = 287

SOURCE = "https://huggingface.co/datasets/ccmusic-database/CNPM"
LICENCE = "CC BY-NC-ND 4.0, non-commercial use only (the card; until 2024 it said MIT); rights of the audio are others'"
ACCESS = (
    f"Accept the terms at {SOURCE} and load it; put label.csv (columns File_Name and Pattern) and the recordings it "
    "names "
    "into DATA_ROOT/chinese_modes, the latter in a folder audio."
)


def load_full(task: Task, context: LoadContext) -> Splits:
    """Read CNPM from ``<data root>/chinese_modes`` and draw its splits.

    Raises:
        MissingError: the table or the audio is not there.
        UsageError: the table is not of the publisher's form, names a recording twice, or is too small.
    """
    folder = task_folder(task, context, SOURCE)
    table, audio = folder / "label.csv", folder / "audio"
    if lacking := [path for path in (table, audio) if not path.exists() and (path == table or context.needs_audio)]:
        raise MissingError([_absent(task, path) for path in lacking])
    tracks = read_tracks(table, audio)
    split_of = draw_splits(tracks)
    return {split: tuple(t for t in tracks if split_of[t.id] == split) for split in SPLITS}


def read_tracks(table: Path, audio: Path) -> list[Track]:
    """Return the recordings of a ``label.csv``, by name.

    Raises:
        UsageError: a row has no mode, or a recording has two rows.
    """
    found: dict[str, Track] = {}
    for line, row in read_table(table, ("File_Name", "Pattern"), ","):
        name, pattern = row["File_Name"].strip(), row["Pattern"].strip()
        if pattern not in map(str, range(len(PATTERNS))) or not name or Path(name).name != name:
            raise UsageError(
                f"{table}, line {line}: {name!r} with the pattern {pattern!r}; expected a file's name, and a number "
                "from 0 "
                f"({PATTERNS[0]}) to {len(PATTERNS) - 1} ({PATTERNS[-1]})."
            )
        if name in found:
            raise UsageError(f"{table}, line {line}: {name!r} has a row already.")
        found[name] = Track(name, audio / name, (LABELS[int(pattern)],))
    return [found[name] for name in sorted(found)]


def prepare(task: Task, context: PrepareContext) -> Plan:
    """Plan nothing: only the user can accept the terms; what is missing is named.

    Raises:
        UsageError: another source than the usual one was asked for.
    """
    require_usual_source(task, context)
    folder = context.data_root / task.name
    lacking = [path for path in (folder / "label.csv", folder / "audio") if not path.exists()]
    return Plan(missing=tuple(_absent(task, path) for path in lacking))


def _absent(task: Task, path: Path) -> Missing:
    what = "labels" if path.suffix else f"audio ({RECORDINGS} recordings)"
    return Missing(f"{what} of {task.name} ({path.name})", str(path), SOURCE, LICENCE, ACCESS)


TASK = Task(
    name="chinese_modes",
    title="Chinese modes",
    tradition="chinese",
    description="The mode of Chinese pieces: gong, shang, jue, zhi or yu.",
    labels=LABELS,
    families=families_by_prefix(LABELS),
    licence=LICENCE,
    citation=(
        "M. Zhou, S. Xu, Z. Liu, Z. Wang, F. Yu, W. Li, B. Han. CCMusic: an open and diverse database for Chinese and "
        "general music information retrieval research. 2024."
    ),
    access=ACCESS,
    editions={"full": Edition("full", LABELS, load_full, drawn=True), "mini": mini_edition("chinese_modes", LABELS)},
    single_label=True,
    prepare=prepare,
    # By the card.
    mean_seconds=179.51,
    notes=(
        "The publisher gives no split of whole recordings: this is our draw. It says neither performer nor album, so "
        "recordings of one album may be in two splits, and there is no group-safe split.",
        "The data set labels system, tonic and type too; this task is the mode, which is where the tonic stands in the "
        "pentatonic scale, whatever its pitch.",
    ),
    group_kind="recording",
    group_source="nothing: the publisher's table has no groups",
)
