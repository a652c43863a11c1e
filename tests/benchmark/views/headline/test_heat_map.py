"""The heat map: every score on one scale, what cannot be told marked, legible in any colours and turned round."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.typing import ColorType

from cmbench.benchmark.comparing.headline import Headline, headline
from cmbench.benchmark.comparing.summary import centred_score
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.record import Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.base import write_view
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.headline import VIEW
from cmbench.benchmark.views.headline.heat_map import (
    FIXED,
    PHONE_MODELS,
    UNTOLD,
    heat_map,
    marks,
    phone_map,
    top_of_scale,
)
from cmbench.benchmark.views.words import percent
from cmbench.tasks.base import MINI_LABEL
from cmbench.tests.benchmark.comparing.test_headline import BASE, CONTROL, HEIR, KNOWS, judged, measured

Build = Callable[..., Evidence]
MAPS = (heat_map, phone_map)
TRADITIONS = ["Turkish", "Hindustani", "Carnatic", "Greek", "Western"]


def drawn(draw: Callable[[Headline], Figure], found: Headline, text: str = "path") -> Figure:
    with style(text):
        return draw(found)


def of_records(records: list[Record]) -> Headline:
    (section,) = sections(records)
    return headline(section, (), "")


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]


def luminance(colour: ColorType) -> float:
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def cells(figure: Figure) -> list[tuple[Rectangle, Text]]:
    """Every coloured cell with the number in it."""
    found = []
    for axes in figure.axes:
        boxes = [p for p in axes.patches if isinstance(p, Rectangle)]
        for box in boxes:
            middle = (round(box.get_x() + 0.5, 6), round(box.get_y() + 0.5, 6))
            found += [(box, t) for t in axes.texts if tuple(round(float(v), 6) for v in t.get_position()) == middle]
    return found


@pytest.mark.parametrize("draw", MAPS)
def test_every_cell_stands_under_its_tradition(draw: Any, board: list[Record]) -> None:
    records = [r for r in board if (r.model.name, r.task.name) != ("chroma", "lyra")]
    shown = texts(drawn(draw, of_records(records)))
    for record in records:
        assert percent(centred_score(record)) in shown
    assert shown.count("–") == 1
    assert [t for t in shown if t in TRADITIONS] == TRADITIONS


def test_a_score_is_the_mean_of_both_metrics_above_chance(build_record: Callable[..., Record]) -> None:
    record = build_record("mfcc", "lyra", skill=0.3)
    known = [label for label in record.labels if label.average_precision is not None]
    roc_auc, precision = (record.metrics[name].value or 0.0 for name in ("roc_auc", "average_precision"))
    chance = fmean(label.prevalence for label in known)
    expected = ((roc_auc - 0.5) / 0.5 + (precision - chance) / (1 - chance)) / 2
    assert marks(of_records([record]))["mfcc", "lyra"].value == pytest.approx(expected)


@pytest.mark.parametrize("draw", MAPS)
def test_what_cannot_be_told_from_the_base_is_marked(draw: Any, build_evidence: Build) -> None:
    found = judged(measured(build_evidence))
    marked = {key for key, mark in marks(found).items() if mark.untold}
    assert (HEIR, "lyra") in marked
    assert (HEIR, "turkish_makam") not in marked
    assert not any(model == BASE for model, _ in marked)
    figure = drawn(draw, found)
    assert sum(t.startswith(f"{UNTOLD} ") and t[2:3].isdigit() for t in texts(figure)) == len(marked)
    assert any(f"{UNTOLD}{FIXED}cannot be told from {BASE}" in " ".join(t.split("\n")) for t in texts(figure))
    (base,) = (t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text() == BASE)
    assert base.get_fontweight() == "bold"


@pytest.mark.parametrize("draw", MAPS)
def test_numbers_contrast_with_their_cells(draw: Any, build_record: Callable[..., Record]) -> None:
    """WCAG 2.2 asks for 4.5 to 1."""
    found = cells(drawn(draw, of_records([build_record(f"m{i:02d}", "lyra", skill=i / 40) for i in range(18)])))
    assert len(found) == 18
    for box, number in found:
        low, high = sorted((luminance(number.get_color()), luminance(box.get_facecolor())))
        assert (high + 0.05) / (low + 0.05) >= 4.4
    assert len({str(number.get_color()) for _, number in found}) == 2


def test_colours_rise_with_the_score_in_grey_too(build_record: Callable[..., Record]) -> None:
    models = [build_record(f"m{i}", "lyra", skill=i / 10) for i in range(5)]
    shades = [luminance(box.get_facecolor()) for box, _ in cells(drawn(heat_map, of_records(models)))]
    assert shades == sorted(shades)
    assert len(set(shades)) == 5


def test_a_control_stands_last_and_sets_no_scale(build_evidence: Build) -> None:
    weak = {CONTROL: dict.fromkeys(KNOWS[BASE], 6.0), BASE: dict.fromkeys(KNOWS[BASE], 1.0)}
    found = judged(measured(build_evidence, weak))
    assert found.rows == [BASE, CONTROL]
    best = max(mark.value or 0 for (model, _), mark in marks(found).items() if model == BASE)
    assert 100 * best < top_of_scale(found) <= 100 * best + 10
    assert f"{CONTROL} °" in texts(drawn(heat_map, found))


def test_the_map_fits_a_page_of_two_columns_and_a_phone_and_is_legible(board: list[Record]) -> None:
    for draw, width in ((heat_map, 7.05), (phone_map, 3.7)):
        figure = drawn(draw, of_records(board))
        assert figure.get_figwidth() <= width
        sizes = [float(t.get_fontsize()) for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
        assert min(sizes) >= 6.5


def test_more_models_than_a_phone_has_room_for_stand_in_bands(build_record: Callable[..., Record]) -> None:
    figure = drawn(phone_map, of_records([build_record(f"m{i}", "lyra") for i in range(PHONE_MODELS + 2)]))
    assert [sum(isinstance(p, Rectangle) for p in axes.patches) for axes in figure.axes[:2]] == [PHONE_MODELS, 2]


def test_a_file_names_edition_and_content_and_a_page_says_it_once(build_evidence: Build, tmp_path: Path) -> None:
    found = judged(measured(build_evidence, edition="mini"))
    assert MINI_LABEL in texts(drawn(heat_map, found))
    assert MINI_LABEL not in texts(drawn(heat_map, found, "none"))
    paths = {path.suffix: path for path in write_view(VIEW, found, tmp_path)}
    root = ET.parse(paths[".svg"]).getroot()
    (title, said) = (root.findtext(f"{{http://www.w3.org/2000/svg}}{name}") for name in ("title", "desc"))
    assert title == f"Models by tasks: {found.section.title}"
    assert re.search(rf"to \d+\.\d \({BASE} on \w+\)", said or "")
    assert MINI_LABEL in paths[".csv"].read_text(encoding="utf-8")
