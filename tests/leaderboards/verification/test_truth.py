"""The task's own labels: mini's are computed, real ones come from a folder, absent ones are said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cmbench.errors import CmbenchError
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.verification.findings import UNVERIFIED
from cmbench.leaderboards.verification.truth import (
    check_coverage,
    check_labels,
    check_same_split,
    check_task,
    known_task,
    own_data,
    status,
)

if TYPE_CHECKING:
    from cmbench.benchmark.records.evidence import Evidence
    from cmbench.tests.leaderboards.conftest import MakeEntry


@pytest.fixture
def evidence(make_entry: MakeEntry) -> Evidence:
    return read_entry(make_entry().save()).evidence[0]


def changed(evidence: Evidence, part: str, **values: object) -> Evidence:
    inner = getattr(evidence.record, part).model_copy(update=values)
    return replace(evidence, record=evidence.record.model_copy(update={part: inner}))


def test_minis_labels_are_always_there_and_real_ones_are_not(tmp_path: Path) -> None:
    mini = own_data("carnatic", "mini", "own", None)
    assert mini is not None
    assert len(mini.splits["test"]) == 80
    absent = own_data("carnatic", "full", "official", tmp_path)
    assert absent is None
    assert status(absent) == UNVERIFIED


def test_minis_labels_are_not_read_from_the_users_cache(own_cache: Path) -> None:
    before = sorted(own_cache.rglob("*"))
    assert own_data("hindustani", "mini", "own", None) is not None
    assert sorted(own_cache.rglob("*")) == before
    assert not Path("no-cache").exists()


def test_labels_of_a_maintainers_folder(evidence: Evidence, tmp_path: Path) -> None:
    (finding,) = check_labels(evidence, None)
    assert finding.severity == "unverified"
    data = own_data("lyra", "mini", "own", tmp_path)
    assert list(check_labels(evidence, data)) == []


def test_an_entry_of_the_former_mini_splits_is_compared_with_those() -> None:
    mfcc = Path(__file__).parents[3] / "leaderboards" / "entries" / "mfcc" / "1"
    (evidence,) = (e for e in read_entry(mfcc).evidence if e.record.task.name == "lyra")
    part = evidence.record.task
    today, former = (own_data("lyra", "mini", "own", None, sha) for sha in ("", part.split_sha256))
    assert today is not None
    assert former is not None
    assert today.split_sha256 != former.split_sha256 == part.split_sha256
    assert own_data("lyra", "mini", "own", None, "0" * 64) == today
    assert list(check_labels(evidence, former)) == []
    assert any(f.severity == "error" for f in check_labels(evidence, today))


@pytest.mark.parametrize(("edition", "severity"), [("mini", "error"), ("full", "flag")])
def test_another_split_hash(evidence: Evidence, edition: str, severity: str) -> None:
    other = changed(evidence, "task", split_sha256="0" * 64, edition=edition)
    (finding,) = check_labels(other, own_data("lyra", "mini", "own", None))
    assert finding.severity == severity


@pytest.mark.parametrize(
    ("part", "value"), [("tradition", "western"), ("title", "Lyre"), ("split", "easy"), ("families", {})]
)
def test_facts_of_the_task(evidence: Evidence, part: str, value: object) -> None:
    assert list(check_task(evidence, known_task(evidence))) == []
    other = changed(evidence, "task", **{part: value})
    assert [f.severity for f in check_task(other, known_task(other))] == ["error"]


def test_accuracy_is_of_tasks_with_one_label_a_track_and_of_each_of_them(evidence: Evidence) -> None:
    single = replace(known_task(evidence), single_label=True)
    (finding,) = check_task(evidence, single)
    assert (finding.severity, finding.check) == ("error", "scores")
    scored = {**evidence.record.metrics, "accuracy": evidence.record.metrics["f1_micro"]}
    other = replace(evidence, record=evidence.record.model_copy(update={"metrics": scored}))
    assert list(check_task(other, single)) == []
    assert [f.severity for f in check_task(other, known_task(evidence))] == ["error"]


def test_fewer_tracks_than_were_published(evidence: Evidence) -> None:
    task = known_task(evidence)
    real = changed(evidence, "task", edition="full", split="official", labels=task.editions["full"].labels)
    real = changed(real, "task", families={label: task.families[label] for label in task.labels})
    (finding,) = check_task(real, task)
    assert "it asked for 80 test tracks; the task has 330" in finding.message


def test_a_task_without_a_board(evidence: Evidence) -> None:
    with pytest.raises(CmbenchError, match="it has no board"):
        known_task(changed(evidence, "task", name="my_corpus"))


def test_tracks_that_do_not_add_up(evidence: Evidence) -> None:
    assert list(check_coverage(evidence)) == []
    used = evidence.record.coverage.used | {"train": 5}
    (finding,) = check_coverage(changed(evidence, "coverage", used=used))
    assert "do not add up" in finding.message


def test_other_claims_about_the_same_split(evidence: Evidence) -> None:
    assert list(check_same_split(evidence, [evidence])) == []
    other = replace(evidence, groups=tuple("x" for _ in evidence.groups))
    assert len(list(check_same_split(evidence, [other]))) == 1
    assert list(check_same_split(evidence, [changed(other, "task", split_sha256="0" * 64)])) == []


def test_another_mask_is_another_truth(evidence: Evidence) -> None:
    """A submitter may not leave out what the task knows, nor count what it does not."""
    data = own_data("lyra", "mini", "own", None)
    assert data is not None
    known = np.ones_like(evidence.targets)
    row, column = np.argwhere(~evidence.targets)[0]
    known[row, column] = False
    mine = replace(evidence, known=known)
    (finding,) = check_labels(mine, data)
    assert finding.message == "its targets, or which are known, are not the task's labels."
    tracks = list(data.splits["test"])
    place = [track.id for track in tracks].index(evidence.track_ids[row])
    tracks[place] = replace(tracks[place], unknown=(data.labels[column],))
    marked = replace(data, splits={**data.splits, "test": tuple(tracks)})
    told = mine.record.task.model_copy(update={"unknown_sha256": marked.unknown_sha256})
    mine = replace(mine, record=mine.record.model_copy(update={"task": told}))
    assert list(check_labels(mine, marked)) == []
    assert [finding.check for finding in check_labels(evidence, marked)] == ["labels", "tracks"]
    assert list(check_labels(evidence, marked.read_as("negative"))) == []
    assert [f.severity for f in check_same_split(mine, [evidence])] == ["error"]
