"""Saraga: the openly published part of Dunya's Carnatic and Hindustani collections, as another source of recordings.

Saraga 1.5 (Zenodo 4301737) is one archive per tradition, a folder per recording with Dunya's details as JSON and the
mix as mp3. Its recordings have the MusicBrainz ids of the task's lists. Read here as it lies, archive or folder: the
data set library ``mirdata`` unpacks the same archive to the same layout, so a folder that it made serves as well.
Address and MD5 are its (mirdata 1.0.0: ``datasets/saraga_carnatic.py``, ``datasets/saraga_hindustani.py``).

What is covered is added to the task's own folder. Because most of the listed recordings are not, the covered part can
also be evaluated by itself, as a custom task with its own name.
"""

from __future__ import annotations

import csv
import shutil
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from ...errors import CmbenchError, Missing, UsageError
from ...files import whole_file
from ...untrusted import LARGEST_TEXT, parse_json
from ..base import Progress, Task
from ..fetching.published import LAYOUT, labels_among, read_lists, unannotated, unlabelled
from ..fetching.tables import cell_values
from ..preparing import Download, Plan, PrepareContext, Step
from .layout import audio_files
from .lists import list_downloads, write_report
from .recordings import (
    COLLECTIONS,
    DunyaRecording,
    Rows,
    UnreadableDetailsError,
    add_rows,
    read_details,
    read_rows,
    write_rows,
)

ZENODO = "https://zenodo.org/record/4301737/files"
ARCHIVES: Mapping[str, tuple[str, str]] = {
    "carnatic": ("saraga1.5_carnatic.zip", "e4fcd380b4f6d025964cd16aee00273d"),
    "hindustani": ("saraga1.5_hindustani.zip", "ea9ed2885ea37a1b10e42f60cf299702"),
}
"""File name and MD5 of each tradition's archive, by task."""

LICENCE = "CC BY-NC-SA 4.0 (Zenodo; the repository MTG/saraga states CC BY-NC 4.0: treat as the stricter)"
CITATION = (
    "B. Bozkurt, A. Srinivasamurthy, S. Gulati, X. Serra. Saraga: research datasets of Indian Art Music (1.5). 2018. "
    "doi:10.5281/zenodo.4301737"
)
REPORT = "saraga.json"

