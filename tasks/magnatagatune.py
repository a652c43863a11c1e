"""MagnaTagATune: 50 free tags on 29-second clips of Western and other music.

Labels in the order of minzwon/sota-music-tagging-models and pxaris/ccml (at 1f20c2f,
``data/magnatagatune/split/tags.npy``); test support: pxaris/ccml, ``evaluation/magnatagatune/*.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..errors import Missing, MissingError, UsageError
from .base import Edition, LoadContext, Splits, Task, Track
from .fetching.archives import unpack
from .fetching.carry_out import pending, require_usual_source
from .fetching.published import (
    LAYOUT,
    PAPER,
    absent_lists,
    prepare_command,
    read_lists,
    require_published_support,
    task_folder,
)
from .fetching.tables import list_file, read_table
from .mini import mini_edition
from .preparing import Download, Plan, PrepareContext, Step
from .splits.names import SPLITS

TEST_SUPPORT = {
    "guitar": 875,
    "classical": 699,
    "slow": 806,
    "techno": 598,
    "strings": 394,
    "drums": 516,
    "electronic": 496,
    "rock": 564,
    "fast": 495,
    "piano": 467,
    "ambient": 508,
    "beat": 344,
    "violin": 231,
    "vocal": 435,
    "synth": 330,
    "female": 381,
    "indian": 174,
    "opera": 373,
    "male": 264,
    "singing": 295,
    "vocals": 282,
    "no vocals": 245,
    "harpsichord": 189,
    "loud": 273,
    "quiet": 248,
    "flute": 162,
    "woman": 251,
    "male vocal": 166,
    "no vocal": 192,
    "pop": 196,
    "soft": 249,
    "sitar": 102,
    "solo": 159,
    "man": 135,
    "classic": 110,
    "choir": 188,
    "voice": 142,
    "new age": 148,
    "dance": 153,
    "male voice": 122,
    "female vocal": 160,
    "beats": 142,
    "harp": 141,
    "cello": 20,
    "no voice": 116,
    "weird": 131,
    "country": 67,
    "metal": 165,
    "female voice": 119,
    "choral": 131,
}
LABELS = tuple(TEST_SUPPORT)

SOURCE = "https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset"
LISTS_SOURCE = "https://github.com/minzwon/sota-music-tagging-models/tree/master/split/mtat"
FILES_AT = "https://mirg.city.ac.uk/datasets/magnatagatune"
FILES = {
    "annotations_final.csv": "md5:f04fa01752a8cc64f6e1ca142a0fef1d",
    "mp3.zip.001": "md5:179c91c8c2a6e9b3da3d4e69d306fd3b",
    "mp3.zip.002": "md5:acf8265ff2e35c6ff22210e46457a824",
    "mp3.zip.003": "md5:582dc649cabb8cd991f09e14b99349a5",
}
"""The publisher states no hashes; these are those of keunwoochoi/kapre: ``kapre/datasets.py``, repeated elsewhere."""
CLIPS = 25863
CLIP_SECONDS = 29.0
CLIPS_BYTES = round(CLIPS * CLIP_SECONDS * 32_000 / 8)
"""All clips, roughly: they are MP3 of 32 kbit/s (tagatune.org/Magnatagatune.html), which an archive hardly shrinks."""
LICENCE = "CC BY-NC-SA 3.0"
FOLDERS = {"train": "0123456789ab", "valid": "c", "test": "def"}
CORRUPT = (
    "6/norine_braun-now_and_zen-08-gently-117-146.mp3",
    "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233.mp3",
    "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-le_petit_rien_xiveme_ordre_couperin-88-117.mp3",
)
"""Training clips that are broken in the published archive; the published training list leaves them out."""
MARBLE_COUNTS = {"train": 18709, "valid": 1825, "test": 5329}
"""Clips by split where those without any of the 50 tags stay in: MARBLE-Benchmark at d9300e3."""

_ALBUM = re.compile(r"[0-9a-f]/([^/]+?)-\d{2}-[^/]*-\d+-\d+\.mp3")


def load_full(task: Task, context: LoadContext) -> Splits:
    """Read MagnaTagATune from ``<data root>/magnatagatune``; the layout is in ``docs/data.md``.

    Raises:
        MissingError: the annotations, the clips or one of several split lists are not there.
        UsageError: the annotations or a list cannot be read, or contradict the published counts.
    """
    folder = task_folder(task, context, SOURCE)
    listed = any(list_file(folder / "split", name) for name in SPLITS)
    missing = absent_lists(task, folder, LISTS_SOURCE, "as that repository states") if listed else []
    root, clips = _clips(task, folder, missing, context.needs_audio)
    paths = _listed_paths(folder, clips) if listed else paths_by_folder(clips)
    return require_published_support(task, _tracks(root, clips, paths))


def load_marble(task: Task, context: LoadContext) -> Splits:
    """Read MagnaTagATune as MARBLE splits it: the same folders, and no clip left out.

    Clips without any of the 50 tags stay in as rows of zeros, the three broken ones as tracks that cannot be used.
    Lists in ``split/`` are not read.

    Raises:
        MissingError: the annotations or the clips are not there.
        UsageError: the annotations cannot be read, or contradict the published counts.
    """
    root, clips = _clips(task, task_folder(task, context, SOURCE), [], context.needs_audio)
    paths = {name: tuple(path for path in clips if path[:1] in FOLDERS[name]) for name in SPLITS}
    return require_published_support(replace(task, counts=MARBLE_COUNTS), _tracks(root, clips, paths))


def _clips(
    task: Task, folder: Path, missing: Sequence[Missing], needs_audio: bool
) -> tuple[Path, dict[str, tuple[str, ...]]]:
    """Return the folder of the clips, and the labels of every clip by its path; raise for all that is missing."""
    table = folder / "annotations_final.csv"
    absent = [] if table.is_file() else [_absent_annotations(task, table)]
    root = next((root for root in (folder / "mp3", folder) if _holds_clips(root)), None)
    if needs_audio and root is None:
        absent.append(_absent_audio(task, folder / "mp3"))
    if absent or missing:
        raise MissingError([*absent, *missing])
    return root or folder / "mp3", read_annotations(table)


def _tracks(
    root: Path, clips: Mapping[str, tuple[str, ...]], paths: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[Track, ...]]:
    return {
        name: tuple(Track(path, root / path, clips[path], album(path), seconds=CLIP_SECONDS) for path in paths[name])
        for name in SPLITS
    }


def prepare(task: Task, context: PrepareContext) -> Plan:
    """Plan the annotations and the three parts of the archive, which are read as one without being joined.

    Raises:
        UsageError: another source than the usual one was asked for.
    """
    require_usual_source(task, context)
    folder = context.data_root / task.name
    files = {name: Download(f"{FILES_AT}/{name}", folder / name, LICENCE, None, FILES[name]) for name in FILES}
    annotations = files.pop("annotations_final.csv")
    there = max(sum(1 for _ in root.glob("[0-9a-f]/*.mp3")) for root in (folder / "mp3", folder))
    if there >= CLIPS - len(CORRUPT):
        return Plan(pending([annotations]))
    parts = [one.path for one in files.values()]
    step = Step(f"unpack {CLIPS} clips from the three parts", partial(_unpack, parts, folder / "mp3"), size=CLIPS_BYTES)
    fetched = pending([annotations, *files.values()])
    notes = (
        "The publisher states no sizes; they are worked out from the number of clips, their length and their rate. "
        "Three training clips are broken in the archive and stay empty: " + "; ".join(CORRUPT) + ".",
    )
    estimate = CLIPS_BYTES * sum(one.path in parts for one in fetched) // len(parts)
    return Plan(fetched, (step,), notes=notes, estimate=estimate)


def _unpack(parts: Sequence[Path], folder: Path, context: PrepareContext) -> None:
    count = unpack(parts, folder, lambda name: name.endswith(".mp3"), context.progress)
    context.tell(f"{count} clips are unpacked; mp3.zip.001 to .003 are not needed any more and may be removed.")


def read_annotations(table: Path) -> dict[str, tuple[str, ...]]:
    """Return the labels of every clip by its ``mp3_path``, in the order of ``annotations_final.csv``.

    Labels are found by the columns' names, never by position. Of the file's 188 tags the other 138 are not read.

    Raises:
        UsageError: a column is absent or a cell is neither 0 nor 1.
    """
    clips: dict[str, tuple[str, ...]] = {}
    for line, row in read_table(table, (*LABELS, "mp3_path")):
        if wrong := [label for label in LABELS if row[label] not in {"0", "1"}]:
            raise UsageError(f"{table}, line {line}: {row[wrong[0]]!r} in the column {wrong[0]!r} is neither 0 nor 1.")
        clips[row["mp3_path"]] = tuple(label for label in LABELS if row[label] == "1")
    return clips


def paths_by_folder(clips: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the clips of each split by the published rule.

    Folders 0 to b train, c valid, d to f test; clips without any of the 50 labels are dropped, and so are the three
    training clips that are broken in the archive.
    """
    kept = [path for path, labels in clips.items() if labels and path not in CORRUPT]
    return {name: tuple(path for path in kept if path[:1] in FOLDERS[name]) for name in SPLITS}


