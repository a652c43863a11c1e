"""The story of a run: from audio files to records, once, and the same every time."""

from __future__ import annotations

import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

import cmbench
from cmbench.benchmark import models as models_module
from cmbench.benchmark import run as run_module
from cmbench.benchmark.commands.progress import TerminalObserver
from cmbench.benchmark.comparing.compare import compare
from cmbench.benchmark.features.remote import pull, push
from cmbench.benchmark.features.store import FeatureStore
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.protocol import ProbeSettings, Protocol, get_protocol
from cmbench.benchmark.records.evidence import evidence_of, iter_evidence
from cmbench.benchmark.records.folder import iter_records
from cmbench.benchmark.records.record import Record
from cmbench.errors import CmbenchError, Missing, MissingError, UsageError
from cmbench.leaderboards.verification.crosschecks import cell
from cmbench.leaderboards.verification.rescoring import check_scores
from cmbench.tasks.audit.verify import verify
from cmbench.tasks.base import PAPER_TASKS, LoadContext, Track

QUICK = replace(
    get_protocol("cmbench-1"),
    name="quick",
    probe=ProbeSettings(hidden=16, learning_rates=(3e-3, 1e-2), max_epochs=30, seeds=(1, 2)),
    resamples=200,
)


LOOK = 1
"""Windows of noise that a given encoder is known by."""


