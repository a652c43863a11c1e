"""A proposal as ``task.yaml`` and ``tracks.csv``, read back before they are kept."""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import CmbenchError, UsageError, counted
from ...files import write_atomically
from ..corpus.description import RESERVED, family_of_label
from ..corpus.tracks import UNKNOWN
from ..custom import load_task
from ..registry import registry
from .corpus import Proposal
from .sources import listed_tracks

TASK, TRACKS = "task.yaml", "tracks.csv"


@dataclass(frozen=True)
class About:
    """What the user says of the task; empty for what the source says, or nothing."""

    name: str = ""
    title: str = ""
    tradition: str = ""
    licence: str = ""
    citation: str = ""


def task_name(wanted: str) -> str:
    """Return a name that a task may have: letters, digits and ``_``, and not one of cmbench's own."""
    bare = unicodedata.normalize("NFC", wanted.strip())
    name = re.sub(r"[^\w.-]+", "_", bare).strip("_.-")[:60].lower() or "corpus"
    return f"my_{name}" if name in registry() or name in RESERVED else name


def task_files(proposal: Proposal, about: About, folder: Path) -> dict[str, bytes]:
    """Return the two files of a task by name.

    Paths are written from ``folder`` where they lie below it.
    """
    import yaml

    ours = proposal.source.sheet.source != folder / TRACKS and listed_tracks(folder) == folder / TRACKS
    tracks = TRACKS if ours or not (folder / TRACKS).exists() else "cmbench-tracks.csv"
    facts: dict[str, object] = {
        "name": about.name or task_name(proposal.source.name),
        "title": about.title or proposal.source.name,
        "tradition": about.tradition or "other",
        "licence": about.licence or proposal.source.licence or "not stated",
        "citation": about.citation or proposal.source.citation or "not stated",
        "tracks": tracks,
        "labels": list(proposal.labels),
    }
    # The reader gives a label the family before `--`, else `tag`; only others are said.
    if told := {label: family for label, family in proposal.families.items() if family != family_of_label(label)}:
        facts["families"] = told
    head = f"# Written by `cmbench tasks new`, from {proposal.source.kind}: {proposal.source.sheet.source.name}\n"
    text = head + yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, width=1000)
    return {TASK: text.encode(), tracks: _tracks_csv(proposal, folder).encode()}


def _tracks_csv(proposal: Proposal, folder: Path) -> str:
    excerpts = any(t.start or t.end is not None for t in proposal.tracks)
    columns = ["id", "path", "split", *(["group"] if proposal.roles.group else []),
               *(["start", "end"] if excerpts else []), "labels"]  # fmt: skip
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for track in proposal.tracks:
        inside = track.path.is_relative_to(folder)
        writer.writerow(
            {
                "id": track.id,
                "path": track.path.relative_to(folder).as_posix() if inside else str(track.path),
                "split": proposal.split_of[track.id],
                "group": track.group or "",
                "start": f"{track.start!r}",
                "end": "" if track.end is None else f"{track.end!r}",
                "labels": "|".join([*track.labels, *(UNKNOWN + label for label in track.unknown)]),
            }
        )
    return text.getvalue()


def _there_already(folder: Path, names: Sequence[str]) -> str:
    """Say what is there, and how to go on with it or without it."""
    what, go_on = f"{' and '.join(names)} already", ""
    if TASK in names:
        try:
            task = load_task(folder / TASK)
        except CmbenchError:
            what = f"a {TASK} already that describes no task"
        else:
            size = f"{counted(sum(task.counts.values()), 'recording')}, {counted(len(task.labels), 'label')}"
            what = f"another task already, {task.name} ({size})"
            go_on = f" To run that one: cmbench run --model mfcc,chroma --tasks {shlex.quote(str(folder))}."
    return (
        f"{folder} has {what}; nothing was written.{go_on} To replace {' and '.join(names)} by what is shown, add "
        "--force; to keep both, add --out FOLDER."
    )


def write_task(proposal: Proposal, about: About, folder: Path, *, force: bool = False, dry: bool = False) -> list[Path]:
    """Write a task and return the paths of its files; none if they are there already, byte for byte.

    What is written is read back first, in a folder of its own, so that a task that cannot be used is never left. With
    ``dry`` it is read back, and nothing is written.

    Raises:
        UsageError: another task is there already, or this one would not be one.
    """
    files = task_files(proposal, about, folder)
    if all((folder / name).is_file() and (folder / name).read_bytes() == content for name, content in files.items()):
        return []
    there = [name for name in files if (folder / name).exists()]
    if there and not (force or dry):
        raise UsageError(_there_already(folder, there))
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in files.items():
            (Path(scratch) / name).write_bytes(content)
        try:
            task = load_task(Path(scratch) / TASK)
        except CmbenchError as error:
            raise UsageError(str(error).replace(scratch + os.sep, "")) from error
        counts = {split: sum(s == split for s in proposal.split_of.values()) for split in task.counts}
        if dict(task.counts) != counts:
            raise CmbenchError(f"The task reads {dict(task.counts)} where {counts} was written.")
    if dry:
        return []
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]