def album(path: str) -> str | None:
    """Return ``performer-album`` from a clip's path ``f/performer-album-NN-title-start-end.mp3``, else ``None``."""
    match = _ALBUM.fullmatch(path)
    return match[1] if match else None


def _listed_paths(folder: Path, clips: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the clips that the user's lists name; a row is a path, or anything and a path after a tab."""
    lists = {name: tuple(row.rpartition("\t")[2].strip() for row in rows) for name, rows in read_lists(folder).items()}
    unknown = [path for paths in lists.values() for path in paths if path not in clips]
    if unknown:
        raise UsageError(
            f"{folder / 'split'}: {len(unknown)} listed clips are not in annotations_final.csv (first: "
            f"{unknown[0]!r}). A row of a list is a clip's mp3_path, or a number, a tab and the mp3_path."
        )
    return lists


def _holds_clips(root: Path) -> bool:
    return any((root / name).is_dir() for names in FOLDERS.values() for name in names)


def _absent_annotations(task: Task, table: Path) -> Missing:
    return Missing(
        what=f"labels of {task.name} (annotations_final.csv)",
        where=str(table),
        source=SOURCE,
        licence=LICENCE,
        command=f"{prepare_command(task, table.parent)}, or put the file at {table}",
    )


def _absent_audio(task: Task, folder: Path) -> Missing:
    return Missing(
        what=f"audio of {task.name} (25863 clips)",
        where=f"{folder} (folders 0 to f)",
        source=SOURCE,
        licence=LICENCE,
        command=f"{prepare_command(task, folder.parent)}, or unpack the joined mp3.zip into {folder} ({LAYOUT})",
    )


TASK = Task(
    name="magnatagatune",
    title="MagnaTagATune",
    tradition="western",
    description="The 50 most frequent free tags on clips of 29 s.",
    labels=LABELS,
    families=dict.fromkeys(LABELS, "tag"),
    licence="CC BY-NC-SA 3.0",
    citation=(
        "E. Law, K. West, M. Mandel, M. Bay, J. S. Downie. Evaluation of algorithms using games: the case of music "
        f"tagging. ISMIR 2009. Evaluated as in: {PAPER}"
    ),
    access=(
        "Download the three parts of mp3.zip and annotations_final.csv from "
        "mirg.city.ac.uk/codeapps/the-magnatagatune-dataset. Unpack the clips into the data root beside the "
        "annotations."
    ),
    editions={
        "full": Edition("full", LABELS, load_full, {"marble": load_marble}),
        "mini": mini_edition("magnatagatune", LABELS),
    },
    prepare=prepare,
    mean_seconds=CLIP_SECONDS,
    counts={"train": 15244, "valid": 1529, "test": 4332},
    test_support=TEST_SUPPORT,
    notes=(
        "Columns 47 and 48 are metal, female voice here, as in minzwon's, musicnn's and ccml's lists; jongpillee's "
        "music_dataset_split has female voice, metal. Predictions made in that order must be swapped.",
        "Clips without any of the 50 tags are left out (997 of 5329 in test, 296 of 1825 in valid), as in the "
        "published evaluation. MARBLE keeps them: that is the split named marble, never compared with this one.",
        "Three training clips are broken in the published archive and left out: " + "; ".join(CORRUPT) + ".",
        "Groups are performer and album, read from the file name. No album straddles the splits, but 2788 of the "
        "4332 test clips are by a performer who also occurs in train or valid, and 52 have the title and start of a "
        "training clip that another album holds.",
        "Several tags mean the same (vocal, vocals, voice, singing; no vocal, no vocals, no voice): listeners chose "
        "freely.",
    ),
    group_kind="album",
    group_source="the clips' names (performer-album-number-title-start-end.mp3)",
)
