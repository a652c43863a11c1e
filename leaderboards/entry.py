"""An entry of the board: one model's records and predictions under one protocol, as a folder.

``<name>/<version>/`` holds ``submission.json`` (what the submitter says), ``card.md`` (the model card), ``records/``,
``predictions/`` and ``manifest.json`` (size and hash of each of these). It never changes once it is on the board; two
things may be added: ``withdrawal.json``, a tombstone, and ``reproduction/``, a maintainer's own run.
Reading trusts nothing: see :mod:`.untrusted`. Whether the numbers are true is for :mod:`.verify` to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..benchmark.evidence import Evidence, make_evidence
from ..benchmark.record import METRICS, READ_VERSIONS, Record, parse_record
from ..errors import CmbenchError
from ..files import sha256_of
from .contamination import marks
from .untrusted import LARGEST_TEXT, NAME, is_name, read_bytes, read_card, read_json, walk

SCHEMA_VERSION: Literal["1.0"] = "1.0"
"""Of manifests, withdrawals and reproductions."""

SUBMISSION_VERSION: Literal["1.1"] = "1.1"
"""Of submissions: 1.1 adds :attr:`Submission.contaminated`; those of 1.0 are read too, without it."""

ENTRIES = Path(__file__).with_name("entries")
"""The board's own entries."""

LARGEST_ENTRY = 10 * 2**20
"""Bytes of all files of an entry, its reproduction aside."""

LARGEST_ARRAYS = 64 * 2**20
"""Bytes that the arrays of one predictions file may take: the largest task needs 5 MiB."""

LONGEST_LINE = 300
"""Characters of a contact, a licence, a corpus or a name of a person."""

MOST_LAYERS = 200
"""Layers of an encoder, their learned sum included."""

LONGEST_STATEMENT = 4000
"""Characters of a statement on contamination, or of a reason."""

