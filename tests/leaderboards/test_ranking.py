"""Places: what they rest on, and what no other entry can change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmbench.benchmark.comparing.summary import centred_score
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.record import CostPart, Record
from cmbench.errors import CmbenchError
from cmbench.leaderboards.entry import ENTRIES
from cmbench.leaderboards.ranking import ANCHORS, WHY_EVERY_TRACK, Board, Entrant, boards
from cmbench.leaderboards.reading import read_entry
from cmbench.tasks.base import PAPER_TASKS
from cmbench.tasks.registry import built_in

RESAMPLES = 60


@cache
def example(name: str) -> tuple[Evidence, ...]:
    """The example board's entry of that name."""
    return read_entry(ENTRIES / name / "1").evidence


def renamed(record: Record, **changes: Any) -> Record:
    """A record of another model, or with other cost."""
    model = {k: v for k, v in changes.items() if k in type(record.model).model_fields}
    rest = {k: v for k, v in changes.items() if k not in model}
    return record.model_copy(update={"model": record.model.model_copy(update=model), **rest})


def entrant(name: str, strength: float, base: str | None = None, lucky: int = 0) -> Entrant:
    """An entry whose predictions rise with the targets by so many logits; ``lucky`` draws its noise."""
    found = []
    for k, e in enumerate(example("mfcc")):
        chance = np.random.default_rng([lucky, k])
        logits = strength * e.targets + chance.standard_normal(e.targets.shape)
        probabilities = (1 / (1 + np.exp(-logits)))[None].astype(np.float32)
        found.append(replace(e, record=renamed(e.record, name=name, family="test"), probabilities=probabilities))
    return Entrant(name, tuple(found), base)


def only(made: Sequence[Board]) -> Board:
    (board,) = made
    return board


def test_the_order_is_that_of_the_scores_and_places_are_ranges() -> None:
    made = only(boards([entrant("a", 0.2), entrant("b", 1.5), entrant("c", 1.5, lucky=9), entrant("d", 4.0)], 200))
    assert [place.name for place in made.places][0::3] == ["d", "a"]
    by_name = {place.name: place for place in made.places}
    assert (by_name["d"].first, by_name["d"].last, by_name["d"].tied) == (1, 1, ())
    assert (by_name["b"].first, by_name["b"].last, by_name["b"].tied) == (2, 3, ("c",))
    assert (by_name["c"].first, by_name["c"].last, by_name["c"].tied) == (2, 3, ("b",))
    assert (by_name["a"].first, by_name["a"].last) == (4, 4)
    assert len(made.differences) == 6


def test_the_score_counts_each_tradition_once() -> None:
    (place,) = only(boards([Entrant("mfcc", example("mfcc"))], RESAMPLES)).places
    scores: dict[str, list[float]] = {}
    for e in example("mfcc"):
        score = centred_score(e.record)
        assert score is not None
        scores.setdefault(e.record.task.tradition, []).append(score)
    assert sorted(len(s) for s in scores.values()) == [1, 1, 1, 1, 2]
    expected = float(np.mean([np.mean(s) for s in scores.values()]))
    assert place.equity.mean.value == pytest.approx(expected, abs=1e-9)
    assert place.equity.worst == min(scores, key=lambda t: float(np.mean(scores[t])))


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    strengths=st.lists(st.floats(0.0, 2.0), min_size=2, max_size=3),
    other=st.floats(0.0, 5.0),
    lucky=st.integers(0, 5),
)
def test_another_entry_changes_nothing_between_two(strengths: list[float], other: float, lucky: int) -> None:
    mine = [entrant(f"m{i}", strength, lucky=i) for i, strength in enumerate(strengths)]
    before = only(boards(mine, RESAMPLES))
    after = only(boards([entrant("0-first-by-name", other, lucky=lucky), *reversed(mine)], RESAMPLES))
    assert [p.name for p in after.places if p.name != "0-first-by-name"] == [p.name for p in before.places]
    assert after.data_sha256 == before.data_sha256
    assert after.slug == before.slug
    for pair, found in before.differences.items():
        assert after.differences[pair] == found
    then = {p.name: p for p in after.places}
    for place in before.places:
        assert then[place.name].equity == place.equity
        assert set(then[place.name].tied) - {"0-first-by-name"} == set(place.tied)
        assert place.first <= then[place.name].first <= place.first + 1
        assert place.last <= then[place.name].last <= place.last + 1


