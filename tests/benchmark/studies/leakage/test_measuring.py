"""Leakage from audio to verdicts: who knows albums alone loses on the group-safe split, who knows music does not."""

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
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.protocol import ProbeSettings, get_protocol
from cmbench.benchmark.studies.leakage.measuring import HEARD, REPEATED, Leakage, Request, measure, read_heard
from cmbench.benchmark.studies.leakage.report import answer_figure, answer_table, sentences
from cmbench.errors import UsageError

RATE, ALBUMS = 8000, 36
QUICK = replace(
    get_protocol("cmbench-2"),
    name="quick",
    probe=ProbeSettings(hidden=32, learning_rates=(3e-2,), max_epochs=40, batch=16, seeds=(1,)),
    train_resamples=8,
    resamples=20,
)


def write_corpus(folder: Path) -> Path:
    """Write four tracks of each album, all with its label, in two splits: tone tells the album, level the label."""
    rows = ["id,path,split,group,labels"]
    for album in range(ALBUMS):
        loud = np.random.default_rng(album).random() < 0.5
        for k in range(4):
            t = np.arange(RATE // 4) / RATE
            wave = (0.5 if loud else 0.1) * np.sin(2 * np.pi * (200 + 40 * album) * t)
            noise = 0.001 * np.random.default_rng(4 * album + k).standard_normal(len(t))
            name = f"a{album}-{k}"
            soundfile.write(folder / f"{name}.wav", (wave + noise).astype(np.float32), RATE, subtype="FLOAT")
            split = "test" if k == 0 else "valid" if k == 1 and album % 3 == 0 else "train"
            label = "makam--loud|makam--strong" if loud else "makam--soft"
            rows.append(f"{name},{name}.wav,{split},album-{album},{label}")
    (folder / "tracks.csv").write_text("\n".join([*rows, ""]))
    labels = "[makam--loud, makam--strong, makam--soft]"
    (folder / "task.yaml").write_text(f"name: albums\ntradition: turkish\nlabels: {labels}\n")
    return folder / "task.yaml"


@dataclass
class Hearing:
    """Hears which album it is, or how loud it is."""

    name: str

    @property
    def card(self) -> EncoderCard:
        return EncoderCard(
            name=self.name, family="test", sample_rate=RATE, layers=1, dim=ALBUMS, layer_names=("a",),
            min_seconds=0.05, parameters=0, licence="none", trained_on=("Turkish-makam",),
            weights_sha256=("a" if self.name == "albums" else "b") * 64, code_version="1", preprocessing="none",
        )  # fmt: skip

    def encode(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        out = np.zeros((len(audio), 1, ALBUMS), np.float32)
        for row, one in zip(out, audio, strict=True):
            album = round((int(np.abs(np.fft.rfft(one)).argmax()) * RATE / len(one) - 200) / 40)
            row[0, album if self.name == "albums" else 0] = 1.0 if self.name == "albums" else one.std()
        return out


Study = Callable[..., Leakage]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    task = write_corpus(tmp_path)
    for name in ("albums", "levels"):
        entry = EncoderEntry(name, "A double.", "none", "built in", partial(lambda made, _: made, Hearing(name)))
        monkeypatch.setitem(registry(), name, entry)

    def run(heard: Path | None = None) -> Leakage:
        request = Request(
            model=["levels", "albums"],
            tasks=[str(task)],
            protocol=cast(str, QUICK),
            heard=heard,
            out=tmp_path / "out",
            device="cpu",
            workers=1,
        )
        return measure(request, Observer())

    return run


def test_what_knows_albums_alone_loses_them_and_what_knows_music_is_kept(study: Study, tmp_path: Path) -> None:
    found = study()
    albums, levels = (found.answers.of("group-safe", model)["albums"] for model in ("albums", "levels"))
    assert albums.change.verdict == "lost"
    assert albums.change.before == pytest.approx(1.0)
    assert levels.change.verdict == "kept"
    assert found.leaks == {"group-safe": (36, 36)}
    assert found.identical == {"albums": (("makam--loud", "makam--strong"),)}
    assert found.answers.of(REPEATED, "levels")["albums"].change.verdict == "kept"
    assert found.answers.of(HEARD, "levels") == {}
    heard = found.answers.of(HEARD, "albums")["albums"]
    assert 0 < heard.tracks < 36
    assert found.absent[0] == "No work-safe split (the work of too many tracks is not known): albums."
    shown(found)

    listed = tmp_path / "heard.txt"
    listed.write_text("albums\ta0-0\nelsewhere\ta1-0\n" + "\n".join(f"a{album}-0" for album in range(2, 20)))
    found = study(listed)
    assert found.answers.of(HEARD, "albums")["albums"].tracks == 19
    assert found.absent[-1] == f"1 of 20 tracks in {listed} is in no test split of these tasks: elsewhere a1-0."
    listed.write_text("nothing\na0-1\na0-2\na0-3\n")
    with pytest.raises(UsageError, match=r"4 of 4 tracks in .* are in no test split of albums: a0-1, a0-2, a0-3, …"):
        study(listed)
    listed.write_text("a0-0\n")
    with pytest.raises(UsageError, match="too few of its tracks are test tracks"):
        study(listed)


def shown(found: Leakage) -> None:
    table = answer_table(found)
    assert [row[:3] for row in table.rows[:2]] == [("group-safe", model, "albums") for model in ("levels", "albums")]
    assert table.rows[1][-1] == "lost"
    said = sentences(found)
    assert len(said) == 3
    assert "36 of 36 test tracks share a group with train or valid" in said[0]
    assert "albums counts 1 label twice" in said[1]
    assert "albums" in said[2]
    assert len({tuple(row) for row in found.answers.rows()}) == 1
    assert len(answer_figure(found).axes) == 1


def test_what_was_heard_is_a_list_of_tracks(tmp_path: Path) -> None:
    file = tmp_path / "heard.txt"
    file.write_text("\ufeffx\n\nlyra\ty z\nlyra\tw\n", encoding="utf-8")
    assert read_heard(file) == {"": {"x"}, "lyra": {"y z", "w"}}
    file.write_text("\n")
    with pytest.raises(UsageError, match="it is empty"):
        read_heard(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_heard(tmp_path)
