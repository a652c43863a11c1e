"""The commands of the views, as a user types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.predictions import predictions_bytes
from cmbench.benchmark.records.record import Record, write_record
from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError
from cmbench.files import sha256_of
from cmbench.tasks.base import MINI_LABEL

VIEWS = ("layers", "labels", "families", "calibration", "cost")


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, build_evidence: Callable[..., Evidence]) -> Path:
    """Records with predictions: two models in two editions."""
    folder = tmp_path_factory.mktemp("results")
    rng = np.random.default_rng(0)
    targets = np.eye(4, dtype=np.bool_)[np.arange(40) % 4]
    for model in ("A", "B"):
        scores = np.clip(0.4 * targets + 0.6 * rng.random((3, *targets.shape)), 0, 1)
        for edition in ("full", "mini"):
            evidence = build_evidence(
                model, targets, scores, [f"g{k // 2}" for k in range(40)], families=["makam"] * 4, edition=edition
            )
            write(evidence, folder)
    return folder


def write(evidence: Evidence, folder: Path) -> Record:
    content = predictions_bytes(
        evidence.track_ids,
        evidence.groups,
        evidence.record.task.labels,
        evidence.targets,
        np.asarray(evidence.probabilities, dtype=np.float32),
    )
    file = f"{evidence.record.stem}.npz"
    part = evidence.record.predictions.model_copy(update={"file": file, "sha256": sha256_of(content)})
    record = evidence.record.model_copy(update={"predictions": part})
    path = write_record(record, folder)
    (path.parent / file).write_bytes(content)
    return record


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_printed_and_written(results: Path, tmp_path: Path, view: str) -> None:
    text = run("report", view, results, "--out", tmp_path / "out", "--edition", "mini")
    assert MINI_LABEL in text
    assert "full edition" not in text
    assert "nan" not in text.lower()
    written = {Path(line.removeprefix("Written: ")) for line in text.splitlines() if line.startswith("Written: ")}
    assert written == set((tmp_path / "out").iterdir())
    assert {p.suffix for p in written} == {".svg", ".png", ".csv", ".tex", ".md"}
    for path in written:
        content = path.read_bytes()
        assert "mini" in path.name
        if path.suffix in (".csv", ".md", ".tex"):
            assert MINI_LABEL.encode() in content
    both = run("report", view, results)
    assert both.index("full edition") < both.index("mini edition")


@pytest.mark.parametrize("view", VIEWS)
def test_records_that_are_not_there_are_named(results: Path, tmp_path: Path, view: str) -> None:
    with pytest.raises(UsageError, match="no record of edition custom"):
        run("report", view, results, "--edition", "custom")
    with pytest.raises(UsageError, match="does not exist"):
        run("report", view, tmp_path / "nothing")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        run("report", view, results, "--out", tmp_path / "bad.json")
    with pytest.raises(CmbenchError, match="is not a cmbench record"):
        run("report", view, tmp_path)


def test_layers_by_average_precision(results: Path) -> None:
    assert "AP on validation" in run("report", "layers", results, "--metric", "average_precision")


@pytest.mark.parametrize(("form", "word"), [("latex", "\\toprule"), ("csv", "model,task"), ("markdown", "| model")])
def test_results_are_printed_or_written(results: Path, tmp_path: Path, form: str, word: str) -> None:
    text = run("export", "results", results, "--format", form)
    assert word in text
    assert MINI_LABEL in text
    out = tmp_path / "deep" / "file"
    assert run("export", "results", results, "--format", form, "--out", out) == f"Written: {out}\n"
    assert out.read_text(encoding="utf-8") == text


def test_results_for_other_stores_need_a_folder(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="4 files; name a folder"):
        run("export", "results", results, "--format", "eee")
    text = run("export", "results", results, "--format", "eee", "--out", tmp_path, "--relationship", "third_party")
    assert text.count("Written: ") == len(list(tmp_path.rglob("*.json"))) == 4
    run("export", "results", results, "-f", "eval-results", "--out", tmp_path, "--dataset", "a/b", "--edition", "full")
    assert len(list(tmp_path.rglob("*.yaml"))) == 2
