from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from cmbench.benchmark.pages.answers import SHOWN, answers, near
from cmbench.benchmark.pages.page import write_page
from cmbench.benchmark.records.answers import answers_path
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.record import Record
from cmbench.benchmark.records.sections import sections

LABELS = ("raga--a", "raga--b", "tala--x", "tala--y")
MakeEvidence = Callable[[str], Evidence]


@pytest.fixture
def evidence(build_record: Callable[..., Record], tmp_path: Path) -> MakeEvidence:
    """Twelve recordings: the raga is right in all but two, the tala is judged in one; their files lie near the page."""

    def make(edition: str) -> Evidence:
        record = build_record("mfcc", "lyra", edition=edition)
        part = record.task.model_copy(
            update={"labels": LABELS, "families": {label: label.split("--")[0] for label in LABELS}}
        )
        record = record.model_copy(update={"task": part})
        targets = np.zeros((12, 4), dtype=bool)
        targets[:, 0] = True
        targets[0, 2] = True
        probabilities = np.tile([0.8, 0.1, 0.6, 0.2], (1, 12, 1)).astype(np.float32)
        probabilities[0, :, 0] += np.arange(12) / 100
        probabilities[0, 3:5, 1] = (0.95, 0.99)
        path = tmp_path / "results" / "mfcc" / f"{record.stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with answers_path(path).open("w", encoding="utf-8-sig", newline="") as table:
            writer = csv.writer(table)
            writer.writerow(["id", "file"])
            for i in range(12):
                file = tmp_path / "audio" / f"parça #{i}.wav"
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(b"")
                writer.writerow([f"t{i}", file])
        return Evidence(record, path, tuple(f"t{i}" for i in range(12)), (None,) * 12, targets, probabilities)

    return make


def test_the_most_confident_hits_and_misses_of_a_family(evidence: MakeEvidence, tmp_path: Path) -> None:
    [told] = answers([evidence("full")], tmp_path / "results" / "report.html")
    raga, tala = told.families
    assert (raga.right, raga.judged, tala.right, tala.judged) == (10, 12, 1, 1)
    assert [one.name for one in raga.hits] == ["parça #11.wav", "parça #10.wav", "parça #9.wav"]
    assert [(one.name, one.said, one.truth) for one in raga.misses] == [
        ("parça #4.wav", "b", "a (place 2)"),
        ("parça #3.wav", "b", "a (place 2)"),
    ]
    assert len(raga.hits) == SHOWN
    assert unquote(raga.hits[0].address) == "../audio/parça #11.wav"
    assert "#" not in raga.hits[0].address


def test_the_first_four_models_are_shown(evidence: MakeEvidence, tmp_path: Path) -> None:
    one = evidence("full")
    models = [one.record.model.model_copy(update={"name": f"model {i}"}) for i in range(5)]
    found = [replace(one, record=one.record.model_copy(update={"model": model})) for model in models]
    shown = [told.model for told in answers(found, tmp_path / "results" / "report.html")]
    assert shown == ["model 0", "model 1", "model 2", "model 3"]


def test_rendered_music_and_records_without_answers_are_not_shown(evidence: MakeEvidence, tmp_path: Path) -> None:
    assert answers([evidence("mini")], tmp_path / "report.html") == ()
    one = evidence("full")
    answers_path(one.path).unlink()
    assert answers([one], tmp_path / "report.html") == ()


def test_only_what_is_there_and_near_gets_a_player(tmp_path: Path) -> None:
    page, file = tmp_path / "a" / "results" / "report.html", tmp_path / "a" / "x.wav"
    file.parent.mkdir()
    assert near(file, page) == ""
    file.write_bytes(b"")
    assert near(file, page) == "../x.wav"
    far = tmp_path / "far.wav"
    far.write_bytes(b"")
    assert near(far, page) == ""


@pytest.mark.usefixtures("without_pictures")
def test_the_page_has_players_and_lets_them_play(evidence: MakeEvidence, tmp_path: Path) -> None:
    one = evidence("full")
    page = write_page(sections([one.record]), tmp_path / "results" / "report.html", [one], resamples=100).read_text(
        "utf-8"
    )
    assert page.count("<audio controls") == 6
    assert "media-src 'self' file:" in page
    assert 'id="s1-answers"' in page


@pytest.mark.usefixtures("without_pictures")
def test_a_page_without_answers_says_nothing_of_them(evidence: MakeEvidence, tmp_path: Path) -> None:
    one = evidence("full")
    page = write_page(sections([one.record]), tmp_path / "report.html", [], resamples=100).read_text("utf-8")
    assert "media-src" not in page
    assert "-answers" not in page
