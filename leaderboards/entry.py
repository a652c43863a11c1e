"""An entry of the board: one model's records and predictions under one protocol, as a folder.

``<name>/<version>/`` holds ``submission.json`` (what the submitter says), ``card.md`` (the model card), ``records/``,
``predictions/`` and ``manifest.json`` (size and hash of each of these). It never changes once it is on the board; two
things may be added: ``withdrawal.json``, a tombstone, and ``reproduction/``, a maintainer's own run.
Reading trusts nothing: see :mod:`.untrusted`. Whether the numbers are true is for :mod:`.verification.verify` to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..benchmark.records.evidence import Evidence
from .contamination import marks
from .untrusted import NAME

SCHEMA_VERSION: Literal["1.0"] = "1.0"
"""Of manifests, withdrawals and reproductions."""

SUBMISSION_VERSION: Literal["1.1"] = "1.1"
"""Of submissions: 1.1 adds :attr:`Submission.contaminated`; those of 1.0 are read too, without it."""

ENTRIES = Path(__file__).with_name("entries")
"""The board's own entries."""

LARGEST_ENTRY = 32 * 2**20
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
"""Best first. ``reproduced``: a maintainer ran the model. ``rescored``: every score was computed again from the
predictions. ``reported``: typed in from a paper (:mod:`cmbench.baselines.published`); never an entry, never ranked."""


def name_key(name: str) -> str:
    """Return what two names have in common that are one to a reader: case, spaces, separators, Unicode form aside."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()
    # Between digits a separator tells numbers apart: `mert-1-1` is not `mert-11`.
    return re.sub(r"[\s_-]+", "-", re.sub(r"(?<!\d)[\s_-]+|[\s_-]+(?!\d)", "", folded))


class _Part(BaseModel):
    """A part of an entry: no unknown key, no conversion of types, no NaN, no change after construction."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BoardId(_Part):
    """Which board an entry is for; entries of different boards are never ranked together."""

    edition: Literal["full", "mini"]  # ``full`` (real data), or ``mini`` for the labelled example
    split: Name  # of all its tasks
    protocol: Name  # name
    protocol_sha256: Hash  # hash of the protocol's values


class Submission(_Part):
    """What the submitter says about the model; nothing of it is a score."""

    schema_version: Literal["1.0", "1.1"] = SUBMISSION_VERSION  # of this file
    name: Name  # of the model on the board, and of the entry's outer folder
    version: Name  # of the entry, and of its folder; a change is a new version
    board: BoardId  # where it competes
    model_fingerprint: Line  # of the encoder, the same in every record
    submitted: Day  # day of the submission, UTC
    contact: Line  # who answers questions: an address or an account
    licence: Line  # of the weights
    parameters: Annotated[int, Field(ge=0, le=10**13)]  # of the encoder
    # everything that the model was trained on; empty for one that was not
    training_corpora: Annotated[tuple[Line, ...], Field(strict=False, max_length=200)]
    contamination: Statement  # what the submitter knows of test tracks among them
    contaminated: bool = False  # whether test tracks were among them: such an entry has no place
    tasks: Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=64)]  # tasks of the records


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


class Successor(_Part):
    """A maintainer's word that an entry takes the place of an earlier version."""

    entry: Line  # the successor, ``name/version``
    after: Line  # the version that it follows
    manifest_sha256: Hash  # of the successor's manifest: what exactly was confirmed


class Successors(_Part):
    """The maintainers' file beside the folder of entries (:mod:`.succession`)."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    successors: Annotated[tuple[Successor, ...], Field(strict=False)] = ()


class TaskAgreement(_Part):
    """How far a maintainer's own run lies from the entry on one task."""

    # metric -> maintainer minus entry; ``null`` where both are undefined
    differences: dict[str, Annotated[float, Field(ge=-1, le=1)] | None]
    tolerance: Annotated[float, Field(ge=0, le=1)]  # within which a difference counts as agreement


class Reproduction(_Part):
    """A maintainer's own run of the model; its records and predictions lie beside this file."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION  # of this file
    maintainer: Line  # who ran it
    reproduced: Day  # day, UTC
    manifest_sha256: Hash  # of the entry's manifest: what exactly was reproduced
    tasks: dict[str, TaskAgreement]  # task -> agreement; every task of the entry
    files: dict[str, FileFacts]  # of the reproduction's own records and predictions


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry as it was read: sound in form, every hash right."""

    path: Path  # its folder
    submission: Submission  # what the submitter says
    manifest_sha256: str  # identifies the entry's content
    evidence: tuple[Evidence, ...]  # records with predictions, one for each task, in the order of ``submission.tasks``
    card_facts: Mapping[str, object]  # front matter of the model card; never trusted, only shown
    card: str  # text of the model card, Markdown; to be escaped wherever it is shown
    withdrawal: Withdrawal | None = None  # ``None`` while it stands
    reproduction: Reproduction | None = None  # ``None`` while no maintainer ran the model
    reproduced_evidence: tuple[Evidence, ...] = ()  # the maintainer's records and predictions

    @property
    def key(self) -> str:
        """``name/version``."""
        return f"{self.submission.name}/{self.submission.version}"

    @property
    def badge(self) -> Badge:
        """What its scores rest on, once :mod:`.verification.verify` has passed it."""
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