Name = Annotated[str, Field(pattern=NAME)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(min_length=1, max_length=LONGEST_LINE, pattern=r"^[^\n]*\S[^\n]*$")]
Statement = Annotated[str, Field(min_length=1, max_length=LONGEST_STATEMENT, pattern=r"\S")]
Day = Annotated[str, Field(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$")]
Badge = Literal["reproduced", "rescored", "reported"]

BADGES: tuple[Badge, ...] = ("reproduced", "rescored", "reported")
"""Best first. ``reproduced``: a maintainer ran the model. ``rescored``: every score was computed again from the
predictions. ``reported``: typed in from a paper (:mod:`cmbench.baselines.published`); never an entry, never ranked."""


class _Part(BaseModel):
    """A part of an entry: no unknown key, no conversion of types, no NaN, no change after construction."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Board(_Part):
    """Which board an entry is for; entries of different boards are never ranked together.

    Attributes:
        edition: ``full`` (real data), or ``mini`` for the labelled example.
        split: of all its tasks.
        protocol: name.
        protocol_sha256: hash of the protocol's values.
    """

    edition: Literal["full", "mini"]
    split: Name
    protocol: Name
    protocol_sha256: Hash


class Submission(_Part):
    """What the submitter says about the model; nothing of it is a score.

    Attributes:
        schema_version: of this file.
        name: of the model on the board, and of the entry's outer folder.
        version: of the entry, and of its folder; a change is a new version.
        board: where it competes.
        model_fingerprint: of the encoder, the same in every record.
        submitted: day of the submission, UTC.
        contact: who answers questions: an address or an account.
        licence: of the weights.
        parameters: of the encoder.
        training_corpora: everything that the model was trained on; empty for one that was not.
        contamination: what the submitter knows of test tracks among them.
        contaminated: whether test tracks were among them: such an entry has no place.
        tasks: tasks of the records.
    """

    schema_version: Literal["1.0", "1.1"] = SUBMISSION_VERSION
    name: Name
    version: Name
    board: Board
    model_fingerprint: Line
    submitted: Day
    contact: Line
    licence: Line
    parameters: Annotated[int, Field(ge=0, le=10**13)]
    training_corpora: Annotated[tuple[Line, ...], Field(strict=False, max_length=200)]
    contamination: Statement
    contaminated: bool = False
    tasks: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=64)]


class FileFacts(_Part):
    """Size and hash of a file."""

    bytes: Annotated[int, Field(ge=0, le=LARGEST_ENTRY)]
    sha256: Hash


class Manifest(_Part):
    """Every file of an entry but the manifest and what was added later, by relative path."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    files: dict[str, FileFacts]


class Withdrawal(_Part):
    """A tombstone: the entry stays, and is no longer ranked."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    withdrawn: Day
    reason: Statement


class TaskAgreement(_Part):
    """How far a maintainer's own run lies from the entry on one task.

    Attributes:
        differences: metric -> maintainer minus entry; ``null`` where both are undefined.
        tolerance: within which a difference counts as agreement.
    """

    differences: dict[str, Annotated[float, Field(ge=-1, le=1)] | None]
    tolerance: Annotated[float, Field(ge=0, le=1)]


class Reproduction(_Part):
    """A maintainer's own run of the model; its records and predictions lie beside this file.

    Attributes:
        schema_version: of this file.
        maintainer: who ran it.
        reproduced: day, UTC.
        manifest_sha256: of the entry's manifest: what exactly was reproduced.
        tasks: task -> agreement; every task of the entry.
        files: of the reproduction's own records and predictions.
    """

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    maintainer: Line
    reproduced: Day
    manifest_sha256: Hash
    tasks: dict[str, TaskAgreement]
    files: dict[str, FileFacts]


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry as it was read: sound in form, every hash right.

    Attributes:
        path: its folder.
        submission: what the submitter says.
        manifest_sha256: identifies the entry's content.
        evidence: records with predictions, one for each task, in the order of ``submission.tasks``.
        card_facts: front matter of the model card; never trusted, only shown.
        card: text of the model card, Markdown; to be escaped wherever it is shown.
        withdrawal: ``None`` while it stands.
        reproduction: ``None`` while no maintainer ran the model.
        reproduced_evidence: the maintainer's records and predictions.
    """

    path: Path
    submission: Submission
    manifest_sha256: str
    evidence: tuple[Evidence, ...]
    card_facts: Mapping[str, object]
    card: str
    withdrawal: Withdrawal | None = None
    reproduction: Reproduction | None = None
    reproduced_evidence: tuple[Evidence, ...] = ()

    @property
    def key(self) -> str:
        """``name/version``."""
        return f"{self.submission.name}/{self.submission.version}"

    @property
    def badge(self) -> Badge:
        """What its scores rest on, once :mod:`.verify` has passed it."""
        return "rescored" if self.reproduction is None else "reproduced"

    @property
    def ranked(self) -> bool:
        """Whether it stands; a withdrawn entry is listed with its reason only."""
        return self.withdrawal is None

    @property
    def marks(self) -> tuple[str, ...]:
        """Marks of contamination that card, records or submission carry, whatever the submitter says of them."""
        trained = (e.record.model.trained_on for e in self.evidence)
        return tuple(marks(self.card_facts, (*self.submission.training_corpora, *chain.from_iterable(trained))))

    @property
    def contaminated(self) -> str:
        """Why its scores mean nothing; empty if no test track was heard, for all that is said."""
        if found := self.marks:
            return found[0]
        return "its submitter says that test tracks were heard" if self.submission.contaminated else ""


_Model = TypeVar("_Model", bound=BaseModel)


def parse(model: type[_Model], path: Path) -> _Model:
    """Return a JSON file as one of the parts of an entry.

    Raises:
        CmbenchError: the file is not such a part; the message says where.
    """
    found = read_json(path)
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(p) for p in first["loc"]) or "the top level"
        raise CmbenchError(f"{path}: {first['msg']} at {place!a}.") from error


def read_entry(path: Path) -> Entry:
    """Read one entry and check its form and hashes.

    Raises:
        CmbenchError: a file is missing, superfluous, changed, too large or not what it should be, or the parts
            contradict one another.
    """
    if path.is_symlink() or not path.is_dir():
        raise CmbenchError(f"{path}: an entry is a folder, not a link and not a file.")
    present = set(walk(path))
    submission = parse(Submission, path / "submission.json")
    if path.resolve().parts[-2:] != (submission.name, submission.version):
        raise CmbenchError(
            f"{path}: the entry says that it is {submission.name}/{submission.version}; its folders must say the same."
        )
    manifest_bytes = read_bytes(path / "manifest.json", LARGEST_TEXT)
    manifest = parse(Manifest, path / "manifest.json")
    later = {name for name in present if name == "withdrawal.json" or name.startswith("reproduction/")}
    contents = _checked_files(path, manifest.files, present - later - {"manifest.json"})
    expected = {"submission.json", "card.md"}
    if lacking := expected - contents.keys():
        raise CmbenchError(f"{path}: {min(lacking)} is missing.")
    evidence = _evidence(path, contents, expected)
    _check_agreement(path, submission, evidence)
    facts, card = read_card(path / "card.md")
    withdrawal = parse(Withdrawal, path / "withdrawal.json") if "withdrawal.json" in present else None
    reproduction: Reproduction | None = None
    own: dict[str, Evidence] = {}
    if later - {"withdrawal.json"}:
        reproduction, own = _read_reproduction(path / "reproduction", sha256_of(manifest_bytes), submission)
    by_task = {e.record.task.name: e for e in evidence}
    return Entry(
        path=path,
        submission=submission,
        manifest_sha256=sha256_of(manifest_bytes),
        evidence=tuple(by_task[task] for task in submission.tasks),
        card_facts=facts,
        card=card,
        withdrawal=withdrawal,
        reproduction=reproduction,
        reproduced_evidence=tuple(own[task] for task in submission.tasks if task in own),
    )


def iter_entries(root: Path) -> Iterator[Entry]:
    """Yield every entry below a folder, by name and version.

    Raises:
        CmbenchError: one of them is not sound, or a name differs from another in nothing but case.
    """
    seen: dict[str, Path] = {}
    for path in entry_folders(root):
        if (other := seen.setdefault("/".join(path.parts[-2:]).casefold(), path)) != path:
            raise CmbenchError(f"{path}: {other} is called the same but for upper and lower case; choose another name.")
        yield read_entry(path)


def entry_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of all entries below a folder: two levels down.

    Raises:
        CmbenchError: the folder is not there, or holds a link or an oddly named folder.
    """
    if not root.is_dir():
        raise CmbenchError(f"{root}: there is no such folder of entries.")
    for outer in sorted(root.iterdir()):
        if outer.is_file() and not outer.is_symlink():
            continue
        for folder in (outer, *(sorted(outer.iterdir()) if outer.is_dir() and not outer.is_symlink() else ())):
            if folder.is_symlink() or not folder.is_dir() or not is_name(folder.name):
                raise CmbenchError(
                    f"{folder.parent}: {folder.name!a} is not the folder of an entry; entries are <name>/<version>/."
                )
            if folder != outer:
                yield folder


def _checked_files(folder: Path, listed: Mapping[str, FileFacts], present: set[str]) -> dict[str, bytes]:
    """Return the content of every listed file; exactly those must be there, with these sizes and hashes."""
    for name in sorted(listed.keys() ^ present):
        what = "is not listed in" if name in present else "is missing, but listed in"
        raise CmbenchError(f"{folder}: {name!a} {what} its manifest.")
    if (size := sum(facts.bytes for facts in listed.values())) > LARGEST_ENTRY:
        raise CmbenchError(f"{folder}: its files take {size / 2**20:.1f} MiB; an entry may take 10 MiB.")
    contents = {}
    for name, facts in listed.items():
        content = read_bytes(folder / name, facts.bytes)
        if len(content) != facts.bytes or sha256_of(content) != facts.sha256:
            raise CmbenchError(f"{folder / name}: it is not the file of the manifest (size or hash differ).")
        contents[name] = content
    return contents


def _evidence(folder: Path, contents: Mapping[str, bytes], others: set[str]) -> list[Evidence]:
    """Return the records among some files with their predictions; each file must be used."""
    records = sorted(name for name in contents if name.startswith("records/") and name.endswith(".json"))
    used = set(others) | set(records)
    found = []
    for name in records:
        path = folder / name
        # Pydantic would let a key be there twice.
        read_json(path)
        record = parse_record(contents[name], path)
        stem = Path(name).stem
        file = f"predictions/{stem}.npz"
        if record.stem != stem or record.predictions.file != f"{stem}.npz":
            raise CmbenchError(f"{path}: the record is of {record.stem!a}, its file should be called so.")
        if file not in contents:
            raise CmbenchError(f"{path}: its predictions {file} are missing.")
        if sha256_of(contents[file]) != record.predictions.sha256:
            raise CmbenchError(f"{folder / file}: these are not the predictions that the record speaks of.")
        if tuple(sorted(record.metrics)) != tuple(sorted(METRICS)):
            raise CmbenchError(f"{path}: its metrics are not {', '.join(METRICS)}.")
        _check_lengths(record, path)
        used.add(file)
        found.append(make_evidence(record, path, contents[file], folder / file, LARGEST_ARRAYS))
    if unused := contents.keys() - used:
        raise CmbenchError(f"{folder}: {min(unused)!a} belongs to no record.")
    return found


def _check_lengths(record: Record, path: Path) -> None:
    """Raise if a text that the pages show is no line, or there are too many layers to show."""
    shown = {
        "the model's source": record.model.source,
        "the device": record.environment.device_name or record.environment.device,
        **{f"layer {i}": one.layer for i, one in enumerate(record.layers)},
    }
    for what, text in shown.items():
        if len(text) > LONGEST_LINE or "\n" in text:
            raise CmbenchError(f"{path}: {what} is longer than {LONGEST_LINE} characters or than a line.")
    if len(record.layers) > MOST_LAYERS:
        raise CmbenchError(f"{path}: it has {len(record.layers)} layers; a page shows up to {MOST_LAYERS}.")


def _check_agreement(path: Path, submission: Submission, evidence: list[Evidence]) -> None:
    """Raise unless the records are of the submission's model, board and tasks, one for each."""
    tasks = [e.record.task.name for e in evidence]
    if sorted(tasks) != sorted(submission.tasks) or len(set(tasks)) != len(tasks):
        raise CmbenchError(f"{path}: the records are of {sorted(tasks)}, the submission of {sorted(submission.tasks)}.")
    names = {e.record.model.name for e in evidence}
    if len(names) > 1:
        raise CmbenchError(f"{path}: the records are of several models: {', '.join(map(ascii, sorted(names)))}.")
    if strange := [name for name in names if not name.isascii()]:
        raise CmbenchError(f"{path}: the model's name {strange[0]!a} has letters that may look like others; use ASCII.")
    for e in evidence:
        r = e.record
        found = (r.task.edition, r.task.split, r.protocol.name, r.protocol.sha256)
        board = submission.board
        if found != (board.edition, board.split, board.protocol, board.protocol_sha256):
            raise CmbenchError(f"{e.path}: edition, split or protocol are not those of the submission's board.")
        if (r.model.fingerprint, r.model.parameters) != (submission.model_fingerprint, submission.parameters):
            raise CmbenchError(f"{e.path}: the model's fingerprint or parameter count are not the submission's.")
        if r.schema_version not in READ_VERSIONS:
            raise CmbenchError(f"{e.path}: record schema {r.schema_version!a} was never one of cmbench.")


def _read_reproduction(
    folder: Path, manifest_sha256: str, submission: Submission
) -> tuple[Reproduction, dict[str, Evidence]]:
    """Return a maintainer's run, with its evidence by task."""
    reproduction = parse(Reproduction, folder / "reproduction.json")
    if reproduction.manifest_sha256 != manifest_sha256:
        raise CmbenchError(f"{folder}: it is the reproduction of another entry, or of this one before it was changed.")
    contents = _checked_files(folder, reproduction.files, set(walk(folder)) - {"reproduction.json"})
    evidence = {e.record.task.name: e for e in _evidence(folder, contents, set())}
    if set(submission.tasks) != evidence.keys() or set(submission.tasks) != reproduction.tasks.keys():
        raise CmbenchError(f"{folder}: the reproduction is not of the entry's tasks.")
    return reproduction, evidence
