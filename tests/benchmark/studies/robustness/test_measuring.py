"""Answers from audio to verdicts: what a shift breaks is lost, what it does not touch is kept, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from cmbench.baselines import registry
from cmbench.baselines.base import EncoderCard, EncoderEntry
from cmbench.benchmark.comparing.paired import TEST_ONLY
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.protocol import ProbeSettings, get_protocol
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.studies.answers import Answer, Answers
from cmbench.benchmark.studies.robustness import alterations, measuring, report
from cmbench.benchmark.studies.robustness.alterations import ALTERATIONS, KINDS, THERE_AND_BACK, altered_card
from cmbench.benchmark.studies.robustness.measuring import APART, NAMED, Request, measure
from cmbench.benchmark.studies.robustness.report import change_figure, change_table, sentences
from cmbench.benchmark.views.words import ALL
from cmbench.errors import CmbenchError

RATE = 8000
FIFTY, NOISE = "pitch ±50 cents", "noise 20 dB"
QUICK = replace(
    get_protocol("cmbench-2"),
    name="quick",
    probe=ProbeSettings(hidden=8, learning_rates=(3e-2,), max_epochs=30, batch=8, seeds=(1,)),
    train_resamples=8,
    resamples=20,
)
STEPS = {"makam--narrow": 200, "makam--wide": 300}
"""Cents from the first tone to the second."""


def write_corpus(folder: Path) -> Path:
    """Write tracks of two tones: the step between them is the mode, how long the first lasts the metre."""
    rows = ["id,path,split,group,labels"]
    for split, count in (("train", 24), ("valid", 12), ("test", 24)):
        for i in range(count):
            mode, slow = [*STEPS][i % 2], i % 4 < 2
            rng = np.random.default_rng(i)
            t = np.arange(int(0.6 * RATE)) / RATE
            low, high = (np.sin(2 * np.pi * 440 * 2 ** (cents / 1200) * t) for cents in (0, STEPS[mode]))
            tones = np.concatenate([low if slow else low[:2400], np.zeros(800), high])
            wave = (0.3 + 0.1 * rng.random()) * tones + 0.001 * rng.standard_normal(len(tones))
            path = folder / f"{split}{i}.wav"
            soundfile.write(path, wave.astype(np.float32), RATE, subtype="FLOAT")
            rows.append(f"{split}{i},{path.name},{split},{split}-{i // 2},{mode}|usul--{'slow' if slow else 'fast'}")
    (folder / "tracks.csv").write_text("\n".join([*rows, ""]))
    labels = f"[{', '.join(STEPS)}, usul--slow, usul--fast]"
    (folder / "task.yaml").write_text(f"name: steps\ntradition: turkish\nlabels: {labels}\n")
    return folder / "task.yaml"


def pitch(tone: NDArray[np.float32]) -> float:
    """Cents of a tone above 440 Hz."""
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 17))
    return float(1200 * np.log2(spectrum[1500:].argmax() + 1500) - 1200 * np.log2(440 * (1 << 17) / RATE))


@dataclass
class Hearing:
    """Hears the second tone in two narrow bands, of pitch (absolute) or of the step, and how long the first one is."""

    absolute: bool
    heard: int = 0

    @property
    def card(self) -> EncoderCard:
        return EncoderCard(
            name="absolute" if self.absolute else "relative", family="test", sample_rate=RATE, layers=1, dim=3,
            layer_names=("a",), min_seconds=0.05, parameters=0, licence="none", trained_on=(),
            weights_sha256=str(int(self.absolute)) * 64, code_version="1", preprocessing="none",
        )  # fmt: skip

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        self.heard += len(audio)
        return np.stack([self._features(one) for one in audio])

    def _features(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        step = pitch(audio[-3600:-600]) - (0.0 if self.absolute else pitch(audio[400:2000]))
        bands = [float(abs(step - cents) < 20) for cents in STEPS.values()]
        goes_on = np.abs(audio[2650:2950]).max() > 0.4 * np.abs(audio).max()
        return np.array([[*bands, float(goes_on)]], np.float32)


@dataclass
class Models:
    """The doubles, registered by their names."""

    absolute: Hearing
    relative: Hearing


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    made = Models(Hearing(absolute=True), Hearing(absolute=False))
    for name, one in vars(made).items():
        entry = EncoderEntry(name, "A double.", "none", "built in", partial(lambda made, _: made, one))
        monkeypatch.setitem(registry(), name, entry)
    return made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave some alterations; the others are tested one by one."""
    for kind in {*KINDS} - {THERE_AND_BACK, FIFTY, NOISE}:
        for name in KINDS[kind]:
            monkeypatch.delitem(ALTERATIONS, name)
        monkeypatch.delitem(KINDS, kind)
    monkeypatch.setattr(report, "TRANSPOSED", FIFTY)


Study = Callable[..., Answers]


