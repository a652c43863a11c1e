"""The chosen probe trained again on resamples of the training groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cmbench.benchmark.probing.bank import Shape
from cmbench.benchmark.probing.resampling import FIRST_SEED, ResampledStream, resampled_streams, training_draws
from cmbench.benchmark.probing.search import ProbeResult, ProbeSplit, _Bench, run_probes
from cmbench.benchmark.protocol import PROTOCOLS, ProbeSettings
from cmbench.errors import UsageError

QUICK = ProbeSettings(
    hidden=8, learning_rates=(3e-3, 1e-2), batch=16, max_epochs=4, patience=3, seeds=(1, 2), fused=False
)


@dataclass
class Features:
    """Windows in an array."""

    values: NDArray[np.float16]
    track_of_window: NDArray[np.int64]

    @property
    def layers(self) -> int:
        return int(self.values.shape[1])

    @property
    def dim(self) -> int:
        return int(self.values.shape[2])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        return self.values[rows]


def split(seed: int, tracks: int) -> ProbeSplit:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(tracks), rng.integers(1, 4, tracks)).astype(np.int64)
    labels = rng.random((tracks, 3)) < 0.4
    told = np.pad(labels[owner].astype(float), ((0, 0), (0, 3)))[:, None, :]
    values = (told + rng.normal(size=(len(owner), 2, 6))).astype(np.float16)
    return ProbeSplit(Features(values, owner), labels)


def probed(resamples: NDArray[np.int32] | None) -> ProbeResult:
    names = ("one", "two")
    train, valid, test = split(1, 40), split(2, 30), split(3, 20)
    return run_probes(train, valid, test, QUICK, names, "cpu", lambda done, total: None, None, resamples)


def test_resamples_change_nothing_else_and_have_predictions_of_their_own() -> None:
    weights = np.array([[1] * 40, [2] * 20 + [0] * 20, [0] * 20 + [2] * 20], dtype=np.int32)
    plain, found = probed(None), probed(weights)
    assert plain.resampled.shape == (0, 20, 3)
    assert found.resampled.shape == (3, 20, 3)
    # One program trains seeds and resamples; those of the seeds are what they are without.
    assert np.abs(found.probabilities - plain.probabilities).max() < 1e-5
    assert found.selection == plain.selection
    assert (found.resampled[1] != found.resampled[2]).any()


def test_a_probe_learns_what_was_drawn_and_nothing_else() -> None:
    train = split(1, 40)
    first = np.array([[2] * 20 + [0] * 20], dtype=np.int32)
    stream = resampled_streams(first, train.features.track_of_window)[FIRST_SEED]
    rows = stream.order(len(train.features.track_of_window)).numpy()
    assert (train.features.track_of_window[rows] < 20).all()


def test_an_epoch_is_as_long_as_the_splits_own() -> None:
    for rows in (np.arange(7), np.repeat(np.arange(5), 3)):
        stream = ResampledStream(3, rows.astype(np.int64))
        order = stream.order(10)
        assert len(order) == 10
        # Every drawn example comes before any comes again.
        counts = np.bincount(order.numpy(), minlength=rows.max() + 1) / np.bincount(rows)
        assert counts.max() <= 2 if len(rows) < 10 else counts.max() <= 1


def data(groups: list[str | None]) -> Any:
    tracks = [SimpleNamespace(id=f"t{i}", group=group) for i, group in enumerate(groups)]
    return SimpleNamespace(task=SimpleNamespace(name="lyra"), split_sha256="ab", splits={"train": tracks})


def test_groups_are_drawn_whole_and_the_same_for_every_model() -> None:
    made = data(["a", "a", "b", "c", "c", None])
    drawn = training_draws(made, made.splits["train"], 50)
    assert drawn is not None
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 3] == drawn[:, 4]).all()
    # A model that could not use a track has the same draws of the others.
    fewer = training_draws(made, [t for t in made.splits["train"] if t.id != "t2"], 50)
    assert (cast(Any, fewer) == np.delete(drawn, 2, axis=1)).all()
    other = data(["a", "a", "b", "c", "c", None])
    other.split_sha256 = "cd"
    assert (cast(Any, training_draws(other, other.splits["train"], 50)) != drawn).any()
    assert training_draws(made, made.splits["train"], 0) is None
    with pytest.raises(UsageError, match="2 at least"):
        training_draws(made, made.splits["train"], 1)


def test_a_protocol_that_trains_again_is_another() -> None:
    old = PROTOCOLS["cmbench-1"]
    assert replace(old, train_resamples=20).sha256 != old.sha256


def test_where_a_batch_is_of_tracks_whole_tracks_are_drawn() -> None:
    """A resample of the first five tracks trains on their windows only, all of each."""
    train = split(1, 40)
    weights = np.zeros((1, 40), dtype=np.int32)
    weights[0, :5] = 1
    settings = replace(QUICK, batch_of="tracks", batch=2)
    bench = _Bench(train, Shape(6, 8, 3, ()), settings, None, cast(Any, None), "cpu", 1 << 20)
    (stream,) = resampled_streams(weights, bench.track_of_example).values()
    windows = torch.cat(bench.training((0,)).batches(stream, settings)).numpy()
    owner = train.features.track_of_window
    assert set(owner[windows]) == set(range(5))
    assert len(windows) >= np.isin(owner, range(5)).sum()
