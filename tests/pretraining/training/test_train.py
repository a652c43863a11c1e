"""The loop: killed and resumed, alone and in company, stage by stage, and what it does when the loss is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmbench.baselines.mert.envelope import EnvelopeShape
from cmbench.baselines.mert.melody import MelodyShape
from cmbench.baselines.mert.network import Dropout, HubertShape
from cmbench.baselines.mert.streams import STREAMS
from cmbench.baselines.tokens.kmeans import ResidualKMeans
from cmbench.errors import CmbenchError, UnusableAudio, UsageError
from cmbench.pretraining.corpus.corpus import Corpus, Mix, mix
from cmbench.pretraining.corpus.crops import draw_crops, draw_recordings, read_crops, read_samples
from cmbench.pretraining.corpus.exclusion import Recording
from cmbench.pretraining.learner import MertLearner, head_shape
from cmbench.pretraining.objective.cqt import CqtShape
from cmbench.pretraining.objective.mixture import NoiseMixture
from cmbench.pretraining.objective.model import from_shape, part_of
from cmbench.pretraining.recipes.recipe import (
    STREAM_PARTS,
    Batch,
    Contrast,
    HeldOut,
    Network,
    Recipe,
    Running,
    Stage,
    Targets,
)
from cmbench.pretraining.training.checkpoints import Checkpoints
from cmbench.pretraining.training.group import Group
from cmbench.pretraining.training.held_out import measure
from cmbench.pretraining.training.log import Log, require_sound
from cmbench.pretraining.training.metrics import Sums
from cmbench.pretraining.training.passes import contrasted
from cmbench.pretraining.training.run import Run
from cmbench.pretraining.training.train import Diverged, diverged, train, trainable
from cmbench.tests.conftest import write_tone

TINY = HubertShape(
    conv_dim=(8,) * 7, hidden=16, layers=2, heads=2, intermediate=32, position_kernel=4, position_groups=4
)
ALL = ["front_end", "projection", "transformer", "mask_vector", "codewords", "heads"]
RECIPE = Recipe(
    name="tiny",
    sources={"greek": ["folder:g"], "western": ["folder:w"]},
    batch=Batch(crops=4, together=2, seconds=1.0),
    mixture=NoiseMixture(samples=(2400, 4800)),
    dropout=Dropout(input=0.1, hidden=0.1, attention=0.1, layer=0.4),
    targets=Targets(teacher="fit", codebook_size=6, dim=4),
    held_out=HeldOut(tracks=1, crops=2),
    running=Running(log=1, evaluate=2),
    stages={
        "first": Stage(hours={"greek": 0.1}, steps=3, peak=2e-3, warmup=0.4, train=["front_end", "codewords", "heads"]),
        "second": Stage(hours={"greek": 0.1, "western": 0.1}, steps=4, peak=1e-3, warmup=0.25, train=ALL),
    },
)

MakeRun = Callable[..., Run]
Whole = tuple[Run, dict[str, torch.Tensor], list[dict[str, Any]]]


def recordings(folder: Path, tradition: str, pitch: float) -> tuple[Recording, ...]:
    found = []
    for i in range(3):
        path = folder / tradition / f"{i}.wav"
        if not path.exists():
            write_tone(path, pitch * (1 + i), 2.0, seed=i, rate=24_000)
        found.append(Recording(f"{tradition}/{i}", tradition, path, 0.0, None, 2.0))
    return tuple(found)


def build_run(folder: Path, name: str, group: Group = Group(), recipe: Recipe = RECIPE) -> Run:  # noqa: B008
    greek, western = recordings(folder / "music", "greek", 220), recordings(folder / "music", "western", 500)
    corpus = Corpus(
        stages={"first": {"greek": greek[1:]}, "second": {"greek": greek[1:], "western": western[1:]}},
        held_out={"greek": greek[:1], "western": western[:1]},
        found=(),
        exclusions=(),
    )
    draw = np.random.default_rng(0)
    books = draw.standard_normal((8, recipe.targets.codebook_size, 64)).astype(np.float32)
    teacher = ResidualKMeans(books, np.zeros(64, np.float32), np.ones(64, np.float32), (1.0,) * 8, 0)
    n = recipe.network
    shape = TINY
    if n.patterns:
        shape = replace(TINY, hidden=160, melody=MelodyShape(n.patterns), envelope=EnvelopeShape(n.rhythms))
    model = from_shape(shape, head_shape(recipe, recipe.targets.codebook_size), recipe.seed)
    model.dropout, model.feature_gradient = recipe.dropout, recipe.feature_gradient
    model.stream_gradient = recipe.stream_gradient
    learner = MertLearner(model, recipe, teacher, folder / f"tokens{group.rank}", CqtShape())
    training = folder / name
    training.mkdir(exist_ok=True)
    log = Log(training / "log.jsonl" if group.leads else None, recipe.steps, recipe.running.log, None)
    return Run(recipe, corpus, learner, Checkpoints(training / "checkpoints"), log, torch.device("cpu"), group)


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    def make(name: str, recipe: Recipe = RECIPE) -> Run:
        return build_run(tmp_path, name, recipe=recipe)

    return make


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A run that nothing disturbs: itself, its last weights, and its log."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run = build_run(folder, "whole")
    train(run)
    return run, weights(run), lines(folder / "whole")


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in run.learner.module.state_dict().items()}


def lines(run_folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("stop", [2, 3, 4, 6], ids=["in the first stage", "between", "in the second", "near the end"])
def test_resumed_is_undisturbed(make_run: MakeRun, tmp_path: Path, whole: Whole, stop: int) -> None:
    undisturbed, expected, log = whole
    train(make_run("cut"), max_steps=stop)
    resumed = make_run("cut")
    resumed.log.forget_after(stop)
    progress = train(resumed, resume=True)
    assert progress == undisturbed.progress
    assert (progress.step, progress.stage) == (7, "second")
    for name, tensor in weights(resumed).items():
        assert torch.equal(tensor, expected[name]), name
    untimed = [
        [{k: v for k, v in line.items() if k not in ("seconds", "time", "check")} for line in told]
        for told in (log, lines(tmp_path / "cut"))
    ]
    # A run that is stopped measures there, which an undisturbed one need not.
    updates = [[line for line in told if line["kind"] == "update"] for told in untimed]
    assert updates[0] == updates[1]


def test_a_killed_run_goes_on_from_its_last_checkpoint(make_run: MakeRun, whole: Whole) -> None:
    killed = make_run("killed")
    update = killed.log.update

    def kill(progress: Any, *rest: Any, **named: Any) -> None:
        if progress.step == 6:  # the last checkpoint is that of update 4
            raise KeyboardInterrupt
        update(progress, *rest, **named)

    object.__setattr__(killed.log, "update", kill)
    with pytest.raises(KeyboardInterrupt):
        train(killed)
    resumed = make_run("killed")
    train(resumed, resume=True)
    assert all(torch.equal(tensor, whole[1][name]) for name, tensor in weights(resumed).items())


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, which a shell has taken from the tests where it runs them in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(
    ("step", "number"), [(1, signal.SIGINT), (3, signal.SIGTERM), (5, signal.SIGINT)],
    ids=["before a measurement, Ctrl-C", "at the end of a stage, SIGTERM", "late, Ctrl-C"],
)  # fmt: skip
def test_an_interrupt_saves_the_update_before_it_leaves(
    make_run: MakeRun, whole: Whole, step: int, number: int
) -> None:
    cut = make_run("cut")
    update = cut.log.update

    def interrupt(progress: Any, *rest: Any, **named: Any) -> None:
        update(progress, *rest, **named)
        if progress.step == step:
            signal.raise_signal(number)

    object.__setattr__(cut.log, "update", interrupt)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        train(cut)
    saved = cut.checkpoints.progress()
    assert saved is not None
    assert saved.step == step
    resumed = make_run("cut")
    train(resumed, resume=True)
    assert all(torch.equal(tensor, whole[1][name]) for name, tensor in weights(resumed).items())


MELODIC = replace(
    RECIPE,
    network=Network(patterns=5, rhythms=4),
    contrast=Contrast(weight=1.0, pairs=4, seconds=1.0, frames=3, dim=4),
    stages={"second": Stage(hours={"greek": 0.1, "western": 0.1}, steps=4, peak=2e-3, train=[*STREAM_PARTS])},
)


def test_the_contrast_of_recordings_moves_the_streams_and_resumes(make_run: MakeRun, tmp_path: Path) -> None:
    """Mutation: a contrast that is left out of the loss, or keyed by no update, fails here."""
    run = make_run("melodic", MELODIC)
    before = weights(run)
    assert any(name.startswith("melody.") for name in before)
    train(run)
    moved = {name for name, tensor in weights(run).items() if not torch.equal(tensor, before[name])}
    assert {part_of(name) for name in moved} == set(STREAM_PARTS)
    # With stream_gradient = 0 the contrast alone moves head and patterns.
    for name in STREAMS:
        assert {f"contrast_head.{name}.0.weight", f"{name}.patterns.weight"} <= moved
    told = [line for line in lines(tmp_path / "melodic") if line["kind"] == "update"]
    assert all(line["contrast"] > 0 and 0 <= line["matched"] <= 1 for line in told)
    assert all("contrast" not in line for line in lines(tmp_path / "melodic") if line["kind"] == "held-out")
    train(make_run("cut", MELODIC), max_steps=2)
    resumed = make_run("cut", MELODIC)
    train(resumed, resume=True)
    assert all(torch.equal(tensor, weights(run)[name]) for name, tensor in weights(resumed).items())


def test_recordings_that_are_told_once_are_left_out_of_a_contrast_of_tellings(
    make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run("told", MELODIC)
    music = mix(run.corpus.stages["second"], 1.0)
    told = replace(music.recordings[2], telling=music.recordings[3].path)
    both = Mix((*music.recordings[:2], told), (0.5, 0.2, 0.3))
    assert contrasted(both, run.recipe) == both
    tellings = replace(run.recipe, contrast=replace(run.recipe.contrast, positives="tellings"))
    assert contrasted(both, tellings) == Mix((told,), (0.3,))
    assert contrasted(both, replace(tellings, contrast=Contrast())) == Mix((), ())
    # One alone is no contrast: a stage without two goes on by MERT's objective.
    stages = {name: replace(stage, train=["heads", *STREAM_PARTS]) for name, stage in tellings.stages.items()}
    single = make_run("single", replace(tellings, stages=stages))
    train(single)
    assert all("contrast" not in line for line in lines(tmp_path / "single") if line["kind"] == "update")


def test_the_weight_of_the_contrast_counts(make_run: MakeRun) -> None:
    found = []
    for weight in (1.0, 3.0):
        run = make_run(f"weight{weight}", replace(MELODIC, contrast=replace(MELODIC.contrast, weight=weight)))
        learner, music = run.learner, run.corpus.held_out["greek"] + run.corpus.held_out["western"]
        crops = draw_crops(Mix(music, (0.5, 0.5)), 2, 1.0, 0)
        audio, tokens, views = read_crops(crops, 1.0), learner.tokens(crops, 1.0), learner.views(music, 3)
        assert [view.shape for view in views] == [(4, 3, 216), (4, 38, 64)]
        learner.module.eval()
        with torch.no_grad():
            alone = learner.sums(learner.module, audio, tokens, 5, training=False)
            both = learner.sums(learner.module, audio, tokens, 5, training=False, views=views)
        masked, contrast = float(both.numbers[0]), float(both.numbers[3])
        assert float(both.loss - alone.loss) == pytest.approx(weight * contrast, rel=1e-3)
        assert 0 < contrast / masked < 5
        assert float(alone.numbers[3]) == 0
        found.append(float(both.loss - alone.loss))
    assert found[1] == pytest.approx(3 * found[0], rel=1e-3)


def test_a_block_is_trained_alone(make_run: MakeRun) -> None:
    for part, beginning in (
        ("transformer.1", "encoder.layers.1."),
        ("transformer.positions", "encoder.pos_conv_embed."),
    ):
        chosen = trainable(make_run(part).learner, [part])
        assert chosen
        assert all(name.startswith(beginning) for name in chosen)
    with pytest.raises(UsageError, match=r"transformer\.2"):
        trainable(make_run("none").learner, ["transformer.2"])


def test_transposed_crops_have_the_tokens_of_what_is_heard(make_run: MakeRun) -> None:
    run = make_run("shifted")
    (tone,) = run.corpus.held_out["greek"]
    crops = draw_crops(Mix((tone,), (1.0,)), 24, 1.0, 0, shifts=[-12, 0, 7])
    assert {crop.shift for crop in crops} == {-12, 0, 7}
    assert [(c.recording, c.frame) for c in draw_crops(Mix((tone,), (1.0,)), 4, 1.0, 1)] == [
        (c.recording, c.frame) for c in draw_crops(Mix((tone,), (1.0,)), 4, 1.0, 1, shifts=[0])
    ]
    for crop in crops:
        heard = read_crops([crop], 1.0)[0]
        assert len(heard) == 24_000
        loudest = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))).argmax()
        assert loudest == pytest.approx(220 * 2 ** (crop.shift / 12), abs=2)
        whole = run.learner.teacher.tokens(read_samples(tone, shift=crop.shift))
        expected = whole[:, crop.frame : crop.frame + 74]
        np.testing.assert_array_equal(run.learner.tokens([crop], 1.0)[0][:, :74], expected)
    # What would be too short once it is played faster stays as it is.
    assert {c.shift for c in draw_crops(Mix((tone,), (1.0,)), 9, 1.9, 0, shifts=[7])} == {0}


def test_recordings_are_drawn_once_each_and_by_their_share(make_run: MakeRun) -> None:
    run = make_run("drawn")
    music = tuple(r for rs in run.corpus.stages["second"].values() for r in rs)
    mixed = Mix(music, (0.85, 0.05, 0.05, 0.05))
    assert sorted(r.id for r in draw_recordings(mixed, 9, 1)) == sorted(r.id for r in music)
    drawn = [draw_recordings(mixed, 1, seed)[0].id for seed in range(200)]
    assert 0.75 < drawn.count(music[0].id) / 200 < 0.95
    assert draw_recordings(mixed, 2, 7) == draw_recordings(mixed, 2, 7)


def test_the_seed_matters(make_run: MakeRun) -> None:
    one, other = make_run("one"), make_run("other", replace(RECIPE, seed=1))
    train(one, max_steps=1)
    train(other, max_steps=1)
    assert not torch.equal(weights(one)["final_proj.weight"], weights(other)["final_proj.weight"])


def test_a_stage_moves_its_own_parts_only(make_run: MakeRun) -> None:
    run = make_run("stages")
    before = weights(run)
    train(run, max_steps=3)
    moved = {part_of(name) for name, tensor in weights(run).items() if not torch.equal(tensor, before[name])}
    assert moved == {"front_end", "codewords", "heads"}
    for name, parameter in run.learner.module.named_parameters():
        assert (parameter.grad is not None) == (part_of(name) in moved)
    middle = weights(run)
    train(run)
    moved = {part_of(name) for name, tensor in weights(run).items() if not torch.equal(tensor, middle[name])}
    assert moved == set(ALL)


def test_it_learns(make_run: MakeRun) -> None:
    recipe = replace(RECIPE, stages={"second": replace(RECIPE.stages["second"], steps=30, peak=5e-3)})
    run = make_run("learns", recipe)
    before = measure(run)
    train(run)
    after = measure(run)
    assert set(before) == {"greek", "western"}
    for tradition in before:
        assert after[tradition].loss < before[tradition].loss
        assert len(after[tradition].accuracies) == len(after[tradition].token_losses) == 8


def test_the_loss_is_the_sum_that_mert_has(make_run: MakeRun) -> None:
    found = measure(make_run("sum"))["greek"]
    assert found.loss == pytest.approx(sum(found.token_losses) + found.cqt_error + 10 * found.feature_penalty, rel=1e-5)


def test_passes_change_no_more_than_a_rounding(make_run: MakeRun, tmp_path: Path) -> None:
    """An update of two passes has the gradient that both passes' frames have together."""
    run = make_run("passes")
    train(run, max_steps=1)
    line = next(line for line in lines(tmp_path / "passes") if line["kind"] == "update")
    learner = make_run("fresh").learner
    parameters = trainable(learner, RECIPE.stages["first"].train)
    from cmbench.pretraining.corpus.corpus import mix
    from cmbench.pretraining.corpus.crops import key, read_crops

    learner.module.train()
    mixed, total, frames = mix(run.corpus.stages["first"], 1.0), torch.zeros(()), 0.0
    for number in range(2):
        crops = draw_crops(mixed, 2, 1.0, RECIPE.seed, "crops", 0, number)
        torch.manual_seed(key(RECIPE.seed, "units", 0, number))
        draw = key(RECIPE.seed, "masks", 0, number)
        sums = learner.sums(learner.module, read_crops(crops, 1.0), learner.tokens(crops, 1.0), draw, True)
        total, frames = total + sums.loss, frames + float(sums.numbers[0])
    (total / frames).backward()  # type: ignore[no-untyped-call]
    norm = torch.cat([p.grad.flatten() for p in parameters.values() if p.grad is not None]).norm()
    assert line["loss"] == pytest.approx(float(total.detach()) / frames, rel=1e-5)
    assert line["gradient_norm"] == pytest.approx(float(norm), rel=1e-4)
    assert line["masked_frames"] == frames


