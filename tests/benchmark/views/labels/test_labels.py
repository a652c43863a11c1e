"""Scores by label: support, prevalence, intervals, and what is taken for what."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.text import Text
from rich.console import Console

from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.record import LabelScore
from cmbench.benchmark.views.base import write_view
from cmbench.benchmark.views.figures import style
from cmbench.benchmark.views.labels import VIEW, label_figure
from cmbench.benchmark.views.labels.labels import LabelView, label_views
from cmbench.benchmark.views.tables import csv_text
from cmbench.tasks.base import MINI_LABEL

Build = Callable[..., Evidence]
FAMILIES = ["makam"] * 3 + ["instrument"] * 2


def pair(build: Build, **settings: str) -> list[Evidence]:
    """Two models; makam is single choice, and B takes label 0 for label 1."""
    rng = np.random.default_rng(0)
    makam = np.eye(3, dtype=np.bool_)[np.arange(30) % 3]
    targets = np.concatenate([makam, rng.random((30, 2)) < 0.7], axis=1)
    right = np.where(targets, 0.8, 0.2)
    wrong = right.copy()
    wrong[makam[:, 0]] = [0.2, 0.9, 0.1, 0.5, 0.5]
    groups = [None] * 30
    return [build(m, targets, p, groups, families=FAMILIES, **settings) for m, p in (("A", right), ("B", wrong))]


def printed(view: LabelView) -> str:
    out = io.StringIO()
    VIEW.print(view, Console(file=out, width=200))
    return out.getvalue()


def test_what_is_printed(build_evidence: Build) -> None:
    (view,) = label_views(pair(build_evidence))
    text = printed(view)
    assert "A, most" not in text
    assert "lyra, A: most confused labels of makam (30 of 30 tracks with one of its 3 labels right)" in text
    assert "No track is taken for another label." in text
    assert "lyra, B: most confused labels of makam (20 of 30 tracks with one of its 3 labels right)" in text
    assert "No confusion within instrument:" in text
    assert "prevalence" in text
    assert "n: positives among" in text
    confused = list(csv.DictReader(io.StringIO(csv_text(VIEW.rows(view)["confusion"]))))
    (found,) = [r for r in confused if (r["model"], r["carries"], r["label"]) == ("B", "makam--0", "makam--1")]
    assert (found["taken_for"], found["support"]) == ("10", "10")
    assert abs(float(found["probability_share"]) - 0.75) < 1e-6


def test_a_label_without_score_or_interval_says_why(
    build_evidence: Build, build_label: Callable[..., LabelScore]
) -> None:
    (one, _) = pair(build_evidence)
    labels = list(one.record.labels)
    labels[0] = build_label("makam--0", "makam", None)
    reason = "no interval: too few groups; defined in 812 of 1000 resamples only"
    labels[1] = labels[1].model_copy(update={"roc_auc_interval": None, "reason": reason})
    undefined = {"makam--0": "no positive in the test split"}
    record = one.record.model_copy(update={"labels": tuple(labels), "undefined_labels": undefined})
    (view,) = label_views([Evidence(**{**vars(one), "record": record})])
    text = " ".join(printed(view).split())
    assert "labels without a score: makam--0 (no positive in the test split)." in text
    assert "Without an interval: 1 (too few groups; defined in 812 of 1000 resamples only)." in text
    rows = list(csv.DictReader(io.StringIO(csv_text(VIEW.rows(view)[""]))))
    assert [r["value"] for r in rows if r["label"] == "makam--0"] == ["", ""]
    assert "nan" not in csv_text(VIEW.rows(view)[""]).lower()


def test_figures_and_files(build_evidence: Build, tmp_path: Path) -> None:
    (view,) = label_views(pair(build_evidence, edition="mini"))
    figures = VIEW.figures(view)
    assert list(figures) == ["lyra", "lyra-makam-A", "lyra-makam-B"]
    for draw in figures.values():
        with style("path"):
            assert MINI_LABEL in [t.get_text() for t in draw().findobj(Text)]
    with style("none"):
        shown = [t.get_text() for t in label_figure(view.section, view.section.columns[0]).findobj(Text)]
    assert {"makam", "instrument", "0", "n=60", "A", "B"} <= set(shown)
    names = {p.name for p in write_view(VIEW, view, tmp_path)}
    assert all(name.startswith("labels-mini-official-cmbench-1-") for name in names)
    assert len(names) == 4 + 2 * 3


def test_editions_stay_apart(build_evidence: Build) -> None:
    views = label_views([*pair(build_evidence), *pair(build_evidence, edition="mini")])
    assert [(v.section.edition, len(v.section.rows)) for v in views] == [("full", 2), ("mini", 2)]
    assert MINI_LABEL not in printed(views[0])
    assert MINI_LABEL in printed(views[1])


def test_confusions_of_many_models_are_left_to_the_file(build_evidence: Build) -> None:
    one = pair(build_evidence)[0]
    parts = [one.record.model.model_copy(update={"name": f"m{k}"}) for k in range(5)]
    records = [one.record.model_copy(update={"model": part}) for part in parts]
    (view,) = label_views([Evidence(**{**vars(one), "record": record}) for record in records])
    text = printed(view)
    assert "most confused" not in text
    assert "Confusion of up to 4 models is shown; name fewer records." in text
    assert list(VIEW.figures(view)) == ["lyra"]
    assert len(VIEW.rows(view)["confusion"]) == 5 * 9
