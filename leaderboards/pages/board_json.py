"""The board as one JSON, for programs; and the part of it that the comparison page carries."""

from __future__ import annotations

from collections.abc import Mapping

from ...benchmark.comparing.paired import Level
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
        differences: whether to add the paired difference of every pair: ``[i, j, second minus first, low, high, told
            apart]`` by position.
    """
    position = {place.name: i for i, place in enumerate(board.places)}
    pairs = [
        [
            position[one],
            position[other],
            *(None if x is None else round(x, 5) + 0.0 for x in (found.change, found.low, found.high)),
            int(told_apart(found)),
        ]
        for (one, other), found in board.differences.items()
    ]
    return {
        "entries": [_scores(place) for place in board.places],
        "traditions": list(board.traditions),
        "tasks": [record.task.name for record in board.tasks],
        "metrics": list(HEADLINE),
        "titles": {metric: METRIC_TITLES[metric] for metric in HEADLINE},
        "differences": pairs if differences else None,
    }
