"""Reproductions: a maintainer's own run, compared and kept; tombstones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.verification.reproduce import reproduce, withdraw
from cmbench.leaderboards.verification.verify import verify

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import Forge, MakeEntry


def rerun(make_entry: MakeEntry, noise: float = 0.01) -> Forge:
    """The same model run again elsewhere: nearly the same probabilities, another moment."""
    own = make_entry()
    values = own.arrays["probabilities"]
    values = np.clip(values + np.random.default_rng(9).normal(0, noise, values.shape), 0, 1)
    own.arrays["probabilities"] = values.astype(np.float32)
    own.score_again()
    own.record["environment"]["created"] = "2025-02-02T03:04:05+00:00"
    return own


def test_a_run_that_agrees_earns_the_badge(make_entry: MakeEntry, tmp_path: Path) -> None:
    path = make_entry().save()
    run = rerun(make_entry).run(tmp_path / "own")
    said = CliRunner().invoke(app, ["leaderboard", "reproduce", str(path), "--run", str(run), "--maintainer", "A. M."])
    assert said.exit_code == 0, said.output
    assert "lyra: roc_auc" in said.output
    entry = read_entry(path)
    assert entry.badge == "reproduced"
    assert entry.reproduction is not None
    assert entry.reproduction.maintainer == "A. M."
    found = verify(path)
    assert found[0].badge == "reproduced"
    assert found[0].sound
    with pytest.raises(UsageError, match="reproduced already"):
        reproduce(path, [run], "A. M.")


def test_a_run_that_does_not_agree_leaves_nothing(make_entry: MakeEntry, tmp_path: Path) -> None:
    path = make_entry().save()
    with pytest.raises(CmbenchError, match=r"not reproduced(.|\n)*lyra: roc_auc differs by -"):
        reproduce(path, [rerun(make_entry, 0.6).run(tmp_path / "own")], "A. M.")
    assert not (path / "reproduction").exists()
    assert read_entry(path).badge == "rescored"


def test_the_entrys_own_record_is_no_reproduction(make_entry: MakeEntry, tmp_path: Path) -> None:
    path = make_entry().save()
    with pytest.raises(UsageError, match="the entry's own record"):
        reproduce(path, [make_entry().run(tmp_path / "own")], "A. M.")


def test_another_model_is_no_reproduction(make_entry: MakeEntry, tmp_path: Path) -> None:
    path = make_entry().save()
    with pytest.raises(UsageError, match="There is no record of honest"):
        reproduce(path, [make_entry("other").run(tmp_path / "own")], "A. M.")


@pytest.mark.parametrize("change", ["difference", "predictions", "manifest"])
def test_a_forged_reproduction_is_refused(make_entry: MakeEntry, tmp_path: Path, change: str) -> None:
    path = make_entry().save()
    reproduce(path, [rerun(make_entry).run(tmp_path / "own")], "A. M.")
    file = path / "reproduction" / "reproduction.json"
    said = json.loads(file.read_text())
    if change == "difference":
        said["tasks"]["lyra"]["differences"]["roc_auc"] = 0.0
    elif change == "manifest":
        said["manifest_sha256"] = "0" * 64
    else:
        (path / "reproduction" / "extra.npz").write_bytes(b"x")
    file.write_text(json.dumps(said))
    assert not verify(path)[0].sound


@pytest.mark.parametrize("words", ["", "  ", "x" * 5000, "a\u202eb"])
def test_a_reason_and_a_name_must_be_said(make_entry: MakeEntry, tmp_path: Path, words: str) -> None:
    path = make_entry().save()
    with pytest.raises(CmbenchError, match="--reason"):
        withdraw(path, words)
    with pytest.raises(CmbenchError, match="--maintainer"):
        reproduce(path, [rerun(make_entry).run(tmp_path / "own")], words)
    assert read_entry(path).ranked


def test_a_withdrawn_entry_stays_with_its_reason(make_entry: MakeEntry) -> None:
    path = make_entry().save()
    withdraw(path, "Test tracks in the mix.")
    entry = read_entry(path)
    assert not entry.ranked
    assert entry.withdrawal is not None
    assert entry.withdrawal.reason == "Test tracks in the mix."
    assert verify(path)[0].sound
    with pytest.raises(UsageError, match="already"):
        withdraw(path, "again")
