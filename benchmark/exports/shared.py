"""Results as a data set of the hub: records with their predictions, sent by one and fetched by another.

A record goes with the predictions that it was computed from, and comes back only if they still are: what is fetched is
a stranger's, so each pair is read and rescored as any other, and written under names made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...baselines.cards import markdown_table
from ...baselines.hub.folders import parse_hub_name
from ...baselines.hub.repository import is_network_failure
from ...errors import CmbenchError, UsageError
from ...files import safe_name, write_atomically
from ..records.evidence import choose_records, read_evidence
from ..records.record import parse_record
from .cards import dataset_name

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from ..records.record import Record

KIND = "dataset"
CARD = "README.md"
LARGEST_FILE = 1 << 30
"""Bytes of one file that is fetched: the predictions of FMA-medium's test tracks take a hundredth."""


@dataclass(frozen=True)
class Fetched:
    """What came of a fetch."""

    commit: str  # that was fetched
    written: tuple[Path, ...]  # paths of the records
    known: int  # records that were here already, the same to the byte
    refused: tuple[str, ...]  # what is wrong with the others, a sentence each


def place_of(record: Record) -> str:
    """Return where a record lies in the data set: edition, model and start of its fingerprint, cell."""
    model = f"{safe_name(record.model.name)}-{record.model.fingerprint[:8]}"
    return f"{record.task.edition}/{model}/{record.stem}.json"


def files_to_send(
    places: Sequence[Path], edition: str | None = None, split: str | None = None, protocol: str | None = None
) -> dict[str, bytes]:
    """Return records, their predictions and the data set's card, by path.

    Raises:
        UsageError: there is no such record, or two that differ are of one cell.
        CmbenchError: a file is not a record, or its predictions are missing, changed or damaged.
    """
    files: dict[str, bytes] = {}
    records = []
    for path in choose_records(places, edition, split, protocol):
        record = read_evidence(path).record
        where, content = place_of(record), path.read_bytes()
        if files.setdefault(where, content) != content:
            raise UsageError(f"{path}: another record of {record.model.name} on {record.stem} is sent already.")
        predictions = path.parent / Path(record.predictions.file).name
        files[str(Path(where).with_name(predictions.name).as_posix())] = predictions.read_bytes()
        records.append(record)
    return files | {CARD: card(records).encode()}


def card(records: Sequence[Record]) -> str:
    """Return the data set's card: what it holds, each edition by itself, and how to get it."""
    parts = [
        "---\npretty_name: Results of cmbench\ntags:\n- cmbench\n- music\n---",
        "# Results of cmbench",
        "Records and the predictions they come from; `cmbench results pull` fetches them and scores them again.",
    ]
    for edition in sorted({record.task.edition for record in records}):
        rows = [
            (record.model.name, dataset_name(record), record.task.split, record.protocol.name)
            for record in records
            if record.task.edition == edition
        ]
        title = "mini (synthetic audio; not comparable with real data)" if edition == "mini" else edition
        parts += [f"## Edition {title}", markdown_table(("model", "task", "split", "protocol"), rows)]
    return "\n\n".join(parts) + "\n"


def send(files: Mapping[str, bytes], repository: str, private: bool = False, request: bool = False) -> str:
    """Send files to a data set of the hub in one commit, and return its address.

    ``repository`` is ``owner/name`` with an optional ``@`` and branch; it is made if it is not there. ``request`` opens
    a pull request in place of a commit.

    Raises:
        UsageError: it is not the name of a repository.
        CmbenchError: the hub cannot be reached or refuses.
    """
    from huggingface_hub import CommitOperationAdd

    named = parse_hub_name(repository)
    with _the_hub(named.repository, "write to") as api:
        if not request:
            api.create_repo(named.repository, repo_type=KIND, private=private, exist_ok=True)
        made = api.create_commit(
            named.repository,
            [CommitOperationAdd(path, content) for path, content in sorted(files.items())],
            commit_message=f"Add {sum(name.endswith('.json') for name in files)} records",
            repo_type=KIND,
            revision=named.revision,
            create_pr=request,
        )
    return str(made.pr_url or made.commit_url)


def fetch(repository: str, out: Path, edition: str | None = None) -> Fetched:
    """Fetch the records of a data set of the hub with their predictions, and write those that are sound.

    ``repository`` is ``owner/name`` with an optional ``@`` and commit, branch or tag.

    Raises:
        UsageError: it is not the name of a repository, or another record lies where one should go.
        CmbenchError: the hub cannot be reached or refuses.
    """
    named = parse_hub_name(repository)
    below = f"{edition or '*'}/*"
    with _the_hub(named.repository, "read") as api:
        info = api.dataset_info(named.repository, revision=named.revision, files_metadata=True)
        large = [s.rfilename for s in info.siblings or () if (s.size or 0) > LARGEST_FILE]
        patterns = [f"{below}/*.json", f"{below}/*.npz"]
        folder = Path(
            api.snapshot_download(
                named.repository, repo_type=KIND, revision=info.sha, allow_patterns=patterns, ignore_patterns=large
            )
        )
    written, refused, known = [], [f"{name}: larger than {LARGEST_FILE >> 30} GiB; left aside." for name in large], 0
    for path in sorted(folder.glob(f"{below}/*.json")):
        try:
            evidence = read_evidence(path)
        except CmbenchError as error:
            refused.append(str(error))
            continue
        new = _write(evidence.record, path, out)
        known += new is None
        written += [new] if new is not None else []
    return Fetched(info.sha or "", tuple(written), known, tuple(refused))


def _write(record: Record, path: Path, out: Path) -> Path | None:
    """Write a fetched record and its predictions; ``None`` where the same are here already."""
    target = out / safe_name(record.model.name) / f"{record.stem}.json"
    if target.exists():
        here = parse_record(target.read_bytes(), target)
        if here.stable_json() == record.stable_json():
            return None
        raise UsageError(f"{target}: another result of this cell is here already; give another folder with --out.")
    predictions = Path(record.predictions.file).name
    # The record last: with it the result is there.
    write_atomically(target.parent / predictions, (path.parent / predictions).read_bytes())
    write_atomically(target, path.read_bytes())
    return target


@contextmanager
def _the_hub(repository: str, what: str) -> Iterator[HfApi]:
    """Give the hub's interface, and turn its failures into sentences with a remedy."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield HfApi()
    except RevisionNotFoundError as error:
        raise CmbenchError(f"hf:{repository}: there is no such revision.") from error
    except RepositoryNotFoundError as error:
        raise CmbenchError(
            f"hf:{repository}: there is no such data set that you may see; if it is private, `hf auth login`."
        ) from error
    except HfHubHTTPError as error:
        why = (str(error).splitlines() or [""])[0]
        message = f"hf:{repository}: you may not {what} it, or the hub refuses ({why}); `hf auth login`."
        raise CmbenchError(message) from error
    except Exception as error:
        if not is_network_failure(error):
            raise
        raise CmbenchError(f"hf:{repository}: the hub cannot be reached ({type(error).__name__}: {error}).") from error
