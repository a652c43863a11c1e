"""What Dunya says of a recording, as tags and releases, and the table ``metadata.tsv`` that keeps it.

Fields of a recording's details: MTG/dunya at 8c2c902, ``makam/api.py``, ``carnatic/api.py``, ``hindustani/api.py``
(``RecordingDetailSerializer``). Which of them become tags, and under what names: pxaris/ccml at 1f20c2f,
``preprocessing/dunya/get_metadata.py``. Saraga ships the same details, one JSON file per recording.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...files import whole_file
from ..fetching.tables import cell_values, read_table

RECORDING_ID = re.compile(r"[\w-]+")
"""Of a recording; it becomes a file's name."""

COLUMNS = ("mbid", "tags", "group", "releases", "duration_s")
"""Of ``metadata.tsv`` as it is written here; columns that the user added are kept behind them."""


@dataclass(frozen=True)
class DunyaCollection:
    """How one of Dunya's collections spells a recording's details."""

    path: str  # the collection's part of an address, ``/api/<path>/recording``
    tags: tuple[tuple[str, str, str], ...]  # ``(field, family, key of the name)`` of each list that becomes tags
    performances: str  # field that lists who plays what
    releases: str  # field that lists releases or concerts

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that is read."""
        return (*(field for field, _, _ in self.tags), self.performances, self.releases)


COLLECTIONS: Mapping[str, DunyaCollection] = {
    "turkish_makam": DunyaCollection(
        "makam", (("makamlist", "makam", "name"), ("usullist", "usul", "name")), "performers", "releases"
    ),
    "carnatic": DunyaCollection(
        "carnatic",
        (("raaga", "raga", "common_name"), ("taala", "tala", "common_name"), ("form", "form", "name")),
        "artists",
        "concert",
    ),
    "hindustani": DunyaCollection(
        "hindustani",
        (("raags", "raga", "common_name"), ("taals", "tala", "common_name"), ("forms", "form", "common_name")),
        "artists",
        "release",
    ),
}
"""By task."""

COMMON_NAMES: Mapping[str, str] = {
    "123b09bd-9901-4e64-a65a-10b02c9e0597": "bhairavi",
    "bf4662d4-25c3-4cad-9249-4de2dc513c06": "kalyani",
    "ea7f610a-06f4-4461-ba8b-e115f238375c": "ragamalika",
    "a9413dff-91d1-4e29-ad92-c04019dce5b8": "thodi",
    "c788c38a-b53a-48cb-b7bf-d11769260c4d": "adi",
    "e22c4e94-47f5-4190-88a3-d1f31ef3a84f": "khanda chapu",
    "7eb02ed9-2dcb-471f-9a8a-a09aa5cea633": "mishra chapu",
    "8c6c26db-e01a-4eef-ae0b-9f7e31a926e8": "rupaka",
    "7591faad-e68a-4550-b675-8082842c6056": "Bageshree",
    "e6710c21-4b6c-413d-abb5-2146bad52b9d": "Bhairabi",
    "48b37bed-e847-4882-8a01-5c721e07f07d": "Yaman kalyan",
    "7cb20903-5f64-4f15-8713-2fb4fcca2b5b": "Ektaal",
    "74c68999-a018-427b-973d-11bf49b6bd71": "Jhaptaal",
    "a0b78215-e99c-41e0-bf26-92e723e29cd2": "Rupak",
    "1ec9a7ab-8575-4cbe-b775-fac17e633f35": "Teentaal",
    "8527215d-ca48-424b-aab4-258f34677a12": "Bhajan",
    "fa0a07ae-2351-461a-a73a-5d52286783d6": "Dhrupad",
    "7ed81b92-aea6-4f4b-bffb-c12d80012d37": "Khayal",
    "cfd3e7d3-cbe4-4e72-a080-f3a70d1d36a9": "Tarana",
    "9df2df38-63e2-4230-bf8b-1a8339be9d6e": "Thumri",
}
"""Common names of the ragas, talas and forms that are labels, by Dunya's uuid: some copies of Saraga leave the common
name out and have only the transliteration (Tōḍi for thodi). Sources: MTG/dunya, ``carnatic/fixtures`` and
``hindustani/fixtures``; MTG/saraga, ``dataset/hindustani``."""


class UnreadableDetailsError(ValueError):
    """A recording's details do not have the form that Dunya gives them; the message says where."""


@dataclass(frozen=True)
class DunyaRecording:
    """One recording of a collection."""

    mbid: str  # MusicBrainz recording id
    tags: tuple[str, ...]  # ``family--name``, sorted; also those that are not labels of the task
    releases: tuple[str, ...]  # MusicBrainz ids of the releases or concerts it is on, sorted
    seconds: float | None = None  # its length; ``None`` where it is not stated (the makam collection does not)