class Watcher(Observer):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.there: list[bool] = []

    def failed_tracks(self, task: str, edition: str, failed: Any) -> None:
        self.failed += [f.id for f in failed]

    def finished(self, record: Record, was_there: bool) -> None:
        self.there.append(was_there)


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run an encoder on a task object through the public function."""

    def run(encoder: Any, task: Any, out: str = "out", protocol: Protocol = QUICK, **options: Any) -> list[Record]:
        monkeypatch.setattr(run_module, "select_tasks", lambda _: (task,))
        return cmbench.run(encoder, "tones", protocol=protocol, out=tmp_path / out, **options)

    return run


def test_good_features_score_high_and_useless_ones_at_chance(go: Any, make_task: Any, make_encoder: Any) -> None:
    (good,) = go(make_encoder(), make_task(sizes=(24, 12, 24)))
    by_label = {s.label: s for s in good.labels}
    assert by_label["instrument--low"].roc_auc > 0.95
    assert good.selection.layer != "b", "the useless hidden state is not chosen"
    assert [layer.layer for layer in good.layers] == ["a", "b", "fused"]
    (flat,) = go(make_encoder(name="flat", weights="2" * 64, constant=True), make_task(sizes=(24, 12, 24)))
    assert flat.metrics["roc_auc"].value == 0.5
    assert (flat.metrics["roc_auc"].interval.low, flat.metrics["roc_auc"].interval.high) == (0.5, 0.5)
    prevalence = np.mean([s.prevalence for s in flat.labels])
    assert flat.metrics["average_precision"].value == pytest.approx(prevalence)


def test_two_runs_give_the_same_bytes(
    go: Any, make_task: Any, make_encoder: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    task = make_task()
    (first,) = go(make_encoder(), task, "one", workers=1)
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "another cache"))
    (second,) = go(make_encoder(), task, "two", workers=4)
    assert first.stable_json() == second.stable_json()
    assert first.predictions.sha256 == second.predictions.sha256


def test_a_protocol_that_trains_again_keeps_what_it_needs(
    go: Any, make_task: Any, make_encoder: Any, tmp_path: Path
) -> None:
    again = replace(QUICK, name="again", intervals=2, train_resamples=4)
    task = make_task(sizes=(24, 12, 24))
    (plain,), (first,) = (go(make_encoder(), task, protocol=protocol) for protocol in (QUICK, again))
    (second,) = go(make_encoder(name="other", weights="3" * 64), task, protocol=again)
    assert {name: m.per_seed for name, m in first.metrics.items()} == {n: m.per_seed for n, m in plain.metrics.items()}
    found = {e.record.model.name + e.record.protocol.name: e for e in iter_evidence(tmp_path / "out")}
    told = found["countingagain"]
    assert found["countingquick"].resampled is None
    assert told.resampled is not None
    assert told.resampled.shape == (4, *told.targets.shape)
    # Everything that the record says follows from what lies beside it.
    assert list(check_scores(told, again)) == []
    forged = replace(told, resampled=told.resampled * np.linspace(0.2, 1, len(told.targets), dtype=np.float32)[:, None])
    assert any("computed again" in finding.message for finding in check_scores(forged, again))
    comparison = compare([told], [found["otheragain"]], resamples=200)
    assert second.model.name == "other"
    judged = comparison.tasks[0].metrics["roc_auc"]
    assert judged.trainings == 4
    assert judged.judgement == judged.verdict


def test_one_named_model_is_in_memory_at_a_time(
    go: Any, make_task: Any, make_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    living: weakref.WeakSet[Any] = weakref.WeakSet()
    most = []

    def load(name: str, options: object) -> Any:
        gc.collect()
        most.append(len(living))
        living.add(encoder := Living(name=name, weights=name * 64))
        return encoder

    class Living(make_encoder):  # type: ignore[misc]
        __hash__ = object.__hash__

    monkeypatch.setattr(models_module, "load_encoder", load)
    assert [record.model.name for record in go("1,2", make_task())] == ["1", "2"]
    assert most == [0] * 4, "when one is loaded, for its card and to encode, no other is left"


def test_a_finished_cell_is_read_and_a_changed_one_is_not(
    go: Any, make_task: Any, make_encoder: Any, tmp_path: Path
) -> None:
    task, watcher, encoder = make_task(), Watcher(), make_encoder()
    (first,) = go(encoder, task, observer=watcher)
    encoded = encoder.encoded
    assert go(encoder, task, observer=watcher) == [first]
    assert (watcher.there, encoder.encoded) == ([False, True], encoded + LOOK)
    go(encoder, task, observer=watcher, force=True)
    assert (watcher.there[-1], encoder.encoded) == (False, encoded + 2 * LOOK), "stored features are used"
    path = tmp_path / "tones" / "test-00.wav"
    audio, rate = soundfile.read(path)
    soundfile.write(path, audio[::-1], rate, subtype="PCM_16")
    (changed,) = go(encoder, task, observer=watcher)
    assert watcher.there[-1] is False
    assert changed.task.audio_sha256 != first.task.audio_sha256
    assert encoder.encoded == encoded + 3 * LOOK + 1
    predictions = tmp_path / "out" / "counting" / first.predictions.file
    predictions.write_bytes(b"damaged")
    go(encoder, task, observer=watcher)
    assert watcher.there[-1] is False
    go(make_encoder(weights="1" * 64), task, observer=watcher)
    assert watcher.there[-1] is False
    go(encoder, task, observer=watcher, seeds=3)
    assert watcher.there[-1] is False
    assert {p.name for p in predictions.parent.glob("*.json")} == {
        "tones.custom.own.quick.json",
        "tones.custom.own.quick+seeds3.json",
    }


@pytest.mark.parametrize("old", ["tones", "usul--slow", "deaf"])
def test_an_edited_record_is_named_and_computed_again(
    go: Any, make_task: Any, encoder: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, old: str
) -> None:
    watcher = Watcher()
    (first,) = go(encoder, make_task(), observer=watcher)
    path = tmp_path / "out" / "counting" / "tones.custom.own.quick.json"
    text = path.read_text(encoding="utf-8")
    score = f'"value": {first.metrics["roc_auc"].value}'
    path.write_text(text.replace(old, "edited") if old in text else text.replace(score, '"value": 0.946'), "utf-8")
    assert path.read_text(encoding="utf-8") != text
    (again,) = go(encoder, make_task(), observer=watcher)
    assert (again.stable_json(), watcher.there[-1]) == (first.stable_json(), False)
    assert f"{path} has changed since it was written" in caplog.text


@pytest.mark.parametrize("at", [0, 60, -1])
@pytest.mark.parametrize("ending", ["safetensors", "index.json", "about.json"])
def test_a_flipped_byte_of_the_store_is_named_and_mended(
    go: Any,
    make_task: Any,
    make_encoder: Any,
    own_cache: Path,
    caplog: pytest.LogCaptureFixture,
    ending: str,
    at: int,
) -> None:
    task, encoder = make_task(), make_encoder()
    (first,) = go(encoder, task)
    (file,) = own_cache.glob(f"features/*/*/*{ending}")
    content = bytearray(file.read_bytes())
    content[at] ^= 2
    file.write_bytes(content)
    caplog.clear()
    (again,) = go(encoder, task, force=True)
    assert again.stable_json() == first.stable_json()
    assert str(file) in caplog.text
    content[at] ^= 2
    if ending == "safetensors":
        assert file.read_bytes() == content


def test_finished_cells_need_no_features(go: Any, make_task: Any, make_encoder: Any, own_cache: Path) -> None:
    import shutil

    task, encoder = make_task(), make_encoder()
    (first,) = go(encoder, task)
    shutil.rmtree(own_cache)
    encoded = encoder.encoded
    assert go(encoder, task) == [first]
    assert encoder.encoded == encoded + LOOK


def test_broken_tracks_are_counted_by_name_and_the_run_goes_on(
    go: Any, make_task: Any, encoder: Any, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.wav"
    empty.write_bytes(b"")
    watcher = Watcher()
    extra = [Track("empty", empty, ()), Track("gone", tmp_path / "gone.wav", ())]
    (record,) = go(encoder, make_task(extra=extra), observer=watcher)
    assert record.coverage.asked == {"train": 18, "valid": 8, "test": 12}
    assert record.coverage.used == {"train": 16, "valid": 8, "test": 12}
    assert [(f.id, f.split, f.file) for f in record.coverage.failed] == [
        ("empty", "train", "empty.wav"),
        ("gone", "train", "gone.wav"),
    ]
    assert watcher.failed == ["empty", "gone"]
    assert all(f.reason for f in record.coverage.failed)


def test_what_verify_calls_usable_is_what_a_run_uses(
    go: Any, make_task: Any, make_encoder: Any, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).standard_normal(16_000)
    kinds = {
        "constant": np.full(16_000, 0.25),
        "zeros": np.zeros(16_000),
        "one step": (noise > 3) * 2.0**-15,
        "faint": 2.0**-14 * noise,
        "click": np.eye(1, 16_000, 50)[0],
        "10 ms": 0.1 * noise[:80],
        "0.5 s": 0.1 * noise[:4000],
        "one sample": np.ones(1),
        "nan": np.where(noise > 3, np.nan, noise),
        "antiphase": np.stack([0.1 * noise, -0.1 * noise], axis=1),
    }
    paths = {name: tmp_path / f"{name}.wav" for name in kinds}
    for name, samples in kinds.items():
        soundfile.write(paths[name], samples, 8000, subtype="FLOAT")
    paths["cut"] = tmp_path / "cut.wav"
    paths["cut"].write_bytes(paths["faint"].read_bytes()[:9000])
    paths["gone"] = tmp_path / "gone.wav"
    task = make_task(extra=tuple(Track(name, path, ()) for name, path in paths.items()))
    found = verify(task.load("custom", LoadContext(None, tmp_path)))
    (record,) = go(make_encoder(), task)
    assert {name: split.usable for name, split in found.splits.items()} == record.coverage.used
    unusable = {fault.id for fault in found.faults} - {"0.5 s"}
    assert unusable == {failed.id for failed in record.coverage.failed}
    assert {"constant", "zeros", "one step", "10 ms", "one sample", "nan", "cut", "gone"} == unusable


def test_another_decoder_is_in_the_key_and_the_environment(
    go: Any, make_task: Any, make_encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "joined.mp3"
    for name in ("a.mp3", "b.mp3"):
        soundfile.write(tmp_path / name, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    path.write_bytes((tmp_path / "a.mp3").read_bytes() * 2)
    task = make_task(extra=(Track("joined", path, ()), Track("plain", tmp_path / "b.mp3", ())))
    encoder, (plain,) = make_encoder(), go(make_encoder(), make_task())
    assert "libsndfile-parts" not in plain.environment.packages
    (first,) = go(encoder, task)
    version = soundfile.__libsndfile_version__
    assert first.environment.packages["libsndfile-parts"] == version
    assert any(
        warning.id == "joined" and "2 mp3 recordings joined" in warning.reason for warning in first.coverage.warnings
    )
    encoded = encoder.encoded
    assert go(encoder, task)[0].cell_sha256 == first.cell_sha256
    monkeypatch.setattr(soundfile, "__libsndfile_version__", "9.9.9")
    (second,) = go(encoder, task)
    assert encoder.encoded == encoded + 2 * LOOK + 1  # the one track that another decoder reads
    assert second.environment.packages["libsndfile-parts"] == "9.9.9"
    assert second.task.audio_sha256 != first.task.audio_sha256
    assert second.protocol == first.protocol


def test_too_little_coverage_stops_the_cell_and_names_files(
    go: Any, make_task: Any, encoder: Any, tmp_path: Path
) -> None:
    extra = [Track(f"gone-{i}", tmp_path / f"gone-{i}.wav", ()) for i in range(40)]
    with pytest.raises(CmbenchError, match=r"only 36 of 76 tracks can be used(.|\n)*gone-0\.wav"):
        go(encoder, make_task(extra=extra))


def test_a_deaf_model_is_refused_unless_it_says_so(go: Any, make_task: Any, make_encoder: Any) -> None:
    deaf = make_encoder()
    deaf.encode = lambda audio: np.ones((len(audio), 2, 3), np.float32)
    with pytest.raises(CmbenchError, match="the same features for every window"):
        go(deaf, make_task())


def test_everything_missing_is_said_at_once_and_nothing_is_done(
    make_task: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nothing(what: str) -> Any:
        def load(*_: Any) -> Any:
            raise MissingError([Missing(what, "here", "there", "terms", "get it")])

        return load

    task = make_task()
    full = replace(task.editions["custom"], name="full", load=nothing("audio"))
    rendered: list[str] = []
    mini = replace(task.editions["custom"], name="mini", load=lambda *_: rendered.append("mini"))
    absent = replace(task, editions={"full": full, "mini": mini})
    monkeypatch.setattr(run_module, "select_tasks", lambda _: (absent,))
    monkeypatch.setattr(models_module, "load_encoder", nothing("weights"))
    with pytest.raises(MissingError) as caught:
        cmbench.run("some-model", out=tmp_path / "out")
    assert [m.what for m in caught.value.missing] == ["weights", "audio"]
    with pytest.raises(MissingError):
        cmbench.run("some-model", edition="mini", out=tmp_path / "out")
    assert rendered == []
    assert not (tmp_path / "out").exists()


@pytest.fixture
def half_ready(make_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tasks of which one is here and one is not; returns what a run of them is asked to do."""

    def go(names: str, if_ready: str, observer: Observer | None = None) -> list[Record]:
        def nothing(*_: Any) -> Any:
            raise MissingError([Missing("audio of absent", "here", "there", "terms", "cmbench tasks prepare absent")])

        here = make_task()
        absent = replace(here, name="absent", editions={"full": replace(here.editions["custom"], load=nothing)})
        known = {"here": here, "absent": absent}
        monkeypatch.setattr(run_module, "select_tasks", lambda _: tuple(known[name] for name in names.split(",")))
        monkeypatch.setattr(run_module, "only_if_ready", lambda _: frozenset(if_ready.split(",")))
        return cmbench.run("constant", "any", protocol=QUICK, out=tmp_path / "out", observer=observer)

    return go


