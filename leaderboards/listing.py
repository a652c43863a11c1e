"""Every entry with its place: what the pages and the JSON of the board are views of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..benchmark.records.record import Record
from ..benchmark.views.reported.rows import ReportedBlock, reported_blocks
from ..files import sha256_of
from .claims import claims
from .entry import Badge, Entry, Manifest, Reproduction, Submission, Withdrawal
from .ranking import RESAMPLES, Board, Entrant, boards
from .reading import iter_entries, parse
from .succession import Succession, lineage, read_successors, standing, versions

FORMAT = "1.0"
"""Of ``board.json`` and the pages' addresses: a change that a reader must know of is a new number."""


def canonical(value: object) -> str:
    """Return JSON without NaN, the same text for the same content."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True) + "\n"


@dataclass(frozen=True)
class File:
    """A file of an entry."""

    name: str  # relative to the entry
    bytes: int  # its size


@dataclass(frozen=True)
class Listed:
    """What the pages say of an entry; its predictions are not kept in memory."""

    key: str  # ``name/version``
    path: Path  # its folder
    submission: Submission  # what the submitter says
    badge: Badge  # what its scores rest on
    manifest_sha256: str  # identifies its content
    records: tuple[Record, ...]  # in the order of the tasks' names
    card_facts: tuple[tuple[str, str], ...]  # front matter of the model card as text
    card: str  # the model card
    base: str  # what it says that it was adapted from; empty if it says nothing
    files: tuple[File, ...]  # those of the manifest first
    withdrawal: Withdrawal | None  # ``None`` while it stands
    reproduction: Reproduction | None  # ``None`` while no maintainer ran it
    contaminated: str  # why its scores mean nothing; empty if no test track was heard
    newer: str | None  # the confirmed successor that took its place on the board; ``None`` while it stands
    # the version before, whose successor it claims to be and is not confirmed as; ``None`` if it claims none
    claims: str | None
    unverified: tuple[str, ...]  # what remains a claim of its submitter


@dataclass(frozen=True)
class Site:
    """Everything that the pages show."""

    boards: tuple[Board, ...]  # real data first
    listed: Mapping[str, Listed]  # every entry by its key
    reported: tuple[ReportedBlock, ...]  # what papers report, for boards of the published data
    version: str  # of cmbench
    entries_sha256: str  # hash of the entries' names and contents
    format: str = FORMAT  # of ``board.json``

    @property
    def real(self) -> tuple[Board, ...]:
        """Boards of real data."""
        return tuple(board for board in self.boards if board.edition != "mini")


def read_site(root: Path, resamples: int = RESAMPLES) -> Site:
    """Read the entries below a folder and rank them.

    Raises:
        CmbenchError: an entry is not sound, or there is no such folder.
    """
    from ..version import __version__

    stand = standing(versions(root), read_successors(root))
    listed: dict[str, Listed] = {}

    def entrants() -> Iterator[Entrant]:
        for entry in iter_entries(root):
            one = _listed(entry, stand)
            listed[one.key] = one
            if one.withdrawal is None and one.newer is None:
                base = stand.heads.get(lineage(one.submission, one.base.rpartition("/")[2]))
                yield Entrant(one.key, entry.evidence, base, one.contaminated)

    ranked = boards(entrants(), resamples)
    # The hash is of what was read: names, manifests, what may be added to an entry later, what was confirmed.
    content = [[one.key, one.manifest_sha256, *_later(one)] for one in listed.values()]
    return Site(ranked, listed, reported_blocks(), __version__, sha256_of(canonical(sorted(content)).encode()))


def _later(one: Listed) -> list[str]:
    added = (one.withdrawal, one.reproduction)
    return [*("" if part is None else sha256_of(part.model_dump_json().encode()) for part in added), one.newer or ""]


def _listed(entry: Entry, stand: Succession) -> Listed:
    said = entry.submission
    return Listed(
        key=entry.key,
        path=entry.path,
        submission=said,
        badge=entry.badge,
        manifest_sha256=entry.manifest_sha256,
        records=tuple(sorted((e.record for e in entry.evidence), key=lambda r: r.task.name)),
        card_facts=tuple((str(name), _words(value)) for name, value in entry.card_facts.items()),
        card=entry.card,
        base=_words(entry.card_facts.get("base_model", "")),
        files=tuple(_files(entry)),
        withdrawal=entry.withdrawal,
        reproduction=entry.reproduction,
        contaminated=entry.contaminated,
        newer=stand.superseded.get(entry.key),
        claims=stand.claims.get(entry.key),
        unverified=claims(entry),
    )


def _words(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_words, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _files(entry: Entry) -> Iterator[File]:
    """Yield the files of an entry: those of its manifest, the manifest, and what was added later."""
    listed = parse(Manifest, entry.path / "manifest.json").files
    names = [*sorted(listed), "manifest.json"]
    if entry.withdrawal is not None:
        names.append("withdrawal.json")
    if entry.reproduction is not None:
        names += [
            "reproduction/reproduction.json",
            *(f"reproduction/{name}" for name in sorted(entry.reproduction.files)),
        ]
    for name in names:
        yield File(name, (entry.path / name).stat().st_size)
