"""The command line as a user types it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COMMANDS = (
    ("run",),
    ("report",),
    ("report", "html"),
    ("report", "reported"),
    ("report", "forgetting"),
    ("report", "layers"),
    ("report", "labels"),
    ("report", "families"),
    ("report", "calibration"),
    ("report", "cost"),
    ("report", "similarity"),
    ("compare",),
    ("merge",),
    ("submit",),
    ("leaderboard",),
    ("leaderboard", "verify"),
    ("leaderboard", "reproduce"),
    ("leaderboard", "withdraw"),
    ("schema",),
    ("tasks",),
    ("tasks", "show"),
    ("tasks", "prepare"),
    ("tasks", "verify"),
    ("tasks", "audit"),
    ("models",),
    ("models", "show"),
    ("models", "check"),
    ("models", "prepare"),
    ("doctor",),
    ("export", "hf"),
    ("export", "results"),
    ("cache",),
    ("cache", "ls"),
    ("cache", "verify"),
    ("cache", "gc"),
    ("mini",),
    ("mini", "listen"),
)


def cmbench(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the program; its output as text, wide enough not to wrap."""
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, "-m", "cmbench", *map(str, words)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
        **options,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    done = cmbench(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    if command not in (
        ("schema",),
        ("tasks",),
        ("models",),
        ("cache",),
        ("cache", "ls"),
        ("cache", "verify"),
        ("report", "reported"),
    ):
        assert "Example" in done.stdout


def test_tasks_and_models_are_listed() -> None:
    tasks, models = cmbench("tasks").stdout, cmbench("models").stdout
    for name in ("turkish_makam", "carnatic", "hindustani", "lyra", "magnatagatune", "fma_medium"):
        assert re.search(rf"^\s*{name}\b", tasks, re.MULTILINE)
    for name in ("constant", "mfcc", "chroma", "random-mert-nano", "MERT-v1-95M", "CultureMERT-95M"):
        assert re.search(rf"^\s*{name}\b", models, re.MULTILINE)


def test_a_task_is_shown_whole() -> None:
    shown = cmbench("tasks", "show", "lyra").stdout
    for words in ("instruments--Voice (223)", "genre", "licence", "citation", "audio", "Epirus"):
        assert words in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--model", "chroma", "--tasks", "lira", "--edition", "mini"), "Did you mean lyra"),
        (("run", "--model", "crhoma", "--tasks", "lyra", "--edition", "mini"), "Did you mean chroma"),
        (("tasks", "show", "makams"), "no task named"),
        (("models", "show", "./nowhere"), "nowhere"),
        (("report", "nowhere"), "does not exist"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_a_traceback(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = cmbench(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("results*")) == []


def test_missing_data_are_listed_with_their_remedy_and_nothing_is_done(tmp_path: Path) -> None:
    done = cmbench("run", "--model", "chroma", "--tasks", "all", cwd=tmp_path)
    assert done.returncode == 2
    words = " ".join(done.stderr.split())
    for word in ("turkish_makam", "lyra", "magnatagatune", "licence", "source", "--edition mini"):
        assert word in words
    assert not (tmp_path / "results").exists()


MINI = ("run", "--model", "constant,chroma", "--tasks", "hindustani", "--edition", "mini", "--mini-scale", "0.1")


def test_a_small_run_from_nothing_to_page_and_again_from_the_cache(tmp_path: Path, own_cache: Path) -> None:
    first = cmbench(*MINI, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "mini" in first.stdout
    assert "hindustani" in first.stdout
    page = tmp_path / "results" / "report.html"
    assert "mini" in page.read_text(encoding="utf-8")
    records = {p: p.read_bytes() for p in (tmp_path / "results").rglob("*.json")}
    assert len(records) == 2
    second = cmbench(*MINI, cwd=tmp_path)
    assert second.stdout == first.stdout
    assert "finished before" in second.stderr
    assert {p: p.read_bytes() for p in (tmp_path / "results").rglob("*.json")} == records
    assert "chroma" in cmbench("cache", "ls").stdout
    assert "0 problems" in cmbench("cache", "verify").stdout
    report = cmbench("report", "results", "--out", "page.html", "--figures", "figures", cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    assert sorted({p.suffix for p in (tmp_path / "figures").iterdir()}) == [".png", ".svg"]
    shard = next(own_cache.rglob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    assert cmbench("cache", "verify").returncode == 1
    assert "removed" in cmbench("cache", "gc").stdout
    assert cmbench("cache", "verify").returncode == 0


def start(tmp_path: Path, out: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cmbench", *MINI, "--out", out],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_and_ends_the_same(tmp_path: Path, blow: signal.Signals) -> None:
    process = start(tmp_path, "cut")
    features = Path(os.environ["CMBENCH_CACHE"]) / "features"
    deadline = time.monotonic() + 120
    while process.poll() is None and not list(features.rglob("*.index.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(blow)
    _, errors = process.communicate(timeout=60)
    if blow is signal.SIGINT and process.returncode != 0:
        # Python lets the signal itself end `python -m` where the interrupt fell into code that runs a string, as
        # dataclasses do while modules are imported (Modules/main.c: Py_RunMain). A shell shows 130 for both.
        assert process.returncode in (130, -signal.SIGINT), errors
        assert "the same command goes on" in errors
        assert "Traceback" not in errors
    assert cmbench(*MINI, "--out", "cut", cwd=tmp_path).returncode == 0
    os.environ["CMBENCH_CACHE"] += "-undisturbed"  # the fixture sets it again for the next test
    assert cmbench(*MINI, "--out", "whole", cwd=tmp_path).returncode == 0
    from cmbench.benchmark.records.folder import iter_records

    # Sorted: models that were begun in the same second stand in the order of their names.
    cut, whole = (sorted(r.stable_json() for r in iter_records(tmp_path / out)) for out in ("cut", "whole"))
    assert cut == whole


def test_ctrl_c_while_modules_are_imported_is_quiet() -> None:
    code = (
        "import sys\n"
        "class Blow:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'cmbench.benchmark.commands.merge':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Blow())\n"
        "from cmbench.__main__ import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "tasks"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "Interrupted. Nothing had begun.\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run --model mfcc --tasks lyra", "same command goes on from there"),
        ("tasks prepare lyra", "same command goes on from there"),
        ("pretrain mert-nano --out x", "--resume goes on from the last"),
        ("tasks verify lyra", "Interrupted. The same command begins anew."),
        ("compare a b", "Interrupted. The same command begins anew."),
    ],
)
def test_an_interrupt_says_what_is_true_of_the_command(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cmbench import cli

    def blow() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", blow)
    monkeypatch.setattr(sys, "argv", ["cmbench", *words.split()])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    told = capsys.readouterr().err
    assert stop.value.code == 130
    assert said in told
    assert ("--resume" in told) == words.startswith("pretrain")


@pytest.mark.parametrize("words", [("report", "reported"), ("schema",), ("tasks", "--help")])
def test_a_reader_that_leaves_early_is_no_error(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        command = [sys.executable, "-m", "cmbench", *words]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (141, "")


def test_models_are_checked_exported_and_run_from_the_export(tmp_path: Path) -> None:
    checked = cmbench("models", "check", "random-mert-nano")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("kept") == 10
    exported = cmbench("export", "hf", "random-mert-nano", "--out", tmp_path / "mine")
    assert exported.returncode == 0, exported.stderr
    shown = cmbench("models", "show", tmp_path / "mine")
    assert "5 of 96" in shown.stdout
    again = cmbench("export", "hf", "random-mert-nano", "--out", tmp_path / "mine")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_broken_promise_ends_in_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "broken_models.py").write_text(
        "import numpy as np\nfrom cmbench.baselines import EncoderCard, EncoderEntry\n"
        "class Model:\n"
        "    card = EncoderCard('broken', 'x', 8000, 1, 1, ('a',), 0.1, 0, 'MIT', (), '0', '1', 'none')\n"
        "    def encode(self, audio):\n        return (audio / np.abs(audio).max()).std(1)[:, None, None]\n"
        "entry = EncoderEntry('broken', 'Broken.', 'MIT', 'x', lambda options: Model())\n"
    )
    info = tmp_path / "broken_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cmbench.baselines]\nbroken = broken_models:entry\n")
    done = subprocess.run(
        [sys.executable, "-m", "cmbench", "models", "check", "broken"],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "BROKEN" in done.stdout


def test_doctor_and_preparations() -> None:
    done = cmbench("doctor")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^ok +torch +\d", done.stdout, re.MULTILINE)
    assert "musicnn" in cmbench("models", "prepare").stdout
    unknown = cmbench("models", "prepare", "musicn")
    assert unknown.returncode == 2
    assert "Did you mean musicnn" in unknown.stderr


def test_reported_figures_need_no_records() -> None:
    done = cmbench("report", "reported")
    assert done.returncode == 0, done.stderr
    assert "69.3" in done.stdout
    assert "never ranked" in done.stdout


def test_bfloat16_without_units_is_refused(tmp_path: Path) -> None:
    words = ("--tasks", "lyra", "--edition", "mini", "--device", "cpu", "--precision", "bfloat16")
    done = cmbench("run", "--model", "random-mert-nano", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "no bfloat16 units" in done.stderr


def test_an_audit_is_kept_and_told_with_the_result(tmp_path: Path) -> None:
    import json

    import numpy as np
    import soundfile

    rows = ["id,path,split,group,labels"]
    for number, split in enumerate(["train"] * 12 + ["valid"] * 6 + ["test"] * 6):
        noise = np.random.default_rng(number).standard_normal(8000) * 0.1
        soundfile.write(tmp_path / f"{number}.wav", noise * (1 + number % 2), 8000)
        rows.append(f"{number},{number}.wav,{split},album {number % 11},{'loud' if number % 2 else 'soft'}")
    (tmp_path / "tracks.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "task.yaml").write_text("name: noise\nlabels: [loud, soft]\n", encoding="utf-8")
    task, leak = str(tmp_path / "task.yaml"), "6 of 6 test tracks share a known group with train or valid"
    done = cmbench("tasks", "audit", task, "--no-audio", "--out", tmp_path / "audit.json")
    assert done.returncode == 0, done.stderr
    assert leak in done.stdout
    assert json.loads((tmp_path / "audit.json").read_bytes())["audio"] is None
    done = cmbench("run", "-m", "mfcc", "-t", task, "-o", tmp_path / "out", "--seeds", "1", "--split", "group-safe")
    assert done.returncode == 0, done.stderr
    assert "custom edition · group-safe split" in done.stdout
    assert "Audit of noise: 0 of" in done.stdout
    without = [",".join([*r.split(",")[:3], "", r.split(",")[4]]) if i else r for i, r in enumerate(rows)]
    (tmp_path / "tracks.csv").write_text("\n".join(without), encoding="utf-8")
    refused = cmbench("run", "-m", "mfcc", "-t", task, "-o", tmp_path / "out", "--split", "group-safe")
    assert refused.returncode == 2
    assert "give the tracks their groups in the column `group` of" in refused.stderr