@pytest.fixture
def study(tmp_path: Path, models: Models, few: None) -> Study:
    task = write_corpus(tmp_path)

    def run(*names: str) -> Answers:
        request = Request(
            model=list(names),
            tasks=[str(task)],
            protocol=cast(str, QUICK),
            out=tmp_path / "out",
            device="cpu",
            workers=1,
        )
        return measure(request, Observer())

    return run


def test_what_a_shift_breaks_is_lost_and_what_it_does_not_touch_is_kept(
    study: Study, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered, noise = [], ALTERATIONS[NOISE]

    def counted(audio: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        altered.append(rate)
        return noise.alter(audio, rate)

    monkeypatch.setitem(ALTERATIONS, NOISE, replace(noise, alter=counted))
    found = study("absolute", "relative")
    assert len(altered) == 24, "once for both"

    def asked(model: str, kind: str, part: str) -> Answer:
        return found.of(kind, model)[part]

    assert asked("absolute", FIFTY, "makam").change.verdict == "lost"
    assert asked("absolute", FIFTY, APART).change.verdict == "lost"
    assert asked("relative", FIFTY, "makam").change.verdict == "kept"
    assert asked("relative", FIFTY, APART).change.verdict == "kept"
    # The null: what rests on no pitch changes by none of it, nor by the processing.
    for model in found.models:
        assert {asked(model, kind, "usul").change.verdict for kind in KINDS} == {"kept"}
    assert {asked("absolute", kind, "makam").change.verdict for kind in (THERE_AND_BACK, NOISE)} == {"kept"}
    assert (asked("absolute", FIFTY, "makam").tracks, asked("absolute", FIFTY, "makam").change.trainings) == (24, 8)
    assert asked("relative", FIFTY, NAMED).change.after == 1.0
    named = asked("absolute", FIFTY, NAMED).change
    assert named.before == 1.0
    assert named.verdict == "lost"
    assert named.trainings == 0, "which mode is named is not asked of the trainings on resamples"
    # Nothing is encoded or trained again, and nothing altered is taken for what was not.
    heard = models.absolute.heard
    assert heard == 60 + 24 * len(ALTERATIONS)
    assert study("absolute", "relative") == found
    assert models.absolute.heard == heard
    shown(found)


def shown(found: Answers) -> None:
    table = change_table(found)
    assert table.notes[0].count(TEST_ONLY) == 0
    assert table.notes[1].count(TEST_ONLY) == 1
    assert len(table.rows) == 2 * len(KINDS)
    row = next(r for r in table.rows if r[:2] == ("absolute", FIFTY))
    assert row[table.columns.index("makam")].endswith("↓")
    assert row[table.columns.index("usul")] == "+0.0="
    said = " ".join(sentences(found))
    assert "absolute's modes lose more than its other labels" in said
    assert "it names the same mode on 100.0 % of the tracks" in said
    rows = found.rows()
    assert len({tuple(r) for r in rows}) == 1
    assert len(rows) == 2 * 5 * (len(KINDS) + len(KINDS[FIFTY]))
    figure = change_figure(found)
    assert [axes.get_title() for axes in figure.axes] == [ALL, "makam", "usul", APART, NAMED]


def test_where_every_altered_track_is_too_short_that_is_said(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alterations, "LONGER", 100.0)
    with pytest.raises(CmbenchError, match="relative can hear no test track of steps in every form"):
        study("relative")


def test_tracks_without_a_mode_name_none(build_evidence: Callable[..., Evidence]) -> None:
    modes, groups = np.arange(40)[:, None] % 2 == np.arange(2), [f"g{i // 2}" for i in range(40)]
    targets = modes & (np.arange(40)[:, None] < 20)
    clean = build_evidence("mfcc", targets, np.where(modes, 0.8, 0.2), groups)
    turned = build_evidence("mfcc", targets, np.where(modes == (np.arange(40)[:, None] < 20), 0.8, 0.2), groups)
    shares = measuring._named_alike(turned, clean, [0, 1])
    assert shares[0] == 1.0
    assert np.nanmin(shares) == 1.0


def test_features_of_other_arithmetic_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    card, one = Hearing(absolute=True).card, ALTERATIONS[NOISE]
    before = altered_card(card, one).fingerprint
    monkeypatch.setattr(alterations, "VERSION", alterations.VERSION + 1)
    assert altered_card(card, one).fingerprint != before


def test_features_of_altered_audio_are_never_those_of_another_form() -> None:
    card = Hearing(absolute=True).card
    cards = [card, *(altered_card(card, one) for one in ALTERATIONS.values())]
    assert len({one.fingerprint for one in cards}) == len(cards)
    assert len({one.name for one in cards}) == len(cards)


def test_windows_altered_at_once_are_those_altered_in_turn() -> None:
    audio = 0.1 * np.random.default_rng(0).standard_normal((3, 8000)).astype(np.float32)
    one = ALTERATIONS["1 % faster"]
    with measuring._at_once(2) as each:
        there = [*each(one.alter, audio, [8000] * 3)]
    with measuring._at_once(1) as each:
        here = [*each(one.alter, audio, [8000] * 3)]
    assert np.array_equal(there, here)
