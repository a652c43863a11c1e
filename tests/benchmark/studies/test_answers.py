"""Answers over tasks: each tradition once, what is not defined left out, and judged together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmbench.benchmark.records.setting import Setting
from cmbench.benchmark.scoring.intervals import Sample
from cmbench.benchmark.studies.answers import MARKS, Answers, Sides, answer, dots_figure, together


def sides(task: str, tradition: str, before: float, after: float, groups: int = 30, noise: float = 0.01) -> Sides:
    rng = np.random.default_rng(len(task))
    drawn = before + rng.normal(0, 0.05, 201)
    drawn[0] = before
    moved = drawn + (after - before) + noise * rng.normal(0, 1, 201)
    moved[0] = after
    return Sides(task, tradition, drawn, moved, Sample(groups), 40)


TASKS = [sides("a", "greek", 0.3, 0.1), sides("bb", "western", 0.6, 0.5), sides("ccc", "western", 0.8, 0.5, groups=9)]


def test_a_mean_counts_each_tradition_once() -> None:
    found = answer("asked", "mfcc", "all", TASKS)
    assert found.change.before == pytest.approx((0.3 + (0.6 + 0.8) / 2) / 2)
    assert found.change.change == pytest.approx((-0.2 - (0.1 + 0.3) / 2) / 2)
    assert found.tracks == 120
    # No surer than the poorest sample allows.
    alone = answer("asked", "mfcc", "all", [replace(one, sample=Sample(30)) for one in TASKS])
    assert (found.change.detectable or 0) > (alone.change.detectable or 0)


def test_a_task_on_which_nothing_is_defined_is_no_part_of_the_mean() -> None:
    blank = sides("dddd", "turkish", float("nan"), 0.5)
    assert answer("asked", "mfcc", "all", [*TASKS, blank]) == answer("asked", "mfcc", "all", TASKS)
    nothing = answer("asked", "mfcc", "all", [blank])
    assert (nothing.change.change, nothing.change.reason, nothing.tracks) == (None, "no label is defined", 0)


def test_answers_that_are_judged_together_have_q_values_and_verdicts() -> None:
    asked = [answer(str(k), "mfcc", "all", [sides("a", "greek", 0.3, 0.3 + 0.004 * (k == 0))]) for k in range(20)]
    alone, among = together(asked[:1])[0], together(asked)[0]
    assert alone.change.q_value == alone.change.p_value
    assert (among.change.q_value or 0) > (alone.change.q_value or 0)
    assert together([answer("asked", "mfcc", "all", TASKS)])[0].change.verdict == "lost"
    assert {*MARKS} == {"lost", "gained", "kept", "cannot tell"}


def test_rows_and_dots_have_every_model() -> None:
    made = [answer("asked", model, "all", TASKS) for model in ("mfcc", "chroma")]
    blank = answer("other", "mfcc", "all", [sides("dddd", "turkish", float("nan"), 0.5)])
    found = Answers(Setting("mini", "own", "cmbench-2"), (*together(made), blank))
    assert found.models == ("mfcc", "chroma")
    assert found.of("asked", "chroma")["all"].words.startswith("-20.0 [")
    rows = found.rows()
    assert [row["edition"] for row in rows] == ["mini"] * 3
    assert rows[0]["warning"] == found.warning != ""
    assert rows[2]["change"] is None
    figure = dots_figure(
        found, "Dots", {"one": {"asked": made, "other": [blank]}, "two": {"asked": [], "other": []}}, 2
    )
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    # The band, the axis, two separators; an interval and a dot for each model.
    assert [len(axes.lines) for axes in figure.axes] == [3 + 4, 3]
