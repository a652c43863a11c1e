"""The board as one JSON, for programs; and the part of it that the comparison page carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from ...benchmark.comparing.paired import TEST_ONLY, Level, level
from ...benchmark.records.record import Metric
from ...benchmark.records.sections import HEADLINE, METRIC_TITLES
from ...tasks.base import MINI_LABEL
from ..claims import UNVERIFIED
from ..listing import Listed, Site
from ..ranking import Board, Place, told_apart

Numbers = list[float | None]


def board_json(site: Site) -> dict[str, object]:
    """Return every board with its places; an interval is ``[value, low, high]``, ``null`` where it does not exist."""
    return {
        "format": site.format,
        "cmbench": site.version,
        "entries_sha256": site.entries_sha256,
        "boards": [_board(board, site.listed) for board in site.boards],
        "entries": {key: _entry(one) for key, one in site.listed.items()},
    }


def _board(board: Board, listed: Mapping[str, Listed]) -> dict[str, object]:
    return {
        "slug": board.slug,
        "edition": board.edition,
        "warning": MINI_LABEL if board.edition == "mini" else None,
        "split": board.split,
        "protocol": board.protocol,
        "protocol_sha256": board.protocol_sha256,
        "tasks": board.suite or "all",
        "data_sha256": board.data_sha256 or None,
        "missing_anchors": list(board.missing_anchors),
        "places": [_place(place) | {"badge": listed[place.name].badge} for place in board.places],
        "incomplete": [
            {"name": one.name, "contaminated": one.contaminated, "reasons": list(one.reasons)}
            for one in board.incomplete
        ],
    }


def _entry(one: Listed) -> dict[str, object]:
    said = one.submission
    return {
        "name": said.name,
        "version": said.version,
        "badge": one.badge,
        "licence": said.licence,
        "parameters": said.parameters,
        "training_corpora": list(said.training_corpora),
        "contaminated": bool(one.contaminated),
        "submitted": said.submitted,
        "manifest_sha256": one.manifest_sha256,
        "withdrawn": None if one.withdrawal is None else one.withdrawal.reason,
        "superseded_by": one.newer,
        "claimed_successor_of": one.claims,
        UNVERIFIED: list(one.unverified),
        "files": [f"entries/{one.key}/{file.name}" for file in one.files],
    }


def _place(place: Place) -> dict[str, object]:
    judged = place.equity
    return _scores(place) | {
        "place": [place.first, place.last],
        "not_told_apart_from": list(place.tied),
        "anchor": place.anchor or None,
        "worst": judged.worst,
        "spread": level_numbers(judged.spread),
        "gap": None if judged.gap is None else level_numbers(judged.gap),
        "western_retention": None if place.retention is None else level_numbers(place.retention),
        "base": place.base,
        "encode_seconds_per_hour": place.seconds_per_hour,
        "devices": list(place.devices),
    }


def _scores(place: Place) -> dict[str, object]:
    return {
        "name": place.name,
        "score": level_numbers(place.equity.mean),
        "traditions": {name: level_numbers(found) for name, found in place.equity.traditions.items()},
        "tasks": {r.task.name: {m: _metric(r.metrics[m]) for m in HEADLINE} for r in place.records},
    }


def level_numbers(found: Level) -> Numbers:
    """Return ``[value, low, high]``, rounded to six digits; zero without a sign."""
    return [None if x is None else round(x, 6) + 0.0 for x in (found.value, found.low, found.high)]


def _metric(found: Metric) -> Numbers:
    span = found.interval
    ends = (None, None) if span is None else (span.low, span.high)
    return [None if x is None else round(x, 6) + 0.0 for x in (found.value, *ends)]


def compare_json(board: Board, differences: bool) -> dict[str, object]:
    """Return what the comparison of two entries is made of.

    Args:
        board: with its places.
        differences: whether to add, for every pair of positions ``i < j`` in their order, whether the two are told
            apart (0 or 1), and the ends of the paired intervals of second minus first, row after row, in tenths of a
            point; ``null`` where there is no interval.
    """
    rows = _rows(board)
    pairs = [
        [int(told_apart(board.differences[one.name, other.name])), *_ends(one, other, list(rows))]
        for one, other in (combinations(board.places, 2) if differences else ())
    ]
    return {
        "entries": [_scores(place) for place in board.places],
        "rows": list(rows.values()),
        "differences": pairs if differences else None,
        "sample": "" if board.trainings else TEST_ONLY,
    }


def _rows(board: Board) -> dict[str, list[str]]:
    rows = {"score": ["score, mean over traditions", "score"]}
    rows |= {name: [f"score, {name}", "traditions", name] for name in board.traditions}
    for metric in HEADLINE:
        for name in (record.task.name for record in board.tasks):
            rows[f"{metric} {name}"] = [f"{METRIC_TITLES[metric]}, {name}", "tasks", name, metric]
    return rows


def _ends(one: Place, other: Place, rows: list[str]) -> Iterator[int | None]:
    for row in rows:
        (first, sample), (second, _) = one.replicates[row], other.replicates[row]
        found = level(second - first, sample)
        yield from (None if end is None else round(1000 * end) for end in (found.low, found.high))