def test_a_task_that_is_not_ready_is_left_out_with_a_word(
    half_ready: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [record.task.name for record in half_ready("absent,here", "absent,here")] == ["tones"]
    assert caplog.messages == ["absent is left out, it is not here: audio of absent (cmbench tasks prepare absent)"], (
        "who gives no observer is told all the same"
    )
    with TerminalObserver(Console(stderr=True)) as observer:
        half_ready("absent,here", "absent,here", observer)
    assert "not here absent: audio of absent (cmbench tasks prepare absent)" in capsys.readouterr().err


def test_a_task_that_was_named_must_be_there_and_so_must_one_at_least(half_ready: Any) -> None:
    for names, if_ready in (("absent,here", "here"), ("absent", "absent")):
        with pytest.raises(MissingError, match="audio of absent"):
            half_ready(names, if_ready)


def test_ready_with_nothing_here_names_every_task_beside_a_missing_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CMBENCH_DATA", raising=False)
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingError) as error:
        cmbench.run("CultureMERT-95M", "ready", offline=True)
    named = " ".join(one.what for one in error.value.missing)
    assert all(task in named for task in ("CultureMERT-95M", *PAPER_TASKS))
    assert all("cmbench tasks prepare" in one.command for one in error.value.missing if "CultureMERT" not in one.what)


