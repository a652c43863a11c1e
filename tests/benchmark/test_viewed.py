"""Views from Python say what the commands say, in the terminal, in a notebook and as a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cmbench
from cmbench.benchmark.comparing.compare import Comparison
from cmbench.benchmark.viewed import compare, view
from cmbench.benchmark.views.registry import views
from cmbench.errors import UsageError
from cmbench.tests.conftest import Cmbench

RESULTS = Path(__file__).resolve().parents[1] / "upgrade" / "v0.1.0" / "results"
MODELS = sorted(folder.name for folder in RESULTS.iterdir() if folder.is_dir())


def words(text: str) -> list[str]:
    return text.split()


def test_compare_is_the_command(cmbench: Cmbench) -> None:
    first, second = (RESULTS / name for name in MODELS[:2])
    found = compare(first, second, resamples=100)
    told = cmbench("compare", first, second, "--resamples", "100").out
    assert len(found) == 1
    comparison = found[0]
    assert isinstance(comparison, Comparison)
    assert (comparison.before, comparison.after) == (MODELS[0], MODELS[1])
    change = comparison.tasks[0].metrics["roc_auc"]
    row = found.frame().query("level == 'task' and metric == 'roc_auc'").iloc[0]
    assert row["change"] == change.change
    assert set(words(repr(found))) >= set(words(told)) - {"│"}


def test_transfer_has_a_base_and_writes_its_files(tmp_path: Path) -> None:
    found = cmbench.transfer(RESULTS, base=MODELS[0], in_culture={MODELS[1]: ["turkish"]}, resamples=100)
    assert found[0].matrix.base == MODELS[0]
    assert found[0].matrix.kinds[MODELS[1]] == "single-culture"
    assert {path.suffix for path in found.write(tmp_path)} == {".tex", ".md", ".csv", ".svg", ".png"}
    assert len(cmbench.transfer()[0].matrix.models) > 2


@pytest.mark.parametrize("name", sorted(set(views()) - {"changes", "forgetting", "reported"}))
def test_every_view_of_a_folder_shows_in_a_notebook(name: str) -> None:
    options: dict[str, Any] = {"resamples": 100} if "resamples" in views()[name].parameters else {}
    found = view(name, RESULTS, **options)
    html = found._repr_html_()
    assert html.startswith("<pre")
    assert "<" not in html.replace("<pre", "").replace("</pre>", "").replace("<span", "").replace("</span>", "")
    assert (repr(found) == f"{name}: nothing to show") == (name == "equity")


def test_what_is_no_view_or_option_is_told() -> None:
    with pytest.raises(UsageError, match=r"no view named 'layer'\. Did you mean layers or labels"):
        view("layer", RESULTS)
    with pytest.raises(UsageError, match=r"option of transfer named 'basis'\. Did you mean base"):
        view("transfer", RESULTS, basis="mfcc")
    with pytest.raises(UsageError, match="no record of edition full"):
        cmbench.compare(*(RESULTS / name for name in MODELS[:2]), edition="full")


def test_names_are_those_of_the_registries() -> None:
    assert {"chroma", "MERT-v1-95M"} <= set(cmbench.list_models())
    assert {"lyra", "turkish_makam"} <= set(cmbench.list_tasks())