def test_a_loss_that_is_not_finite_stops_the_run(make_run: MakeRun) -> None:
    run = make_run("lost")
    train(run, max_steps=2)
    good = run.checkpoints.load()
    sums = run.learner.sums

    def broken(*args: Any, **rest: Any) -> Sums:
        found = sums(*args, **rest)
        return Sums(found.loss * float("nan"), found.numbers)

    object.__setattr__(run.learner, "sums", broken)
    with pytest.raises(Diverged, match=r"after 2 updates.*loss is nan.*last good checkpoint is .*step-00000002"):
        train(run, resume=True)
    kept = run.checkpoints.load()
    assert good is not None
    assert kept is not None
    assert all(torch.equal(tensor, good[0][name]) for name, tensor in kept[0].items())


def test_weights_that_are_lost_are_no_checkpoint(make_run: MakeRun) -> None:
    """A finite update can leave weights that no longer compute; only the next pass tells."""
    run = make_run("burst")
    train(run, max_steps=2)
    update = run.log.update

    def burst(*told: Any, **rest: Any) -> None:
        update(*told, **rest)
        with torch.no_grad():
            dict(run.learner.module.named_parameters())["final_proj.weight"].fill_(torch.inf)

    object.__setattr__(run.log, "update", burst)
    with pytest.raises(Diverged, match=r"held-out music \(greek, western\) is not finite.*step-00000002"):
        train(run, resume=True)
    assert run.checkpoints.named()["last"] == "step-00000002"
    kept = run.checkpoints.load()
    assert kept is not None
    assert all(bool(tensor.isfinite().all()) for tensor in kept[0].values())


