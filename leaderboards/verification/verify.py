"""``cmbench leaderboard verify``: nothing that an entry says is taken on faith."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...benchmark.records.evidence import Evidence
from ...errors import CmbenchError, UsageError
from ...files import is_part
from ..claims import claims
from ..entry import Entry
from ..reading import entry_folders, read_entry
from .copies import check_copies, check_seeds
from .crosschecks import (
    check_hashes,
    check_identity,
    check_mini_ceiling,
    check_others,
    check_reproduced_cost,
    check_selection,
    check_usable,
)
from .findings import Finding, Verification
from .history import check_history
from .identity import check_names
from .reproduce import check_reproduction
from .rescoring import check_identities, check_scores, rankable_protocol
from .suspicion import check_ceiling, check_order, check_training
from .truth import check_coverage, check_labels, check_same_split, check_task, known_task, own_data, status


def verify(place: Path, *, labels: Path | None = None, base: str | None = None) -> list[Verification]:
    """Verify an entry, all versions of one name, or every entry in a folder of them.

    ``place`` is ``<name>/<version>``, ``<name>``, or a folder of such; ``labels`` a folder as a data root is, without
    audio; entries of the git revision ``base`` may not change.

    Returns:
        One result for each entry; one more, for the folder, where its history or layout is broken.

    Raises:
        UsageError: the folder does not exist, or the base is no revision.
    """
    if not place.is_dir():
        raise UsageError(f"{place} is not a folder; name an entry, or a folder of entries.")
    picked = _picked(place)
    single = bool(picked)
    layout: list[Finding] = []
    root = picked[0].resolve().parents[1] if single else place
    folders: list[Path] = []
    try:
        folders = list(entry_folders(root))
    except CmbenchError as error:
        if single:
            # The neighbours of one entry are only compared with it.
            folders = []
        else:
            layout.append(Finding("error", "form", place.name, str(error)))
    read = {path: _read(path) for path in folders}
    chosen = {path: _read(path) for path in picked} if single else read
    known = [entry for entry in read.values() if isinstance(entry, Entry)]
    history = [*layout, *check_names(root, folders, known), *(check_history(place, base) if base is not None else ())]
    found = [_verified(path, entry, known, labels, history) for path, entry in chosen.items()]
    named = {one.entry for one in found}
    rest = tuple(f for f in history if f.where not in named)
    return [*found, *([Verification(str(place), None, {}, rest)] if rest else [])]


def _picked(place: Path) -> list[Path]:
    """Return the entry that a folder is, or the versions that it holds; nothing for a folder of many names."""
    if any((place / name).is_file() for name in ("submission.json", "manifest.json")):
        return [place]
    inner = [path for path in sorted(place.iterdir()) if path.is_dir() and not is_part(path)]
    # All of them: one that poses as a version among a folder of names must not keep the others from being verified.
    return inner if all((path / "submission.json").is_file() for path in inner) else []


def _read(path: Path) -> Entry | CmbenchError:
    try:
        return read_entry(path)
    except CmbenchError as error:
        return error


def _verified(
    path: Path, entry: Entry | CmbenchError, known: Sequence[Entry], labels: Path | None, history: Sequence[Finding]
) -> Verification:
    key = "/".join(path.resolve().parts[-2:])
    mine = [f for f in history if f.where == key]
    if isinstance(entry, CmbenchError):
        return Verification(key, None, {}, (Finding("error", "form", key, str(entry)), *mine))
    others = [other for other in known if other.path.resolve() != entry.path.resolve()]
    return verify_entry(entry, others, labels=labels, further=mine)


def verify_entry(
    entry: Entry, others: Sequence[Entry] = (), *, labels: Path | None = None, further: Sequence[Finding] = ()
) -> Verification:
    """Verify an entry that could be read.

    ``further``: findings about it from elsewhere.
    """
    findings = [*further]
    tasks = {}
    same_board = [other for other in others if other.submission.board == entry.submission.board]
    for evidence in entry.evidence:
        task = evidence.record.task.name
        try:
            protocol = rankable_protocol(evidence.record)
            form = [*check_task(evidence, known_task(evidence)), *check_coverage(evidence)]
            findings += form
            if form:
                # Labels of another task or too many tracks: there is nothing to compute.
                tasks[task] = "not checked: it is not the task's form"
                continue
            part = evidence.record.task
            data = own_data(part.name, part.edition, part.split, labels, part.split_sha256)
            tasks[task] = status(data)
            data = data and data.read_as(protocol.unknown)
            findings += check_labels(evidence, data)
            if data is None:
                findings += check_same_split(evidence, [e for other in same_board for e in other.evidence])
            findings += check_identities(evidence.record)
            findings += check_scores(evidence, protocol)
            findings += check_hashes(evidence, known_task(evidence), protocol)
            findings += check_selection(evidence, protocol)
            findings += check_usable(evidence, [e for other in same_board for e in other.evidence if _of(e, task)])
            findings += check_ceiling(evidence)
            findings += check_mini_ceiling(evidence)
            findings += check_order(evidence)
        except CmbenchError as error:
            tasks.setdefault(task, "not checked: it cannot be scored")
            findings.append(Finding("error", "board", task, str(error)))
    findings += check_training(entry)
    findings += check_identity(entry)
    findings += check_copies(entry, same_board)
    findings += check_seeds(entry)
    findings += check_others(entry, same_board)
    findings += check_reproduction(entry)
    findings += check_reproduced_cost(entry)
    refused = any(f.severity == "error" for f in findings)
    return Verification(entry.key, None if refused else entry.badge, tasks, tuple(findings), claims(entry))


def _of(evidence: Evidence, task: str) -> bool:
    return evidence.record.task.name == task
