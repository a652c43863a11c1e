"""The command from end to end: a folder that cmbench and transformers load, and goes on training from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

import cmbench
from cmbench.baselines.base import LoadOptions
from cmbench.baselines.hub.about import read_trained_on
from cmbench.baselines.registry import load_encoder
from cmbench.cli import app
from cmbench.errors import UsageError
from cmbench.pretraining.pretrain import PretrainOptions, pretrain
from cmbench.pretraining.recipes.reading import open_recipe
from cmbench.tasks.base import LoadContext
from cmbench.tests.conftest import write_tone

SMALL = (
    "contrast.weight=0",
    "batch.crops=2",
    "batch.together=2",
    "batch.seconds=1.5",
    "held_out.tracks=1",
    "held_out.crops=1",
    "targets.codebook_size=4",
    "stages.only.steps=4",
    "stages.only.hours.western=0.002",
    "targets.hours={greek: 0, turkish: 0, hindustani: 0, carnatic: 0, western: 0}",
)


QUIET = Console(quiet=True)


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["pretrain", *arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """Sources of folders with a few tones for Greek and Western music, and none for the others."""
    for tradition in ("greek", "western"):
        for i in range(8):
            write_tone(tmp_path / tradition / f"{i}.wav", 200 + 40 * i, 2.0, seed=i + 10 * (tradition == "greek"))
    named = {t: f"[folder:{tmp_path / t}]" for t in ("greek", "western")}
    named |= dict.fromkeys(("turkish", "hindustani", "carnatic"), "[]")
    return [f"sources.{t}={source}" for t, source in named.items()]


@pytest.mark.parametrize("dtype", ["bfloat16", "float64", "int8", "half a pound"])
def test_weights_are_stored_in_two_types_and_others_are_refused_before_anything_is_done(
    tmp_path: Path, dtype: str
) -> None:
    for more in ([], ["--dry-run"]):
        with pytest.raises(UsageError, match=f"There is no dtype '{dtype}'; choose float32 or float16"):
            run("mert-nano", "--out", str(tmp_path / "out"), "--dtype", dtype, *more)
    assert not (tmp_path / "out").exists()
    options = PretrainOptions(tmp_path / "out", LoadContext(None, tmp_path), dtype=dtype)
    with pytest.raises(UsageError, match="There is no dtype"):
        pretrain(open_recipe("mert-nano"), options, Console(quiet=True), print)


def test_a_model_from_end_to_end(tmp_path: Path, sources: list[str]) -> None:
    out = tmp_path / "my-nano"
    result = run("mert-nano", *SMALL, *sources, "--out", str(out), "--max-steps", "2", "--device", "cpu")
    assert "2 of 4 updates" in result.output
    assert not (out / "training" / "tensorboard").exists()
    result = run("mert-nano", *SMALL, *sources, "--out", str(out), "--resume", "--device", "cpu", "--tensorboard")
    assert "4 of 4 updates" in result.output
    assert len(list((out / "training" / "tensorboard").iterdir())) == 1

    facts = json.loads((out / "pretraining.json").read_text())
    assert facts["steps"] == facts["planned_steps"] == 4
    assert facts["edition"] == "full"
    assert facts["contaminated"] is False
    assert facts["recipe_marks"]["stages.only.steps"] == "command line"
    assert str(tmp_path) not in (out / "pretraining.json").read_text() + (out / "README.md").read_text()
    assert read_trained_on(out)[0].startswith("Western 0.002")
    log = [json.loads(line) for line in (out / "training" / "log.jsonl").read_text().splitlines()]
    assert {line["tradition"] for line in log if line["kind"] == "held-out"} == {"greek", "western"}

    encoder = load_encoder(str(out))
    assert encoder.card.weights_sha256 == facts["weights_sha256"]
    assert encoder.card.name == "my-nano"
    cmbench.register()
    from transformers import AutoModel

    audio = np.random.default_rng(0).standard_normal((1, 24_000)).astype(np.float32)
    model = AutoModel.from_pretrained(out, dtype=torch.float32).eval()
    with torch.no_grad():
        states = model(torch.from_numpy(audio), output_hidden_states=True).hidden_states
    expected = np.stack([state[0].mean(0).numpy() for state in states])
    np.testing.assert_allclose(encoder.encode(audio)[0], expected, rtol=1e-3, atol=1e-4)

    # An adapted model keeps its start's heads and teacher, and says what it comes from.
    greek = tmp_path / "greek-own"
    changes = ("stages.first.steps=1", "stages.second.steps=1", f"start={out}", "stages.first.hours.western=0.001")
    hours = ("stages.first.hours.greek=0.002", "stages.second.hours.greek=0.002")
    run("greek-nano", *SMALL[:7], *sources, *changes, *hours, "--out", str(greek), "--device", "cpu")
    adapted = json.loads((greek / "pretraining.json").read_text())
    assert adapted["drawn"] == []
    assert adapted["teacher"] == facts["teacher"]
    assert adapted["start"]["weights_sha256"] == facts["weights_sha256"]
    for kept in ("exclusion_sha256", "held_out_sha256"):
        assert adapted["start"][kept] == facts[kept]
        assert len(facts[kept]) == 64
    assert [corpus.split()[0] for corpus in read_trained_on(greek)] == ["Western", "Greek", "Western"]

    # A run does not go on from another start than it began with.
    begun = greek / "training" / "start.json"
    assert json.loads(begun.read_text())["weights_sha256"] == facts["weights_sha256"]
    again = ("greek-nano", *SMALL[:7], *sources, *changes, *hours, "--out", str(greek), "--device", "cpu", "--resume")
    beside = ("README.md", "config.json", "preprocessor_config.json", "heads.safetensors", "pretraining.json")
    for name in ("training/start.json", "training/teacher.npz", *beside):
        whole = (greek / name).read_bytes()
        (greek / name).write_bytes(whole[:40] + bytes([whole[40] ^ 4]) + whole[41:])
        with pytest.raises(UsageError, match=rf"{name}: (damaged|it is not|this is not)"):
            run(*again)
        (greek / name).write_bytes(whole)
    begun.write_text(json.dumps({"weights_sha256": "0" * 64}))
    with pytest.raises(UsageError, match="began with other weights"):
        run(*again)


def test_dry_run_writes_nothing(tmp_path: Path, sources: list[str]) -> None:
    out = tmp_path / "nothing"
    result = run("mert-nano", *SMALL, *sources, "--out", str(out), "--dry-run", "--device", "cpu")
    assert not out.exists()
    for told in ("as in MERT", "command line", "Updates: 4", "GiB", "Time on cpu: about", "heads included"):
        assert told in result.output


def test_without_a_recipe_they_are_listed() -> None:
    assert "culturemert-95m-single-stage" in run().output


def test_a_full_folder_is_not_written_over(tmp_path: Path, sources: list[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        run("mert-nano", *SMALL, *sources, "--out", str(tmp_path / "full"))
    with pytest.raises(UsageError, match="no run to resume"):
        run("mert-nano", *SMALL, *sources, "--out", str(tmp_path / "full"), "--resume")


def test_where_there_is_no_run_none_is_resumed(tmp_path: Path, sources: list[str]) -> None:
    with pytest.raises(
        UsageError, match=r"nothing: there is no run to resume there\. Leave out --resume to begin one\."
    ):
        run("mert-nano", *SMALL, *sources, "--out", str(tmp_path / "nothing"), "--resume")
    assert not (tmp_path / "nothing").exists()


def test_the_recipe_is_noted_before_anything_slow_and_another_is_refused(
    tmp_path: Path, sources: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cmbench.pretraining import pretrain as story

    out, begun = tmp_path / "early", tmp_path / "early" / "training" / "start.json"
    command = ("mert-nano", *SMALL, *sources, "--out", str(out), "--device", "cpu", "--max-steps", "2")

    def killed(*_: object) -> None:
        assert set(json.loads(begun.read_text())) == {"recipe_sha256", "weights_sha256", "sha256"}
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(story, "build_corpus", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(open_recipe("mert-nano"), PretrainOptions(out, LoadContext(None, tmp_path)), QUIET, print)
    with pytest.raises(UsageError, match=r"the run there has another recipe .* Give the same recipe and changes as"):
        run(*command, "--resume")
    begun.unlink()
    assert "Nothing saved yet: begins at update 0." in run(*command, "--resume").stderr
    noted = json.loads(begun.read_text())
    assert noted["recipe_sha256"] == json.loads((out / "pretraining.json").read_text())["recipe_sha256"]
    with pytest.raises(UsageError, match="another recipe"):
        run(*command, "seed=5", "--resume")
    told = run(*command[:-1], "4", "--resume").stderr
    assert "Goes on from update 2 of 4 (stage only)." in told


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path: Path, sources: list[str]) -> None:
    command = ("mert-nano", *SMALL, *sources, "stages.only.hours.western=9", "--out", str(tmp_path / "more" / "none"))
    with pytest.raises(UsageError, match="are asked for"):
        run(*command, "--device", "cpu")
    assert not (tmp_path / "more" / "none").exists()


def test_a_missing_start_is_told_before_anything_is_made(tmp_path: Path, sources: list[str]) -> None:
    out = tmp_path / "early"
    for start in (tmp_path / "absent", tmp_path / "absent.pt"):
        with pytest.raises(UsageError, match="absent"):
            run("mert-nano", *SMALL, *sources, f"start={start}", "--out", str(out))
    assert not out.exists()


def test_bfloat16_is_not_emulated(tmp_path: Path, sources: list[str]) -> None:
    with pytest.raises(UsageError, match="bfloat16"):
        run(
            "mert-nano", *SMALL, *sources, "running.precision=bfloat16", "--device", "cpu", "--out", str(tmp_path / "x")
        )


def test_fewer_updates_than_none_are_no_run(tmp_path: Path, sources: list[str]) -> None:
    with pytest.raises(UsageError, match="max-steps -1"):
        run("mert-nano", *SMALL, *sources, "--max-steps", "-1", "--device", "cpu", "--out", str(tmp_path / "x"))


def test_a_model_with_a_melody_stream_and_its_twin_before_the_first_update(tmp_path: Path, sources: list[str]) -> None:
    parts = "projection,transformer,mask_vector,codewords,heads,melody,contrast_head"
    network = ("network.patterns=8", "network.rhythms=0", f"stages.only.train=[{parts}]")
    changes = (*network, "contrast.weight=1", "contrast.pairs=3", "contrast.positives=crops")
    features = {}
    audio = np.random.default_rng(0).standard_normal((1, 48_000)).astype(np.float32)
    for name, steps in (("twin", "0"), ("trained", "2")):
        out = tmp_path / name
        done = run("mert-nano", *SMALL, *sources, *changes, "--max-steps", steps, "--device", "cpu", "--out", str(out))
        assert done.exit_code == 0, done.output
        config = json.loads((out / "config.json").read_text())
        assert (config["model_type"], config["melody_stream"]["patterns"]) == ("mert_model", 8)
        assert json.loads((out / "pretraining.json").read_text())["steps"] == int(steps)
        features[name] = load_encoder(str(out), LoadOptions("cpu", True)).encode(audio)
    twin, trained = (load_file(tmp_path / name / "model.safetensors") for name in ("twin", "trained"))
    moved = {name for name in twin if not torch.equal(twin[name], trained[name])}
    assert {"melody.salience.wide.weight", "melody.patterns.weight"} <= moved
    assert not any(name.startswith("feature_extractor.") for name in moved)
    assert not np.allclose(features["twin"], features["trained"])
