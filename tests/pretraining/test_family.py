"""A family of models made one after the other, gone on with, and compared with another of its kind."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import load_file, save_file

from cmbench.baselines.nano import NANO, NANO_BASE, nano_folder
from cmbench.errors import UsageError
from cmbench.pretraining import family
from cmbench.pretraining.corpus.corpus import build_corpus
from cmbench.pretraining.family import (
    FAMILY,
    SINGLE,
    WEIGHTS,
    FamilyModel,
    Making,
    deviations,
    make_family,
    make_member,
    require_family,
)
from cmbench.pretraining.recipes.reading import open_recipe
from cmbench.tasks.base import TRADITIONS, LoadContext
from cmbench.tests.conftest import write_tone

SMALL = (
    "batch.crops=2",
    "batch.together=2",
    "batch.seconds=1.5",
    "held_out.tracks=1",
    "held_out.crops=1",
    "targets.codebook_size=4",
    "contrast.weight=0",
)
QUIET = Console(quiet=True)


def members(tmp_path: Path) -> tuple[FamilyModel, ...]:
    """A base, two models that continue from it and their merge, on a few tones."""
    for tradition in ("greek", "western"):
        for i in range(8):
            write_tone(tmp_path / tradition / f"{i}.wav", 200 + 40 * i, 2.0, seed=i + 10 * (tradition == "greek"))
    sources = [f"sources.{t}=[folder:{tmp_path / t}]" for t in ("greek", "western")]
    sources += [f"sources.{t}=[]" for t in ("turkish", "hindustani", "carnatic")]
    one = (
        *SMALL, *sources, "stages.only.steps=2", "stages.only.hours.western=0.002",
        "targets.hours.greek=0.002", "targets.hours.western=0",
        *(f"targets.hours.{t}=0" for t in ("turkish", "hindustani", "carnatic")),
    )  # fmt: skip
    others = ("turkish", "hindustani", "carnatic", "western")
    two = (
        *SMALL, *sources, "stages.first.steps=1", "stages.second.steps=1",
        "stages.first.hours={greek: 0.002}", "stages.second.hours={greek: 0.002}",
        *(f"stages.{s}.hours.{t}=0" for s in ("first", "second") for t in others),
    )  # fmt: skip
    return (
        FamilyModel(NANO_BASE, "mert-nano", one),
        FamilyModel("A-nano", "greek-nano", two),
        FamilyModel("B-nano", "greek-nano", (*two, "seed=5")),
        FamilyModel("TA-nano", added=("A-nano", "B-nano"), scale=0.5),
    )


def making(folder: Path) -> Making:
    context = LoadContext(cache_root=folder / "cache", workers=1, data_root=None)
    return Making(folder / "made", folder / "made" / NANO_BASE, context, "cpu")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[FamilyModel, ...], Path]:
    """What a family is made of, and where it was made."""
    folder: Path = tmp_path_factory.mktemp("family")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMBENCH_CACHE", str(folder / "cache"))
        patch.setattr(family, "FAMILY", members(folder))
        make_family(making(folder), QUIET, print)
        return family.FAMILY, folder / "made"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Making:
    """Where a family is to be made."""
    monkeypatch.setattr(family, "FAMILY", members(tmp_path))
    return making(tmp_path)


@pytest.fixture
def whole(finished: tuple[tuple[FamilyModel, ...], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Making:
    """A copy of the family that was made."""
    monkeypatch.setattr(family, "FAMILY", finished[0])
    shutil.copytree(finished[1], tmp_path / "made")
    return making(tmp_path)


def test_a_family_is_made_gone_on_with_and_compared(
    whole: Making, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made = [whole.place(member.name) for member in family.FAMILY]
    assert [path.name for path in made] == [NANO_BASE, "A-nano", "B-nano", "TA-nano"]
    for path in made:
        assert {str(t.dtype) for t in load_file(path / "model.safetensors").values()} == {"torch.float16"}
    facts = json.loads((made[1] / "pretraining.json").read_text())
    assert facts["recipe"]["start"] == NANO_BASE, "the recipe is that of everybody, wherever the base lies here"
    assert facts["start"]["weights_sha256"] == json.loads((made[0] / "pretraining.json").read_text())["weights_sha256"]
    assert (made[1] / "held_out.csv").read_text().startswith("step,stage,tradition,loss")

    before = {path: (path / "model.safetensors").stat().st_mtime_ns for path in made}
    assert make_family(whole, QUIET, said.append) == made
    assert said == [f"{path.name}: there already" for path in made]
    assert {path: (path / "model.safetensors").stat().st_mtime_ns for path in made} == before

    shipped = tmp_path / "shipped"
    shutil.copytree(whole.folder, shipped)
    monkeypatch.setattr(family, "nano_folder", lambda name: shipped / name)
    assert all(one.same and one.within for one in deviations(whole.folder))
    file = shipped / "A-nano" / "pretraining.json"
    other = json.loads(file.read_text()) | {"weights_sha256": "0" * 64}
    for factor, within in ((1.01, True), (1.03, False)):
        losses = {t: {"before": v["before"], "after": v["after"] * factor} for t, v in facts["held_out_loss"].items()}
        file.write_text(json.dumps(other | {"held_out_loss": losses}))
        (one,) = (one for one in deviations(whole.folder) if one.name == "A-nano")
        assert (one.same, one.within) == (False, within)
        assert one.largest == pytest.approx(1 - 1 / factor)
    file.write_text(json.dumps(other | {"recipe_sha256": "0" * 64}))
    (one,) = (one for one in deviations(whole.folder) if one.name == "A-nano")
    assert (one.comparable, one.within) == (False, False)


def change(file: Path, **facts: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_what_lies_in_a_models_place_and_is_another_is_refused(whole: Making) -> None:
    made = [whole.place(member.name) for member in family.FAMILY]
    _, one, _, merged = made
    require_family(whole.folder)

    def refuses(member: int, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            make_member(family.FAMILY[member], whole, QUIET, print)

    for file, member, facts, words in (
        (one / "pretraining.json", 1, {"recipe_sha256": "0" * 64}, "A-nano holds another A-nano: its recipe is not"),
        (one / "pretraining.json", 1, {"steps": 1}, "stopped after 1 of 2 updates"),
        (one / "pretraining.json", 1, {"start": {"weights_sha256": "0" * 64}}, "continues from another MERT-nano"),
        (one / "pretraining.json", 1, {"start": None}, "not those of a model of the family"),
        (merged / "merge.json", 3, {"base": {"weights_sha256": "0" * 64}}, "merged into another MERT-nano"),
        (merged / "merge.json", 3, {"added": []}, "merged from other models"),
    ):
        before = file.read_text()
        change(file, **facts)
        refuses(member, words)
        file.write_text(before)
    scaled = json.loads((merged / "merge.json").read_text())["added"]
    change(merged / "merge.json", added=[model | {"scale": 0.4} for model in scaled])
    refuses(3, "another scale")
    # A model that was trained anew after it was merged.
    change(merged / "merge.json", added=scaled)
    weights = load_file(one / WEIGHTS)
    weights["encoder.layer_norm.weight"] = weights["encoder.layer_norm.weight"] + 1
    save_file(weights, one / WEIGHTS)
    refuses(3, "merged from other models")
    (one / "pretraining.json").unlink()
    refuses(1, "there is no pretraining.json")
    (one / WEIGHTS).unlink()
    with pytest.raises(UsageError, match="not a whole family: it has no A-nano"):
        require_family(whole.folder)


def test_a_folder_that_is_named_by_a_dot_is_not_the_shipped_family(
    small: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.folder.mkdir()
    monkeypatch.chdir(small.folder)
    here = replace(small, folder=Path(), base=Path(NANO_BASE))
    made = make_family(here, QUIET, print)
    own = json.loads((made[0] / "pretraining.json").read_text())["weights_sha256"]
    assert own != json.loads((nano_folder(NANO_BASE) / "pretraining.json").read_text())["weights_sha256"]
    assert json.loads((made[1] / "pretraining.json").read_text())["start"]["weights_sha256"] == own
    assert json.loads((made[3] / "merge.json").read_text())["base"]["weights_sha256"] == own


def altered(folder: Path, name: str, **facts: object) -> tuple[bool, bool]:
    """Compare a family of which a model says something else; whether that model is comparable, and within."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(nano_folder(name), place)
    file = place / ("merge.json" if name == family.MERGED else "pretraining.json")
    change(file, weights_sha256="0" * 64, **facts)
    (one,) = (one for one in deviations(folder) if one.name == name)
    assert not one.same
    return one.comparable, one.within