def has_details(collection: DunyaCollection, entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a list of recordings has what :func:`read_details` reads."""
    return all(field in entry for field in collection.fields)


def read_details(collection: DunyaCollection, details: object) -> DunyaRecording:
    """Return the recording that details describe.

    Raises:
        UnreadableDetailsError: a field is absent or has another form.
    """
    if not isinstance(details, dict):
        raise UnreadableDetailsError(f"expected an object, found {type(details).__name__}")
    mbid = str(details.get("mbid") or "").strip().lower()
    if not RECORDING_ID.fullmatch(mbid):
        raise UnreadableDetailsError("no MusicBrainz id in the field 'mbid'")
    tags = {
        f"{family}--{_name(entry, key, field)}"
        for field, family, key in collection.tags
        for entry in _entries(details, field)
    }
    for performance in _entries(details, collection.performances):
        instrument = performance.get("instrument")
        if instrument is None:  # a performer whose instrument MusicBrainz does not state
            continue
        if not isinstance(instrument, dict):
            raise UnreadableDetailsError(f"an instrument in {collection.performances!r} is no object")
        tags.add(f"instrument--{_name(instrument, 'name', 'instrument')}")
    # Of a release without an id nothing is known: it is none, and must not join all that are on such a one.
    releases = {str(entry.get("mbid") or "").strip().lower() for entry in _entries(details, collection.releases)}
    return DunyaRecording(mbid, tuple(sorted(tags)), tuple(sorted(releases - {""})), _seconds(details.get("length")))


def _entries(details: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    """Return the objects that a field lists; older answers have a lone object or null where one or none is meant."""
    if field not in details:
        raise UnreadableDetailsError(f"the field {field!r} is absent")
    value = details[field]
    entries = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in entries):
        raise UnreadableDetailsError(f"the field {field!r} does not list objects")
    return entries


def _name(entry: Mapping[str, Any], key: str, field: str) -> str:
    """Return the name that a tag carries, on one line and without the separator of tags."""
    name = entry.get(key) or (COMMON_NAMES.get(str(entry.get("uuid"))) or entry.get("name"))
    if not isinstance(name, str) or not name.strip():
        raise UnreadableDetailsError(f"an entry of {field!r} has no name")
    printable = name.replace("|", "/").encode("utf-8", "replace").decode("utf-8")  # JSON may hold half a surrogate pair
    return unicodedata.normalize("NFC", " ".join(printable.split()))


def _seconds(milliseconds: object) -> float | None:
    if isinstance(milliseconds, int | float) and 0 < milliseconds < 1e12:  # 30 years; a whole number may be any
        return milliseconds / 1000
    return None


Rows = dict[str, dict[str, str]]
"""Rows of ``metadata.tsv`` by recording id, each a cell by column."""


def read_rows(table: Path) -> Rows:
    """Return the rows of a ``metadata.tsv`` with all their columns; none if there is no such file.

    Raises:
        UsageError: the table cannot be read, or an id has two rows.
    """
    rows: Rows = {}
    if not table.is_file():
        return rows
    for line, row in read_table(table, ("mbid", "tags")):
        mbid = row["mbid"].strip().lower()
        if not mbid or mbid in rows:
            told = f"{mbid} has a row already; keep one row per recording" if mbid else "the cell mbid is empty"
            raise UsageError(f"{table}, line {line}: {told}.")
        rows[mbid] = {**row, "mbid": mbid}
    return rows


def add_rows(rows: Rows, recordings: Iterable[DunyaRecording]) -> None:
    """Add recordings that have no row yet to ``rows``; a row that is there, perhaps the user's own, stays as it is."""
    for recording in recordings:
        rows.setdefault(
            recording.mbid,
            {
                "mbid": recording.mbid,
                "tags": "|".join(recording.tags),
                "releases": "|".join(recording.releases),
                "duration_s": "" if recording.seconds is None else f"{recording.seconds:.3f}",
            },
        )


def write_rows(table: Path, rows: Rows) -> None:
    """Give ``rows`` their releases as groups, and write them, under a temporary name first."""
    for row in rows.values():
        if releases := cell_values(row.get("releases", "")):
            row["group"] = "|".join(releases)
    further = dict.fromkeys(column for row in rows.values() for column in row if column not in COLUMNS)
    columns = (*COLUMNS, *further)
    with whole_file(table) as part, part.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row.get(column, "") for column in columns] for row in rows.values())
