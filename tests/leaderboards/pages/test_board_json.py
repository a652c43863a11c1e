"""What the comparison page carries: paired intervals of every number, in the order that its script expects."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest

from cmbench.benchmark.comparing.compare import compare
from cmbench.benchmark.comparing.paired import RANKED
from cmbench.leaderboards.entry import ENTRIES
from cmbench.leaderboards.pages.board_json import compare_json
from cmbench.leaderboards.ranking import Board, Entrant, boards
from cmbench.leaderboards.reading import read_entry

NAMES = ("mfcc", "chroma", "constant")
RESAMPLES = 60


@pytest.fixture(scope="module")
def evidence() -> dict[str, Any]:
    return {name: read_entry(ENTRIES / name / "1").evidence for name in NAMES}


@pytest.fixture(scope="module")
def board(evidence: dict[str, Any]) -> Board:
    (found,) = boards((Entrant(name, found) for name, found in evidence.items()), RESAMPLES)
    return found


def tenths(value: float | None) -> int | None:
    return None if value is None else round(1000 * value)


def test_pairs_stand_in_order_and_their_first_interval_is_the_boards(board: Board) -> None:
    made: Any = compare_json(board, True)
    names = [one["name"] for one in made["entries"]]
    for pair, (one, other) in zip(made["differences"], combinations(names, 2), strict=True):
        found = board.differences[one, other]
        assert pair[1:3] == [tenths(found.low), tenths(found.high)]
        assert len(pair) == 1 + 2 * len(made["rows"]) == 1 + 2 * 18


def test_every_task_has_the_paired_interval_of_compare(board: Board, evidence: dict[str, Any]) -> None:
    made: Any = compare_json(board, True)
    places = [row[1:] for row in made["rows"]]
    for k, (one, other) in enumerate(combinations([place.name for place in board.places], 2)):
        judged = compare(evidence[one], evidence[other], resamples=RESAMPLES, labels=False)
        for change in judged.tasks:
            for metric in RANKED:
                at = 1 + 2 * places.index(["tasks", change.task, metric])
                found = change.metrics[metric]
                assert made["differences"][k][at : at + 2] == [tenths(found.low), tenths(found.high)]


def test_rows_lead_to_numbers(board: Board) -> None:
    made: Any = compare_json(board, False)
    assert made["differences"] is None
    for _, *path in made["rows"]:
        for entry in made["entries"]:
            found = entry
            for key in path:
                found = found[key]
            assert all(a <= b for a, b in pairwise([found[1], found[0], found[2]]))
