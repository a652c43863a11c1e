"""Which tracks there are: label counts, groups, and that nothing but the labels' causes gives them away."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cmbench.benchmark.comparing.choice import FEW_GROUPS
from cmbench.tasks.base import LoadContext
from cmbench.tasks.mini.corpus import TrackSpec, counts, generator, plan
from cmbench.tasks.mini.edition import BLOCK, UNLABELLED, load_mini, load_unlabelled, render_track, tradition
from cmbench.tasks.mini.labels import LEFT_OUT, mini_labels
from cmbench.tasks.mini.stage import open_stage
from cmbench.tasks.registry import built_in

TASKS = tuple(LEFT_OUT)
MAKEFILE = Path(__file__).parents[3] / "Makefile"
FORMER = {
    "brazilian_rhythms": ("2bc5f1d7079b40a8", "15eca642e99fee84"),
    "carnatic": ("b7939ccd0feb3462", "0aedba087d554687"),
    "carnatic_raga": ("ae5a3f618b1687e0", "fe6f13ca70057417"),
    "chinese_modes": ("beb03db54d909a0f", "61c713bdf87a217f"),
    "fma_medium": ("9883a98aa60829b9", "cd90da458d8ac331"),
    "hindustani": ("1dd53ea78a158246", "2c9a126d1639f358"),
    "hindustani_raga": ("3dcd7f3dfcdb98d9", "5af5f491876953de"),
    "lyra": ("c73aca203d0227fd", "063d7da0745774d3"),
    "magnatagatune": ("ac9c7ee2dee10650", "0592c2f94d27423f"),
    "turkish_makam": ("5f2dc021723c0eef", "91e43f3be6f0c0f3"),
}
"""Of each task, hashes of two blocks of music without labels and of the splits of r2, both as r2 had them."""


@cache
def planned(task: str, seed: int = 3) -> tuple[TrackSpec, ...]:
    return tuple(plan(task, tradition(task), seed, counts(1.0)))


@pytest.mark.parametrize("task", TASKS)
def test_splits_have_their_sizes_and_groups_stay_in_one(task: str) -> None:
    specs = planned(task)
    sizes = {split: sum(s.split == split for s in specs) for split in counts(1.0)}
    assert sizes == {"train": 100, "valid": 60, "test": 80}
    assert len({s.id for s in specs}) == len(specs)
    groups: dict[str, list[TrackSpec]] = {}
    for s in specs:
        groups.setdefault(s.group, []).append(s)
    assert all(len({s.split for s in members}) == 1 for members in groups.values())
    albums = {split: Counter(len(m) for m in groups.values() if m[0].split == split) for split in sizes}
    assert albums == {"train": {1: 18, 2: 17, 3: 16}, "valid": {1: 20, 2: 20}, "test": {1: 15, 2: 13, 3: 13}}


def test_enough_groups_choose_on_the_first_screen() -> None:
    """At the scale of `make run` too no allowance is made for the choice of a hidden state."""
    (scale,) = re.findall(r"^SCALE \?= (.+)$", MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE)
    for task in built_in():
        specs = plan(task, tradition(task), 0, {"valid": counts(float(scale))["valid"]})
        assert len({s.group for s in specs}) >= FEW_GROUPS


@pytest.mark.parametrize("task", FORMER)
def test_the_former_splits_and_music_without_labels_are_what_they_were(task: str) -> None:
    """Of the one entries are verified, on the other the nano models were trained."""
    blocks = {f"{UNLABELLED}{block}": BLOCK for block in (0, 1)}
    found = [plan(task, tradition(task), 0, sizes, "r2") for sizes in (blocks, counts(1.0, "r2"))]
    assert tuple(hashlib.sha256(repr(specs).encode()).hexdigest()[:16] for specs in found) == FORMER[task]
    context = LoadContext(None, Path("nowhere"), needs_audio=False)
    heard = load_unlabelled(task, context, 700.0)
    assert [t.id for t in heard] == [s.id for s in found[0][: len(heard)]]
    splits = load_mini(task, replace(context, mini_version="r2"))
    assert [(t.id, t.group) for tracks in splits.values() for t in tracks] == [(s.id, s.group) for s in found[1]]


@pytest.mark.parametrize("task", TASKS)
def test_every_label_can_be_scored(task: str) -> None:
    for split, least in (("train", 5), ("valid", 2), ("test", 4)):
        tracks = [s for s in planned(task) if s.split == split]
        for label in mini_labels(task):
            positives = sum(label in s.content.labels for s in tracks)
            assert least <= positives <= len(tracks) - least, (split, label, positives)


@pytest.mark.parametrize("task", TASKS)
def test_labels_are_imbalanced_and_in_order(task: str) -> None:
    specs = planned(task)
    held = [sum(label in s.content.labels for s in specs) for label in mini_labels(task)]
    assert max(held) > 3 * min(held)
    for s in specs:
        order = [mini_labels(task).index(x) for x in s.content.labels]
        assert order == sorted(set(order))


@pytest.mark.parametrize("task", TASKS)
def test_a_plan_is_always_the_same(task: str) -> None:
    assert plan(task, tradition(task), 3, {"valid": 60}) == [s for s in planned(task) if s.split == "valid"]


def test_more_music_can_be_planned_beside_the_splits() -> None:
    extra = plan("carnatic", tradition("carnatic"), 3, {"extra": 7})
    assert [s.split for s in extra] == ["extra"] * 7
    assert not {s.id for s in extra} & {s.id for s in planned("carnatic")}


@pytest.mark.parametrize(("task", "family"), [("turkish_makam", "makam--"), ("hindustani", "raga--")])
def test_the_tonic_is_uniform_whatever_the_mode(task: str, family: str) -> None:
    specs = planned(task)
    by_label: dict[str, list[float]] = {}
    for s in specs:
        for label in s.content.labels:
            if label.startswith(family):
                by_label.setdefault(label, []).append(float(np.log2(open_stage(s, 0.0).tonic / 110.0)))
    everything = [x for places in by_label.values() for x in places]
    assert min(everything) < 0.05
    assert max(everything) > 0.95
    for label, places in by_label.items():
        turned = abs(np.mean(np.exp(2j * np.pi * np.array(places))))
        assert turned < 3.0 / np.sqrt(len(places)), label


@pytest.mark.parametrize(
    ("task", "family"), [("turkish_makam", "makam--"), ("carnatic", "raga--"), ("hindustani", "raga--")]
)
def test_no_performance_gives_a_mode_away(task: str, family: str) -> None:
    """Repertoire ties modes to ensembles, but every style and most instruments are heard in several modes."""
    heard: dict[str, list[tuple[str, ...]]] = {}
    for s in planned(task):
        modes = tuple(label for label in s.content.labels if label.startswith(family))
        for what in {s.content.style, *s.content.parts}:
            heard.setdefault(what, []).append(modes)
    for what, found in heard.items():
        for label in {label for modes in found for label in modes}:
            if len(found) >= 20:
                assert sum(label in modes for modes in found) < 0.75 * len(found), (what, label)


def test_makams_modulate_and_return() -> None:
    content = [s.content for s in planned("turkish_makam")]
    modulating = [c for c in content if len(c.modes) == 3]
    assert 0.25 < len(modulating) / len(content) < 0.55
    assert all(c.modes[0] == c.modes[2] != c.modes[1] for c in modulating)
    assert all(len(c.modes) in (1, 3) for c in content)


@pytest.mark.parametrize("task", TASKS)
def test_every_tradition_renders_sound_audio(task: str) -> None:
    for spec in planned(task)[7::160]:
        audio = render_track(spec)
        assert audio.dtype == np.float32
        assert audio.shape == (spec.seconds * 24000,)
        assert np.isfinite(audio).all()
        assert np.abs(audio).max() <= 0.971
        seconds = audio.reshape(spec.seconds, 24000).std(axis=1)
        assert (seconds > 1e-4).all()


def test_generators_depend_on_every_part_of_their_key() -> None:
    draws = [generator(*key).random() for key in ((0, "a"), (1, "a"), (0, "b"), (0, "a", "x"))]
    assert len(set(draws)) == 4
    assert generator(0, "a").random() == draws[0]
