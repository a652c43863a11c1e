"""Figures: what they say, that they read, and that they are the same every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from cmbench.benchmark.records.record import LabelScore, Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.base import nothing, write_view
from cmbench.benchmark.views.figures import COLOURS, MARKERS, in_parts, style
from cmbench.benchmark.views.labels import label_figure
from cmbench.benchmark.views.scores import VIEW
from cmbench.benchmark.views.scores.curves import layer_curves
from cmbench.tasks.base import MINI_LABEL


def write_figures(records: Sequence[Record], folder: Path) -> list[Path]:
    return write_view(replace(VIEW, tables=nothing, texts=nothing), sections(records), folder)


def points(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata(), dtype=float)]


def written(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in written(figure)]


def test_every_figure_of_mini_says_so_and_no_other(build_record: Callable[..., Record]) -> None:
    for edition in ("mini", "full"):
        records = [build_record(m, "lyra", edition=edition) for m in ("mfcc", "random-mert-nano")]
        (section,) = sections(records)
        with style("path"):
            figures = [
                label_figure(section, section.columns[0]),
                layer_curves(section, section.rows),
            ]
        for figure in figures:
            assert (MINI_LABEL in texts(figure)) == (edition == "mini")
            assert section.title in texts(figure)


def test_labels_are_drawn_with_support_families_and_what_has_no_score(build_record: Callable[..., Record]) -> None:
    record = build_record("mfcc", "hindustani")
    (section,) = sections([record])
    with style("path"):
        figure = label_figure(section, section.columns[0])
    shown = texts(figure)
    assert shown.count("n=0: no score") == 1
    for family in ("instrument", "form", "tala", "raga"):
        assert family in shown
    assert "Yaman kalyan" in shown
    assert "n=206" in shown
    voice = record.labels[0]
    assert voice.roc_auc is not None
    dots = [float(np.asarray(line.get_xdata())[0]) for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(dots) == 19
    assert dots[0] == pytest.approx(100 * voice.roc_auc)


def test_layer_curves_mark_the_chosen_and_set_the_fused_sum_apart(build_record: Callable[..., Record]) -> None:
    record = build_record("random-mert-nano", "lyra")
    (section,) = sections([record, build_record("mfcc", "lyra")])
    with style("path"):
        figure = layer_curves(section, section.rows)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()][-1] == "fused"
    scores = {s.layer: 100 * (s.score or 0) for s in record.layers}
    curve = next(line for line in axes.lines if len(points(line)) == 5)
    assert points(curve) == pytest.approx([scores[f"hidden_{i}"] for i in range(5)])
    rings = [line for line in axes.lines if line.get_markersize() == 8]
    assert points(rings[0]) == pytest.approx([scores[record.selection.layer]])
    assert len(rings) == 2


def test_more_models_than_markers_go_to_more_figures(build_record: Callable[..., Record]) -> None:
    (section,) = sections([build_record(f"m{i}", "lyra") for i in range(9)])
    assert [len(part) for part in in_parts(section.rows)] == [7, 2]
    assert len(COLOURS) == len(MARKERS)


def test_files_are_the_same_bytes_twice_and_sections_have_their_own(
    build_record: Callable[..., Record], build_label: Callable[..., LabelScore], tmp_path: Path
) -> None:
    labels = [build_label("Uşşak", "makam", 0.7), build_label("Rast", "makam", None)]
    cells = [("mfcc", "full"), ("chroma", "full"), ("mfcc", "mini")]
    records = [build_record(m, "carnatic", labels=labels, edition=e) for m, e in cells]
    first, again = write_figures(records, tmp_path / "a"), write_figures(records, tmp_path / "b")
    names = [p.name for p in first]
    assert len(set(names)) == len(names) == 2 * (2 + 2)
    assert sum("-mini-" in n for n in names) == 2 * 2
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    svg = first[0].read_text(encoding="utf-8")
    assert svg.startswith("<?xml")
    assert "<text" not in svg, "text must be outlines in files"
    assert "date" not in svg.split("<defs>")[0].lower()
    assert first[1].read_bytes().startswith(b"\x89PNG")


def test_labels_in_any_script_are_drawn_without_a_warning(
    build_record: Callable[..., Record], build_label: Callable[..., LabelScore], tmp_path: Path
) -> None:
    labels = [build_label(name, "makam", 0.7) for name in ("Uşşak", "राग यमन", "தோடி", r"$\bad$", "<b>&")]
    paths = write_figures([build_record("mfcc", labels=labels)], tmp_path)
    assert all(p.stat().st_size > 1000 for p in paths)


def test_labels_without_any_score_still_make_a_figure(
    build_record: Callable[..., Record], build_label: Callable[..., LabelScore], tmp_path: Path
) -> None:
    records = [build_record(m, labels=[build_label("Rast", "makam", None)]) for m in ("a", "b")]
    assert len(write_figures(records, tmp_path)) == 2 * 2
