"""The forger: entries that are not what they say, drawn by a seed. Each must be found, and no honest pair flagged.

The short form draws one forgery of each kind; the long one (`-m slow`) 150. ``CMBENCH_FAULTS_SEED`` is their seed.
Both print a line of figures.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.leaderboards.entry import ENTRIES, Entry
from cmbench.leaderboards.reading import iter_entries, read_entry
from cmbench.leaderboards.succession import confirm, read_successors, standing, versions
from cmbench.leaderboards.verification.copies import agreement, check_copies, check_seeds
from cmbench.leaderboards.verification.findings import Finding
from cmbench.leaderboards.verification.verify import verify_entry
from cmbench.tests.leaderboards.conftest import STEM, TASK, Forge

SEED = int(os.environ.get("CMBENCH_FAULTS_SEED", "17"))
LONG = 150
Floats = NDArray[np.float64]
Draw = np.random.Generator
Disguise = Callable[[Draw, Floats, Floats], Floats]


BOARDS = ("cmbench-1", "cmbench-2")
"""Protocols whose entries are drawn: predictions without trainings on resamples, and with."""


@cache
def shipped(protocol: str = "cmbench-1") -> tuple[Entry, ...]:
    """Of one board; what is forged on disk is of the first."""
    return tuple(entry for entry in iter_entries(ENTRIES) if entry.submission.board.protocol == protocol)


@cache
def learned(protocol: str = "cmbench-1") -> tuple[Entry, ...]:
    """Entries whose predictions differ from track to track: what can be copied."""
    return tuple(entry for entry in shipped(protocol) if entry.submission.name != "constant")


def noise(draw: Draw, victim: Floats, other: Floats) -> Floats:
    return np.asarray(victim + draw.normal(0, 10 ** draw.uniform(-6, -1.7), victim.shape))


def blend(draw: Draw, victim: Floats, other: Floats) -> Floats:
    share = draw.uniform(0.01, 0.2)
    return np.asarray((1 - share) * victim + share * other)


def monotone(draw: Draw, victim: Floats, other: Floats) -> Floats:
    return np.asarray(victim ** draw.uniform(0.3, 3, (1, 1, victim.shape[2])))


def reordered_seeds(draw: Draw, victim: Floats, other: Floats) -> Floats:
    return noise(draw, victim[draw.permutation(len(victim))], other)


def averaged_seeds(draw: Draw, victim: Floats, other: Floats) -> Floats:
    mean = np.repeat(victim.mean(axis=0)[None], len(victim), axis=0)
    return np.asarray(mean + draw.normal(0, 1e-3, victim.shape))


def replaced_labels(draw: Draw, victim: Floats, other: Floats) -> Floats:
    made = victim.copy()
    columns = draw.permutation(victim.shape[2])[: draw.integers(1, victim.shape[2] // 2)]
    made[:, :, columns] = other[:, :, columns]
    return made


DISGUISES: tuple[Disguise, ...] = (noise, blend, monotone, reordered_seeds, averaged_seeds, replaced_labels)


def other_than(draw: Draw, victim: Entry, protocol: str = "cmbench-1") -> Entry:
    rest = [entry for entry in learned(protocol) if entry is not victim]
    return rest[draw.integers(len(rest))]


def disguised(draw: Draw, disguise: Disguise, protocol: str) -> tuple[Entry, Entry]:
    """Return a victim, and an entry of another name with its predictions in disguise, on all tasks or on one."""
    victim = learned(protocol)[draw.integers(len(learned(protocol)))]
    other = other_than(draw, victim, protocol)
    spared = draw.integers(len(victim.evidence)) if draw.random() < 0.3 else None
    made = []
    for i, (e, o) in enumerate(zip(victim.evidence, other.evidence, strict=True)):
        kept = [(e.probabilities, o.probabilities)]
        if e.resampled is not None and o.resampled is not None:
            kept.append((e.resampled, o.resampled))
        forged = [b if i == spared else disguise(draw, a.astype(np.float64), b.astype(np.float64)) for a, b in kept]
        seeds, *trainings = (np.clip(one, 0, 1).astype(np.float32) for one in forged)
        made.append(replace(e, probabilities=seeds, resampled=trainings[0] if trainings else None))
    said = victim.submission.model_copy(update={"name": "forged"})
    return victim, replace(victim, submission=said, evidence=tuple(made))


def finds_copy(draw: Draw, disguise: Disguise, protocol: str) -> bool:
    victim, forged = disguised(draw, disguise, protocol)
    copied = any(victim.key in found.message for found in check_copies(forged, [victim]))
    # Averaged seeds leave no residuals to compare, and are found by that where a task was spared.
    return copied or any(True for _ in check_seeds(forged))


def finds_seeds(draw: Draw, many: int, protocol: str) -> bool:
    """Whether one seed that is counted five times, or a mean of several in the place of each, is found."""
    entry = learned(protocol)[draw.integers(len(learned(protocol)))]
    forged = []
    for e in entry.evidence:
        seeds = e.probabilities.astype(np.float64)
        if many == 1:
            made = np.repeat(seeds[draw.integers(len(seeds))][None], len(seeds), axis=0)
        else:
            made = np.stack([np.delete(seeds, i, axis=0).mean(axis=0) for i in range(len(seeds))])
        made = np.clip(made + draw.normal(0, 10 ** draw.uniform(-6, -2.5), made.shape), 0, 1)
        forged.append(replace(e, probabilities=made.astype(np.float32)))
    return bool(list(check_seeds(replace(entry, evidence=tuple(forged)))))


def forge(draw: Draw, root: Path, name: str = "forged", version: str = "1", victim: str = "") -> Forge:
    """Begin an entry with the records and predictions of an honest one on one task."""
    entry = next((one for one in shipped() if one.key == victim), None) or other_than(draw, learned()[0])
    e = next(e for e in entry.evidence if e.record.task.name == TASK)
    record = json.loads(e.path.read_text(encoding="utf-8"))
    record["model"]["name"] = name
    arrays = {
        "track_ids": list(e.track_ids),
        "groups": list(e.groups),
        "labels": list(record["task"]["labels"]),
        "targets": e.targets,
        "probabilities": e.probabilities,
    }
    said = json.loads((entry.path / "submission.json").read_text(encoding="utf-8"))
    said |= {"name": name, "version": version, "tasks": [TASK]}
    return Forge(root / name / version, said, record, arrays)


def findings(forged: Forge) -> list[Finding]:
    return list(verify_entry(read_entry(forged.path), shipped()).findings)


def said(found: Iterable[Finding], *checks: str) -> bool:
    return any(one.check in checks and one.severity in ("error", "flag") for one in found)


def set_fingerprint(forged: Forge, value: str) -> None:
    forged.record["model"]["fingerprint"] = forged.submission["model_fingerprint"] = value


def typed_fingerprint(draw: Draw, root: Path) -> bool:
    forged = forge(draw, root)
    set_fingerprint(forged, draw.bytes(8).hex())
    forged.save()
    return said(findings(forged), "hashes")


def edited_part(draw: Draw, root: Path) -> bool:
    """A licence, a source or training data changed in the record, with every hash of files right."""
    forged = forge(draw, root)
    part, value = [("licence", "MIT"), ("source", "hf:me/mine"), ("trained_on", ["nothing"])][draw.integers(3)]
    file = forged.save() / "records" / f"{STEM}.json"
    record = json.loads(file.read_text())
    record["model"][part] = value
    file.write_text(json.dumps(record))
    forged.seal()
    return said(findings(forged), "hashes")


def edited_layer(draw: Draw, root: Path) -> bool:
    forged = forge(draw, root)
    forged.record["selection"]["layer"] = forged.record["layers"][0]["layer"]
    forged.record["selection"]["valid_score"] = float(draw.uniform(0.9, 1))
    forged.save()
    return said(findings(forged), "selection")


def known_weights(draw: Draw, root: Path) -> bool:
    forged = forge(draw, root, "my-own-model", victim="mfcc/1")
    forged.save()
    return said(findings(forged), "known")


def anchor_name(draw: Draw, root: Path) -> bool:
    forged = forge(draw, root, ["MFCC", "constant", "random-mert-nano", "MERT-nano"][draw.integers(4)], "9")
    forged.record["model"]["weights_sha256"] = draw.bytes(32).hex()
    forged.save()
    return said(findings(forged), "known")


def released_name(draw: Draw, root: Path) -> bool:
    forged = forge(draw, root, ["MERT-v1-95M", "culturemert_95m", "MERT-v1-330M"][draw.integers(3)])
    forged.record["model"]["weights_sha256"] = draw.bytes(32).hex()
    forged.save()
    return any(f.check == "known" and f.severity == "unverified" for f in findings(forged))


def borrowed_hash(draw: Draw, root: Path) -> bool:
    """The weights' hash and fingerprint of a model, and predictions of another."""
    forged = forge(draw, root, victim="CultureMERT-nano/2")
    forged.arrays["probabilities"] = forge(draw, root, victim="mfcc/1").arrays["probabilities"]
    forged.score_again()
    forged.save()
    return said(findings(forged), "hashes")