def test_wrong_values_are_refused(tmp_path: Path) -> None:
    for options, words in (
        ({"edition": "medium"}, "There is no edition 'medium'"),
        ({"mini_scale": 0.0}, "must be positive"),
        ({"seeds": 0}, "at least 1"),
        ({"protocol": "cmbench"}, "choose cmbench-1 or marble-1 or"),
        ({"tasks": "makam"}, "no task named 'makam'"),
    ):
        with pytest.raises(UsageError, match=words):
            cmbench.run("constant", **{"out": tmp_path / "out"} | options)
    with pytest.raises(UsageError, match="No model was named"):
        cmbench.run("", out=tmp_path / "out")


def test_records_are_strict_json_and_load_as_a_frame(go: Any, make_task: Any, encoder: Any, tmp_path: Path) -> None:
    (record,) = go(encoder, make_task())
    path = tmp_path / "out" / "counting" / "tones.custom.own.quick.json"

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in a record")

    json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert list(iter_records(tmp_path / "out")) == [record]
    frame = cmbench.load_records(tmp_path / "out")
    assert frame.set_index("metric").loc["roc_auc", "value"] == record.metrics["roc_auc"].value
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as predictions:
        assert predictions["probabilities"].shape == (2, 12, 3)
        assert ((predictions["probabilities"] >= 0) & (predictions["probabilities"] <= 1)).all()


