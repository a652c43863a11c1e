"""The files of an entry, read and written.

Reading trusts nothing: see :mod:`.untrusted`. Whether the numbers are true is for :mod:`.verification.verify` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from ..benchmark.records.evidence import Evidence, make_evidence
from ..benchmark.records.record import METRICS, READ_VERSIONS, SINGLE_LABEL, Record, parse_record
from ..errors import CmbenchError
from ..files import is_part, sha256_of
from ..untrusted import LARGEST_TEXT
from .entry import (
    LARGEST_ARRAYS,
    LARGEST_ENTRY,
    LONGEST_LINE,
    MOST_LAYERS,
    Entry,
    Manifest,
    Reproduction,
    Submission,
    Withdrawal,
    name_key,
)
from .untrusted import is_name, read_bytes, read_card, read_json, walk

if TYPE_CHECKING:
    from .entry import FileFacts

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
        CmbenchError: one of them is not sound, or a name or version differs from another in nothing that a reader sees.
    """
    folders = list(entry_folders(root))
    if alike := same_names(f"{path.parent.name}/{path.name}" for path in folders):
        one, other = next(iter(alike.items()))
        raise CmbenchError(f"{root}: {one} and {other} {SAME_NAME}; choose another name.")
    for path in folders:
        yield read_entry(path)


SAME_NAME = "are called the same but for case, spaces or separators"


def same_names(keys: Iterable[str]) -> dict[str, str]:
    """Return entries whose name or version is that of another to a reader: entry -> the other, both ways."""
    found: dict[str, str] = {}
    names: dict[str, str] = {}
    versions: dict[tuple[str, str], str] = {}
    for key in keys:
        name, _, version = key.partition("/")
        first = names.setdefault(name_key(name), key)
        twin = versions.setdefault((name_key(name), name_key(version)), key)
        for other in (first if first.partition("/")[0] != name else key, twin):
            if other != key:
                found |= {key: other, other: key}
    return found


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
            if is_part(folder):
                continue
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
        raise CmbenchError(
            f"{folder}: its files take {size / 2**20:.1f} MiB; an entry may take {LARGEST_ENTRY >> 20} MiB."
        )
    contents = {}
    for name, facts in listed.items():
        content = read_bytes(folder / name, facts.bytes)
        if len(content) != facts.bytes or sha256_of(content) != facts.sha256:
            raise CmbenchError(f"{folder / name}: it is not the file of the manifest (size or hash differ).")
        contents[name] = content
    return contents


def _evidence(folder: Path, contents: Mapping[str, bytes], others: set[str]) -> list[Evidence]:
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
        if set(record.metrics) not in ({*METRICS}, {*METRICS, *SINGLE_LABEL}):
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
    reproduction = parse(Reproduction, folder / "reproduction.json")
    if reproduction.manifest_sha256 != manifest_sha256:
        raise CmbenchError(f"{folder}: it is the reproduction of another entry, or of this one before it was changed.")
    contents = _checked_files(folder, reproduction.files, set(walk(folder)) - {"reproduction.json"})
    evidence = {e.record.task.name: e for e in _evidence(folder, contents, set())}
    if set(submission.tasks) != evidence.keys() or set(submission.tasks) != reproduction.tasks.keys():
        raise CmbenchError(f"{folder}: the reproduction is not of the entry's tasks.")
    return reproduction, evidence


def entry_files(evidence: Sequence[Evidence]) -> dict[str, bytes]:
    """Return records and predictions as they lie in an entry, by relative path.

    The bytes are those of the run: nothing is written anew, so a record's hashes stay true.

    Raises:
        CmbenchError: a record or its predictions do not carry the cell's name.
    """
    files = {}
    for e in evidence:
        stem = e.record.stem
        if e.record.predictions.file != f"{stem}.npz":
            raise CmbenchError(f"{e.path}: its predictions should be called {stem}.npz; run the model again.")
        files[f"records/{stem}.json"] = e.path.read_bytes()
        files[f"predictions/{stem}.npz"] = (e.path.parent / Path(e.record.predictions.file).name).read_bytes()
    return files