def test_entries_in_any_order_make_the_same_board() -> None:
    mine = [entrant(name, 1.0, lucky=i) for i, name in enumerate("abc")]
    assert boards(mine, RESAMPLES) == boards(mine[::-1], RESAMPLES)


def test_twins_are_tied_and_told_by_name() -> None:
    made = only(boards([entrant("b", 1.0), entrant("a", 1.0)], RESAMPLES))
    assert [(p.name, p.first, p.last) for p in made.places] == [("a", 1, 2), ("b", 1, 2)]


def test_what_lacks_a_task_or_a_track_is_apart_and_never_filled_in() -> None:
    whole, strong = entrant("whole", 0.5), entrant("strong", 5.0)
    no_task = Entrant("no-task", tuple(e for e in strong.found if e.record.task.name != "lyra"))
    no_track = Entrant("no-track", (strong.found[0].rows(strong.found[0].track_ids[:-2]), *strong.found[1:]))
    made = only(boards([no_task, whole, no_track], RESAMPLES))
    assert [p.name for p in made.places] == ["whole"]
    assert (made.places[0].first, made.places[0].last) == (1, 1)
    reasons = {one.name: one.reasons for one in made.incomplete}
    assert reasons["no-task"] == ("no record of lyra",)
    task = strong.found[0].record.task
    why = {one.name: one.why for one in made.incomplete}
    assert why["no-task"] == "no record of lyra."
    assert why["no-track"].endswith(f"are missing. {WHY_EVERY_TRACK}")
    assert reasons["no-track"] == (f"2 of {task.tracks['test']} test tracks of {task.name} are missing",)


def test_a_board_without_a_complete_entry_has_no_places() -> None:
    made = only(boards([Entrant("a", entrant("a", 1.0).found[:2])], RESAMPLES))
    assert (made.places, made.tasks, made.traditions) == ((), (), ())
    assert made.data_sha256 == ""


def test_other_editions_protocols_and_test_data_have_boards_of_their_own() -> None:
    found = entrant("a", 1.0).found

    def changed(entry: str, part: str, **fields: str) -> Entrant:
        records = []
        for e in found:
            old = getattr(e.record, part)
            records.append(replace(e, record=e.record.model_copy(update={part: old.model_copy(update=fields)})))
        return Entrant(entry, tuple(records))

    targets = found[0].targets.copy()
    targets[0, 0] = not targets[0, 0]
    forged = Entrant("forged", (replace(found[0], targets=targets), *found[1:]))
    made = boards(
        [
            Entrant("a", found),
            changed("real", "task", edition="full"),
            changed("split", "task", split="group-safe"),
            changed("data", "task", split_sha256="0" * 64),
            changed("protocol", "protocol", name="marble-1"),
            changed("settings", "protocol", sha256="1" * 64),
            forged,
        ],
        RESAMPLES,
    )
    assert [len(board.places) for board in made] == [1] * 7
    assert len({board.slug for board in made}) == 7
    assert made[0].places[0].name == "real"
    assert {board.edition for board in made[1:]} == {"mini"}


def test_anchors_are_known_and_missed() -> None:
    names = ("constant", "mfcc", "chroma", "random-mert-nano")
    made = only(boards([Entrant(name, example(name)) for name in names], RESAMPLES))
    assert {p.name: p.anchor for p in made.places} == {
        "constant": "constant",
        "mfcc": "MFCC",
        "chroma": "",
        "random-mert-nano": "random weights",
    }
    assert made.missing_anchors == ()
    assert only(boards([entrant("mfcc", 1.0)], RESAMPLES)).missing_anchors == ANCHORS
    assert {p.name: p for p in made.places}["constant"].equity.mean.value == 0.0


