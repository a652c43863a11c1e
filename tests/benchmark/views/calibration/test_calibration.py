"""Calibration: exact on small cases, parts that add up, true forecasts told from untrue ones."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from rich.console import Console
from sklearn.metrics import brier_score_loss

from cmbench.benchmark.comparing.paired import Level
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.scoring.bootstrap import cluster_weights
from cmbench.benchmark.views.calibration import VIEW
from cmbench.benchmark.views.calibration.calibration import (
    BINS,
    Calibration,
    calibrate,
    calibration_rows,
    calibration_views,
    calibrations,
)
from cmbench.benchmark.views.calibration.reliability import calibration_figure
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.tables import csv_text
from cmbench.benchmark.views.words import ALL
from cmbench.tasks.base import MINI_LABEL

Build = Callable[..., Evidence]


def judge(targets: np.ndarray, probabilities: np.ndarray, groups: int | None = None, resamples: int = 0) -> Calibration:
    weights = cluster_weights([None] * len(targets), resamples, 1).astype(np.float64)
    return calibrate("raga", targets, probabilities, weights, len(targets) if groups is None else groups)


def value(level: Level) -> float:
    assert level.value is not None
    return level.value


def test_a_small_case_by_hand() -> None:
    """Two bins: 0.1 said four times and true once, 0.9 said twice and true once."""
    targets = np.array([[True], [False], [False], [False], [True], [False]])
    found = judge(targets, np.array([[0.1], [0.1], [0.1], [0.1], [0.9], [0.9]]))
    assert [(b.forecasts, round(b.probability, 9), b.observed) for b in found.bins] == [(4, 0.1, 0.25), (2, 0.9, 0.5)]
    assert found.ece == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)
    assert value(found.brier) == pytest.approx((0.81 + 3 * 0.01 + 0.01 + 0.81) / 6)
    assert found.reliability == pytest.approx((4 * 0.15**2 + 2 * 0.4**2) / 6)
    base = 2 / 6
    assert found.resolution == pytest.approx((4 * (0.25 - base) ** 2 + 2 * (0.5 - base) ** 2) / 6)
    assert found.uncertainty == pytest.approx(base * (1 - base))
    assert found.within_bins == pytest.approx(0, abs=1e-12)
    assert value(found.skill) == pytest.approx(1 - value(found.brier) / (base * (1 - base)))
    assert found.ece_floor == pytest.approx(math.sqrt(2 / math.pi) * (math.sqrt(4 * 0.09) + math.sqrt(2 * 0.09)) / 6)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10_000))
def test_the_parts_add_up(tracks: int, labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets, probabilities = rng.random((tracks, labels)) < 0.4, np.round(rng.random((tracks, labels)), 2)
    found = judge(targets, probabilities)
    assert value(found.brier) == pytest.approx(brier_score_loss(targets.ravel(), probabilities.ravel(), pos_label=True))
    parts = found.reliability - found.resolution + found.uncertainty + found.within_bins
    assert parts == pytest.approx(value(found.brier))
    assert sum(b.forecasts for b in found.bins) == found.forecasts == tracks * labels
    assert sum(b.forecasts * b.observed for b in found.bins) == pytest.approx(found.positives)
    assert 0 <= found.ece <= 1
    assert found.ece**2 <= found.reliability + 1e-12
    for b in found.bins:
        assert math.floor(min(b.probability, 1 - 1e-9) * BINS) / BINS <= b.probability + 1e-9


def test_always_saying_the_prevalence_has_no_skill_however_rare_the_label() -> None:
    rng = np.random.default_rng(0)
    targets = rng.random((400, 3)) < np.array([0.5, 0.1, 0.02])
    prevalence = np.broadcast_to(targets.mean(axis=0), targets.shape)
    found = judge(targets, prevalence, resamples=200)
    assert value(found.skill) == pytest.approx(0, abs=1e-12)
    assert found.ece == pytest.approx(0, abs=1e-12)
    assert found.resolution > 0.01
    assert value(found.brier) < 0.12
    best = judge(targets, targets.astype(float))
    assert (value(best.skill), value(best.brier), best.ece, best.ece_floor) == (1.0, 0.0, 0.0, 0.0)


def test_true_forecasts_stay_near_the_floor_and_untrue_ones_do_not() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.beta(1, 4, (600, 5))
    targets = rng.random(probabilities.shape) < probabilities
    honest = judge(targets, probabilities, resamples=200)
    assert 0.3 * honest.ece_floor < honest.ece < 2 * honest.ece_floor
    bold = judge(targets, probabilities**0.3)
    assert bold.ece > 10 * bold.ece_floor
    assert honest.skill.low is not None
    assert honest.skill.low > 0
    assert honest.brier.low is not None
    assert honest.brier.low < value(honest.brier) < (honest.brier.high or 0)
    inside = [b.low <= b.probability <= b.high for b in honest.bins if b.low is not None and b.high is not None]
    assert np.mean(inside) > 0.7


def test_few_groups_and_labels_without_positives_say_why() -> None:
    targets, probabilities = np.array([[True], [False]] * 5), np.full((10, 1), 0.5)
    few = judge(targets, probabilities, groups=4, resamples=100)
    assert few.reason == "no interval: fewer than 5 groups (4)"
    assert (few.brier.low, few.skill.low, {b.low for b in few.bins}) == (None, None, {None})
    none = judge(np.zeros((10, 1), dtype=np.bool_), np.full((10, 1), 0.2), resamples=100)
    assert none.skill.value is None
    assert none.reason == "no skill: no label has both a positive and a negative in the test split"
    assert value(none.brier) == pytest.approx(0.04)
    lonely = judge(np.arange(40)[:, None] == 0, probabilities[:1].repeat(40, axis=0), resamples=200)
    assert lonely.skill.value is not None
    assert lonely.skill.low is None
    assert lonely.reason == "no interval of the skill: too few resamples have positives and negatives"


def make(build: Build, model: str, edition: str = "full") -> Evidence:
    rng = np.random.default_rng(2)
    targets = rng.random((60, 4)) < 0.3
    scores = np.clip(0.3 + 0.4 * (targets - 0.3) + 0.1 * rng.standard_normal((2, *targets.shape)), 0, 1)
    groups = [f"g{k // 3}" for k in range(60)]
    return build(model, targets, scores, groups, families=["raga", "raga", "tala", "tala"], edition=edition)


def test_seeds_are_averaged_and_families_pooled(build_evidence: Build) -> None:
    evidence = make(build_evidence, "A")
    raga, tala, everything = calibrations(evidence, 100)
    assert (raga.family, tala.family, everything.family) == ("raga", "tala", ALL)
    mean = evidence.probabilities.astype(np.float64).mean(axis=0)
    assert value(raga.brier) == pytest.approx(((mean - evidence.targets)[:, :2] ** 2).mean())
    assert value(everything.brier) == pytest.approx((value(raga.brier) + value(tala.brier)) / 2)
    assert everything.forecasts == raga.forecasts + tala.forecasts == 240


def test_what_is_printed_written_and_drawn(build_evidence: Build) -> None:
    evidence = [make(build_evidence, m, "mini") for m in ("A", "B")] + [make(build_evidence, "A")]
    real, mini = calibration_views(evidence, 100)
    out = io.StringIO()
    VIEW.print(mini, Console(file=out, width=220))
    text = out.getvalue()
    assert MINI_LABEL in text
    assert "n=330 test tracks" in text
    assert "15 bins of equal width" in text
    assert text.count("all labels") == 2
    rows = list(csv.DictReader(io.StringIO(csv_text(calibration_rows(real)))))
    assert [r["family"] for r in rows] == ["raga", "tala", ALL]
    assert float(rows[0]["brier"]) == real.of(real.section.rows[0], real.section.columns[0])[0].brier.value
    bins = list(csv.DictReader(io.StringIO(csv_text(VIEW.rows(mini)["bins"]))))
    assert {r["warning"] for r in bins} == {MINI_LABEL}
    assert "nan" not in (csv_text(calibration_rows(mini)) + text).lower()
    with style("path"):
        figure = calibration_figure(mini, mini.section.columns[0], mini.section.rows)
        figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
    assert MINI_LABEL in [t.get_text() for t in texts]
    width, height = figure.canvas.get_width_height()
    boxes = [t.get_window_extent() for t in texts if t.get_visible()]
    assert all(b.x0 >= -1 and b.y0 >= -1 and b.x1 <= width + 1 and b.y1 <= height + 1 for b in boxes)


@pytest.mark.parametrize(("models", "figures"), [(3, 1), (4, 2), (7, 3)])
def test_more_than_three_models_do_not_share_a_diagram(build_evidence: Build, models: int, figures: int) -> None:
    names = [f"model {k}" for k in range(models - 1)] + ["a name " * 20 + "end"]
    (view,) = calibration_views([make(build_evidence, name) for name in names], 100)
    shown: list[str] = []
    drawn = VIEW.figures(view)
    assert len(drawn) == figures
    with style("path"):
        for draw in drawn.values():
            figure = draw()
            figure.draw_without_rendering()
            assert len(figure.axes) == 2 * 3, "a diagram and its counts for each of three families"
            texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
            shown += [t.get_text() for t in texts]
            width, height = figure.canvas.get_width_height()
            boxes = [t.get_window_extent() for t in texts if t.get_visible()]
            assert all(b.x0 >= -1 and b.y0 >= -1 and b.x1 <= width + 1 and b.y1 <= height + 1 for b in boxes)
    assert all(any(text.startswith(name) for text in shown) for name in names[:-1])


def test_forecasts_of_what_nobody_knows_are_not_judged() -> None:
    """The same figures as without them, whatever was said and whatever stands there."""
    draw = np.random.default_rng(3)
    targets, said = draw.random((40, 1)) < 0.4, draw.random((40, 1))
    known = draw.random((40, 1)) < 0.6
    weights = cluster_weights([None] * 40, 100, 1).astype(np.float64)
    masked = calibrate("raga", targets & known, said, weights, 40, known)
    here = known[:, 0]
    without = calibrate("raga", targets[here], said[here], weights[:, here], 40)
    assert masked.forecasts == int(known.sum())
    assert (masked.bins, masked.positives) == (without.bins, without.positives)
    for name in ("ece", "ece_floor", "reliability", "resolution", "uncertainty", "within_bins"):
        assert getattr(masked, name) == pytest.approx(getattr(without, name), abs=1e-12)
    for name in ("brier", "skill"):
        one, other = getattr(masked, name), getattr(without, name)
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=1e-12)


def test_a_family_of_which_nothing_is_known_has_no_calibration(build_evidence: Build) -> None:
    draw = np.random.default_rng(3)
    made = build_evidence("A", draw.random((9, 2)) < 0.5, draw.random((9, 2)), [None] * 9, families=["raga", "tala"])
    known = np.ones((9, 2), dtype=bool)
    known[:, 1] = False
    hidden = replace(made, known=known, targets=made.targets & known)
    assert [found.family for found in calibrations(made)] == ["raga", "tala", ALL]
    assert [found.family for found in calibrations(hidden)] == ["raga", ALL]
    assert calibrations(hidden)[-1].forecasts == 9
