"""Scores by hidden state and family: the best state of each family, and old records that do not hold them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from matplotlib.text import Text
from rich.console import Console

from cmbench.benchmark.records.record import LayerFamilyScore, Record
from cmbench.benchmark.views.base import write_view
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.layers import VIEW
from cmbench.benchmark.views.layers.layers import LayerView, layer_rows, layer_views
from cmbench.benchmark.views.layers.state_map import layer_figure, panels_by_page
from cmbench.benchmark.views.tables import csv_text
from cmbench.tasks.base import MINI_LABEL

Build = Callable[..., Record]


def with_families(record: Record, values: Mapping[str, Sequence[float | None]]) -> Record:
    """Give every layer the family scores of its position."""
    layers = []
    for k, layer in enumerate(record.layers):
        families = tuple(
            LayerFamilyScore(family=f, labels=4, defined=0 if v[k] is None else 3, roc_auc=v[k], average_precision=v[k])
            for f, v in values.items()
        )
        layers.append(layer.model_copy(update={"families": families}))
    return record.model_copy(update={"layers": tuple(layers)})


def printed(view: LayerView) -> str:
    out = io.StringIO()
    VIEW.print(view, Console(file=out, width=180))
    return out.getvalue()


VALUES = {"raga": (0.5, 0.6, 0.91, 0.7, 0.6, 0.95), "instrument": (0.88, 0.6, 0.5, 0.5, 0.5, 0.6), "form": (None,) * 6}


def test_the_best_state_of_each_family_is_found(build_record: Build) -> None:
    (view,) = layer_views([with_families(build_record("random-mert-nano", "carnatic"), VALUES)])
    (panel,) = view.panels[view.section.columns[0]]
    assert panel.fused == 5
    lines = {line.split()[1]: line.split() for line in printed(view).splitlines() if "random-mert-nano " in line}
    assert lines["raga"][4:7] == ["50.0", "60.0", "95.0"]
    assert lines["raga"][-2:] == ["91.0", "hidden_2"]
    assert lines["instrument"][-2:] == ["88.0", "hidden_0"]
    assert lines["form"][-1] == "–"
    assert "the validation split defines no label of form (0/4 labels)" in printed(view)
    rows = list(csv.DictReader(io.StringIO(csv_text(layer_rows(view)))))
    ragas = [r for r in rows if r["family"] == "raga"]
    assert [float(r["value"]) for r in ragas] == list(VALUES["raga"])
    assert [r["value"] for r in rows if r["family"] == "form"] == [""] * 6
    assert sum(r["chosen"] == "True" for r in ragas) == 1


def test_old_records_keep_their_curve_and_say_what_they_lack(build_record: Build) -> None:
    (view,) = layer_views([build_record(m, "lyra") for m in ("mfcc", "random-mert-nano")])
    for panel in view.panels[view.section.columns[0]]:
        assert [line.family for line in panel.lines] == ["all labels"]
    text = " ".join(printed(view).split())
    assert "mfcc, random-mert-nano: scores by family are not stored by the record" in text
    assert "–/30 labels" in text


def test_an_input_that_could_not_be_trained_is_named(build_record: Build) -> None:
    record = with_families(build_record("random-mert-nano", "lyra"), VALUES)
    broken = record.layers[1].model_copy(update={"score": None, "roc_auc": None, "average_precision": None})
    (view,) = layer_views([record.model_copy(update={"layers": (record.layers[0], broken, *record.layers[2:])})])
    assert "no learning rate could be trained on hidden_1" in printed(view)


@pytest.mark.parametrize("states", [1, 5, 13, 25])
def test_the_figure_fits_and_outlines_the_best(build_record: Build, states: int, tmp_path: Path) -> None:
    record = build_record("MERT-like model of a lab", "lyra", edition="mini", hidden_states=states)
    inputs = len(record.layers)
    values = {"makam": [0.5 + 0.01 * k for k in range(inputs)], "a longer family name": [0.7] * inputs}
    (view,) = layer_views([with_families(record, values)])
    with style("path"):
        figure = layer_figure(view, view.section.columns[0])
        figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
    assert MINI_LABEL in [t.get_text() for t in texts]
    width, height = figure.canvas.get_width_height()
    boxes = [t.get_window_extent() for t in texts]
    assert all(b.x0 >= -1 and b.y0 >= -1 and b.x1 <= width + 1 and b.y1 <= height + 1 for b in boxes)
    overlaps = [
        (texts[i].get_text(), texts[j].get_text())
        for i, a in enumerate(boxes)
        for j, b in enumerate(boxes[:i])
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    assert overlaps == []
    assert len(write_view(VIEW, view, tmp_path)) == 5


def test_many_models_fill_several_pages(build_record: Build) -> None:
    records = [with_families(build_record(f"m{k}", "lyra", hidden_states=5), VALUES) for k in range(12)]
    (view,) = layer_views(records, "average_precision")
    pages = panels_by_page(view.panels[view.section.columns[0]])
    assert len(pages) > 1
    assert [panel.row.name for page in pages for panel in page] == [f"m{k}" for k in range(12)]
    assert len(VIEW.figures(view)) == len(pages)
    assert "AP on validation" in printed(view)


def test_an_encoder_of_which_only_the_sum_was_a_candidate(build_record: Build) -> None:
    record = with_families(build_record("random-mert-nano", "lyra"), VALUES)
    only = record.model_copy(update={"layers": record.layers[-1:]})
    (view,) = layer_views([only])
    (panel,) = view.panels[view.section.columns[0]]
    assert (panel.inputs, panel.fused) == (("fused",), 0)
    row = next(line.split() for line in printed(view).splitlines() if " raga " in line)
    assert (row[4:7], row[8:]) == (["–", "–", "95.0"], ["–", "–"])
    with style("path"):
        layer_figure(view, view.section.columns[0]).draw_without_rendering()
