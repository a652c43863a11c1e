"""The board at a glance is coloured as the first picture of a run's page."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex

from cmbench.benchmark.comparing.summary import centred_score
from cmbench.leaderboards.entry import ENTRIES
from cmbench.leaderboards.pages.matrix import coloured, matrix
from cmbench.leaderboards.ranking import Board, Entrant, boards
from cmbench.leaderboards.reading import read_entry


@pytest.fixture(scope="module")
def board() -> Board:
    (found,) = boards((Entrant(n, read_entry(ENTRIES / n / "1").evidence) for n in ("chroma", "constant")), 40)
    return found


def test_tasks_stand_by_tradition_and_cells_are_above_chance(board: Board) -> None:
    found = matrix(board)
    order = [record.task.tradition for record in found.tasks]
    assert list(dict.fromkeys(order)) == list(board.traditions)
    assert len(order) == 6
    assert [place.name for place, _ in found.rows] == ["chroma", "constant"]
    for _, cells in found.rows:
        assert [record.task.name for record, _ in cells] == [record.task.name for record in found.tasks]
        assert all(score == centred_score(record) for record, score in cells)
    best = max(score for _, cells in found.rows for _, score in cells if score is not None)
    assert 100 * best < found.top <= 100 * best + 10


def test_a_score_that_is_not_defined_has_no_colour(board: Board) -> None:
    place = board.places[0]
    metrics = place.records[0].metrics
    lacking = dict(metrics, roc_auc=metrics["roc_auc"].model_copy(update={"value": None}))
    records = (place.records[0].model_copy(update={"metrics": lacking}), *place.records[1:])
    found = matrix(replace(board, places=(replace(place, records=records),)))
    assert [score for _, score in found.rows[0][1]].count(None) == 1


def test_colours_are_those_of_the_heat_map(board: Board) -> None:
    for score in (-0.2, 0.0, 0.31, 0.6, 0.9):
        shade = to_hex(colormaps["cividis"](min(1.0, max(0.0, score / 0.6))))
        assert f"background:{shade};" in coloured(score, 60.0)
    assert coloured(0.0, 60.0).endswith('color:#ffffff"')
    assert coloured(0.6, 60.0).endswith('color:#010101"')
    stops = re.findall("#[0-9a-f]{6}", matrix(board).bar)
    assert (stops[0], stops[-1]) == (to_hex(colormaps["cividis"](0.0)), to_hex(colormaps["cividis"](1.0)))
