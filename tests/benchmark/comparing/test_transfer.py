"""The matrix of models and tasks: the paper's averages, changes with their verdicts, and nothing averaged over gaps."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from cmbench.benchmark.comparing.forgetting import forgetting
from cmbench.benchmark.comparing.transfer import TransferMatrix, cultures_of, reported_matrix, transfer_matrix
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.views.base import write_view
from cmbench.benchmark.views.figures import COLUMN_WIDTH
from cmbench.benchmark.views.tables import csv_text, latex_tables, markdown_tables, print_tables
from cmbench.benchmark.views.transfer import VIEW, Transfer
from cmbench.benchmark.views.transfer.transfer_map import PAGE_WIDTH, scale_end, transfer_figure
from cmbench.benchmark.views.transfer.transfer_tables import matrix_rows, transfer_tables
from cmbench.cli import app
from cmbench.errors import UsageError
from cmbench.tests.benchmark.views.headline.test_heat_map import luminance

Build = Callable[..., Evidence]
TRACKS, LABELS = 200, 6
GROUPS = [f"g{i // 2}" for i in range(TRACKS)]
NON_WESTERN = ("turkish", "hindustani", "carnatic", "greek")
# Strength of the labels' signal: what each model knows of each task.
KNOWS = {
    "base": {"turkish_makam": 1.0, "lyra": 1.0, "fma_medium": 2.0},
    "turkish": {"turkish_makam": 2.5, "lyra": 1.0, "fma_medium": 0.5},
}


def scores(strength: float, noise: int = 1) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    targets = np.random.default_rng(0).random((TRACKS, LABELS)) < 0.3
    shared = np.random.default_rng(noise).standard_normal(targets.shape)
    return targets, 1 / (1 + np.exp(-(strength * targets + shared)))


def measured(build: Build, **settings: Any) -> list[Evidence]:
    found = []
    for model, tasks in KNOWS.items():
        for task, strength in tasks.items():
            targets, probabilities = scores(strength)
            found.append(build(model, targets, probabilities, GROUPS, task=task, **settings))
    return found


def test_the_papers_table_comes_out_of_the_reported_figures() -> None:
    matrix = reported_matrix()
    means = [round(100 * (matrix.paper[model] or 0), 1) for model in matrix.models]
    assert matrix.models == ("MERT-v1-95M", "CultureMERT-95M", "CultureMERT-TA-95M")
    assert means == [66.1, 69.3, 69.1]
    assert round(100 * (matrix.mean_change("CultureMERT-95M", NON_WESTERN) or 0), 1) == 4.9
    assert matrix.mean_change("MERT-v1-95M") is None
    assert matrix.tasks == ("turkish_makam", "hindustani", "carnatic", "lyra", "fma_medium", "magnatagatune")
    assert matrix.cells["CultureMERT-95M", "lyra"].in_culture
    assert not matrix.cells["CultureMERT-95M", "fma_medium"].in_culture
    assert not any(cell.in_culture for (model, _), cell in matrix.cells.items() if model == "MERT-v1-95M")
    with pytest.raises(UsageError, match="No figures are reported under 'nothing'"):
        reported_matrix("nothing")


def test_reported_figures_without_both_metrics_have_no_mean() -> None:
    matrix = reported_matrix("ccml-transfer")
    for model in matrix.models:
        cells = [matrix.cells[model, task] for task in matrix.tasks]
        complete = all(cell.mean is not None for cell in cells)
        assert (matrix.paper[model] is not None) == complete


def test_changes_are_judged_against_the_base(build_evidence: Build) -> None:
    matrix = transfer_matrix(measured(build_evidence), "base", {"turkish": ["turkish"]})
    cells = {task: matrix.cells["turkish", task] for task in matrix.tasks}
    verdicts = {task: cell.change.verdict for task, cell in cells.items() if cell.change}
    assert verdicts == {"turkish_makam": "gained", "lyra": "kept", "fma_medium": "lost"}
    assert cells["turkish_makam"].in_culture
    assert not cells["lyra"].in_culture
    assert matrix.cells["base", "lyra"].change is None
    assert matrix.tasks == ("turkish_makam", "lyra", "fma_medium")
    assert cells["lyra"].plain_change == 0
    found = {e.record.task.name: e.record for e in measured(build_evidence) if e.record.model.name == "turkish"}
    assert cells["lyra"].roc_auc == found["lyra"].metrics["roc_auc"].value
    assert matrix.column_change("fma_medium") == cells["fma_medium"].shown_change


def test_transfer_and_forgetting_say_the_same_of_a_pair(build_evidence: Build) -> None:
    found = measured(build_evidence)
    before, after = ([e for e in found if e.record.model.name == name] for name in ("base", "turkish"))
    matrix, report = transfer_matrix([*before, *after], "base"), forgetting(before, after)
    assert {task: matrix.cells["turkish", task].change for task in matrix.tasks} == dict(report.tasks)
    # By hand: both metrics, each 0 at chance.
    makam = report.comparison.tasks[0]
    sides = []
    for side in (0, 1):
        values = [makam.replicates[m][side][0] for m in ("roc_auc", "average_precision", "prevalence")]
        roc_auc, precision, chance = values
        sides.append((2 * roc_auc - 1 + (precision - chance) / (1 - chance)) / 2)
    assert report.tasks[makam.task].change == pytest.approx(sides[1] - sides[0])
    plain = np.mean([change.change for change in makam.metrics.values()])
    assert matrix.cells["turkish", makam.task].plain_change == pytest.approx(plain)


def test_a_missing_cell_is_shown_and_never_averaged(build_evidence: Build) -> None:
    found = [e for e in measured(build_evidence) if (e.record.model.name, e.record.task.name) != ("turkish", "lyra")]
    matrix = transfer_matrix(found, "base")
    assert ("turkish", "lyra") not in matrix.cells
    assert matrix.paper["turkish"] is None
    assert matrix.centred["turkish"] is None
    assert matrix.mean_change("turkish") is None
    assert matrix.mean_change("turkish", ["turkish"]) is not None
    assert matrix.column_change("lyra") is None
    assert matrix.paper["base"] is not None
    assert "| –" in markdown_matrix(matrix)
    assert "--" in latex_table(matrix)
    transfer_figure(matrix)


def test_our_mean_is_centred_on_chance_and_counts_each_tradition_once(build_evidence: Build) -> None:
    found = measured(build_evidence)
    targets, probabilities = scores(1.5)
    found += [build_evidence("base", targets, probabilities, GROUPS, task="magnatagatune")]
    matrix = transfer_matrix(found, "base")
    chance = float(np.mean([label.prevalence for label in found[0].record.labels]))
    centred = {}
    for e in found:
        if e.record.model.name == "base":
            roc_auc, precision = (e.record.metrics[m].value or 0 for m in ("roc_auc", "average_precision"))
            centred[e.record.task.name] = ((roc_auc - 0.5) / 0.5 + (precision - chance) / (1 - chance)) / 2
    western = (centred["fma_medium"] + centred["magnatagatune"]) / 2
    assert matrix.centred["base"] == pytest.approx((centred["turkish_makam"] + centred["lyra"] + western) / 3)
    cells = [e.record.metrics[m].value for e in found if e.record.model.name == "base" for m in e.record.metrics
             if m in ("roc_auc", "average_precision")]  # fmt: skip
    assert matrix.paper["base"] == pytest.approx(np.mean([v for v in cells if v is not None]))


def test_models_stand_by_kind_and_within_it_as_they_were_given(build_evidence: Build) -> None:
    targets, probabilities = scores(1.0)
    cards: dict[str, tuple[tuple[str, ...], str]] = {
        "tagger": ((), "A tagger."),
        "merged": (("Lyra", "Carnatic"), "Task arithmetic (scale 0.2) over two adaptations."),
        "culture": (("Lyra", "Carnatic"), "Trained on two traditions together."),
        "to-lyra": (("Lyra",), "Trained on one."),
        "base": ((), "The first."),
        "a-folder": (("Turkish", "Lyra"), "A merge of HuBERT networks read from a folder."),
        "named": ((), "Only --in-culture tells what it learnt."),
    }
    found = []
    for name, (corpora, description) in cards.items():
        e = build_evidence(name, targets, probabilities, GROUPS)
        model = e.record.model.model_copy(update={"trained_on": corpora, "description": description})
        found.append(replace(e, record=e.record.model_copy(update={"model": model})))
    matrix = transfer_matrix(found, "base", {"named": ["greek"]}, resamples=100)
    assert matrix.models == ("base", "to-lyra", "named", "culture", "merged", "a-folder", "tagger")
    assert [matrix.kinds[m] for m in matrix.models] == ["base", *["single-culture"] * 2, "multi-cultural",
                                                        *["merged"] * 2, "other"]  # fmt: skip
    kinds = {row["model"]: row["kind"] for row in csv.DictReader(io.StringIO(csv_text(matrix_rows(matrix))))}
    assert kinds == matrix.kinds
    assert transfer_matrix(found, resamples=100).base == "to-lyra", "two others list its corpora and more"
    assert list(reported_matrix().kinds.values()) == ["base", "multi-cultural", "merged"]


def test_cultures_are_read_from_the_card(build_evidence: Build) -> None:
    record = measured(build_evidence)[0].record
    for corpora, expected in (
        (("Dunya Turkish-makam, 200 h", "Lyra"), {"turkish", "greek"}),
        (("Music4All",), set()),
        (("Hindustani", "Carnatic"), {"hindustani", "carnatic"}),
    ):
        model = record.model.model_copy(update={"trained_on": corpora})
        assert cultures_of(record.model_copy(update={"model": model})) == expected


def test_what_cannot_be_one_matrix_is_refused(build_evidence: Build) -> None:
    found = measured(build_evidence)
    with pytest.raises(UsageError, match="no record of the base 'other'"):
        transfer_matrix(found, "other")
    with pytest.raises(UsageError, match="no record to make a matrix"):
        transfer_matrix([])
    with pytest.raises(UsageError, match="The records mix"):
        transfer_matrix([*found, *measured(build_evidence, edition="mini")])
    with pytest.raises(UsageError, match="two records of base on turkish_makam"):
        transfer_matrix([*found, found[0]])


def latex_table(matrix: TransferMatrix) -> str:
    return latex_tables(transfer_tables(matrix))


def markdown_matrix(matrix: TransferMatrix) -> str:
    return markdown_tables(transfer_tables(matrix))


def printed(matrix: TransferMatrix) -> str:
    out = io.StringIO()
    print_tables(transfer_tables(matrix), Console(file=out, width=150))
    return out.getvalue()


def test_tables_say_what_the_figures_are(build_evidence: Build) -> None:
    reported, mini = reported_matrix(), transfer_matrix(measured(build_evidence, edition="mini"), "base")
    for text in (printed(reported), latex_table(reported), markdown_matrix(reported), csv_text(matrix_rows(reported))):
        assert "reported" in text
        assert "83.2 / 53.3" in text or "83.2/53.3" in text or "0.832,0.533" in text
        assert "nan" not in text.lower()
    for text in (printed(mini), latex_table(mini), markdown_matrix(mini), csv_text(matrix_rows(mini))):
        assert "mini" in text
    for table, told in ((latex_table(mini), "mini: synthetic"), (latex_table(reported), "reported: figures of others")):
        in_print = "\n".join(line for line in table.splitlines() if not line.startswith("%"))
        assert f"{{\\footnotesize {told}" in in_print
    rows = list(csv.DictReader(io.StringIO(csv_text(matrix_rows(mini)))))
    assert len(rows) == 6
    assert {row["model"] for row in rows} == {"base", "turkish"}
    lost = next(row for row in rows if row["model"] == "turkish" and row["task"] == "fma_medium")
    assert lost["verdict"] == "lost"
    assert float(lost["low"]) < float(lost["change"]) < float(lost["high"]) < 0


def test_latex_escapes_names(build_evidence: Build) -> None:
    targets, probabilities = scores(1.0)
    matrix = transfer_matrix([build_evidence("my_model & 50%", targets, probabilities, GROUPS)])
    assert "my\\_model \\& 50\\%" in latex_table(matrix)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("[10pt] a", "{[}10pt] a & "),
        ("a\\b^c~d", "a\\textbackslash{}b\\textasciicircum{}c\\textasciitilde{}d & "),
        ("a\n\nb", "a  b & "),
        ("<i>", "\\textless{}i\\textgreater{} & "),
    ],
)
def test_latex_takes_any_name(build_evidence: Build, name: str, told: str) -> None:
    targets, probabilities = scores(1.0)
    lines = latex_table(transfer_matrix([build_evidence(name, targets, probabilities, GROUPS)])).splitlines()
    assert any(line.startswith(told) for line in lines)


def test_long_names_fit_and_keep_their_ends(build_evidence: Build) -> None:
    targets, probabilities = scores(1.0)
    names = [f"an-encoder-{'with-a-long-name-' * 12}stage-{k}" for k in (1, 2)]
    matrix = transfer_matrix([build_evidence(name, targets, probabilities, GROUPS) for name in names], resamples=100)
    for width in (COLUMN_WIDTH, PAGE_WIDTH):
        figure = transfer_figure(matrix, width)
        inside(figure)
        shown = {text.get_text() for text in figure.axes[0].texts}
        assert {end for text in shown for end in ("stage-1", "stage-2") if text.endswith(end)} == {"stage-1", "stage-2"}


def test_markdown_escapes_names(build_evidence: Build) -> None:
    targets, probabilities = scores(1.0)
    matrix = transfer_matrix([build_evidence("a|b", targets, probabilities, GROUPS)])
    assert "| a\\|b | " in markdown_matrix(matrix)


def test_the_figure_outlines_own_cultures_and_hatches_what_cannot_be_told(build_evidence: Build) -> None:
    targets, _ = scores(1.0)
    noise = np.random.default_rng(5).random(targets.shape)
    found = measured(build_evidence)
    other = build_evidence("turkish", targets, 0.9 * scores(1.0)[1] + 0.1 * noise, GROUPS, task="lyra")
    found = [other if (e.record.model.name, e.record.task.name) == ("turkish", "lyra") else e for e in found]
    matrix = transfer_matrix(found, "base", {"turkish": ["turkish"]})
    for width in (COLUMN_WIDTH, PAGE_WIDTH):
        figure = transfer_figure(matrix, width)
        patches: list[Any] = list(figure.axes[0].patches)
        assert sum(p.get_hatch() is not None for p in patches) == 1
        black = [p for p in patches if not p.get_fill() and p.get_edgecolor()[:3] == (0.0, 0.0, 0.0)]
        assert len(black) == 1
        assert figure.get_figwidth() == pytest.approx(width)
        inside(figure)
    texts = [t.get_text() for t in transfer_figure(matrix).axes[0].texts]
    assert "turkish\nmakam" in texts
    assert [t for t in texts if t in ("Turkish", "Greek", "Western")] == ["Turkish", "Greek", "Western"]
    assert any(text.startswith("-") for text in texts)


def test_a_control_sets_neither_base_nor_scale_nor_mean(build_evidence: Build) -> None:
    targets, probabilities = scores(0.0)
    found = [
        build_evidence("constant", targets, np.full_like(probabilities, 0.5), GROUPS, task=t) for t in KNOWS["base"]
    ]
    card = {"family": "anchors"}
    found = [
        replace(e, record=e.record.model_copy(update={"model": e.record.model.model_copy(update=card)})) for e in found
    ]
    without = transfer_matrix(measured(build_evidence), resamples=100)
    matrix = transfer_matrix([*found, *measured(build_evidence)], resamples=100)
    assert matrix.base == "base"
    assert matrix.models[-1] == "constant"
    assert scale_end(matrix) == scale_end(without)
    assert [matrix.column_change(task) for task in matrix.tasks] == [without.column_change(t) for t in without.tasks]
    largest = max(abs(cell.shown_change or 0) for (model, _), cell in matrix.cells.items() if model == "turkish")
    assert largest <= scale_end(matrix) < largest + 0.01
    shades = {tuple(p.get_facecolor()) for p in transfer_figure(matrix).axes[0].patches if p.get_fill()}
    assert len(transfer_figure(matrix).axes) == 2, "the map and its colour bar"
    assert len(shades) == 4, "three changes, and grey for the base and the control"


def test_numbers_of_the_figure_contrast_with_their_cells(build_evidence: Build) -> None:
    """WCAG 2.2 asks for 4.5 to 1."""
    axes = transfer_figure(transfer_matrix(measured(build_evidence), resamples=100)).axes[0]
    boxes = {(p.get_x(), p.get_y()): p for p in axes.patches if isinstance(p, Rectangle) and p.get_fill()}
    found = [(boxes[x, y], t) for t in axes.texts for (x, y) in boxes if t.get_position()[0] == x + 0.5
             and y < t.get_position()[1] < y + 1]  # fmt: skip
    assert len(found) == 9
    for box, number in found:
        low, high = sorted((luminance(number.get_color()), luminance(box.get_facecolor())))
        assert (high + 0.05) / (low + 0.05) >= 4.4


def inside(figure: Any) -> None:
    """No text of the figure leaves it."""
    figure.canvas.draw()
    frame = figure.bbox
    for text in [*figure.texts, *(t for axes in figure.axes for t in axes.texts)]:
        box = text.get_window_extent()
        assert box.x0 >= frame.x0 - 1, text.get_text()
        assert box.x1 <= frame.x1 + 1, text.get_text()
        assert box.y0 >= frame.y0 - 1, text.get_text()
        assert box.y1 <= frame.y1 + 1, text.get_text()


def test_the_reported_figure_fits_a_column() -> None:
    for width in (COLUMN_WIDTH, PAGE_WIDTH):
        figure = transfer_figure(reported_matrix(), width)
        inside(figure)
        assert not any(p.get_hatch() for p in figure.axes[0].patches)


def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    first, second = (write_view(VIEW, Transfer(reported_matrix()), tmp_path / name) for name in "ab")
    assert [p.name for p in first] == [p.name for p in second]
    assert {p.suffix for p in first} == {".svg", ".png", ".tex", ".md", ".csv"}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_command(tmp_path: Path) -> None:
    run = CliRunner()
    result = run.invoke(app, ["report", "transfer", "--reported", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "66.1" in result.output
    assert "+8.2" in result.output
    assert (tmp_path / "transfer-column.svg").is_file()
    both = run.invoke(app, ["report", "transfer", str(tmp_path), "--reported"])
    assert isinstance(both.exception, UsageError)
    wrong = run.invoke(app, ["report", "transfer", str(tmp_path), "--in-culture", "greek"])
    assert isinstance(wrong.exception, UsageError)


def test_two_fingerprints_of_one_name_are_two_models(build_evidence: Build) -> None:
    found = measured(build_evidence)
    model = found[0].record.model.model_copy(update={"fingerprint": "f" * 16})
    other = replace(found[0], record=found[0].record.model_copy(update={"model": model}))
    with pytest.raises(UsageError, match="two records of base"):
        transfer_matrix([*found, other])