def test_western_retention_is_the_share_of_the_bases_score() -> None:
    base, same = entrant("base", 1.0), entrant("same", 1.0, base="base")
    lost = entrant("lost", 0.3, base="base", lucky=4)
    made = only(boards([base, same, lost, entrant("orphan", 1.0, base="nobody")], RESAMPLES))
    places = {p.name: p for p in made.places}
    assert places["base"].retention is None
    assert places["orphan"].retention is None
    kept, less = places["same"].retention, places["lost"].retention
    assert kept is not None
    assert less is not None
    assert kept.value == 1.0
    western = [p.equity.traditions["western"].value for p in (places["lost"], places["base"])]
    assert western[0] is not None
    assert western[1] is not None
    assert less.value == pytest.approx(western[0] / western[1])
    assert less.high is not None
    assert less.high < 1


def test_cost_is_seconds_for_an_hour_of_audio() -> None:
    cost = CostPart(audio_seconds=1800, encode_seconds=9, probe_seconds=1, peak_memory_mib=1)
    found = tuple(replace(e, record=renamed(e.record, cost=cost)) for e in example("mfcc"))
    assert only(boards([Entrant("a", found)], RESAMPLES)).places[0].seconds_per_hour == pytest.approx(18)
    nothing = cost.model_copy(update={"audio_seconds": 0.0})
    found = tuple(replace(e, record=renamed(e.record, cost=nothing)) for e in example("mfcc"))
    assert only(boards([Entrant("a", found)], RESAMPLES)).places[0].seconds_per_hour is None


def test_what_is_no_entry_is_refused(tmp_path: Path) -> None:
    one = entrant("a", 1.0)
    with pytest.raises(CmbenchError, match="Two entries are called 'a'"):
        boards([one, one], RESAMPLES)
    with pytest.raises(CmbenchError, match="a has two records of carnatic"):
        boards([Entrant("a", (*one.found, one.found[0]))], RESAMPLES)
    record = one.found[0].record
    full = record.model_copy(update={"task": record.task.model_copy(update={"edition": "full"})})
    with pytest.raises(CmbenchError, match="records for 2 boards"):
        boards([Entrant("a", (replace(one.found[0], record=full), *one.found[1:]))], RESAMPLES)
    with pytest.raises(CmbenchError, match="records for 0 boards"):
        boards([Entrant("a", ())], RESAMPLES)


def test_no_entries_make_no_boards() -> None:
    assert boards([], RESAMPLES) == ()


def test_all_tasks_that_ship_are_a_board_beside_that_of_the_six() -> None:
    six = entrant("six", 1.0)
    beyond = [
        replace(e, record=e.record.model_copy(update={"task": e.record.task.model_copy(update={"name": name})}))
        for name, e in zip(sorted(set(built_in()) - PAPER_TASKS), cycle(entrant("all", 2.0).found), strict=False)
    ]
    assert len(beyond) == 4
    whole = Entrant("all", (*entrant("all", 2.0).found, *beyond))
    lacking = Entrant("nine", (*entrant("nine", 1.5).found, *beyond[1:]))
    paper, world = boards([six, whole, lacking], RESAMPLES)
    assert (paper.suite, world.suite) == ("", "world")
    assert [place.name for place in paper.places] == ["all", "nine", "six"]
    assert [place.name for place in world.places] == ["all"]
    assert len(world.tasks) == 10
    (absent,) = world.incomplete
    assert absent.why == f"no record of {beyond[0].record.task.name}."
    assert world.slug == f"{world.slug.removesuffix('-world')}-world"
    assert world.title.endswith(" · world")
    assert paper.slug[:-6] == world.slug[: len(paper.slug) - 6], "the six keep their address"