def test_a_model_that_differs_in_more_than_its_weights_is_not_within(tmp_path: Path) -> None:
    for name in NANO:
        shutil.copytree(nano_folder(name), tmp_path / name)
    assert all(one.same and one.within for one in deviations(tmp_path))
    losses = json.loads((nano_folder("GreekMERT-nano") / "pretraining.json").read_text())["held_out_loss"]
    assert altered(tmp_path, "GreekMERT-nano") == (True, True)
    assert altered(tmp_path, "GreekMERT-nano", contaminated=True) == (False, False)
    assert altered(tmp_path, "GreekMERT-nano", steps=599) == (False, False)
    assert altered(tmp_path, "GreekMERT-nano", held_out_sha256="0" * 64) == (False, False)
    fewer = {tradition: loss for tradition, loss in losses.items() if tradition != "western"}
    assert altered(tmp_path, "GreekMERT-nano", held_out_loss=fewer) == (False, False)
    more = losses | {"persian": losses["greek"]}
    assert altered(tmp_path, "GreekMERT-nano", held_out_loss=more) == (False, False)
    added = json.loads((nano_folder(family.MERGED) / "merge.json").read_text())["added"]
    assert altered(tmp_path, family.MERGED) == (True, True)
    assert altered(tmp_path, family.MERGED, method="mean") == (False, False)
    assert altered(tmp_path, family.MERGED, added=added[:3]) == (False, False)
    with pytest.raises(UsageError, match="not the facts of a model of the family"):
        altered(tmp_path, "GreekMERT-nano", held_out_loss=None)
    (tmp_path / NANO_BASE / "pretraining.json").unlink()
    with pytest.raises(UsageError, match=r"there is no pretraining\.json"):
        list(deviations(tmp_path))


