"""A maintainer's own run of an entry's model: compared with the entry, and kept beside it as the best badge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ...benchmark.comparing.compare import BOUND
from ...benchmark.comparing.paired import RANKED
from ...benchmark.records.evidence import Evidence, choose_records, read_evidence
from ...benchmark.records.record import Record
from ...errors import CmbenchError, UsageError
from ...files import canonical, sha256_of, write_atomically
from ..entry import LONGEST_LINE, LONGEST_STATEMENT, Entry, FileFacts, Reproduction, TaskAgreement, Withdrawal
from ..reading import entry_files, read_entry
from ..untrusted import refuse_hidden
from .findings import Finding
from .rescoring import TOLERANCE, check_identities, check_scores, rankable_protocol

AGREEMENT = BOUND
"""Macro ROC-AUC and average precision within one point are the same result (our choice): a probe trained on features
from another processor does not give the same numbers to the last digit (docs/promises.md)."""


def reproduce(folder: Path, places: Sequence[Path], maintainer: str) -> Reproduction:
    """Compare a maintainer's own records with an entry and write them beside it.

    Returns:
        What was written as ``reproduction/reproduction.json``.

    Raises:
        UsageError: nobody is named, the entry is reproduced or withdrawn already, or the records are not of its model,
            board and tasks.
        CmbenchError: the records do not agree with the entry; nothing is written.
    """
    refuse_hidden(maintainer, "--maintainer")
    if not 0 < len(maintainer.strip()) <= LONGEST_LINE:
        raise UsageError(f"--maintainer: say who ran the model, in at most {LONGEST_LINE} characters.")
    entry = read_entry(folder)
    if entry.reproduction is not None or entry.withdrawal is not None:
        what = "reproduced" if entry.reproduction is not None else "withdrawn"
        raise UsageError(f"{entry.key} is {what} already.")
    own = _own_run(entry, places)
    agreement = {e.record.task.name: compare_runs(e.record, own[e.record.task.name].record) for e in entry.evidence}
    if problems := list(_disagreements(agreement)):
        raise CmbenchError(f"{entry.key} was not reproduced; nothing is written.\n  " + "\n  ".join(problems))
    files = entry_files(list(own.values()))
    made = Reproduction(
        maintainer=maintainer,
        reproduced=datetime.now(UTC).date().isoformat(),
        manifest_sha256=entry.manifest_sha256,
        tasks=agreement,
        files={name: FileFacts(bytes=len(c), sha256=sha256_of(c)) for name, c in files.items()},
    )
    for name, content in files.items():
        write_atomically(folder / "reproduction" / name, content)
    # The last file makes it one.
    write_atomically(folder / "reproduction" / "reproduction.json", canonical(made))
    read_entry(folder)
    return made


def signing_commands(folder: Path, maintainer: str) -> tuple[str, ...]:
    """Return what a maintainer types to vouch for a reproduction: git signs the commit that adds it."""
    import shlex

    name = "/".join(folder.resolve().parts[-2:])
    return (
        f"git add {shlex.quote(str(folder / 'reproduction'))}",
        f"git commit -S -m {shlex.quote(f'Reproduce {name}: {maintainer}')}",
        f"git log --show-signature -- {shlex.quote(str(folder / 'reproduction'))}",
    )


def withdraw(folder: Path, reason: str) -> Withdrawal:
    """Write an entry's tombstone: it stays on record with the reason, and is no longer ranked.

    Raises:
        UsageError: it is withdrawn already, or there is no reason.
        CmbenchError: the reason has characters that cannot be seen.
    """
    entry = read_entry(folder)
    if entry.withdrawal is not None:
        raise UsageError(f"{entry.key} was withdrawn on {entry.withdrawal.withdrawn} already.")
    refuse_hidden(reason, "--reason", allowed="\n")
    if not 0 < len(reason.strip()) <= LONGEST_STATEMENT:
        raise UsageError(f"--reason: say why, in at most {LONGEST_STATEMENT} characters.")
    made = Withdrawal(withdrawn=datetime.now(UTC).date().isoformat(), reason=reason)
    write_atomically(folder / "withdrawal.json", canonical(made))
    return made


def _own_run(entry: Entry, places: Sequence[Path]) -> dict[str, Evidence]:
    """Return the maintainer's evidence by task, checked to be a run of the same thing, and not the same run."""
    board = entry.submission.board
    found: dict[str, Evidence] = {}
    for path, record in choose_records(places, board.edition, board.split, board.protocol).items():
        if record.model.fingerprint == entry.submission.model_fingerprint:
            if record.task.name in found:
                raise UsageError(
                    f"There are two records of {record.task.name} in the same run; name one folder of them."
                )
            found[record.task.name] = read_evidence(path)
    if lacking := [task for task in entry.submission.tasks if task not in found]:
        raise UsageError(
            f"There is no record of {entry.submission.name} (fingerprint {entry.submission.model_fingerprint}) on "
            f"{', '.join(lacking)}; run the model on every task of the entry."
        )
    for e in entry.evidence:
        if problem := _not_a_run_of(e, found[e.record.task.name]):
            raise UsageError(f"{e.record.task.name}: {problem}")
    return {task: found[task] for task in entry.submission.tasks}


def _not_a_run_of(entry: Evidence, own: Evidence) -> str | None:
    one, other = entry.record, own.record
    if one.environment == other.environment and one.cost == other.cost:
        return "this is the entry's own record, not another run."
    if one.model.fingerprint != other.model.fingerprint or one.protocol.sha256 != other.protocol.sha256:
        return "the model or the protocol is another."
    if (one.task.labels, one.task.families) != (other.task.labels, other.task.families):
        return "its labels are not those of the entry."
    if entry.track_ids != own.track_ids or not entry.same_truth(own):
        return "its test tracks or labels are not those of the entry."
    return None


def compare_runs(entry: Record, own: Record) -> TaskAgreement:
    """Return the maintainer's scores minus the entry's."""
    differences = {}
    for metric in RANKED:
        before, after = entry.metrics[metric].value, own.metrics[metric].value
        differences[metric] = None if before is None or after is None else after - before
    return TaskAgreement(differences=differences, tolerance=AGREEMENT)


def _disagreements(tasks: Mapping[str, TaskAgreement]) -> Iterator[str]:
    for task, found in tasks.items():
        for metric, value in found.differences.items():
            if value is not None and abs(value) > AGREEMENT:
                yield f"{task}: {metric} differs by {100 * value:+.2f} points; up to {100 * AGREEMENT:.0f} would agree."


def check_reproduction(entry: Entry) -> Iterator[Finding]:
    """Check a reproduction as strictly as an entry: its scores, and that they agree."""
    if entry.reproduction is None:
        return
    for e, own in zip(entry.evidence, entry.reproduced_evidence, strict=True):
        task = e.record.task.name
        if problem := _not_a_run_of(e, own):
            yield Finding("error", "reproduction", task, problem)
            continue
        try:
            checks = [*check_identities(own.record), *check_scores(own, rankable_protocol(own.record))]
        except CmbenchError as error:
            yield Finding("error", "reproduction", task, str(error))
            continue
        for f in checks:
            yield Finding(f.severity, "reproduction", f.where, f.message)
        again, said = compare_runs(e.record, own.record).differences, entry.reproduction.tasks[task].differences
        if again.keys() != said.keys() or any(not _same(again[m], said[m]) for m in again):
            yield Finding("error", "reproduction", task, "the differences stated are not those of the two records.")
        for problem in _disagreements({task: compare_runs(e.record, own.record)}):
            yield Finding("error", "reproduction", task, problem)


def _same(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= TOLERANCE