@pytest.mark.parametrize("tracks", [5, 6, 7, 13])
def test_constant_features_score_exactly_one_half_whatever_the_size(
    go: Any, make_task: Any, make_encoder: Any, tracks: int, tmp_path: Path
) -> None:
    go(make_encoder(constant=True), make_task(sizes=(9, 7, tracks)))
    with np.load(tmp_path / "out" / "counting" / "tones.custom.own.quick.npz") as predictions:
        probabilities = predictions["probabilities"]
    assert all(len(np.unique(p[:, k])) == 1 for p in probabilities for k in range(3))


def test_an_encoder_that_changed_without_a_word_does_not_get_its_old_features(
    go: Any, make_task: Any, make_encoder: Any
) -> None:
    task, first, second = make_task(), make_encoder(), make_encoder()
    hear = second.encode
    second.encode = lambda audio: -hear(audio)
    (before,), (after,) = go(first, task), go(second, task)
    assert before.model.fingerprint != after.model.fingerprint
    assert second.encoded > LOOK


def test_models_that_cannot_be_told_apart_are_refused(make_encoder: Any, tmp_path: Path) -> None:
    wrong: tuple[tuple[Any, str], ...] = (
        ([make_encoder(), make_encoder()], "Two models are named 'counting'"),
        ([make_encoder(name="chroma"), "chroma"], "Two models are named 'chroma'"),
        ([make_encoder(name="a/b"), make_encoder(name="a_b")], "would share the folder a_b"),
        ([make_encoder(name="loud"), make_encoder(name="Loud")], "would share the folder Loud"),
        (type(make_encoder()), "not its class"),
        (3, "3 is not a model"),
    )
    for models, words in wrong:
        with pytest.raises(UsageError, match=words):
            cmbench.run(models, "lyra", edition="mini", out=tmp_path / "out")


