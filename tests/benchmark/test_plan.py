"""What a run would do: true of what is here, said of what is not, and nothing touched."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import cmbench
from cmbench.benchmark import plan as plan_module
from cmbench.benchmark import run as run_module
from cmbench.benchmark.checks.machine import Speed
from cmbench.benchmark.commands.planning import print_run_plan
from cmbench.benchmark.plan import (
    FINISHED,
    LEFT_OUT,
    NO_DATA,
    NO_MODEL,
    NOTHING_READY,
    PARTLY,
    STORED,
    TO_DO,
    RunPlan,
)
from cmbench.benchmark.protocol import get_protocol
from cmbench.benchmark.rates import FILE, keep_speeds, read_rates
from cmbench.benchmark.records.environment import describe_environment, device_words
from cmbench.benchmark.request import RunRequest, parts
from cmbench.cli import app
from cmbench.errors import CmbenchError, UsageError
from cmbench.tasks.base import PAPER_TASKS
from cmbench.tests.benchmark.test_run import QUICK


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with no models, no data and an empty cache."""
    for name in ("CMBENCH_CACHE", "CMBENCH_MODELS", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "HF_HOME"))
    monkeypatch.delenv("CMBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def plan_run(model: str, tasks: str = "all", **options: Any) -> RunPlan:
    return plan_module.plan_run(RunRequest(parts([model]), parts([tasks]), **options))


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def states(plan: RunPlan) -> dict[str, str]:
    return {cell.task: cell.state for cell in plan.cells}


def test_the_headline_on_a_bare_machine(tmp_path: Path) -> None:
    plan = plan_run("CultureMERT-95M", "all")
    assert set(states(plan).values()) == {NO_DATA}
    assert {cell.task: round(cell.hours) for cell in plan.cells} == {
        "turkish_makam": 221,
        "carnatic": 239,
        "hindustani": 261,
        "lyra": 80,
        "fma_medium": 208,
        "magnatagatune": 170,
    }
    needs = {(need.name, need.yours): need for need in plan.needs}
    assert needs["turkish_makam", True].bytes == 5297 * 223 * 16_000
    assert needs["turkish_makam", True].rough
    assert needs["turkish_makam", False].bytes == 534224 + 76304 + 152624
    assert not needs["turkish_makam", False].rough
    assert needs["magnatagatune", False].licence == "CC BY-NC-SA 3.0"
    assert "YouTube" in needs["lyra", True].source
    model = needs["CultureMERT-95M", False]
    assert model.bytes == pytest.approx(378e6, rel=0.01), "MERT-v1-95M's pytorch_model.bin has 378 MB"
    assert model.licence == "CC BY-NC 4.0"
    dunya = "ask now, it can take days: carnatic, hindustani, turkish_makam, from https://dunya.compmusic.upf.edu"
    assert plan.order[0] == dunya
    prepared = [step.split()[3] for step in plan.order if step.startswith("cmbench tasks prepare")]
    assert prepared == ["lyra", "magnatagatune", "turkish_makam", "hindustani", "carnatic", "fma_medium"], "small first"
    assert plan.order[-1] == "cmbench run --model CultureMERT-95M --tasks all --data-root DATA_ROOT"
    assert (plan.unmeasured, plan.expected) == (("CultureMERT-95M",), ())
    assert everything(tmp_path) == {}


def test_the_mini_edition_is_not_rendered_for_a_plan(tmp_path: Path) -> None:
    plan = plan_run("MERT-v1-95M", "lyra", edition="mini", mini_scale=0.1)
    assert states(plan) == {"lyra": NO_MODEL}
    assert plan.order[-1] == "cmbench run --model MERT-v1-95M --tasks lyra --edition mini --mini-scale 0.1"
    assert everything(tmp_path) == {}


def test_the_command_at_the_end_is_the_run_that_was_planned() -> None:
    named: dict[str, Any] = {"protocol": "marble-1", "seeds": 3, "out": "my out", "device": "cpu", "mini_seed": 2}
    plan = plan_run("mfcc,chroma", "lyra", edition="mini", **named)
    assert plan.order[-1] == (
        "cmbench run --model mfcc,chroma --tasks lyra --edition mini --protocol marble-1 --out 'my out' --device cpu "
        "--seeds 3 --mini-seed 2"
    )


def test_what_ready_leaves_out_is_said_and_costs_no_hours(tmp_path: Path) -> None:
    speed = Speed("cpu", "float32", ceiling=1e12, seconds=0.48, operations=10**9, windows=16)
    keep_speeds([speed], tmp_path / "CMBENCH_CACHE")
    plan = plan_run("CultureMERT-95M", "ready,magnatagatune")
    assert {task: state for task, state in states(plan).items() if state != LEFT_OUT} == {"magnatagatune": NO_DATA}
    (expected,) = plan.expected
    assert expected.encode_hours == pytest.approx(21105 * 29 / 3600 / 1000)
    assert {need.name for need in plan.needs if need.blocks} == {"magnatagatune", "CultureMERT-95M"}


def test_a_plan_of_ready_with_nothing_here_does_not_say_that_the_run_goes_on() -> None:
    plan = plan_run("mfcc", "ready")
    assert set(states(plan).values()) == {NO_DATA}
    assert {need.name for need in plan.needs if need.blocks} == set(PAPER_TASKS)
    assert plan.notes[0] == NOTHING_READY
    printed = StringIO()
    print_run_plan(plan, Console(file=printed, width=200))
    assert "the run goes on without" not in printed.getvalue()


@pytest.fixture
def tones(make_task: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A task of which the audio is here."""
    task = make_task()
    for module in (plan_module, run_module):
        monkeypatch.setattr(module, "select_tasks", lambda _: (task,))
    return task


def plan_tones() -> Any:
    (cell,) = plan_run("mfcc", "tones", protocol=QUICK, out="out").cells
    return cell


def test_a_cell_goes_from_to_compute_to_finished(tones: Any, tmp_path: Path) -> None:
    assert (plan_tones().state, plan_tones().stored, plan_tones().tracks) == (TO_DO, 0, 36)
    cmbench.run("mfcc", "tones", protocol=QUICK, out="out")
    before = everything(tmp_path)
    done = plan_tones()
    assert (done.state, done.stored, done.hours_to_encode) == (FINISHED, 36, 0.0)
    assert plan_run("mfcc", "tones", protocol=QUICK, out="out").order == ()
    assert everything(tmp_path) == before
    for record in Path("out").rglob("*.json"):
        record.unlink()
    assert (plan_tones().state, plan_tones().hours_to_encode) == (STORED, 0.0)
    audio = next(tmp_path.rglob("test-00.wav"))
    audio.write_bytes(audio.read_bytes()[:-200])
    partly = plan_tones()
    assert (partly.state, partly.stored) == (PARTLY, 35)
    assert 0 < partly.hours_to_encode < partly.hours


def test_hours_come_from_the_models_own_records(tones: Any, tmp_path: Path) -> None:
    assert plan_run("mfcc", "tones", protocol=QUICK, out="out").unmeasured == ("mfcc",)
    (record,) = cmbench.run("mfcc", "tones", protocol=QUICK, out="out")
    (expected,) = plan_run("mfcc", "tones", protocol=QUICK, out="out").expected
    assert expected.device == device_words(record.environment)
    assert (expected.measured_by, expected.encode_hours, expected.probe_hours) == ("1 record", 0.0, 0.0)
    for path in (tmp_path / "CMBENCH_CACHE").rglob("*.index.json"):
        path.unlink()
    (again,) = plan_run("mfcc", "tones", protocol="cmbench-1", out="out").expected
    seconds = sum(p.stat().st_size / 16_000 for p in (tmp_path / "tones").glob("*.wav"))
    rate = record.cost.encode_seconds / record.cost.audio_seconds
    assert again.encode_hours == pytest.approx(rate * seconds / 3600)
    assert again.probe_hours is None, "another protocol has other probes"
    assert plan_run("chroma", "tones", protocol=QUICK, out="out").expected == (), "another model has another speed"


def test_the_doctors_figures_serve_the_network_that_it_ran_and_no_other(tmp_path: Path) -> None:
    cache = tmp_path / "CMBENCH_CACHE"
    speed = Speed("cpu", "float32", ceiling=1e12, seconds=0.48, operations=10**9, windows=16)
    assert speed.times_real_time == pytest.approx(1000)
    assert keep_speeds([speed], cache) == cache / FILE
    plan = plan_run("CultureMERT-95M,MERT-v1-330M,mfcc", "magnatagatune")
    (expected,) = plan.expected
    assert (expected.model, expected.measured_by) == ("CultureMERT-95M", "doctor")
    assert expected.device == device_words(describe_environment("cpu"))
    assert expected.encode_hours == pytest.approx(21105 * 29 / 3600 / 1000)
    assert expected.probe_hours is None
    assert plan.unmeasured == ("MERT-v1-330M", "mfcc")
    rates, _ = read_rates(tmp_path / "none", cache, {"MERT-v1-95M": None}, get_protocol("cmbench-1"), "bfloat16")
    assert rates == {"MERT-v1-95M": ()}, "one precision says nothing of the other"


@pytest.mark.parametrize("content", ["{", '{"devices": [1]}', '{"schema": 1, "devices": {"x": {"y": {}}}}', "[]"])
def test_a_damaged_file_of_speeds_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / FILE
    path.write_text(content)
    with pytest.raises(CmbenchError, match=r"doctor\.json is not what `cmbench doctor --benchmark` writes; remove it"):
        read_rates(tmp_path / "none", tmp_path, {"mfcc": None}, get_protocol("cmbench-1"), "float32")
    path.write_text('{"schema": 2, "devices": {}}')
    with pytest.raises(CmbenchError, match="schema 2 is not 1"):
        read_rates(tmp_path / "none", tmp_path, {"mfcc": None}, get_protocol("cmbench-1"), "float32")


def test_splits_of_an_own_corpus_are_not_written_by_a_plan(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "task.yaml").write_text("name: mine\nlabels: [a, b]\n")
    rows = [f"t{i},t{i}.wav,g{i // 2},{'ab'[i % 2]}" for i in range(60)]
    (folder / "tracks.csv").write_text("id,path,group,labels\n" + "\n".join(rows) + "\n")
    for i in range(60):
        (folder / f"t{i}.wav").write_bytes(b"x" * 1600)
    before = everything(tmp_path)
    (cell,) = plan_run("mfcc", str(folder)).cells
    assert (cell.edition, cell.state, cell.tracks) == ("custom", TO_DO, 60)
    assert cell.hours == pytest.approx(60 * 0.1 / 3600)
    assert everything(tmp_path) == before


def test_the_command_prints_text_and_json_and_writes_nothing(tmp_path: Path) -> None:
    words = ["run", "--model", "CultureMERT-95M", "--tasks", "all", "--plan"]
    text = CliRunner().invoke(app, words)
    assert text.exit_code == 0, text.output
    flat = " ".join(text.output.split())
    assert "Nothing was written, fetched or computed." in flat
    assert "magnatagatune: 4 files · about 3.0 GB · from https://mirg.city.ac.uk" in flat
    assert "only with your account, or from you" in flat
    assert "encoding was not measured on any device here: `cmbench doctor --benchmark`" in flat
    content = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert content["schema"] == 1
    assert len(content["cells"]) == 6
    assert content["needs"][0]["name"] == "carnatic"
    assert everything(tmp_path) == {}


def test_what_means_nothing_is_refused_as_in_a_run(tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"edition": "medium"}, "no edition"),
        ({"data_root": tmp_path / "none"}, "is not a folder"),
        ({"protocol": "x"}, "no protocol"),
        ({"seeds": 0}, "at least 1"),
        ({"split": "marble"}, "no split 'marble'"),
    ]
    for options, message in wrong:
        with pytest.raises(UsageError, match=message):
            plan_run("mfcc", "lyra", **({"edition": "mini"} | options))
    with pytest.raises(UsageError, match="No model was named"):
        plan_run(" , ", "lyra")
    with pytest.raises(UsageError, match="There is no model named"):
        plan_run("mfcx", "lyra")
    alone = CliRunner().invoke(app, ["run", "--model", "mfcc", "--tasks", "lyra", "--json"])
    assert "--json goes with --plan" in str(alone.exception)