def test_the_best_checkpoint_is_named_beside_the_last(make_run: MakeRun) -> None:
    run = make_run("worse")
    train(run, max_steps=4)
    kept = run.checkpoints.load()
    assert kept is not None
    run.checkpoints.save(kept[0], {}, replace(kept[2], step=6), best=False)
    with pytest.raises(Diverged, match=r"step-00000006, the best on held-out music step-0000000[24]\."):
        raise diverged(run, "the loss is nan")


def test_a_file_that_breaks_off_is_passed_over(
    make_run: MakeRun, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its header was read when the corpus was made; that its sound is lost shows in the middle of a run."""
    whole, cut = make_run("whole"), make_run("cut")
    hashes = whole.corpus.sha256
    for path in (tmp_path / "music" / "greek" / "1.wav", tmp_path / "music" / "western" / "0.wav"):
        path.write_bytes(bytes(path.stat().st_size))
    train(whole)
    passed = [record.message for record in caplog.records if "passed over" in record.message]
    assert [message.split(" is ")[0].rpartition("music")[2] for message in passed] == ["/western/0.wav", "/greek/1.wav"]
    # The only held-out recording of Western music is lost.
    assert {line["tradition"] for line in lines(tmp_path / "whole") if line["kind"] == "held-out"} == {"greek"}
    train(cut, max_steps=3)
    resumed = make_run("cut")
    train(resumed, resume=True)
    assert resumed.corpus.sha256 == hashes
    expected = weights(whole)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(resumed).items())


def test_music_of_which_nothing_can_be_decoded_is_told(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("lost")
    for path in (tmp_path / "music" / "greek").iterdir():
        path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UnusableAudio):
        train(run)


def test_a_loss_that_runs_away_stops_the_run(make_run: MakeRun) -> None:
    recipe = replace(RECIPE, stages={"second": replace(RECIPE.stages["second"], steps=60, train=["heads"])})
    run = make_run("away", recipe)
    sums = run.learner.sums

    def growing(*args: Any, **rest: Any) -> Sums:
        found = sums(*args, **rest)
        return Sums(found.loss * (1 + run.progress.step), found.numbers)

    object.__setattr__(run.learner, "sums", growing)
    with pytest.raises(Diverged, match="mean loss of 20 updates"):
        train(run)


def test_another_recipe_or_corpus_is_not_resumed(make_run: MakeRun) -> None:
    train(make_run("kept"), max_steps=1)
    with pytest.raises(UsageError, match="another recipe"):
        train(make_run("kept", replace(RECIPE, seed=3)), resume=True)
    run = make_run("kept")
    run.corpus = replace(run.corpus, held_out={"greek": run.corpus.held_out["greek"]})
    run.progress.corpus_sha256 = run.corpus.sha256
    with pytest.raises(UsageError, match="another corpus"):
        train(run, resume=True)


def test_best_and_last_are_kept(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("kept")
    train(run)
    folder = tmp_path / "kept" / "checkpoints"
    named = run.checkpoints.named()
    assert named["last"] == "step-00000007"
    assert {path.name for path in folder.iterdir()} == {*named.values(), "checkpoints.json"}


def test_a_damaged_checkpoint_is_told(make_run: MakeRun) -> None:
    run = make_run("damaged")
    train(run, max_steps=1)
    file = run.checkpoints.folder / "step-00000001" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UsageError, match="damaged"):
        train(make_run("damaged"), resume=True)


def test_passes_must_be_shared_evenly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"3 processes evenly; set batch.together=1"):
        build_run(tmp_path, "uneven", Group(0, 3))


def test_draws_depend_on_their_number_alone(tmp_path: Path) -> None:
    mixed = Mix(recordings(tmp_path, "greek", 220), (0.5, 0.25, 0.25))
    crops = draw_crops(mixed, 4000, 1.0, 0, "a")
    assert crops == draw_crops(mixed, 4000, 1.0, 0, "a")
    assert crops != draw_crops(mixed, 4000, 1.0, 0, "b")
    shares = [sum(c.recording.id == r.id for c in crops) / 4000 for r in mixed.recordings]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.03)
    assert {min(c.frame for c in crops), max(c.frame for c in crops)} == {0, 75}


@pytest.mark.slow
def test_two_processes_do_what_one_does(make_run: MakeRun, tmp_path: Path) -> None:
    alone = make_run("alone")
    train(alone)
    script = (
        "import sys, torch, importlib.util\n"
        "from pathlib import Path\n"
        "torch.set_num_threads(1)\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "import importlib\n"
        "t = importlib.import_module('tests.pretraining.training.test_train')\n"
        "from cmbench.pretraining.training.group import joined\n"
        "from cmbench.pretraining.training.train import train\n"
        "with joined(torch.device('cpu')) as group:\n"
        "    assert group.size == 2\n"
        "    run = t.build_run(Path(sys.argv[1]), 'together', group)\n"
        "    train(run)\n"
        "    torch.save(run.learner.module.state_dict(), Path(sys.argv[1]) / f'rank{group.rank}.pt')\n"
    )
    (tmp_path / "worker.py").write_text(script)
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    done = subprocess.run(
        [*command, str(tmp_path / "worker.py"), str(tmp_path), str(root)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    both = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    expected = weights(alone)
    for name, tensor in both[0].items():
        assert torch.equal(tensor, both[1][name]), name
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file", ["checkpoints.json", "model.safetensors", "optimiser.safetensors", "state.json"])
def test_a_changed_byte_is_told_and_nothing_is_touched(make_run: MakeRun, file: str) -> None:
    """A damaged index was an absent one: the run began anew and removed the checkpoints."""
    run = make_run("flipped")
    train(run, max_steps=2)
    folder = run.checkpoints.folder
    (path,) = folder.rglob(file)
    whole = path.read_bytes()
    draw = np.random.default_rng(5)
    for place in [0, len(whole) - 1, *draw.integers(0, len(whole), 60)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(changed)
        before = everything(folder)
        with pytest.raises(UsageError, match="damaged"):
            run.checkpoints.verify()
        with pytest.raises(UsageError, match="damaged"):
            run.checkpoints.load()
        assert everything(folder) == before
    path.unlink()
    with pytest.raises(UsageError, match=r"gone|damaged"):
        run.checkpoints.load()
    path.write_bytes(whole)
    run.checkpoints.verify()
    assert run.checkpoints.load() is not None


def test_checkpoints_of_an_earlier_version_are_read(make_run: MakeRun) -> None:
    run = make_run("old")
    train(run, max_steps=2)
    (run.checkpoints.folder / "checkpoints.json").write_text('{"last": "step-00000002", "best": "step-00000002"}\n')
    again = make_run("old")
    train(again, max_steps=4, resume=True)
    again.checkpoints.verify()
    assert again.progress.step == 4


def test_a_changed_line_of_the_log_is_told(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run("logged")
    train(run, max_steps=2)
    (path,) = (tmp_path / "logged").rglob("*.jsonl")
    whole = path.read_bytes()
    require_sound(path)
    path.write_bytes(whole + b'{"step": 3, "lo')  # killed while it wrote
    require_sound(path)
    draw = np.random.default_rng(6)
    for place in draw.integers(0, len(whole) - 1, 40):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(changed)
        with pytest.raises(CmbenchError, match="line"):
            require_sound(path)
        assert path.read_bytes() == changed
