"""The part of a collection that needs no account: from Saraga's archive to a score."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmbench.benchmark.records.record import Record
from cmbench.tasks.registry import registry
from cmbench.tests.conftest import Cmbench
from cmbench.tests.rehearsal import dunya, saraga
from cmbench.tests.rehearsal.conftest import Stage, expect_counts


def test_from_the_archive_to_a_score(
    stage: Stage, cmbench: Cmbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = registry()[name := "carnatic"]
    tracks = dunya.put(task, {"train": 24, "valid": 12, "test": 24}, stage.dunya, stage.web, monkeypatch)
    expect_counts(name, tracks, monkeypatch)
    covered = saraga.put(task, tracks, stage.web, monkeypatch)
    said = cmbench("tasks", "prepare", name, "--source", "saraga", "--yes", code=1)
    assert f"Saraga covers {len(covered)} of {len(tracks)} listed recordings" in said.text
    assert stage.dunya.asked == []
    report = json.loads((stage.root / name / "saraga.json").read_text(encoding="utf-8"))
    assert [one["id"] for one in report["not_fetched"]] == [covered[-1].id]
    part = stage.root / name / "saraga.yaml"
    cmbench("tasks", "verify", part)
    cmbench("run", "--model", "constant", "--tasks", part, "--out", tmp_path / "results")
    (path,) = (tmp_path / "results").glob("constant/*.json")
    record = Record.model_validate_json(path.read_text(encoding="utf-8"))
    with_audio = covered[:-1]
    assert record.coverage.used == {s: sum(one.split == s for one in with_audio) for s in ("train", "valid", "test")}
    labels = {one.id: one.labels for one in with_audio if one.split == "test"}
    assert {label.label: label.support for label in record.labels} == {
        label: sum(label in mine for mine in labels.values()) for label in record.task.labels
    }
