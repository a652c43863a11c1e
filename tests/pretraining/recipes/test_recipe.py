"""Recipes: those that ship, what they extend, whose choice each value is, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from cmbench.baselines.nano import NANO, nano_folder
from cmbench.errors import UsageError
from cmbench.pretraining.recipes.reading import MARKS, OVERRIDDEN, SHIPPED, marks_of, open_recipe, shipped_recipes
from cmbench.pretraining.recipes.recipe import SCRATCH

CULTURES = ("greek", "turkish", "hindustani", "carnatic")
# Left to the schema where a recipe starts from scratch or does not.
UNSAID = {"name", "summary"}

SHA256_95M = "a6b0c69cdfd3abe63767055dfa54d0cad5d94d11b703f5464d3ece4e143ee195"


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_value_of_a_shipped_recipe_is_marked(name: str) -> None:
    opened = open_recipe(name)
    keys = flat(asdict(opened.recipe)).keys() - UNSAID
    unmarked = sorted(key for key in keys if opened.marks.get(key, "") not in MARKS)
    assert unmarked == []
    assert opened.recipe.name == name


def test_every_family_is_there() -> None:
    for size in ("95m", "nano"):
        assert {f"{c}-{size}" for c in ("culturemert", *CULTURES)} <= set(shipped_recipes())
        assert {f"culturemert-{size}-single-stage", f"culturemert-{size}-scratch"} <= set(shipped_recipes())
    assert open_recipe("mert-nano").recipe.start == SCRATCH


def test_recipes_are_package_data() -> None:
    assert (files("cmbench") / "pretraining" / "recipes" / "mert-nano.yaml").is_file()


def test_the_reported_mix() -> None:
    first, second = open_recipe("culturemert-95m").recipe.stages.values()
    assert sum(first.hours[c] for c in CULTURES) == 80
    assert first.hours["western"] == 20
    assert second.hours == {"greek": 50, "turkish": 200, "hindustani": 200, "carnatic": 200, "western": 0}
    assert set(first.train) == {"front_end", "codewords", "heads"}
    assert len(second.train) == 6


def test_the_reported_numbers_are_marked_so() -> None:
    marks = open_recipe("culturemert-95m").marks
    assert {marks[f"stages.second.hours.{c}"] for c in CULTURES} == {"reported"}
    assert marks["stages.first.hours.western"] == "reported"
    assert marks["stages.first.steps"] == "our choice"
    assert marks["loss.features"] == "as in MERT"


def test_mert_values() -> None:
    recipe = open_recipe("culturemert-95m").recipe
    assert (recipe.loss.tokens, recipe.loss.cqt, recipe.loss.features) == (1.0, 1.0, 10.0)
    assert (recipe.masking.probability, recipe.masking.length) == (0.8, 5)
    assert (recipe.optimiser.beta1, recipe.optimiser.beta2, recipe.optimiser.clip) == (0.9, 0.98, 10.0)
    assert (recipe.dropout.layer, recipe.feature_gradient, recipe.targets.dim) == (0.05, 0.1, 64)


@pytest.mark.parametrize("culture", CULTURES)
@pytest.mark.parametrize("size", ["95m", "nano"])
def test_single_cultures_hear_their_own_music_and_replay(culture: str, size: str) -> None:
    first, second = open_recipe(f"{culture}-{size}").recipe.stages.values()
    assert {t for t, hours in first.hours.items() if hours} == {culture, "western"}
    assert first.hours["western"] == pytest.approx(first.hours[culture] / 4)
    assert {t for t, hours in second.hours.items() if hours} == {culture}


def test_the_command_line_comes_last() -> None:
    opened = open_recipe("mert-nano", ["stages.only.steps=7", "stages.only.train=[heads]", "contrast.weight=0"])
    assert opened.recipe.stages["only"].steps == 7
    assert opened.recipe.stages["only"].train == ["heads"]
    assert opened.recipe.contrast.weight == 0
    assert opened.marks["stages.only.steps"] == OVERRIDDEN
    assert opened.recipe.sha256 != open_recipe("mert-nano").recipe.sha256
    assert open_recipe("mert-nano").recipe.sha256 == open_recipe("mert-nano").recipe.sha256


def test_keys_that_came_later_count_only_where_they_are_used() -> None:
    """Models that were made before these keys name the hash of their recipe."""
    assert open_recipe("culturemert-95m").recipe.sha256 == SHA256_95M
    found = {open_recipe("culturemert-nano").recipe.sha256}
    for change in ("network.patterns=96", "contrast.pairs=9", "pitch_shifts=[0,1]", "targets.features=log_frequency"):
        found.add(open_recipe("culturemert-nano", [change]).recipe.sha256)
    assert len(found) == 5


@pytest.mark.parametrize("name", [name for name in NANO if name != "CultureMERT-TA-nano"])
def test_what_ships_was_made_by_the_recipe_as_it_is(name: str) -> None:
    shipped = json.loads((nano_folder(name) / "pretraining.json").read_text(encoding="utf-8"))
    assert open_recipe(shipped["recipe"]["name"]).recipe.sha256 == shipped["recipe_sha256"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("stages.only.stesp=7", "no key 'stages.only.stesp'; the closest is 'stages.only.steps'"),
        ("temprature=2", "the closest is 'temperature'"),
        ("seed", "write key=value"),
        ("=3", "write key=value"),
        ("seed=x", "seed=x: seed should be a whole number, not 'x'; write it like seed=3"),
        ("stages.only.steps=1.5", "stages.only.steps"),
        ("stages.only.hours.klezmer=1", "'klezmer' is none of greek"),
        ("stages.only.hours.western=-1", "hours"),
        ("stages.only.hours.western=0", "more than nothing"),
        ("stages.only.hours.western=.nan", "hours"),
        ("stages.only.train=[head]", "Did you mean 'heads'"),
        ("stages.only.train=[]", "trains nothing"),
        ("stages.only.decay=exponential", "exponential"),
        ("stages.only.warmup=2", "warmup"),
        ("stages.only.peak=-1", "peak"),
        ("sources.western=[mini]", "KIND:NAME"),
        ("sources.western=['hf:owner/name']", "'hf' is none of mini, task, folder"),
        ("sources.western=[]", "names no place for it"),
        ("batch.together=3", "multiple of batch.together"),
        ("batch.together=0", "batch.together"),
        ("targets.teacher=encodec-24khz", r"fitted on, but targets.teacher is 'encodec-24khz'.*targets.hours.greek=0 "),
        ("targets.hours=[]", r"targets.hours should be a table, not \[\]; write it like targets.hours.NAME="),
        ("shape=95m", "front_end=filter_bank is for shape=nano; with shape=95m say front_end=random"),
        ("targets.hours.klezmer=1", "targets.hours: 'klezmer' is none of greek"),
        ("targets.hours.greek=-1", "targets.hours.greek = -1.0 should be 0 or more"),
        ("batch.seconds=0.9", "mixture.samples = 24000 should be at most the 21600 samples of a crop of 0.9 s"),
        ("temperature=0", "temperature"),
        ("temperature=.inf", "temperature"),
        ("running.precision=float8", "float8"),
        ("optimiser.beta1=1", "beta1"),
        ("dropout.layer=1", "dropout.layer"),
        ("masking.probability=2", "probability"),
        ("shape=330m", "none of nano, 95m"),
        ("name=../x", "name is letters"),
        ("name=${oc.env:HOME}", "not resolved"),
        ("stages.only.train=[transformer.x]", "'transformer.x' is none of"),
        ("stages.only.train=[melodie]", "Did you mean 'melody'"),
        ("targets.features=chroma", "'chroma' is none of log_mel, log_frequency"),
        ("targets.cqt.bins=0", "targets.cqt.bins = 0 should be at least 1"),
        ("network.patterns=0 network.rhythms=0", "needs a stream; say network.patterns=96"),
        ("stages.only.train=[heads]", "no stage trains what it teaches; add contrast_head and envelope and melody"),
        ("contrast.positives=versions", "'versions' is none of tellings, crops"),
        (
            " ".join(f"sources.{t}=[folder:/x]" for t in ("greek", "turkish", "hindustani", "carnatic", "western")),
            "for mini music.*no source is of it",
        ),
        ("contrast.pairs=1", "contrast.pairs = 1 should be at least 2"),
        ("network.hidden=-1", "network.hidden = -1 should be 0 or more"),
        ("network.conv_stride=[80,5]", "should be 320"),
        ("network.conv_kernel=[640,0]", "as many, from 1"),
        ("pitch_shifts=[0,13]", "semitones from -12 to 12"),
        ("pitch_shifts=[]", "semitones from -12 to 12"),
        ("stages.only=3", "stages.only should be a table of hours, steps"),
    ],
)
def test_wrong_values_are_named(change: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        open_recipe("mert-nano", change.split(" "))


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("extends: mert-nano\nname: own\nseed: 5  # our choice\nbatch: {crops: 16}\n", encoding="utf-8")
    opened = open_recipe(str(own))
    assert (opened.recipe.name, opened.recipe.seed, opened.recipe.batch.crops) == ("own", 5, 16)
    assert (opened.marks["seed"], opened.marks["batch.crops"]) == ("our choice", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n- b\n", "table of keys"),
        ("", "table of keys|no stages|name"),
        ("a: [1\n", "own.yaml:2: not valid YAML"),
        ("seed: 1\nseed: 2\n", ":2: this is not a recipe in YAML: it has twice the key seed."),
        ("extends: mert-nano\nsteps: 3\n", "no key 'steps'"),
        ("extends: nothing-like-it\n", "no recipe named 'nothing-like-it'"),
        ("extends: own\n", "circle"),
        ("name: a\n", "no stages"),
        ("extends: mert-nano\nstages: {only: {hours: {western: ${seed}}}}\n", "not resolved"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, text: str, told: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        open_recipe(str(own))


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        open_recipe(str(own))


@pytest.mark.parametrize("name", ["mert-nanoo", "_mert", "../mert-nano", "nowhere.yaml"])
def test_an_unknown_recipe_is_told(name: str) -> None:
    with pytest.raises(UsageError, match=r"no recipe named|no such recipe"):
        open_recipe(name)


def test_marks_are_read_from_the_line_of_the_value() -> None:
    text = "a: 1  # reported\nb:\n  c: [1, 2]  # as in MERT: why\n  d: x  # something else\ne: 2\n"
    assert marks_of(text) == {"a": "reported", "b.c": "as in MERT", "b.d": "", "e": ""}


def test_shared_parts_are_no_recipes() -> None:
    assert all(not name.startswith("_") for name in shipped_recipes())
    assert (SHIPPED / "_mert.yaml").is_file()
