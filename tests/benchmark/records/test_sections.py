"""What may stand side by side, and which means exist."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

import pytest

from cmbench.benchmark.records.record import FailedTrack, Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.words import coverage_text, percent
from cmbench.errors import UsageError
from cmbench.tasks.base import EDITION_ORDER


def test_editions_splits_and_protocols_never_share_a_section(build_record: Callable[..., Record]) -> None:
    records = [
        build_record(edition="mini"),
        build_record(edition="full"),
        build_record(edition="full", split="group-safe"),
        build_record(edition="full", protocol="marble-1"),
        build_record("chroma", edition="full"),
    ]
    found = sections(records)
    assert [(s.edition, s.split, s.protocol, len(s.cells)) for s in found] == [
        ("full", "group-safe", "cmbench-1", 1),
        ("full", "official", "cmbench-1", 2),
        ("full", "official", "marble-1", 1),
        ("mini", "official", "cmbench-1", 1),
    ]
    assert [bool(s.warning) for s in found] == [False, False, False, True]
    assert len({s.slug for s in found}) == 4


def test_protocols_of_one_name_and_different_content_do_not_share(build_record: Callable[..., Record]) -> None:
    other = build_record("chroma")
    other = other.model_copy(update={"protocol": other.protocol.model_copy(update={"sha256": "f" * 64})})
    assert len(sections([build_record("mfcc"), other])) == 2


def test_a_task_with_another_split_is_another_column(build_record: Callable[..., Record]) -> None:
    (section,) = sections([build_record("mfcc"), build_record("chroma", split_sha256="a" * 64)])
    assert len(section.columns) == 2
    names = {c.name for c in section.columns}
    assert len(names) == 2
    assert all(n.startswith("turkish_makam#") for n in names)


def test_models_of_one_name_and_different_weights_are_two_rows(build_record: Callable[..., Record]) -> None:
    (section,) = sections([build_record(fingerprint="a" * 16), build_record(fingerprint="b" * 16)])
    assert [r.name for r in section.rows] == ["mfcc#aaaaaa", "mfcc#bbbbbb"]


def test_columns_follow_the_traditions_whatever_the_order_of_the_records(
    board: list[Record], build_record: Callable[..., Record]
) -> None:
    want = ["turkish_makam", "hindustani", "carnatic", "lyra", "fma_medium", "magnatagatune", "throat_singing"]
    for records in (board, board[::-1]):
        (section,) = sections([build_record("mfcc", "throat_singing", labels=list(board[0].labels)), *records])
        assert [c.name for c in section.columns] == want


def test_a_column_says_what_its_records_share(build_record: Callable[..., Record]) -> None:
    lost = (FailedTrack(id="a", split="test", file="a.mp3", reason="empty"),)
    records = [build_record("mfcc", "lyra"), build_record("chroma", "lyra", failed=lost)]
    (column,) = sections(records)[0].columns
    assert (column.title, column.test_tracks, column.total) == ("Lyra", 330, 30)
    assert column.defined == records[0].defined_labels
    differ = records[1].model_copy(update={"defined_labels": 7})
    assert sections([records[0], differ])[0].columns[0].defined is None


def test_an_edition_nobody_knows_comes_last(build_record: Callable[..., Record]) -> None:
    found = sections([build_record(edition=edition) for edition in ("another", "mini", "custom", "full")])
    assert [section.edition for section in found] == [*EDITION_ORDER, "another"]


def test_means_exist_only_over_complete_rows(board: list[Record]) -> None:
    (section,) = sections([r for r in board if (r.model.name, r.task.name) != ("chroma", "lyra")])
    rows = {r.name: r for r in section.rows}
    values = [m.value for r in board if r.model.name == "mfcc" for n in ("roc_auc", "average_precision")
              if (m := r.metrics[n]).value is not None]  # fmt: skip
    whole = section.mean(rows["mfcc"], "roc_auc", "average_precision")
    assert whole.value == pytest.approx(fmean(values), abs=1e-12)
    assert (whole.present, whole.total) == (12, 12)
    part = section.mean(rows["chroma"], "roc_auc")
    assert (part.value, part.present, part.total) == (None, 5, 6)


def test_contradicting_records_are_refused_and_equal_ones_are_one(build_record: Callable[..., Record]) -> None:
    first, again = build_record(), build_record()
    assert len(sections([first, again])[0].cells) == 1
    with pytest.raises(UsageError, match="Two different records hold the result of mfcc on turkish_makam"):
        sections([first, build_record(skill=0.4)])


def test_no_records_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="cmbench run"):
        sections([])


def test_different_audio_is_said(build_record: Callable[..., Record]) -> None:
    same, other = build_record("mfcc"), build_record("chroma", audio_sha256="a" * 64)
    (section,) = sections([same, other])
    assert "mfcc" in (text := section.different_audio(section.columns[0]))
    assert "chroma (aaaaaaaa)" in text
    (section,) = sections([same, build_record("chroma")])
    assert section.different_audio(section.columns[0]) == ""


def test_coverage_is_100_only_without_a_loss(board: list[Record]) -> None:
    lossy = next(r for r in board if r.coverage.failed)
    assert coverage_text(lossy) == "99.9"
    many = lossy.model_copy(
        update={"coverage": lossy.coverage.model_copy(update={"asked": {"test": 10**6}, "used": {"test": 10**6 - 1}})}
    )
    assert coverage_text(many) == "99.9"
    assert coverage_text(next(r for r in board if not r.coverage.failed)) == "100.0"
    assert (percent(0.71349), percent(None)) == ("71.3", "–")


def test_the_group_safe_split_is_a_section_of_its_own_and_not_the_papers(board: list[Record]) -> None:
    safe = [
        r.model_copy(update={"task": r.task.model_copy(update={"split": "group-safe", "split_sha256": "5" * 64})})
        for r in board
    ]
    found = {s.split: s for s in sections([*board, *safe])}
    assert {split: len(s.cells) for split, s in found.items()} == {"official": len(board), "group-safe": len(board)}
    assert found["official"].is_papers
    assert not found["group-safe"].is_papers
    assert not found["group-safe"].on_published_data
