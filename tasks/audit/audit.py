"""The audit of a split: one JSON file, kept on this machine and shown with every result on the split.

It lies at ``audits/<hash of the split>.json`` below the cache root. A run makes the part that needs no audio by itself;
``cmbench tasks audit`` adds the comparison of the sound.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ...files import SEAL, seal_is_broken, sealed, write_atomically
from ..base import Progress, TaskData
from ..splits.names import SPLITS
from .lists import Findings, examine
from .sound import AudioFindings, compare_audio

logger = logging.getLogger(__name__)

SCHEMA_VERSION = "1.0"

_SHA256 = re.compile("[0-9a-f]{64}")
"""A record's hash becomes part of a path; records come from anywhere."""

NOT_COMPARED = "audio not compared"


class Audit(BaseModel):
    """What is wrong with a split.

    ``audio`` is ``null`` where the sound was not compared; ``reason`` then says why. The file also states the hash of
    its content; those of 0.1.0 do not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: str = SCHEMA_VERSION
    cmbench: str
    task: str
    edition: str
    split: str
    split_sha256: str
    label_sha256: str
    group_kind: str
    lists: Findings
    audio: AudioFindings | None
    reason: str | None

    def to_json(self) -> str:
        """Return the file's content, sealed: the same for the same finding."""
        facts = sealed(self.model_dump(mode="json"))
        return json.dumps(facts, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n"


def audit(data: TaskData, audio: AudioFindings | None = None, reason: str | None = None) -> Audit:
    """Judge a split.

    ``audio`` is what the sound tells; if it was not compared, ``reason`` says why.
    """
    from ...version import __version__

    return Audit(
        cmbench=__version__,
        task=data.task.name,
        edition=data.edition,
        split=data.split_name,
        split_sha256=data.split_sha256,
        label_sha256=data.label_sha256,
        group_kind=data.group_kind,
        lists=examine(data),
        audio=audio,
        reason=None if audio else reason or "it was not asked for (--no-audio)",
    )


def audit_with_audio(data: TaskData, workers: int, progress: Progress) -> Audit:
    """Judge a split, its sound included as far as the files are there."""
    audio = compare_audio(
        data, workers, lambda done, total: progress(f"Comparing the audio of {data.task.name}", done, total)
    )
    if any(audio.compared.values()):
        return audit(data, audio)
    first = audio.unheard[0]
    return audit(data, reason=f"none of its {len(audio.unheard)} tracks can be read ({first.track.id}: {first.reason})")


def audit_path(root: Path, split_sha256: str) -> Path:
    """Where the audit of a split is kept, below the cache root."""
    return root / "audits" / f"{split_sha256}.json"


def find_audit(root: Path, task: str, split_sha256: str, label_sha256: str) -> Audit | None:
    """Return the kept audit of a split; ``None`` if there is none that this cmbench reads.

    One that is damaged is named in a warning.
    """
    if not _SHA256.fullmatch(split_sha256):
        return None
    path = audit_path(root, split_sha256)
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            if seal_is_broken(content):
                raise ValueError("it has changed since it was written")
            content.pop(SEAL, None)
        found = Audit.model_validate(content)
        if found.split_sha256 != split_sha256:
            raise ValueError("it is of another split")
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:  # pydantic's are ValueErrors, too
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        logger.warning(
            "%s is not a whole audit (%s); `cmbench run` judges the lists again, `cmbench tasks audit` the audio too",
            path,
            why,
        )
        return None
    same = (found.schema_version, found.task, found.label_sha256) == (SCHEMA_VERSION, task, label_sha256)
    return found if same else None


def keep_audit(found: Audit, root: Path) -> Path:
    """Keep an audit where later commands find it, unless one that also compared the sound is there."""
    path = audit_path(root, found.split_sha256)
    kept = find_audit(root, found.task, found.split_sha256, found.label_sha256)
    if found.audio is not None or kept is None or kept.audio is None:
        write_atomically(path, found.to_json().encode())
    return path


def ensure_audit(data: TaskData, root: Path) -> None:
    """Judge the lists of a split unless it has an audit."""
    if find_audit(root, data.task.name, data.split_sha256, data.label_sha256) is None:
        keep_audit(audit(data, reason="`cmbench tasks audit` was not run"), root)


def summary(found: Audit) -> str:
    """Return the finding in one line."""
    lists, alike = found.lists, len(found.lists.identical)
    undefined = {split: sum(u.split == split for u in lists.undefined) for split in SPLITS}
    parts = [
        _groups(found),
        _alike(len(lists.alike), found.group_kind),
        f"{alike} {'set' if alike == 1 else 'sets'} of labels that no track tells apart" if alike else "",
        _by_split("labels undefined", undefined),
        _by_split("tracks without labels", lists.unlabelled),
        _audio(found.audio),
    ]
    return "; ".join(part for part in parts if part)


def _alike(sets: int, kind: str) -> str:
    said = "1 set of {} differs" if sets == 1 else "{1} sets of {0} differ"
    return f"{said.format(f'{kind}s', sets)} only in case or spaces" if sets else ""


def _groups(found: Audit) -> str:
    kind, by_split = found.group_kind, found.lists.groups
    if not any(groups.known for groups in by_split.values()):
        return f"{kind}s unknown"
    test, valid = by_split["test"], by_split["valid"]
    unknown = sum(groups.tracks - groups.known for groups in by_split.values())
    text = f"{test.leaking_tracks} of {test.known} test tracks share a known {kind} with train or valid"
    if valid.leaking_tracks:
        text += f", {valid.leaking_tracks} of {valid.known} valid tracks with train"
    return text + (f" ({kind} unknown for {unknown} tracks)" if unknown else "")


def _audio(audio: AudioFindings | None) -> str:
    if audio is None:
        return NOT_COMPARED
    compared, unheard = sum(audio.compared.values()), len(audio.unheard)
    test, valid = audio.leaking_tracks["test"], audio.leaking_tracks["valid"]
    text = f"audio: {test} test tracks have a copy in train or valid"
    if valid:
        text += f", {valid} valid tracks in train"
    return text + (f" ({unheard} of {compared + unheard} tracks not compared)" if unheard else "")


def _by_split(what: str, counts: Mapping[str, int]) -> str:
    found = ", ".join(f"{split} {count}" for split, count in counts.items() if count)
    return f"{what}: {found}" if found else ""
