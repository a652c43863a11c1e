"""The mix: hours, held-out music, and above all that no validation or test track is in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmbench.errors import UsageError
from cmbench.pretraining.corpus import corpus as corpora
from cmbench.pretraining.corpus.corpus import Mix, build_corpus, mix
from cmbench.pretraining.corpus.crops import read_crops, read_samples
from cmbench.pretraining.corpus.exclusion import Exclusion, Recording, exclusion_sha256, find_hidden, hidden_tracks
from cmbench.pretraining.recipes.recipe import RATE, Batch, HeldOut, Recipe, Stage, Targets
from cmbench.tasks.base import LoadContext, Task, Track
from cmbench.tasks.mini.edition import load_mini, load_unlabelled
from cmbench.tasks.registry import registry
from cmbench.tests.conftest import write_tone


def recipe_for(*sources: str, hours: float = 8 / 3600) -> Recipe:
    return Recipe(
        name="test",
        sources={"greek": list(sources)},
        batch=Batch(seconds=1.0),
        held_out=HeldOut(tracks=2),
        stages={"only": Stage(hours={"greek": hours}, steps=1)},
    )


@pytest.fixture
def context(tmp_path: Path) -> LoadContext:
    return LoadContext(data_root=None, cache_root=tmp_path / "cache")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for i in range(12):
        write_tone(tmp_path / "music" / f"piece {i} é.wav", 200 + 20 * i, 2.0, seed=i)
    return tmp_path / "music"


@pytest.fixture
def known_task(make_task: Callable[..., Task], monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task whose lists are those of the full edition."""
    task = make_task(seconds=2.0)
    edition = task.editions["custom"]
    object.__setattr__(edition, "name", "full")
    object.__setattr__(task, "editions", {"full": edition})
    tracks = [t for split in task.load("full", LoadContext(None, Path())).splits.values() for t in split]
    for seed, track in enumerate(tracks):  # no two with the same bytes
        write_tone(track.path, 300, 2.0, seed=100 + seed)
    monkeypatch.setattr(corpora, "registry", lambda: {task.name: task})
    monkeypatch.setattr(corpora, "get_task", lambda name: task)
    return task


def splits(task: Task, context: LoadContext) -> dict[str, tuple[Track, ...]]:
    return dict(task.load("full", context).splits)


def test_hours_and_held_out_are_apart(music: Path, context: LoadContext) -> None:
    made = build_corpus(recipe_for(f"folder:{music}"), context)
    trained, held = made.stages["only"]["greek"], made.held_out["greek"]
    assert len(held) == 2
    assert not {r.id for r in trained} & {r.id for r in held}
    assert made.hours("only")["greek"] == pytest.approx(8 / 3600, abs=2.3 / 3600)
    assert made.sha256 == build_corpus(recipe_for(f"folder:{music}"), context).sha256
    assert made.edition == "full"


def test_a_teacher_may_hear_other_music_than_the_network(music: Path, context: LoadContext) -> None:
    plain = recipe_for(f"folder:{music}")
    recipe = replace(
        plain,
        sources={**plain.sources, "turkish": [f"folder:{music.parent / 'other'}"]},
        targets=Targets(teacher="fit", hours={"turkish": 6 / 3600, "greek": 0}),
    )
    for i in range(8):
        write_tone(music.parent / "other" / f"{i}.wav", 500 + 20 * i, 2.0, seed=50 + i)
    made = build_corpus(recipe, context)
    assert made.teacher.keys() == {"turkish"}
    assert made.teacher_hours["turkish"] == pytest.approx(6 / 3600, abs=2.1 / 3600)
    assert made.stages["only"].keys() == {"greek"}
    assert not {r.id for r in made.teacher["turkish"]} & {r.id for r in made.held_out["turkish"]}
    assert {r.id for r in made.teacher["turkish"]} <= {r.id for r in made.recordings}
    less = replace(recipe, targets=replace(recipe.targets, hours={"turkish": 3 / 3600}))
    assert build_corpus(less, context).sha256 != made.sha256
    more = replace(recipe, targets=replace(recipe.targets, hours={"turkish": 1.0}))
    with pytest.raises(UsageError, match=r"targets\.hours\.turkish: 1 h of turkish.*: targets\.hours\.turkish=0\.00"):
        build_corpus(more, context)


def test_recipes_for_more_mini_music_hold_out_the_same(context: LoadContext) -> None:
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    less, more = (build_corpus(recipe_for("mini:lyra", hours=hours), lists) for hours in (0.05, 0.5))
    assert less.held_out == more.held_out
    assert less.held_out_sha256 == more.held_out_sha256
    assert len(less.held_out["greek"]) == 2


def test_other_seeds_hold_out_the_same_mini_music_and_train_on_other(context: LoadContext) -> None:
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    recipe = recipe_for("mini:magnatagatune", "mini:fma_medium", hours=0.1)
    made = [build_corpus(replace(recipe, seed=seed), lists) for seed in (0, 1, 7)]
    assert len({corpus.held_out_sha256 for corpus in made}) == 1
    assert len({corpus.stages["only"]["greek"] for corpus in made}) == 3