def unusable(draw: Draw, root: Path) -> bool:
    """The tracks that cost the most are declared unusable."""
    forged = forge(draw, root)
    kept = np.sort(draw.permutation(len(forged.arrays["track_ids"]))[: -int(draw.integers(1, 20))])
    gone = sorted(set(range(len(forged.arrays["track_ids"]))) - set(kept.tolist()))
    ids = forged.arrays["track_ids"]
    failed = [{"id": ids[i], "split": "test", "file": f"{ids[i]}.flac", "reason": "damaged"} for i in gone]
    for name in ("track_ids", "groups"):
        forged.arrays[name] = [forged.arrays[name][i] for i in kept]
    forged.arrays["targets"] = forged.arrays["targets"][kept]
    forged.arrays["probabilities"] = forged.arrays["probabilities"][:, kept]
    coverage = forged.record["coverage"]
    coverage["failed"] = failed
    coverage["used"] = coverage["used"] | {"test": len(kept)}
    forged.score_again()
    forged.save()
    return said(findings(forged), "tracks")


def invented(draw: Draw, root: Path) -> bool:
    """Predictions made of the labels."""
    forged = forge(draw, root)
    targets = forged.arrays["targets"]
    logits = targets * draw.uniform(2.5, 6) + draw.normal(size=(5, *targets.shape))
    forged.arrays["probabilities"] = (1 / (1 + np.exp(-logits))).astype(np.float32)
    forged.score_again()
    forged.save()
    return any("plausible ceiling" in f.message for f in findings(forged))