_UNREADABLE = (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a file, or a damaged or encrypted member of an archive, may raise."""

Files = Mapping[str, Callable[[], IO[bytes]]]
"""What opens each file, by its path in the source."""


@dataclass(frozen=True)
class SaragaRecording:
    """One recording of Saraga."""

    recording: DunyaRecording  # what Dunya's details say of it
    mix: str | None  # path of its mp3 in the source; ``None`` if there is not exactly one


def prepare(task: Task, context: PrepareContext) -> Plan:
    """Plan to take what Saraga covers of a task.

    Raises:
        UsageError: Saraga has nothing of this task, or a file in the data root cannot be read.
    """
    if task.name not in ARCHIVES:
        raise UsageError(f"Saraga has no recordings of {task.name}; it has Carnatic and Hindustani ones.")
    folder = context.data_root / task.name
    place = folder / "saraga"
    downloads = list_downloads(task, folder)
    if not _has_source(place):
        name, md5 = ARCHIVES[task.name]
        archive = Download(f"{ZENODO}/{name}?download=1", place / name, LICENCE, digest=f"md5:{md5}")
        downloads = (*downloads, archive)
    missing = () if downloads else _not_in_saraga(task, folder)
    if not downloads and not _lacking(task, folder):
        return Plan(missing=missing)
    notes = (
        "Saraga covers 249 of 2612 Carnatic and 108 of 1204 Hindustani recordings of the lists: it is not the task "
        "that results are published for.",
        f"If you have Saraga already, put or link its folder or archive to {place} and start again.",
    )
    step = Step(
        "take the recordings that Saraga covers: tags, and a copy of each mp3",
        lambda running: take(task, folder, running.tell, running.progress),
        licence=LICENCE,
    )
    return Plan(downloads, (step,), missing, notes)


def take(task: Task, folder: Path, tell: Callable[[str], None], progress: Progress) -> None:
    """Add what ``<folder>/saraga`` covers of the lists to ``metadata.tsv`` and ``audio``, and say how much that is.

    Raises:
        UsageError: the folder has no Saraga, or a file cannot be read.
    """
    lists = read_lists(folder)
    listed = {mbid for ids in lists.values() for mbid in ids}
    table = folder / "metadata.tsv"
    rows = read_rows(table)
    with files_of(folder / "saraga") as files:
        found, unreadable = saraga_recordings(task, files)
        covered = {mbid: entry for mbid, entry in found.items() if mbid in listed}
        if not covered:
            raise UsageError(
                f"{folder / 'saraga'} has no Saraga recording of {task.name}'s lists: expected an archive "
                f"{ARCHIVES[task.name][0]}, or its folders with a .json and an .mp3 per recording ({LAYOUT})."
            )
        add_rows(rows, (entry.recording for entry in covered.values()))
        write_rows(table, rows)
        there = audio_files(folder)
        for done, (mbid, entry) in enumerate(covered.items(), start=1):
            if entry.mix is not None and mbid not in there:
                _copy(files[entry.mix], folder / "audio" / f"{mbid}.mp3")
            progress(f"{task.name}: mp3 of Saraga", done, len(covered))
    no_mix = [mbid for mbid, entry in covered.items() if entry.mix is None]
    not_taken = [{"what": "audio", "id": i, "reason": "no single mix beside its details"} for i in no_mix]
    not_taken += [{"what": "tags", "id": path, "reason": reason} for path, reason in unreadable.items()]
    _tell_coverage(task, folder, lists, rows, covered, len(found), not_taken, tell)


def _tell_coverage(
    task: Task,
    folder: Path,
    lists: Mapping[str, tuple[str, ...]],
    rows: Rows,
    covered: Mapping[str, SaragaRecording],
    recordings: int,
    not_taken: list[dict[str, str]],
    tell: Callable[[str], None],
) -> None:
    part = {name: [mbid for mbid in ids if mbid in covered] for name, ids in lists.items()}
    unseen = [label for label in task.labels if not any(label in e.recording.tags for e in covered.values())]
    audio = audio_files(folder)
    further = {
        "recordings_in_saraga": recordings,
        "covered": {name: len(ids) for name, ids in part.items()},
        "labels_never_seen": unseen,
    }
    write_report(folder / REPORT, task, f"Saraga 1.5, {ZENODO}", lists, rows, audio, not_taken, further)
    tell(
        f"{task.name}: Saraga covers {len(covered)} of {sum(map(len, lists.values()))} listed recordings ("
        + ", ".join(f"{name} {len(ids)} of {len(lists[name])}" for name, ids in part.items())
        + f"); {recordings - len(covered)} of its recordings are in no list."
    )
    if unseen:
        tell(f"{task.name}: labels that never occur in it: {', '.join(unseen)}.")
    if not_taken:
        tell(f"{task.name}: not taken: {len(not_taken)} (missing mixes, unreadable details); see {folder / REPORT}.")
    if written := write_part(task, folder, part, rows, audio):
        tell(f"{task.name}: to evaluate the covered part by itself: cmbench run --tasks {written}")


def saraga_recordings(task: Task, files: Files) -> tuple[dict[str, SaragaRecording], dict[str, str]]:
    """Return the recordings of a copy of Saraga by id, and why details could not be read, by path.

    JSON files that are no recording's details (without a field ``mbid``) are passed over. Of two copies of one
    recording that with a mix is returned.
    """
    beside: dict[PurePosixPath, list[str]] = defaultdict(list)
    for name in files:
        beside[PurePosixPath(name).parent].append(name)
    found: dict[str, SaragaRecording] = {}
    unreadable: dict[str, str] = {}
    for name in sorted(files):
        path = PurePosixPath(name)
        if path.suffix.lower() != ".json":
            continue
        try:
            with files[name]() as handle:
                details = parse_json(handle.read(LARGEST_TEXT), name)
            if not isinstance(details, dict) or "mbid" not in details:
                continue
            recording = read_details(COLLECTIONS[task.name], details)
        except (
            UnreadableDetailsError,
            UsageError,
            ValueError,
            *_UNREADABLE,
        ) as error:
            unreadable[name] = str(error)
            continue
        entry = SaragaRecording(recording, mix_of(path, beside[path.parent]))
        if recording.mbid not in found or found[recording.mbid].mix is None:
            found[recording.mbid] = entry
    return found, unreadable


def mix_of(details: PurePosixPath, beside: list[str]) -> str | None:
    """Return the mp3 of a recording's mix, or ``None`` if it cannot be told.

    It is called like the details (``NAME.mp3.mp3`` in Saraga 1.5) or is the only one beside them that is no channel of
    a multitrack recording.
    """
    names = {PurePosixPath(name).name.lower(): name for name in beside if name.lower().endswith(".mp3")}
    for ending in (".mp3.mp3", ".mp3"):
        if named := names.get(f"{details.stem}{ending}".lower()):
            return named
    mixes = [name for short, name in names.items() if ".multitrack-" not in short]
    return mixes[0] if len(mixes) == 1 else None


@contextmanager
def files_of(place: Path) -> Iterator[Files]:
    """Give the files below a folder and inside the archives in it; hidden ones are passed over.

    Raises:
        UsageError: an archive is broken.
    """
    found: dict[str, Callable[[], IO[bytes]]] = {}
    with ExitStack() as stack:
        for path in sorted(place.rglob("*")) if place.is_dir() else ():
            name = path.relative_to(place).as_posix()
            if path.suffix.lower() == ".zip":
                try:
                    archive = stack.enter_context(zipfile.ZipFile(path))
                except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
                    raise UsageError(f"{path} cannot be read as an archive ({error}). Fetch it again.") from error
                members = [member for member in archive.namelist() if not member.endswith("/")]
                found.update({f"{name}/{member}": partial(archive.open, member) for member in members})
            elif path.is_file():
                found[name] = partial[IO[bytes]](path.open, "rb")
        yield {name: opener for name, opener in found.items() if not _hidden(name)}


def write_part(
    task: Task, folder: Path, lists: Mapping[str, list[str]], rows: Rows, audio: Mapping[str, Path]
) -> Path | None:
    """Write the covered part as a custom task and return its file; ``None`` if a split has no audio.

    Its labels are those of the task that occur in its training and in its test split.
    """
    import yaml

    labels = {mbid: labels_among(task, cell_values(rows[mbid]["tags"])) for ids in lists.values() for mbid in ids}
    kept = {name: [mbid for mbid in ids if mbid in audio] for name, ids in lists.items()}
    seen = [{label for mbid in kept[name] for label in labels[mbid]} for name in ("train", "test")]
    shared = [label for label in task.labels if label in seen[0] & seen[1]]
    if not shared or not all(kept.values()):
        return None
    facts = {
        "name": f"saraga_{task.name}",
        "title": f"{task.title} (Saraga)",
        "tradition": task.tradition,
        "description": f"The recordings of {task.title} that Saraga 1.5 covers, in the splits of the whole.",
        "licence": LICENCE,
        "citation": f"{CITATION} {task.citation}",
        "labels": shared,
        "max_track_seconds": task.max_track_seconds,
        "tracks": "saraga.csv",
    }
    with (folder / "saraga.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("id", "path", "split", "group", "labels"))
        for name, ids in kept.items():
            for mbid in ids:
                path = audio[mbid].relative_to(folder).as_posix()
                own = [label for label in labels[mbid] if label in shared]
                own += [f"?{one}" for one in unannotated(task, cell_values(rows[mbid]["tags"])) if one in shared]
                writer.writerow((mbid, path, name, rows[mbid].get("group", ""), "|".join(own)))
    part = folder / "saraga.yaml"
    part.write_text(yaml.safe_dump(facts, allow_unicode=True, sort_keys=False, width=110), encoding="utf-8")
    return part


def _hidden(name: str) -> bool:
    """Whether a path leads through a hidden folder or file (``._x`` and ``__MACOSX`` come from archives of a Mac)."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def _has_source(place: Path) -> bool:
    return place.is_dir() and any(path.suffix.lower() in (".zip", ".json") for path in place.rglob("*"))


def _lacking(task: Task, folder: Path) -> bool:
    """Whether a covered recording has no row or no audio yet, or the part has not been written."""
    rows, audio = read_rows(folder / "metadata.tsv"), audio_files(folder)
    listed = {mbid for ids in read_lists(folder).values() for mbid in ids}
    with files_of(folder / "saraga") as files:
        found, _ = saraga_recordings(task, files)
    covered = {mbid: entry for mbid, entry in found.items() if mbid in listed}
    done = all(mbid in rows and (mbid in audio or entry.mix is None) for mbid, entry in covered.items())
    return not covered or not done or not (folder / REPORT).is_file()


def _not_in_saraga(task: Task, folder: Path) -> tuple[Missing, ...]:
    """Return what is missing of the labels of the whole task once Saraga was taken."""
    if not (folder / REPORT).is_file() or not (folder / "metadata.tsv").is_file():
        return ()
    table = folder / "metadata.tsv"
    return tuple(unlabelled(task, read_lists(folder), read_rows(table).keys(), table))


def _copy(opener: Callable[[], IO[bytes]], path: Path) -> None:
    try:
        with whole_file(path) as part, opener() as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
    except _UNREADABLE as error:
        raise CmbenchError(f"{path} could not be copied from Saraga: {error}.") from error