def test_of_a_folder_with_mini_music_beside_it_some_is_held_out_too(music: Path, context: LoadContext) -> None:
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    recipe = replace(recipe_for(f"folder:{music}", "mini:lyra", hours=0.02), held_out=HeldOut(tracks=6))
    held = [r.id for r in build_corpus(recipe, lists).held_out["greek"]]
    assert {name.partition(":")[0] == "mini" for name in held} == {True, False}


def test_too_little_music_is_an_error_that_says_how_much_there_is(music: Path, context: LoadContext) -> None:
    with pytest.raises(UsageError, match=r"1 h of greek music are asked for; 0\.00\d+ h.*stages\.only\.hours\.greek="):
        build_corpus(recipe_for(f"folder:{music}", hours=1.0), context)


def test_a_tasks_training_tracks_are_used_and_no_others(known_task: Task, context: LoadContext) -> None:
    made = build_corpus(recipe_for("task:tones"), context)
    assert {r.track for r in made.recordings} <= {t.id for t in splits(known_task, context)["train"]}
    assert made.found == ()
    assert sum(one.count for one in made.exclusions) == 20


@pytest.mark.parametrize("how", ["file name", "bytes"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_hidden_track_in_a_folder_is_left_out(
    known_task: Task, context: LoadContext, music: Path, how: str, split: str
) -> None:
    hidden = splits(known_task, context)[split][1]
    copy = music / ("renamed.wav" if how == "bytes" else f"{hidden.id}.wav")
    shutil.copy(hidden.path, copy)
    if how == "file name":  # another encoding: the bytes differ
        copy.write_bytes(copy.read_bytes() + b"LIST")
    made = build_corpus(recipe_for(f"folder:{music}"), context)
    assert [(one.recording.path, one.how) for one in made.found] == [(copy, how)]
    assert hidden.id in made.found[0].hidden
    assert copy not in {r.path for r in made.recordings}
    assert not made.contaminated


@pytest.mark.parametrize("name", ["as it is", "renamed"])
def test_a_hidden_mini_track_in_a_folder_is_left_out(context: LoadContext, music: Path, name: str) -> None:
    """Also where no source of the recipe is mini music."""
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    hidden = load_mini("lyra", lists)["test"][3]
    write_tone(hidden.path, 300, 2.0, seed=77)
    copy = music / (hidden.path.name if name == "as it is" else "my own song.wav")
    shutil.copy(hidden.path, copy)
    made = build_corpus(recipe_for(f"folder:{music}"), context)
    assert [one.recording.path for one in made.found] == [copy]
    assert f"lyra test {hidden.id}" == made.found[0].hidden
    assert copy not in {r.path for r in made.recordings}


def test_contamination_must_be_allowed_and_is_marked(known_task: Task, context: LoadContext, music: Path) -> None:
    hidden = splits(known_task, context)["test"][0]
    shutil.copy(hidden.path, music / "renamed.wav")
    recipe = recipe_for(f"folder:{music}", hours=20 / 3600)
    clean, allowed = build_corpus(recipe, context), build_corpus(recipe, context, allow_contamination=True)
    assert (clean.contaminated, allowed.contaminated) == (False, True)
    assert len(allowed.found) == 1
    without = build_corpus(recipe_for(f"folder:{music.parent / 'tones'}", hours=1 / 3600), context)
    assert {one.recording.path.name[:5] for one in without.found} == {"valid", "test-"}


def test_allowing_it_marks_nothing_where_there_is_nothing(known_task: Task, context: LoadContext, music: Path) -> None:
    assert not build_corpus(recipe_for(f"folder:{music}"), context, allow_contamination=True).contaminated


def test_the_hash_of_the_list_does_not_depend_on_the_audio(known_task: Task, context: LoadContext) -> None:
    before = hidden_tracks([known_task], "full", context)
    for track in splits(known_task, context)["test"]:
        track.path.unlink()
    after = hidden_tracks([known_task], "full", context)
    assert exclusion_sha256([before]) == exclusion_sha256([after])
    fewer = Exclusion("full", dict(list(before.tracks.items())[:1]))
    assert exclusion_sha256([fewer]) != exclusion_sha256([before])


def test_every_mini_task_is_on_the_list(context: LoadContext) -> None:
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    found = hidden_tracks(registry().values(), "mini", lists)
    assert {task for task, _ in found.tracks} == set(registry())
    assert found.count == len(registry()) * (60 + 80)
    assert found.unchecked == ()


def test_mini_music_is_listed_without_rendering_it(context: LoadContext) -> None:
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    made = build_corpus(recipe_for("mini:lyra", hours=0.1), lists)
    assert made.edition == "mini"
    assert made.hours("only")["greek"] >= 0.1
    listed = [{track.id for track in one.tracks["lyra", "valid"]} for one in made.exclusions]
    assert [len(ids) for ids in listed] == [60, 40], "of the version before too: its entries are still verified"
    assert not context.cache_root.exists()


def test_lists_that_are_not_here_are_named(context: LoadContext) -> None:
    found = hidden_tracks(registry().values(), "full", LoadContext(None, context.cache_root, needs_audio=False))
    assert "lyra" in found.unchecked


def test_other_stretches_of_a_file_may_be_used(tmp_path: Path) -> None:
    path = tmp_path / "video.wav"
    write_tone(path, 300, 6.0, seed=0)
    hidden = Exclusion("full", {("lyra", "test"): (Track("t", path, (), start=0.0, end=3.0),)})
    before = Recording("task:lyra/a", "greek", path, 3.0, 6.0, 3.0, "lyra", "a")
    within = Recording("task:lyra/b", "greek", path, 2.0, 5.0, 3.0, "lyra", "b")
    whole = Recording("folder/greek/video.wav", "greek", path, 0.0, None, 6.0)
    assert [(one.recording.id, one.how) for one in find_hidden([before, within, whole], [hidden])] == [
        ("task:lyra/b", "bytes"),
        ("folder/greek/video.wav", "bytes"),
    ]


def test_unusable_files_are_named(music: Path, context: LoadContext) -> None:
    (music / "broken.flac").write_bytes(b"nothing")
    write_tone(music / "short.wav", 300, 0.5, seed=0)
    made = build_corpus(recipe_for(f"folder:{music}"), context)
    assert {one.path.name for one in made.unusable} == {"broken.flac", "short.wav"}


@pytest.mark.parametrize(
    ("source", "told"),
    [("folder:/nowhere/at/all", "no folder"), ("mini:nothing", "no mini edition"), ("task:nothing", "no task named")],
)
def test_wrong_sources_are_told(context: LoadContext, source: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        build_corpus(recipe_for(source), context)


def test_a_source_named_twice_is_told(music: Path, context: LoadContext) -> None:
    with pytest.raises(Exception, match="name each source once"):
        build_corpus(recipe_for(f"folder:{music}", f"folder:{music}"), context)


def test_unlabelled_mini_music_is_in_no_split(context: LoadContext) -> None:
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    unlabelled = load_unlabelled("lyra", lists, 900.0)
    assert sum(t.seconds or 0 for t in unlabelled) >= 900
    used = {t.id for split in load_mini("lyra", lists).values() for t in split}
    groups = {t.group for split in load_mini("lyra", lists).values() for t in split}
    assert not used & {t.id for t in unlabelled}
    assert not groups & {t.group for t in unlabelled}
    assert len({t.id for t in unlabelled}) == len(unlabelled)


def test_more_unlabelled_music_begins_with_the_same(context: LoadContext) -> None:
    lists = LoadContext(None, context.cache_root, needs_audio=False)
    some, more = load_unlabelled("lyra", lists, 100.0), load_unlabelled("lyra", lists, 700.0)
    assert more[: len(some)] == some


@given(
    st.dictionaries(st.sampled_from(["greek", "turkish", "western"]), st.floats(0.1, 200), min_size=1),
    st.floats(0.2, 10),
)
def test_temperature(hours: dict[str, float], temperature: float) -> None:
    stage = {
        t: tuple(Recording(f"{t}/{i}", t, Path("x"), 0, None, h * 3600 * (1 + 2 * i) / 4) for i in range(2))
        for t, h in hours.items()
    }
    found = mix(stage, temperature)
    assert sum(found.shares) == pytest.approx(1)
    drawn = dict.fromkeys(hours, 0.0)
    for recording, share in zip(found.recordings, found.shares, strict=True):
        drawn[recording.tradition] += share
    first = next(iter(hours))
    for tradition, h in hours.items():
        ratio = drawn[tradition] / drawn[first]
        assert ratio == pytest.approx((h / hours[first]) ** (1 / temperature), rel=1e-6)
    assert found.shares[1] == pytest.approx(3 * found.shares[0])


def test_crops_are_the_samples_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_tone(path, 300, 3.0, seed=0, rate=RATE)
    recording = Recording("a", "greek", path, 0.5, 2.5, 2.0)
    whole = read_samples(recording)
    assert len(whole) == 2 * RATE
    from cmbench.pretraining.corpus.crops import draw_crops

    crops = draw_crops(Mix((recording,), (1.0,)), 5, 1.0, 0)
    for crop, samples in zip(crops, read_crops(crops, 1.0), strict=True):
        assert np.array_equal(samples, whole[crop.frame * 320 : crop.frame * 320 + RATE])


def test_other_rates_are_resampled_to_the_asked_length(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_tone(path, 300, 3.0, seed=0, rate=44_100)
    assert read_samples(Recording("a", "greek", path, 0.0, None, 3.0), 0.7, 1.0).shape == (RATE,)