def test_a_validation_split_that_cannot_choose_is_said_before_anything_is_encoded(
    go: Any, make_task: Any, encoder: Any
) -> None:
    with pytest.raises(CmbenchError, match="among the 1 of the valid split"):
        go(encoder, make_task(sizes=(16, 1, 12)))
    assert encoder.encoded == LOOK


def test_the_words_of_a_task_are_part_of_its_cell(go: Any, make_task: Any, encoder: Any) -> None:
    task = make_task()
    (first,) = go(encoder, task)
    (second,) = go(encoder, replace(task, families=dict.fromkeys(task.families, "tag"), title="Other"))
    assert (first.families[0].family, second.families[0].family) == ("instrument", "tag")
    assert second.task.title == "Other"


def test_folders_that_cannot_be_are_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match=r"--out: .*file is a file"):
        cmbench.run("constant", "lyra", edition="mini", out=file)
    with pytest.raises(UsageError, match=r"data root .*nowhere is not a folder"):
        cmbench.run("constant", "lyra", data_root=tmp_path / "nowhere", out=tmp_path / "out")
    with pytest.raises(UsageError, match="At least one worker"):
        cmbench.run("constant", "lyra", workers=-1, out=tmp_path / "out")
    monkeypatch.setenv("CMBENCH_CACHE", str(file))
    with pytest.raises(UsageError, match=r"CMBENCH_CACHE: .*file is a file"):
        cmbench.run("constant", "lyra", edition="mini", out=tmp_path / "out")


def test_the_group_safe_split_is_another_cell(go: Any, make_task: Any, make_encoder: Any, tmp_path: Path) -> None:
    task, encoder = make_task(sizes=(24, 12, 24)), make_encoder()
    (own,) = go(encoder, task)
    encoded = encoder.encoded
    (safe,) = go(encoder, task, split="group-safe")
    assert encoder.encoded == encoded + LOOK, "the same tracks: their features are there"
    assert (own.task.split, safe.task.split) == ("own", "group-safe")
    assert own.task.split_sha256 != safe.task.split_sha256
    assert own.cell_sha256 != safe.cell_sha256
    assert safe.task.notes[0].startswith("This is the group-safe split")
    assert len(list((tmp_path / "out" / "counting").glob("*.json"))) == 2
    with pytest.raises(UsageError, match=r"no split 'official'; it has 'own', 'group-safe'"):
        go(encoder, task, split="official")


def test_a_sample_is_a_cell_of_its_own(go: Any, make_task: Any, encoder: Any) -> None:
    """It has another split, file, section and store; the whole run is not changed by it."""
    from cmbench.benchmark.records.sections import sections

    task = make_task(sizes=(16, 8, 12))
    [whole] = go(encoder, task, "whole")
    [small] = go(encoder, task, limit=18)
    [again] = go(encoder, task)
    assert small.task.split == "own-limit-18"
    assert sum(small.task.tracks.values()) <= 20
    assert "A sample of" in small.task.notes[0]
    assert again.stable_json() == whole.stable_json()
    apart = sections([small, again])
    assert [(s.split, "never ranked" in s.warning) for s in apart] == [("own", False), ("own-limit-18", True)]