def test_a_model_that_was_interrupted_goes_on(small: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    from cmbench.pretraining import pretrain

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    member = family.FAMILY[0]
    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "write_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_member(member, small, QUIET, print)
    assert not (small.folder / member.name / "model.safetensors").exists()
    assert (make_member(member, small, QUIET, print) / "model.safetensors").is_file()


def test_the_family_is_what_the_names_say() -> None:
    assert [member.name for member in FAMILY] == list(NANO)
    for member in FAMILY:
        if member.added:
            assert member.added == SINGLE
            continue
        recipe = open_recipe(member.recipe).recipe
        assert recipe.start == ("scratch" if member.name == NANO_BASE else NANO_BASE)
        assert all(source.startswith("mini:") for sources in recipe.sources.values() for source in sources)


def test_what_a_model_of_the_family_is_measured_on_none_of_them_was_trained_on(tmp_path: Path) -> None:
    lists = LoadContext(None, tmp_path, needs_audio=False)
    made = {m.name: build_corpus(open_recipe(m.recipe).recipe, lists) for m in FAMILY if m.recipe}
    base = made[NANO_BASE]
    assert base.teacher.keys() == base.held_out.keys() == set(TRADITIONS)
    assert base.stages["only"].keys() == {"western"}
    for name, corpus in made.items():
        assert corpus.held_out == base.held_out, name
        heard = {r.id for music in (*corpus.stages.values(), corpus.teacher) for rs in music.values() for r in rs}
        assert not heard & {r.id for rs in corpus.held_out.values() for r in rs}, name
