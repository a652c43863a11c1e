"""``cmbench submit``: from the records of a run to an entry of the board."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..benchmark.records.evidence import Evidence, choose_records, read_evidence
from ..benchmark.records.record import Record
from ..errors import CmbenchError, UsageError
from ..files import canonical, safe_name, sha256_of, write_folder_files
from ..tasks.splits.names import is_sample
from .contamination import marks, marks_beside
from .entry import LARGEST_ENTRY, BoardId, Entry, FileFacts, Manifest, Submission, Successor
from .ranking import Board, Entrant, boards
from .reading import SAME_NAME, entry_files, read_entry, same_names
from .succession import standing, version_of, version_order
from .untrusted import LARGEST_CARD, is_name, read_bytes, read_card
from .verification.rescoring import rankable_protocol

NONE = "none"
"""What a submitter writes for a model that was trained on nothing."""


@dataclass(frozen=True)
class Statements:
    """What only the submitter can say; ``None`` where it was not said."""

    contact: str | None = None  # who answers questions
    licence: str | None = None  # of the weights
    parameters: int | None = None  # of the encoder
    training_corpora: tuple[str, ...] | None = None  # everything that the model was trained on
    contamination: str | None = None  # what is known of test tracks among them
    contaminated: bool = False  # whether they are known to be there


QUESTIONS: Mapping[str, tuple[str, str]] = {
    "contact": ("--contact", "an address or account for questions"),
    "licence": ("--licence", "the licence of the weights"),
    "parameters": ("--parameters", "the number of parameters"),
    "training_corpora": ("--trained-on", f"what the model was trained on, once for each corpus, or '{NONE}'"),
    "contamination": ("--contamination", "what is known of test tracks among the training data"),
}
"""Statement -> the option that gives it, and what it is."""

_CARD_KEYS: Mapping[str, tuple[str, ...]] = {
    "contact": ("contact",),
    "licence": ("licence", "license", "license_name"),
    "training_corpora": ("trained_on", "datasets"),
    "contamination": ("contamination",),
}
"""Where the front matter of a model card says it (Hugging Face's keys among them)."""

_UNSAID = {"", "unknown", "other", "not stated", "see sources"}
"""What cards and encoders write where they do not know."""


def choose_run(places: Sequence[Path], edition: str | None, split: str | None, protocol: str | None) -> list[Evidence]:
    """Return the records of one model for one board, by task.

    Raises:
        UsageError: there are none, they are of several models, editions, splits or protocols or of one task twice, or
            there is no board for them.
        CmbenchError: a record or its predictions are damaged.
    """
    paths = choose_records(places, edition, split, protocol)
    kinds: dict[str, set[str]] = {
        "model": {f"{r.model.name} ({r.model.fingerprint})" for r in paths.values()},
        "edition": {r.task.edition for r in paths.values()},
        "split": {r.task.split for r in paths.values()},
        "protocol": {r.protocol.name for r in paths.values()},
    }
    for what, names in kinds.items():
        if len(names) > 1:
            hint = "name the folder of one" if what == "model" else f"choose one with --{what}"
            raise UsageError(f"The records are of several {what}s: {', '.join(sorted(names))}; {hint}.")
    by_task: dict[str, Path] = {}
    for path, record in paths.items():
        if (other := by_task.setdefault(record.task.name, path)) != path:
            raise UsageError(f"There are two records of {record.task.name}: {other} and {path}.")
        if is_sample(record.task.split):
            raise UsageError(f"{path}: a sample of the tracks (--limit) is never ranked; run the whole task.")
        if record.task.edition not in ("full", "mini"):
            raise UsageError(
                f"{path}: there is no board for the edition {record.task.edition}; only for full and mini."
            )
        try:
            rankable_protocol(record)
        except CmbenchError as error:
            raise UsageError(f"{path}: {error}") from error
    return [read_evidence(by_task[task]) for task in sorted(by_task)]


def from_card_and_record(said: Statements, card: Mapping[str, Any], record: Record) -> Statements:
    """Fill in what the model card or the encoder's own card says, where the submitter said nothing.

    Contact and contamination are never guessed from the encoder's card.
    """
    found: dict[str, Any] = {
        "licence": None if record.model.licence.casefold() in _UNSAID else record.model.licence,
        "parameters": record.model.parameters,
        "training_corpora": _stated(record.model.trained_on) or (() if not record.model.parameters else None),
    }
    for name, keys in _CARD_KEYS.items():
        for key in keys:
            value = card.get(key)
            if name == "training_corpora" and isinstance(value, list | str):
                named = _stated(map(str, value if isinstance(value, list) else [value]))
                # An empty `trained_on` says that nothing was heard; an empty `datasets` is no more than a gap.
                if named or (key == "trained_on" and value == []):
                    found[name] = named
                    break
            elif name != "training_corpora" and isinstance(value, str) and value.strip().casefold() not in _UNSAID:
                found[name] = value.strip()
                break
    return replace(said, **{name: value for name, value in found.items() if getattr(said, name) is None})


def _stated(corpora: Iterable[str]) -> tuple[str, ...]:
    """Return the corpora that are named, without the words that stand where none is."""
    return tuple(name for name in corpora if name.strip().casefold() not in _UNSAID)


def complete(said: Statements, ask: Callable[[str], str] | None = None) -> Statements:
    """Return statements without a gap.

    Without ``ask``, nobody is there to answer.

    Raises:
        UsageError: something is missing and nobody can be asked; all of it is listed.
    """
    missing = [f.name for f in fields(said) if getattr(said, f.name) is None]
    if not missing:
        return said
    if ask is None:
        lines = "".join(f"\n  {QUESTIONS[name][0]}: {QUESTIONS[name][1]}" for name in missing)
        raise UsageError(f"The submission lacks what only you can say; add these options:{lines}")
    answers: dict[str, Any] = {}
    for name in missing:
        answer = ask(QUESTIONS[name][1])
        answers[name] = corpora(answer.split(",")) if name == "training_corpora" else answer
    return replace(said, **answers)


def corpora(said: Iterable[str]) -> tuple[str, ...]:
    """Return a list of corpora; empty for ``none``."""
    named = tuple(dict.fromkeys(part.strip() for part in said if part.strip()))
    return () if tuple(map(str.casefold, named)) == (NONE,) else named


def build_entry(
    evidence: Sequence[Evidence], said: Statements, card: Path, name: str | None, version: str
) -> tuple[Submission, dict[str, bytes]]:
    """Return an entry's submission and all its files by relative path, the manifest among them.

    Raises:
        UsageError: a name or statement is not one, or the entry is too large.
    """
    record = evidence[0].record
    chosen = name if name is not None else safe_name(record.model.name)
    for what, value in (("--name", chosen), ("--version", version)):
        if not is_name(value):
            raise UsageError(
                f"{what} {value!a} is not a name: up to 80 of A-Z a-z 0-9 . _ + @ -, beginning with a letter or digit."
            )
    if said.parameters != record.model.parameters:
        raise UsageError(f"--parameters {said.parameters}: the encoder counts {record.model.parameters} itself.")
    try:
        submission = Submission(
            name=chosen,
            version=version,
            board=BoardId(
                edition="mini" if record.task.edition == "mini" else "full",
                split=record.task.split,
                protocol=record.protocol.name,
                protocol_sha256=record.protocol.sha256,
            ),
            model_fingerprint=record.model.fingerprint,
            submitted=datetime.now(UTC).date().isoformat(),
            contact=said.contact or "",
            licence=said.licence or "",
            parameters=record.model.parameters,
            training_corpora=said.training_corpora or (),
            contamination=said.contamination or "",
            contaminated=said.contaminated or _marked(card, said, evidence),
            tasks=tuple(e.record.task.name for e in evidence),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    files = {
        "submission.json": canonical(submission),
        "card.md": read_bytes(card, LARGEST_CARD),
        **entry_files(evidence),
    }
    manifest = Manifest(files={n: FileFacts(bytes=len(c), sha256=sha256_of(c)) for n, c in files.items()})
    if (size := sum(map(len, files.values()))) > LARGEST_ENTRY:
        raise UsageError(f"The entry would take {size / 2**20:.1f} MiB; {LARGEST_ENTRY >> 20} MiB is the most.")
    return submission, files | {"manifest.json": canonical(manifest)}


def _marked(card: Path, said: Statements, evidence: Sequence[Evidence]) -> bool:
    """Whether card, records, statements or the card's folder carry a mark of contamination."""
    facts, _ = read_card(card)
    corpora = (*(said.training_corpora or ()), *(name for e in evidence for name in e.record.model.trained_on))
    return any((*marks(facts, corpora), *marks_beside(card)))


def write_entry(files: Mapping[str, bytes], folder: Path) -> Entry:
    """Write an entry and read it back as the board will.

    Raises:
        UsageError: there is one already.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already. Entries never change: give --version another value.")
    write_folder_files(folder, files)
    return read_entry(folder)


def refuse_taken(submission: Submission, others: Iterable[Entry]) -> None:
    """Raise if an entry's name is another's to a reader, or its version is not above those that are there.

    Raises:
        UsageError: with the name or version that is in the way.
    """
    key = f"{submission.name}/{submission.version}"
    there = [other.submission for other in others]
    if twin := same_names([*(f"{one.name}/{one.version}" for one in there), key]).get(key):
        raise UsageError(f"{key} and {twin} {SAME_NAME}; give another --name or --version.")
    for one in there:
        if one.name == submission.name and version_order(one.version) >= version_order(submission.version):
            raise UsageError(f"{one.name} {one.version} is there already; give a --version above it.")


def board_with(entry: Entry, others: Iterable[Entry], confirmed: Sequence[Successor] = ()) -> Board:
    """Return the entry's board as it would be with it.

    A withdrawn entry, and versions with a confirmed successor, do not count.
    """
    others = list(others)
    superseded = standing(map(version_of, others), confirmed).superseded
    kept = [
        other
        for other in others
        if other.submission.board == entry.submission.board and other.ranked and other.key not in superseded
    ]
    made = boards(Entrant(one.key, one.evidence, contaminated=one.contaminated) for one in (entry, *kept))
    return next(
        board
        for board in made
        if entry.key in {place.name for place in board.places} | {one.name for one in board.incomplete}
    )


def git_commands(folder: Path, submission: Submission) -> tuple[str, ...]:
    """Return what to type to open a pull request with an entry."""
    import shlex

    branch = f"submit/{submission.name}-{submission.version}"
    return (
        f"git switch -c {shlex.quote(branch)}",
        f"git add {shlex.quote(str(folder))}",
        f"git commit -m {shlex.quote(f'Submit {submission.name} {submission.version}')}",
        f"git push -u origin {shlex.quote(branch)}",
    )