def test_labels_that_nobody_knows_are_left_out_of_a_run(
    go: Any, make_task: Any, make_encoder: Any, tmp_path: Path
) -> None:
    """The record and its predictions say of which tracks a label is known; under the first protocol nothing changes."""
    task = make_task()
    splits = task.editions["custom"].load(task, None)
    slow = task.labels[2]
    for name, tracks in splits.items():
        splits[name] = [
            replace(t, unknown=(slow,)) if i % 3 == 0 and slow not in t.labels else t for i, t in enumerate(tracks)
        ]
    (plain,) = go(make_encoder(), make_task(), "plain")
    (negative,) = go(make_encoder(), task, "negative")
    assert negative.stable_json() == plain.stable_json()
    (masked,) = go(make_encoder(), task, "masked", protocol=replace(QUICK, name="masked", unknown="masked"))
    unknown = sum(bool(t.unknown) for t in splits["test"])
    assert unknown > 0
    by_label = {s.label: s for s in masked.labels}
    assert by_label[slow].known == len(splits["test"]) - unknown
    assert by_label[slow].support == next(s.support for s in plain.labels if s.label == slow)
    assert by_label[slow].prevalence == pytest.approx(by_label[slow].support / by_label[slow].known)
    assert by_label[task.labels[0]].known == len(splits["test"])
    assert masked.cell_sha256 != negative.cell_sha256
    assert masked.task.split_sha256 == negative.task.split_sha256
    assert cell(masked, task, replace(QUICK, name="masked", unknown="masked")) == masked.cell_sha256
    (evidence,) = evidence_of([masked], tmp_path / "masked")
    assert evidence.known is not None
    assert (~evidence.known).sum() == unknown


def test_a_model_that_hears_less_gets_windows_of_its_own_length(go: Any, make_task: Any, make_encoder: Any) -> None:
    """Half a second of each second: under the first protocols it is refused, before anything is computed."""

    class Short(make_encoder):  # type: ignore[misc]
        longest = 0.0

        @property
        def card(self) -> Any:
            return replace(super().card, max_seconds=0.5)

        def encode(self, audio: Any) -> Any:
            Short.longest = max(Short.longest, audio.shape[1] / self.card.sample_rate)
            return super().encode(audio)

    encoder = Short(name="short", weights="5" * 64)
    with pytest.raises(UsageError, match=r"windows of at most 0\.5 s, and the protocol gives 30 s"):
        go(encoder, make_task(), "refused")
    assert Short.longest <= 0.5
    follows = replace(QUICK, name="follows", windowing=replace(QUICK.windowing, limits="model", min_tail_seconds=0.1))
    (record,) = go(encoder, make_task(), "follows", protocol=follows)
    assert Short.longest == 0.5
    assert record.model.max_seconds == 0.5
    (again,) = go(encoder, make_task(), "follows", protocol=follows)
    assert again == record, "the finished cell is found by its hash"
    assert cell(record, make_task(), follows) == record.cell_sha256, "and verified by it"


def test_a_finished_cell_is_seen_without_its_store(
    go: Any, make_task: Any, encoder: Any, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    (first,) = go(encoder, task)
    monkeypatch.setattr(FeatureStore, "valid_entries", None)
    assert go(encoder, task) == [first]
    monkeypatch.undo()
    (note,) = (own_cache / "audio").iterdir()
    facts = json.loads(note.read_bytes())
    assert facts["audio"] == first.task.audio_sha256


def test_features_of_others_are_used_without_encoding_anything(
    go: Any, make_task: Any, make_encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pushed on one machine, pulled on another, where the same recordings lie elsewhere."""
    theirs, mine, task = make_encoder(), make_encoder(), make_task()
    (expected,) = go(theirs, task)
    push(str(tmp_path / "shared"), tmp_path / "cache")
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "other"))
    (tmp_path / "tones").rename(tmp_path / "moved")
    data = task.load("custom", LoadContext(None, Path()))
    splits = {
        split: tuple(replace(t, path=tmp_path / "moved" / t.path.relative_to(tmp_path / "tones")) for t in tracks)
        for split, tracks in data.splits.items()
    }
    edition = replace(task.editions["custom"], load=lambda *_: splits)
    moved = replace(task, editions={"custom": edition})
    assert pull(str(tmp_path / "shared"), tmp_path / "other").shards > 0
    (record,) = go(mine, moved, out="again")
    assert (theirs.encoded > LOOK, mine.encoded) == (True, LOOK), "no window of the task was encoded"
    assert record.metrics == expected.metrics
    assert record.task.audio_sha256 == expected.task.audio_sha256
