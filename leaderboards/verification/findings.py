"""What verification found: errors refuse an entry, flags ask for a rerun, the rest is for the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from ..entry import Badge

REPORT_VERSION = "1.0"

UNVERIFIED = "unverified: labels not present"
VERIFIED = "verified"

Severity = Literal["error", "flag", "unverified"]


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    # ``error``: the entry is refused. ``flag``: a maintainer should run the model. ``unverified``: it could not be
    # checked here
    severity: Severity
    # a word for what was checked: form, board, tracks, labels, scores, identities, training, suspicious, history,
    # reproduction
    check: str
    where: str  # an entry, a task or a file
    message: str  # for people


@dataclass(frozen=True)
class Verification:
    """The result for one folder."""

    entry: str  # ``name/version``, or the folder where it could not be read
    badge: Badge | None  # what the entry's scores rest on; ``None`` if it is refused
    tasks: Mapping[str, str]  # task -> whether the labels were compared with the task's own
    findings: tuple[Finding, ...]  # everything that was found
    unverified: tuple[str, ...] = ()  # what remains a claim of the submitter (:mod:`..claims`)

    @property
    def sound(self) -> bool:
        """Whether there is no error."""
        return not any(f.severity == "error" for f in self.findings)


def report_json(found: Sequence[Verification]) -> dict[str, object]:
    """Return verifications as JSON for a machine."""
    return {
        "schema_version": REPORT_VERSION,
        "sound": all(one.sound for one in found),
        "entries": [asdict(one) | {"sound": one.sound} for one in found],
    }