def cheaper(draw: Draw, root: Path) -> bool:
    forged = forge(draw, root)
    part = ["encode_seconds", "audio_seconds"][draw.integers(2)]
    forged.record["cost"][part] *= draw.uniform(0.1, 0.9)
    # Not the bytes of the victim's predictions, where audio is counted.
    forged.save()
    return said(findings(forged), "cost")


def displacing(draw: Draw, root: Path) -> bool:
    """Somebody else's version: with other weights or the same, confirmed by itself or not, above or below."""
    forge(draw, root, "victim", "5", "mfcc/1").save()
    version = ["6", "5.1", "10", "99999"][draw.integers(4)]
    forged = forge(draw, root, "victim", version, ["mfcc/1", "chroma/1"][draw.integers(2)])
    forged.submission["contact"] = "the one who sent the other"
    forged.save()
    if draw.random() < 0.5:
        # A confirmation of other content than that which is there is refused as a whole.
        confirm(forged.path)
        forged.submission["contact"] = "somebody else"
        forged.save()
        with pytest.raises(Exception, match="its manifest differs"):
            standing(versions(root), read_successors(root))
        (root.parent / "successors.json").unlink()
    found = standing(versions(root), read_successors(root))
    return found.superseded == {} and found.claims == {f"victim/{version}": "victim/5"}


@dataclass(frozen=True)
class Kind:
    """A kind of forgery: its name, and whether one that is drawn is found."""

    name: str
    found: Callable[[Draw, Path], bool]


def _kinds() -> tuple[Kind, ...]:
    def copy(disguise: Disguise, protocol: str) -> Callable[[Draw, Path], bool]:
        return lambda draw, _: finds_copy(draw, disguise, protocol)

    def seeds(many: int, protocol: str) -> Callable[[Draw, Path], bool]:
        return lambda draw, _: finds_seeds(draw, many, protocol)

    on_disk: tuple[Any, ...] = (
        typed_fingerprint, edited_part, edited_layer, known_weights, anchor_name, released_name,
        borrowed_hash, unusable, invented, cheaper, displacing,
    )  # fmt: skip
    return (
        *(Kind(f"{disguise.__name__} {board}", copy(disguise, board)) for board in BOARDS for disguise in DISGUISES),
        *(Kind(f"one seed five times {board}", seeds(1, board)) for board in BOARDS),
        *(Kind(f"means of seeds {board}", seeds(4, board)) for board in BOARDS),
        *(Kind(function.__name__, function) for function in on_disk),
    )


KINDS = _kinds()


def attack(count: int, folder: Path) -> tuple[int, list[str]]:
    """Make forgeries of every kind in turn and return how many were found, and which were not."""
    missed = []
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        if not kind.found(np.random.default_rng((SEED, i)), folder / str(i) / "entries"):
            missed.append(f"{kind.name} ({SEED}, {i})")
    return count - len(missed), missed


def figures(count: int, found: int, pairs: int, flagged: int) -> str:
    return f"forger: {count} forgeries, {found} found; {pairs} honest pairs, {flagged} flagged"


def honest_flagged(entries: Iterable[Entry]) -> tuple[int, list[str]]:
    """Return how many pairs of honest entries there are, and those that would be taken for copies."""
    pairs = list(combinations(entries, 2))
    taken = [f"{one.key} {other.key}" for one, other in pairs if agreement(one.evidence, other.evidence).is_copy]
    return len(pairs), taken


def test_every_kind_of_forgery_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, missed = attack(len(KINDS), tmp_path)
    pairs, flagged = honest_flagged(entry for entry in shipped() if entry.submission.version == "2")
    more, taken = honest_flagged(shipped("cmbench-2"))
    pairs, flagged = pairs + more, flagged + taken
    with capsys.disabled():
        print(f"\n{figures(len(KINDS), found, pairs, len(flagged))}")
    assert (missed, flagged) == ([], [])


@pytest.mark.slow
def test_many_forgeries_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, missed = attack(LONG, tmp_path)
    pairs, flagged = honest_flagged(shipped())
    flagged += [entry.key for board in BOARDS for entry in shipped(board) if list(check_seeds(entry))]
    with capsys.disabled():
        print(f"\n{figures(LONG, found, pairs, len(flagged))}")
    assert (missed, flagged) == ([], [])
