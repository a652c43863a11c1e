"""Cost against score: the front, and devices that are never compared."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from rich.console import Console

from cmbench.benchmark.records.record import CostPart, Record
from cmbench.benchmark.views.base import write_view
from cmbench.benchmark.views.cost import VIEW
from cmbench.benchmark.views.cost.cost import MEAN, CostView, cost_rows, cost_views, unbeaten
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.tables import csv_text
from cmbench.tasks.base import MINI_LABEL

Build = Callable[..., Record]
TIME = "encode_seconds_per_hour"


def costing(record: Record, encode: float, audio: float = 7200.0, device: str = "cpu", name: str = "a CPU") -> Record:
    cost = CostPart(audio_seconds=audio, encode_seconds=encode, probe_seconds=2.0, peak_memory_mib=100.0 + encode)
    environment = record.environment.model_copy(update={"device": device, "device_name": name})
    return record.model_copy(update={"cost": cost, "environment": environment})


def printed(view: CostView) -> str:
    out = io.StringIO()
    VIEW.print(view, Console(file=out, width=160))
    return out.getvalue()


def test_the_front_by_hand() -> None:
    points = [(1, 0.5), (2, 0.7), (3, 0.6), (4, 0.8), (None, 0.9), (2, 0.7), (0.5, None)]
    assert unbeaten(points) == (0, 1, 5, 3)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), max_size=10))
def test_the_front_is_what_nothing_beats(found: list[tuple[int, int]]) -> None:
    beaten = {
        k
        for k, (cost, score) in enumerate(found)
        for other_cost, other_score in found
        if other_cost <= cost and other_score >= score and (other_cost, other_score) != (cost, score)
    }
    assert set(unbeaten(found)) == set(range(len(found))) - beaten


def test_seconds_per_audio_hour_and_the_mean_over_tasks(build_record: Build) -> None:
    records = [
        costing(build_record("mfcc", "lyra"), 36.0),
        costing(build_record("mfcc", "carnatic"), 9.0, audio=3600.0),
        costing(build_record("chroma", "lyra"), 360.0),
    ]
    (view,) = cost_views(records)
    assert [panel.name for panel in view.panels] == [MEAN, "carnatic", "lyra"]
    mean = view.panels[0].points
    assert [p.row.name for p in mean] == ["mfcc"]
    assert mean[0].encode_seconds_per_hour == pytest.approx(45 / 3)
    assert mean[0].score == pytest.approx(sum(r.metrics["roc_auc"].value or 0 for r in records[:2]) / 2)
    assert mean[0].peak_memory_mib == 136.0
    text = printed(view)
    assert "Not in the mean, for want of a record of every task on this device: chroma." in text
    assert text.count("peak MiB: of the whole process up to the end of the cell") == 3
    rows = list(csv.DictReader(io.StringIO(csv_text(cost_rows(view)))))
    found = {(r["model"], r["task"]): float(r[TIME]) for r in rows}
    assert found == {("mfcc", "lyra"): 18.0, ("mfcc", "carnatic"): 9.0, ("chroma", "lyra"): 180.0}


def test_devices_never_share_a_table_or_a_figure(build_record: Build, tmp_path: Path) -> None:
    records = [
        costing(build_record("mfcc", "lyra"), 36.0),
        costing(build_record("chroma", "lyra"), 3.0, device="cuda:0", name="NVIDIA H200"),
    ]
    (view,) = cost_views(records)
    assert view.devices == ("a CPU, 2 threads", "NVIDIA H200 (cuda)")
    assert [[p.row.name for p in panel.points] for panel in view.panels] == [["mfcc"], ["chroma"]]
    assert printed(view).count("Measured on 2 devices (a CPU, 2 threads; NVIDIA H200 (cuda))") == 2
    figures = VIEW.figures(view)
    assert len(figures) == 4
    for end, draw in figures.items():
        with style("none"):
            shown = {t.get_text() for t in draw().findobj(Text)}
        assert ("mfcc" in shown) == ("a CPU" in end)
        assert ("chroma" in shown) == ("H200" in end)
        assert any("Measured on 2 devices" in text for text in shown)
    assert len(write_view(VIEW, view, tmp_path)) == 2 + 1 + 8


def test_threads_make_a_device(build_record: Build) -> None:
    record = build_record("mfcc", "lyra")
    one = record.model_copy(update={"environment": record.environment.model_copy(update={"threads": 1})})
    assert (
        len(
            cost_views([record, one.model_copy(update={"model": one.model.model_copy(update={"name": "other"})})])[
                0
            ].devices
        )
        == 2
    )


@pytest.mark.parametrize(("encode", "audio"), [(0.0, 7200.0), (5.0, 0.0)])
def test_missing_costs_are_shown_as_missing(build_record: Build, encode: float, audio: float) -> None:
    (view,) = cost_views([costing(build_record("mfcc", "lyra", edition="mini"), encode, audio)])
    text = printed(view)
    assert "mfcc: no time of encoding: the record counts no audio or no seconds." in text
    assert MINI_LABEL in text
    assert "nan" not in text.lower()
    assert "inf" not in text.lower()
    with style("path"):
        shown = {t.get_text() for t in VIEW.figures(view)["time"]().findobj(Text)}
    assert {"no cost recorded", MINI_LABEL} <= shown


def test_what_has_learnt_nothing_is_in_the_table_and_not_on_the_axis(build_record: Build) -> None:
    constant = build_record("constant", "lyra", edition="mini")
    constant = constant.model_copy(update={"model": constant.model.model_copy(update={"family": "anchors"})})
    (view,) = cost_views([costing(build_record("mfcc", "lyra", edition="mini"), 60.0), costing(constant, 0.001)])
    assert "constant" in printed(view)
    with style("path"):
        figure = VIEW.figures(view)["time"]()
    assert "constant" not in {t.get_text() for t in figure.findobj(Text)}
    assert figure.axes[0].get_xlim()[0] > 1


@pytest.mark.parametrize("long", ["", "and on and on and on and on and on and on"])
@pytest.mark.parametrize("models", [1, 20])
def test_the_figure_fits(build_record: Build, models: int, long: str) -> None:
    tasks = ("lyra", "carnatic", "hindustani", "magnatagatune", "fma_medium", "turkish_makam")
    records = [costing(build_record(f"a model named {k} {long}", t), 2.0 + 9 * k) for k in range(models) for t in tasks]
    (view,) = cost_views(records)
    with style("path"):
        figure = VIEW.figures(view)["time"]()
        figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text() and t.get_visible()]
    width, height = figure.canvas.get_width_height()
    legend = [t for t in texts if t.get_text().startswith("a model")]
    assert len({t.get_text() for t in legend}) == models
    boxes = [t.get_window_extent() for t in legend]
    assert all(b.x0 >= -1 and b.y0 >= -1 and b.x1 <= width + 1 and b.y1 <= height + 1 for b in boxes)
