"""What docs/python.md shows works when it is typed, in its order, in a folder that has what it names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cmbench.baselines.anchors import random_checkpoint
from cmbench.benchmark.request import read_request
from cmbench.tests.baselines.mert.test_encoder import old_names, save
from cmbench.tests.house.same_bytes import write_corpus

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code of one language that the page shows."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with music, records and a model."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests" / "upgrade" / "v0.1.0" / "results", "results")
    write_corpus(Path("my_corpus"))
    model = random_checkpoint("random-mert-nano")
    folder = save(Path("my-mert"), model.shape, old_names(model.weights))
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 24000, "do_normalize": false}')
    return tmp_path


def test_the_blocks_run(here: Path) -> None:
    space: dict[str, Any] = {}
    for number, block in enumerate(blocks("python"), start=1):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), space)
    assert len(space["records"]) == 1
    assert len(space["table"])
    assert (here / "mfcc.csv").is_file()
    assert {path.suffix for path in (here / "transfer").iterdir()} == {".tex", ".md", ".csv", ".svg", ".png"}
    assert set(space["metric"].named.families) == {"makam", "usul"}
    assert space["features"].shape == (1, 5, 96)


def test_the_run_file_is_one(here: Path) -> None:
    (block,) = blocks("yaml")
    (here / "run.yaml").write_text(block, encoding="utf-8")
    asked = read_request(["run.yaml", "tasks=lyra"], {"device": "cpu"})
    assert (asked.model, asked.tasks, asked.device) == (["mfcc", "./my-mert"], ["lyra"], "cpu")
