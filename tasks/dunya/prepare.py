"""How a Dunya collection gets onto this machine: the public id lists, then tags and mp3 of every listed recording."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CmbenchError, Missing, UsageError
from ...files import write_atomically
from ...untrusted import LARGEST_TABLE, read_object
from ..base import Progress, Task
from ..fetching.published import read_lists
from ..fetching.room import spoken_bytes
from ..preparing import Plan, PrepareContext, Step
from ..splits.names import SPLITS
from . import saraga
from .answers import DUNYA, PROFILE, TOKEN_VARIABLE, DunyaUnavailableError, TokenRefusedError
from .client import URL_VARIABLE, DunyaClient
from .layout import LICENCE, audio_files
from .lists import absent, compare, list_downloads, write_report
from .recordings import (
    COLLECTIONS,
    RECORDING_ID,
    DunyaCollection,
    DunyaRecording,
    Rows,
    UnreadableDetailsError,
    add_rows,
    has_details,
    read_details,
    read_rows,
    write_rows,
)

REPORT = "dunya.json"
"""What was fetched when, and what could not be."""

PAGES = "tag-pages.json"
"""Where a list of tags was broken off; gone when it was read to its end."""

MANY = 100
"""With more recordings than this to ask for, whole pages are: Dunya's pages have 100 (MTG/dunya:
``carnatic/API_README.md``)."""

IN_A_ROW = 3
"""After so many failures or refusals one after another it is not the recordings that are at fault: stop."""

BYTES_PER_SECOND = 16_000
"""Of an mp3 of 128 kbit/s, as the one whole recording of Saraga that was read for this project. Dunya states neither
rates nor sizes; at 320 kbit/s it is two and a half times as much."""

ASKED = f"Dunya token: register, copy it from {PROFILE}, and type it here (not shown, not kept) or set {TOKEN_VARIABLE}"

Tell = Callable[[str], None]


def prepare(task: Task, context: PrepareContext) -> Plan:
    """Plan the preparation of a Dunya task.

    Raises:
        UsageError: the source is unknown, or a file in the data root cannot be read.
    """
    if context.source == "saraga":
        return saraga.prepare(task, context)
    if context.source not in (None, "dunya"):
        known = "dunya, saraga" if task.name in saraga.ARCHIVES else "dunya"
        raise UsageError(f"{task.name} has no source {context.source!r}; it has {known}.")
    folder = context.data_root / task.name
    downloads = list_downloads(task, folder)
    missing: tuple[Missing, ...] = ()
    listed = sum(task.counts.values())
    # Without the lists it is not known which recordings these are, but how many.
    tags_count, mp3_count = listed, max(0, listed - len(audio_files(folder)))
    if not downloads:
        tags, audio = absent(folder)
        if not tags and not audio:
            return Plan()
        missing = not_in_dunya(task, folder, tags)
        tags_count, mp3_count = len(tags), len(audio)
    mean = task.mean_seconds or 0.0
    estimate = round(mp3_count * mean * BYTES_PER_SECOND)
    notes = [f"Whole recordings are fetched, of which the first {task.max_track_seconds or 0:g} s are used."]
    if estimate:
        notes.append(
            f"Dunya states no sizes: about {spoken_bytes(estimate)} is {mp3_count} mp3 of {mean / 60:.1f} min in the "
            f"mean (docs/data.md: of which recordings) at 128 kbit/s; at 320 kbit/s it would be "
            f"{spoken_bytes(round(2.5 * estimate))}."
        )
    asks = "" if os.environ.get(TOKEN_VARIABLE) else ASKED
    if asks:
        notes.append(f"You will be asked for your Dunya token ({PROFILE}); or set {TOKEN_VARIABLE}.")
    step = Step(
        f"fetch from Dunya the tags of {tags_count} recordings and the mp3 of {mp3_count}",
        lambda running: fetch(task, folder, running),
        licence=LICENCE,
        fetches=True,
        source=DUNYA,
        files=mp3_count,
        estimate=estimate or None,
        asks=asks,
    )
    return Plan(downloads, (step,), missing, tuple(notes))


def not_in_dunya(task: Task, folder: Path, without_tags: Iterable[str]) -> tuple[Missing, ...]:
    """Return what Dunya was asked for and does not have of the labels, as the last report says: nothing or one entry.

    Raises:
        UsageError: the report cannot be read.
    """
    path = folder / REPORT
    if not path.is_file():
        return ()
    try:
        entries = read_object(path, LARGEST_TABLE)["not_fetched"]
        asked = {e["id"] for e in entries if (e["what"], e["state"]) == ("tags", "missing")}
    except (UsageError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{path} is not the report that a preparation writes; remove it.") from error
    ids = [mbid for mbid in without_tags if mbid in asked]
    if not ids:
        return ()
    return (
        Missing(
            what=f"tags of {len(ids)} listed recordings of {task.name} that Dunya does not have or not for your token",
            where=str(path),
            source=DUNYA,
            licence=LICENCE,
            command=f"add their rows to {folder / 'metadata.tsv'}, or take their ids out of the lists in split/ (the "
            "split then differs)",
        ),
    )


def fetch(task: Task, folder: Path, context: PrepareContext) -> None:
    """Fetch what is absent of a collection, with the user's token.

    Raises:
        TokenRefusedError: Dunya does not accept the token.
        CmbenchError: something could not be fetched; everything else was.
    """
    if context.offline:
        raise UsageError(f"{task.name}: tags and audio come from Dunya, which cannot be reached offline.")
    token = os.environ.get(TOKEN_VARIABLE) or context.ask(ASKED)
    with DunyaClient(token, os.environ.get(URL_VARIABLE) or DUNYA, wait=context.wait) as client:
        fetch_collection(task, folder, client, context.tell, context.progress)


@dataclass
class Unfetched:
    """What could not be fetched: ``(what, recording id) -> reason``."""

    # Dunya does not have it; asking again soon would not help
    missing: dict[tuple[str, str], str] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)  # it may be there another time
    in_a_row: int = 0

    def note(self, what: str, mbid: str, error: CmbenchError | UnreadableDetailsError) -> None:
        """Note a failure or a refusal.

        Raises:
            CmbenchError: the error itself, if it is one too many in a row.
        """
        kept = self.missing if isinstance(error, TokenRefusedError) else self.failed
        kept[what, mbid] = "refused for this token" if isinstance(error, TokenRefusedError) else str(error)
        self.in_a_row += 1
        if self.in_a_row >= IN_A_ROW:
            if isinstance(error, TokenRefusedError):
                raise error
            said = str(error) if isinstance(error, CmbenchError) else f"Dunya's answers have an unknown form: {error}."
            raise DunyaUnavailableError(
                f"{said} Stopped after {IN_A_ROW} failures in a row. What was fetched is kept; the same command goes "
                "on from there."
            ) from None

    def as_json(self) -> list[dict[str, str]]:
        """Return it as plain data."""
        return [
            {"what": what, "id": mbid, "reason": reason, "state": state}
            for state, kept in (("missing", self.missing), ("failed", self.failed))
            for (what, mbid), reason in kept.items()
        ]


def fetch_collection(task: Task, folder: Path, client: DunyaClient, tell: Tell, progress: Progress) -> None:
    """Fetch tags, then audio, of every listed recording that has none, and write down what came of it.

    Raises:
        TokenRefusedError: Dunya does not accept the token.
        DunyaUnavailableError: Dunya cannot be reached, or some recordings failed; the rest was fetched.
    """
    lists = read_lists(folder)
    listed = tuple(dict.fromkeys(mbid for name in SPLITS for mbid in lists[name]))
    for mbid in listed:
        if not RECORDING_ID.fullmatch(mbid):
            raise UsageError(f"{folder / 'split'}: {mbid!r} in the lists is no recording id.")
    table = folder / "metadata.tsv"
    rows = read_rows(table)
    unfetched = Unfetched()
    with _report(task, folder, client.url, lists, rows, unfetched):
        fetch_tags(task, client, table, rows, listed, unfetched, progress)
        comparison = compare(task, lists, rows)
        for sentence in comparison.sentences():
            tell(sentence)
        fetch_audio(client, folder, [mbid for mbid in listed if mbid in rows], unfetched, progress)
    if unfetched.missing:
        tell(f"{task.name}: tags or mp3 that Dunya does not have: {len(unfetched.missing)}; see {folder / REPORT}.")
    if unfetched.failed:
        reasons = sorted(set(unfetched.failed.values()))
        raise DunyaUnavailableError(
            f"{task.name}: tags or mp3 that could not be fetched: {len(unfetched.failed)} ({reasons[0]}). All else is "
            f"there; the same command tries these again. {folder / REPORT} names them."
        )


def fetch_tags(
    task: Task,
    client: DunyaClient,
    table: Path,
    rows: Rows,
    listed: Iterable[str],
    unfetched: Unfetched,
    progress: Progress,
) -> None:
    """Add a row for every listed recording that has none; the table is written as they come.

    Many are read from whole pages of details first, and a list that was broken off goes on behind its last page; those
    that no page has are asked for one by one.
    """
    collection = COLLECTIONS[task.name]
    wanted = [mbid for mbid in listed if mbid not in rows]
    what = f"{task.name}: tags"
    if len(wanted) > MANY:
        for page in _pages(client, collection, table.with_name(PAGES)):
            before = len(rows)
            add_rows(rows, _readable(collection, page, set(wanted)))
            if len(rows) > before:
                write_rows(table, rows)
            progress(what, sum(mbid in rows for mbid in wanted), len(wanted))
    rest = [mbid for mbid in wanted if mbid not in rows]
    before = len(rows)
    try:
        for asked, mbid in enumerate(rest, start=1):
            try:
                details = client.recording(collection.path, mbid)
                if details is None:
                    unfetched.missing["tags", mbid] = "not in Dunya, or not for this token (404)"
                else:
                    add_rows(rows, [read_details(collection, {**details, "mbid": mbid})])
                unfetched.in_a_row = 0
            except (DunyaUnavailableError, UnreadableDetailsError) as error:
                unfetched.note("tags", mbid, error)
            if asked % MANY == 0 and len(rows) > before:
                write_rows(table, rows)
            progress(what, len(wanted) - len(rest) + asked, len(wanted))
    finally:
        if len(rows) > before:
            write_rows(table, rows)


def _pages(client: DunyaClient, collection: DunyaCollection, kept: Path) -> Iterator[tuple[Mapping[str, Any], ...]]:
    """Yield a collection's pages; after a list that was broken off, those behind the last one that was dealt with.

    Where the list is, is kept beside the table, whose rows are what the pages before said.
    """
    start_at = _place_in_list(kept, client.url)

    def reached(query: str | None) -> None:
        if query is None:
            kept.unlink(missing_ok=True)
        else:
            write_atomically(kept, json.dumps({"url": client.url, "next": query}).encode())

    yielded = False
    try:
        for page in client.recordings(collection.path, start_at, reached):
            yielded = True
            yield page
    except DunyaUnavailableError:
        if start_at is not None and not yielded:
            kept.unlink(missing_ok=True)  # there may be no such page any more: the next start begins anew
        raise


def _place_in_list(kept: Path, url: str) -> str | None:
    """Return the query of the next page of a list that was broken off; ``None`` for a list from its start."""
    try:
        said = json.loads(kept.read_bytes())
        return str(said["next"]) if said["url"] == url else None
    except (FileNotFoundError, ValueError, LookupError, TypeError):  # a place that cannot be read is none
        return None


def _readable(
    collection: DunyaCollection, page: Iterable[Mapping[str, Any]], wanted: Container[str]
) -> Iterator[DunyaRecording]:
    """Yield the wanted recordings of a page that have readable details; others are asked for by themselves."""
    for entry in page:
        if str(entry.get("mbid", "")).strip().lower() in wanted and has_details(collection, entry):
            with suppress(UnreadableDetailsError):
                yield read_details(collection, entry)


def fetch_audio(
    client: DunyaClient, folder: Path, wanted: Iterable[str], unfetched: Unfetched, progress: Progress
) -> None:
    """Fetch the mp3 of every recording that has no audio file."""
    there = audio_files(folder)
    absent_audio = [mbid for mbid in wanted if mbid not in there]
    unfetched.in_a_row = 0
    for done, mbid in enumerate(absent_audio, start=1):
        try:
            if not client.fetch_mp3(mbid, folder / "audio" / f"{mbid}.mp3"):
                unfetched.missing["audio", mbid] = "Dunya has no mp3 (404)"
            unfetched.in_a_row = 0
        except (DunyaUnavailableError, TokenRefusedError) as error:
            unfetched.note("audio", mbid, error)
        progress(f"{folder.name}: mp3", done, len(absent_audio))


@contextmanager
def _report(
    task: Task, folder: Path, source: str, lists: Mapping[str, tuple[str, ...]], rows: Rows, unfetched: Unfetched
) -> Iterator[None]:
    """Write the report whatever happens, so that a stopped run is on record too."""
    try:
        yield
    finally:
        write_report(folder / REPORT, task, source, lists, rows, audio_files(folder), unfetched.as_json())
