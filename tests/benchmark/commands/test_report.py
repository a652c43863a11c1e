"""Which records the comparing commands read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cmbench.benchmark.records.evidence import Evidence, choose_records
from cmbench.benchmark.records.predictions import predictions_bytes
from cmbench.benchmark.records.record import PredictionsPart, write_record
from cmbench.cli import app
from cmbench.errors import UsageError
from cmbench.files import sha256_of


def write(folder: Path, made: Evidence, split: str) -> None:
    content = predictions_bytes(made.track_ids, made.groups, made.record.task.labels, made.targets, made.probabilities)
    part = PredictionsPart(file=f"{split}.npz", sha256=sha256_of(content))
    task = made.record.task.model_copy(update={"split": split})
    path = write_record(made.record.model_copy(update={"predictions": part, "task": task}), folder)
    (path.parent / part.file).write_bytes(content)


def test_records_on_one_split_are_read(tmp_path: Path, build_evidence: Callable[..., Evidence]) -> None:
    draw = np.random.default_rng(0)
    made = build_evidence("mfcc", draw.random((6, 3)) < 0.5, draw.random((2, 6, 3)), list("aabbcc"))
    for split in ("official", "group-safe"):
        write(tmp_path, made, split)
    assert len(choose_records([tmp_path])) == 2
    (found,) = choose_records([tmp_path], split="group-safe").values()
    assert found.task.split == "group-safe"
    with pytest.raises(UsageError, match="no record of edition full of split marble in"):
        choose_records([tmp_path], "full", "marble")


def test_a_bound_is_a_number_of_points(tmp_path: Path) -> None:
    for bound in ("nan", "inf", "-1"):
        assert CliRunner().invoke(app, ["compare", str(tmp_path), str(tmp_path), "--bound", bound]).exit_code == 2
    done = CliRunner().invoke(app, ["compare", str(tmp_path), str(tmp_path), "--bound", "inf"])
    assert "not a number of points" in " ".join(done.output.replace("│", " ").split())
