"""The three Dunya tasks' real edition: id lists, one table of tags, one audio file per recording.

Dunya gives audio and tags only to the holder of a personal token, so both come from the user's own copy;
only the id lists are public.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import Missing, MissingError, UsageError
from ..base import LoadContext, Splits, Task, Track
from ..fetching.published import (
    LAYOUT,
    LISTS_REPOSITORY,
    absent_lists,
    labels_among,
    prepare_command,
    read_lists,
    task_folder,
    unannotated,
    unlabelled,
)
from ..fetching.tables import AUDIO_SUFFIXES, audio_by_stem, cell_values
from ..splits.names import SPLITS
from .answers import DUNYA
from .recordings import read_rows

LICENCE = (
    "Audio: mostly commercial releases, lent by Dunya for research on request, not redistributable. Split lists: "
    "Apache-2.0. Tags: from Dunya and MusicBrainz, under their terms."
)
ACCESS = (
    "Register at dunya.compmusic.upf.edu, ask for access to the audio of the collection and take the token from your "
    "profile page. With it `cmbench tasks prepare` fetches the mp3 and the metadata of every listed recording."
)
NOTES = (
    "Dunya lists recordings that it has no audio for; they are counted in a record's coverage.",
    "Tags are Dunya's of the day they were fetched; Dunya is edited, so supports may differ from the published ones.",
)
"""Traps of all three collections."""
GROUP_SOURCE = "the column `group` of metadata.tsv in the task's data folder"
LIST_FOLDERS = {"turkish_makam": "makam"}
"""Folder of a task's id lists in the published repository, where it is not called like the task."""

_AUDIO_FOLDERS = ("audio", "audios")


@dataclass(frozen=True)
class TaggedRecording:
    """What the metadata table says of one recording."""

    tags: frozenset[str]  # every tag, also those that are not labels of the task
    group: str | None  # the release or concert, several joined with ``|``; ``None`` if the table does not say


def load_full(task: Task, context: LoadContext) -> Splits:
    """Read the tracks of a Dunya task from ``<data root>/<task>``; the layout is in ``docs/data.md``.

    Raises:
        MissingError: lists, labels or audio are not there; everything that is missing is named at once.
        UsageError: a file is there and cannot be read, or its tags are not this task's.
    """
    folder = task_folder(task, context, DUNYA)
    table = folder / "metadata.tsv"
    lists_at = f"{LISTS_REPOSITORY}/tree/main/data/{LIST_FOLDERS.get(task.name, task.name)}/split"
    missing = absent_lists(task, folder, lists_at, fetchable=True)
    lists = {} if missing else read_lists(folder)
    recordings: Mapping[str, TaggedRecording] = {}
    if table.is_file():
        recordings = read_recordings(task, table)
        missing += unlabelled(task, lists, recordings.keys(), table) if lists else []
    else:
        missing.append(_absent_table(task, table))
    audio = audio_files(folder)
    listed = {mbid for ids in lists.values() for mbid in ids}
    if context.needs_audio and (not audio or (listed and listed.isdisjoint(audio))):
        missing.append(_absent_audio(task, folder))
    if missing:
        raise MissingError(missing)

    def track(mbid: str) -> Track:
        recording = recordings[mbid]
        path = audio.get(mbid, folder / _AUDIO_FOLDERS[0] / f"{mbid}.mp3")
        return Track(
            id=mbid,
            path=path,
            labels=labels_among(task, recording.tags),
            group=recording.group,
            unknown=unannotated(task, recording.tags),
        )

    return {name: tuple(track(mbid) for mbid in lists[name]) for name in SPLITS}


def audio_files(folder: Path) -> dict[str, Path]:
    """Return the audio files of a task's folder by recording id."""
    return {stem: path for name in reversed(_AUDIO_FOLDERS) for stem, path in audio_by_stem(folder / name).items()}


def read_recordings(task: Task, table: Path) -> dict[str, TaggedRecording]:
    """Return what ``metadata.tsv`` says, by MusicBrainz recording id.

    Columns: ``mbid``, ``tags`` (joined with ``|``; may be empty), and optionally ``group``; others are not read.

    Raises:
        UsageError: a row cannot be read, an id has two rows, or no tag of any row is one of the task's labels.
    """
    found = {
        mbid: TaggedRecording(frozenset(cell_values(row["tags"])), row.get("group", "").strip() or None)
        for mbid, row in read_rows(table).items()
    }
    seen_tags = {tag for recording in found.values() for tag in recording.tags}
    if found and seen_tags.isdisjoint(task.labels):
        raise UsageError(
            f"{table}: no tag is a label of {task.name}. Tags look like {task.labels[0]!r}; found "
            f"{', '.join(map(repr, sorted(seen_tags)[:3])) or 'none'}."
        )
    return found


def _absent_table(task: Task, table: Path) -> Missing:
    return Missing(
        what=f"labels of {task.name} (metadata.tsv)",
        where=str(table),
        source=DUNYA,
        licence="terms of Dunya and MusicBrainz",
        command=f"{prepare_command(task, table.parent)}, or write the table with the columns mbid and tags ({LAYOUT})",
    )


def _absent_audio(task: Task, folder: Path) -> Missing:
    return Missing(
        what=f"audio of {task.name} ({sum(task.counts.values())} recordings)",
        where=f"{folder / _AUDIO_FOLDERS[0]} (<mbid>{', <mbid>'.join(AUDIO_SUFFIXES[:4])}, …)",
        source=DUNYA,
        licence="for research on request, not redistributable",
        command=f"{prepare_command(task, folder)}, or put the files into {folder / _AUDIO_FOLDERS[0]} ({LAYOUT})",
    )
