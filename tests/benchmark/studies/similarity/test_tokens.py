"""Tokens of a sample: the middle of each track, failures counted, every task heard alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.benchmark.studies.similarity.samples import Sample
from cmbench.benchmark.studies.similarity.tokens import count_sample, decoded, fit_stand_in, middle
from cmbench.errors import CmbenchError, UnusableAudio
from cmbench.tasks.base import LoadContext, Task, Track

RATE = 8000


class Loudness:
    """Two codebooks of four tokens: the sign of each sample, and whether it is loud."""

    name, fingerprint, sample_rate, hop, levels, codebook_size = "loudness", "0", RATE, 1, 2, 4

    def tokens(self, audio: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.stack([audio > 0, 2 + (np.abs(audio) > 0.1)]).astype(np.int64)


def silent(what: str, done: int, total: int) -> None:
    pass


def sample_of(task: Task, tmp_path: Path, extra: tuple[Track, ...] = ()) -> Sample:
    data = task.load("custom", LoadContext(None, tmp_path))
    return Sample(data, (*data.splits["train"], *extra))


def test_the_middle_of_a_track(make_task: Callable[..., Task], tmp_path: Path) -> None:
    track = sample_of(make_task(seconds=2.0), tmp_path).tracks[0]
    assert (middle(track, None, 1.0).start, middle(track, None, 1.0).end) == (0.5, 1.5)
    assert (middle(track, 1.0, 0.5).start, middle(track, 1.0, 0.5).end) == (0.25, 0.75)
    assert (middle(track, None, 9.0).start, middle(track, None, 9.0).end) == (0.0, 2.0)
    stretch = Track("x", track.path, (), start=0.5, end=1.7)
    assert middle(stretch, None, 0.2).start == pytest.approx(1.0)
    sample = sample_of(make_task(seconds=2.0), tmp_path)
    (_, part), (_, whole) = (next(decoded(sample, RATE, seconds, silent, "x")) for seconds in (1.0, 2.0))
    np.testing.assert_array_equal(part, whole[4000:12_000])
    with pytest.raises(UnusableAudio, match="no such file"):
        middle(Track("gone", tmp_path / "gone.wav", ()), None, 1.0)


def test_every_token_of_every_usable_track_is_counted(make_task: Callable[..., Task], tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"")
    told: list[tuple[str, int, int]] = []
    sample = sample_of(make_task(), tmp_path, (Track("broken", broken, ()),))
    found = count_sample(Loudness(), sample, 0.5, lambda *said: told.append(said))
    assert found.values.shape == (16, 2, 4)
    assert (found.values.sum(axis=2) == 4000).all()
    assert found.values[:, 0, 2:].sum() == 0
    assert [t.id for t in found.tracks] == [t.id for t in sample.tracks[:-1]]
    assert told[-1] == ("Tokens of tones", 17, 17)


def test_a_sample_that_is_mostly_broken_is_refused_by_name(make_task: Callable[..., Task], tmp_path: Path) -> None:
    sample = sample_of(make_task(), tmp_path)
    gone = tuple(Track(f"gone{i}", tmp_path / f"gone{i}.wav", ()) for i in range(17))
    with pytest.raises(CmbenchError, match=r"17 of the 33 tracks(.|\n)*gone0.wav: there is no such file"):
        count_sample(Loudness(), Sample(sample.data, (*sample.tracks, *gone)), 0.5, silent)
    with pytest.raises(CmbenchError, match="17 of the 17 tracks"):
        count_sample(Loudness(), Sample(sample.data, gone), 0.5, silent)


def test_the_stand_in_is_fitted_on_both_tasks_and_tells_them_apart(
    make_task: Callable[..., Task], tmp_path: Path
) -> None:
    samples = [sample_of(make_task(name, seconds=seconds), tmp_path) for name, seconds in (("a", 1.0), ("b", 1.2))]
    fitted, same = (fit_stand_in(samples, 1.0, 16, 3, silent) for _ in range(2))
    assert fitted.codebooks.shape == (8, 16, 64)
    np.testing.assert_array_equal(fitted.codebooks, same.codebooks)
    counts = count_sample(fitted, samples[0], 1.0, silent).values
    # make_task writes high tones and low ones in turn.
    high, low = counts[::2, 0].sum(axis=0), counts[1::2, 0].sum(axis=0)
    assert np.minimum(high, low).sum() < 0.05 * high.sum()
