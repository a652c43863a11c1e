"""The headline from data to leaderboard: ``cmbench run --model CultureMERT-95M --tasks all``, and all around it.

The quick form has shallow models and few tracks and belongs to the suite; the whole form has models of 95 M parameters
and more tracks (``make rehearsal``). What both do is the same, command by command, as a user types it.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cmbench.benchmark.records.record import Record
from cmbench.benchmark.views.words import percent
from cmbench.leaderboards.pages.serving import server as board_server
from cmbench.tests.conftest import Cmbench
from cmbench.tests.rehearsal import models
from cmbench.tests.rehearsal.browser import CHROMIUM, NO_BROWSER, Page, look
from cmbench.tests.rehearsal.conftest import DUNYA_TASKS, Stage
from cmbench.tests.rehearsal.corpus import QUICK, WHOLE, Form
from cmbench.tests.rehearsal.dunya import mp3
from cmbench.tests.rehearsal.numbers import METRICS, Entry, check_tables, read_entries
from cmbench.tests.rehearsal.sound import FAULTS, encoded
from cmbench.tests.rehearsal.web import serving

HOURS = 3600


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(QUICK, marks=pytest.mark.timeout(0.2 * HOURS)),
        pytest.param(WHOLE, marks=[pytest.mark.slow, pytest.mark.timeout(4 * HOURS)]),
    ],
    ids=lambda form: form.name,
)
def test_from_data_to_leaderboard(
    form: Form, stage: Stage, cmbench: Cmbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.put_all(form, monkeypatch)
    models.expect_depth(form, monkeypatch)
    for name in models.NAMES:
        models.save(tmp_path / "models" / name, form, name)

    prepare_all(stage, cmbench, monkeypatch)
    for name in stage.tracks:
        verify(name, stage, cmbench, tmp_path / "verified.json")
    mend(stage, cmbench)

    results = tmp_path / "results"
    names = ",".join(models.NAMES)
    said = cmbench("run", "--model", names, "--tasks", "all", "--out", results, "--offline")
    assert "full edition · official split · protocol cmbench-2" in said.text
    check_records(results, stage)
    changes(results, cmbench, tmp_path)
    export(results, cmbench, tmp_path)
    submit(results, cmbench, tmp_path)
    said = cmbench("leaderboard", "verify", tmp_path / "entries", "--labels", stage.root)
    assert "labels not present" not in said.text
    said = cmbench("leaderboard", "build", tmp_path / "entries", "--out", tmp_path / "site")
    assert "3 ranked, 0 without a place" in said.text

    entries = read_entries(tmp_path / "entries", stage.tracks)
    (board,) = (tmp_path / "site" / "boards").iterdir()
    with serving(board_server(tmp_path / "site")) as address:
        page = seen(board / "index.html", f"{address}/boards/{board.name}/index.html", tmp_path)
    check_tables(page.tables, entries, stage.tracks, models.parameters(form))
    check_report(seen(results / "report.html", (results / "report.html").as_uri(), tmp_path), entries, stage)
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)  # all else was checked, on the pages' files


def prepare_all(stage: Stage, cmbench: Cmbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """``tasks prepare`` for each: servers stumble, and everything comes that there is."""
    said = {}
    for name in stage.tracks:
        if name in DUNYA_TASKS:
            monkeypatch.setenv("CMBENCH_DUNYA_TOKEN", "not-the-token")
            refused = cmbench("tasks", "prepare", name, "--yes", code=2)
            assert "Dunya refused the token" in refused.text
            assert "not-the-token" not in refused.text
            monkeypatch.setenv("CMBENCH_DUNYA_TOKEN", stage.dunya.token)
        said[name] = cmbench("tasks", "prepare", name, "--yes", code=1 if name == "lyra" else 0).text
        assert stage.dunya.token not in said[name]
    for name in DUNYA_TASKS:
        assert f"{name}: tags or mp3 that Dunya does not have: 2" in said[name]
        cut = next(one for one in stage.tracks[name] if not one.fault)
        ranges = [headers.get("Range") for path, headers in stage.dunya.asked if path == mp3(cut.id)]
        assert ranges == [None, "bytes=1000-", "bytes=1000-"]
        assert (stage.root / name / "audio" / f"{cut.id}.mp3").read_bytes() == stage.dunya.mp3[cut.id]
    assert any("/recording?detail=1&page=2" in path for path in stage.dunya.paths())
    for at, resumed in (
        ("mirg.city.ac.uk/datasets/magnatagatune/mp3.zip.001", (None, "bytes=5000-")),  # refused once, then cut
        ("os.unil.cloud.switch.ch/fma/fma_medium.zip", ("bytes=300000-", "bytes=600000-")),
    ):
        asked = [wanted for how, where, wanted in stage.web.asked if (how, where) == ("GET", at)]
        assert asked == [None, *resumed]
    assert {3.0, 7.0} <= set(stage.waited)  # what Retry-After asked for
    assert "The ids of the split lists are the published ones." in said["fma_medium"]
    lost = sum(one.fault == "missing" for one in stage.tracks["lyra"])
    assert f"audio of lyra ({lost} of {len(stage.tracks['lyra'])} pieces" in said["lyra"]


def verify(name: str, stage: Stage, cmbench: Cmbench, path: Path) -> None:
    """``tasks verify``: every fault is found and called by its name, and nothing else is."""
    cmbench("tasks", "verify", name, "--json", path, code=1)
    finding = json.loads(path.read_text(encoding="utf-8"))
    found = {one["id"]: one["fault"] for one in finding["faults"]}
    assert found == {one.id: FAULTS[one.fault] for one in stage.tracks[name] if one.fault in FAULTS}


def mend(stage: Stage, cmbench: Cmbench) -> None:
    """What a user does about broken test tracks: remove the files, and ask again once Dunya has them."""
    for name in DUNYA_TASKS:
        for one in stage.tracks[name]:
            if one.split == "test" and one.fault:
                stage.dunya.mp3[one.id] = encoded(one.id, one.labels)
                (stage.root / name / "audio" / f"{one.id}.mp3").unlink(missing_ok=True)
        cmbench("tasks", "prepare", name, "--yes")


def unusable(stage: Stage, name: str) -> set[str]:
    """Tracks that no model can hear once the test tracks were mended."""
    bad = ("missing", "corrupt", "container")
    return {one.id for one in stage.tracks[name] if one.split != "test" and one.fault in bad}


def check_records(results: Path, stage: Stage) -> None:
    """Three models on six tasks, each with the tracks left out that are broken, and from the folders of those names."""
    found = [Record.model_validate_json(path.read_text(encoding="utf-8")) for path in results.glob("*/*.json")]
    assert {(one.model.name, one.task.name) for one in found} == {(m, t) for m in models.NAMES for t in stage.tracks}
    for one in found:
        assert {failed.id for failed in one.coverage.failed} == unusable(stage, one.task.name)
        assert one.model.source == f"hf:{models.REPOSITORIES[one.model.name]} (a copy of unknown revision)"


def changes(results: Path, cmbench: Cmbench, folder: Path) -> None:
    """``report transfer`` and ``report forgetting``, whose differences are those of the records."""
    cmbench("report", "transfer", results, "--base", "MERT-v1-95M", "--out", folder / "transfer", "--resamples", 100)
    with (folder / "transfer" / "transfer.csv").open(encoding="utf-8", newline="") as handle:
        assert {row["model"] for row in csv.DictReader(handle)} >= set(models.NAMES)
    before, after = results / "MERT-v1-95M", results / "CultureMERT-95M"
    said = cmbench("report", "forgetting", "--before", before, "--after", after, "--resamples", 100, "--details")
    assert "stability: backward transfer to Western tasks (2)" in said.text


def export(results: Path, cmbench: Cmbench, folder: Path) -> None:
    """``export results``: every record once in each format."""
    cmbench("export", "results", results, "--format", "csv", "--out", folder / "results.csv")
    with (folder / "results.csv").open(encoding="utf-8", newline="") as handle:
        assert len(list(csv.DictReader(handle))) == 4 * 18
    cmbench("export", "results", results, "--format", "eee", "--out", folder / "eee")
    assert len(list((folder / "eee").rglob("*.json"))) == len(models.NAMES)


def submit(results: Path, cmbench: Cmbench, folder: Path) -> None:
    """``submit``: an entry for each model, the later two adapted from the first."""
    for name in models.NAMES:
        card = folder / f"{name}.md"
        base = "" if name == "MERT-v1-95M" else "base_model: m-a-p/MERT-v1-95M\n"
        card.write_text(f"---\nlicense: cc-by-nc-4.0\n{base}---\nRandom weights.\n", encoding="utf-8")
        cmbench(
            "submit", results / name, "--model-card", card, "--contact", "me@example.org", "--trained-on", "none",
            "--contamination", "None: the weights are random.", "--entries", folder / "entries",
        )  # fmt: skip


def seen(file: Path, address: str, folder: Path) -> Page:
    """A page as the browser shows it; where there is none, as its file has it."""
    if CHROMIUM is None:
        return Page(file.read_text(encoding="utf-8"))
    return look(address, folder / f"profile of {file.parent.name}")


def check_report(page: Page, entries: tuple[Entry, ...], stage: Stage) -> None:
    """The page of the run: the table of each model, and the heat map, have the numbers of the predictions."""
    pictured = {text.removeprefix("≈ ") for text in page.prose}
    for entry in entries:
        name = entry.name.removesuffix(" 1")
        _, *rows = page.tables[f"{name}: scores by task, percent."]
        shown = {row[0]: row[1:3] for row in rows}
        assert shown == {task: [entry.text[task, metric] for metric in METRICS] for task in stage.tracks}
        assert {percent(value) for value in entry.centred.values()} <= pictured
