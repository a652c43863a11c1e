"""Copies: disguises are seen through, honest models are not taken for one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cmbench.benchmark.records.evidence import Evidence
from cmbench.leaderboards.entry import ENTRIES, Entry
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.verification.copies import agreement, check_copies, check_seeds

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import MakeEntry

Disguise = Callable[[Any, Any], Any]
DRAW = np.random.default_rng(5)


@pytest.fixture(scope="module")
def victim() -> Entry:
    return read_entry(ENTRIES / "CultureMERT-nano" / "2")


@pytest.fixture(scope="module")
def other() -> Entry:
    return read_entry(ENTRIES / "mfcc" / "1")


def disguised(entry: Entry, other: Entry, disguise: Disguise) -> Entry:
    made = tuple(
        replace(e, probabilities=np.clip(disguise(e.probabilities, o.probabilities), 0, 1).astype(np.float32))
        for e, o in zip(entry.evidence, other.evidence, strict=True)
    )
    said = entry.submission.model_copy(update={"name": "forged"})
    return replace(entry, submission=said, evidence=made)


def one_label(mine: Any, theirs: Any) -> Any:
    made = mine.copy()
    made[:, :, 0] = theirs[:, :, 0]
    return made


def noise(size: float) -> Disguise:
    return lambda mine, _: mine + DRAW.normal(0, size, mine.shape)


def blend(share: float) -> Disguise:
    return lambda mine, theirs: (1 - share) * mine + share * theirs


FOUND: dict[str, Disguise] = {
    "the same": lambda p, _: p,
    **{f"noise of {size:g}": noise(size) for size in (1e-6, 1e-4, 1e-2)},
    **{f"a blend of {share:g}": blend(share) for share in (0.01, 0.03, 0.2)},
    "a monotone disguise": lambda p, _: p ** DRAW.uniform(0.3, 3, (1, 1, p.shape[2])),
    "seeds in another order": lambda p, _: p[[3, 0, 4, 1, 2]],
    "averaged seeds": lambda p, _: np.repeat(p.mean(0)[None], 5, 0) + DRAW.normal(0, 1e-3, p.shape),
    "a replaced label": one_label,
}


@pytest.mark.parametrize("name", FOUND)
def test_disguises_are_seen_through(victim: Entry, other: Entry, name: str) -> None:
    found = next(check_copies(disguised(victim, other, FOUND[name]), [victim]))
    assert found.severity == "flag"
    assert "the predictions are those of CultureMERT-nano/2, or nearly" in found.message


def test_seeds_are_paired_as_they_agree(victim: Entry, other: Entry) -> None:
    forged = disguised(victim, other, FOUND["seeds in another order"])
    assert agreement(forged.evidence, victim.evidence).residuals > 0.999


def test_one_copied_task_is_enough(victim: Entry, other: Entry) -> None:
    mixed = replace(other, evidence=(*other.evidence[:5], victim.evidence[5]))
    (found,) = check_copies(mixed, [victim])
    assert "in 28 of 127 labels" in found.message


@pytest.mark.parametrize("name", ["MERT-nano/2", "CultureMERT-TA-nano/2", "HindustaniMERT-nano/2", "chroma/1"])
def test_a_merge_and_its_family_are_no_copies(victim: Entry, name: str) -> None:
    merge = read_entry(ENTRIES / "CultureMERT-TA-nano" / "2")
    for one in (victim, merge):
        found = agreement(one.evidence, read_entry(ENTRIES / name).evidence)
        assert found.is_copy == (one.key == name)


def test_a_constant_model_is_nobodys_copy(victim: Entry) -> None:
    flat = read_entry(ENTRIES / "constant" / "1")
    assert agreement(flat.evidence, flat.evidence).compared == 0
    assert list(check_copies(replace(flat, submission=victim.submission), [flat])) == []
    assert list(check_seeds(flat)) == []


def test_other_tracks_cannot_be_copies(victim: Entry) -> None:
    def renamed(e: Evidence) -> Evidence:
        return replace(e, track_ids=tuple(f"x{i}" for i in e.track_ids))

    found = agreement(victim.evidence, [renamed(e) for e in victim.evidence])
    assert (found.compared, found.means) == (0, 0)


def test_versions_of_the_same_weights_are_not_compared(victim: Entry) -> None:
    later = replace(victim, submission=victim.submission.model_copy(update={"version": "3"}))
    assert list(check_copies(later, [victim])) == []


@pytest.mark.parametrize("seeds", [[0, 0, 0, 0, 0], [0, 1, 2, 3, 3]])
def test_a_seed_that_is_counted_twice(victim: Entry, other: Entry, seeds: list[int]) -> None:
    assert list(check_seeds(victim)) == []
    found = list(check_seeds(disguised(victim, other, lambda p, _: p[seeds])))
    assert any("one was counted twice" in f.message for f in found)
    assert any("too much alike" in f.message for f in found) == (len(set(seeds)) == 1)


def test_seeds_that_are_means_of_seeds(victim: Entry, other: Entry) -> None:
    forged = disguised(victim, other, lambda p, _: np.stack([np.delete(p, i, 0).mean(0) for i in range(5)]))
    assert any(f.where == victim.key.replace("CultureMERT-nano", "forged") for f in check_seeds(forged))


def test_invented_models_are_not_copies(make_entry: MakeEntry) -> None:
    one, two = (read_entry(make_entry(f"m{seed}", seed=seed).save()) for seed in (1, 2))
    assert not agreement(one.evidence, two.evidence).is_copy
