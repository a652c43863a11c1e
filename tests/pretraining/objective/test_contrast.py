"""The contrast of recordings: its value in numpy, what views keep and what they change, and that it teaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cmbench.baselines.mert.envelope import EnvelopeShape
from cmbench.baselines.mert.melody import MelodyShape, summary
from cmbench.baselines.mert.network import HubertShape, random_weights
from cmbench.pretraining.objective.contrast import contrast_loss, draw_views
from cmbench.pretraining.recipes.recipe import Contrast

SHAPE = MelodyShape(patterns=8, channels=2, kinds=2, kernel=25)
BARE = Contrast(filter=0.0, floor=False, shift=0.0, frames=5)


def spectrum(peaks: tuple[int, ...], frames: int = 200) -> NDArray[np.float16]:
    """Steady tones in some bands, each frame a little louder than the one before."""
    found = np.zeros((frames, SHAPE.bands), np.float16)
    found[:, list(peaks)] = 5.0
    return found + np.linspace(0, 1, frames, dtype=np.float16)[:, None]


def views(how: Contrast, seed: int = 0, peaks: tuple[int, ...] = (100, 112)) -> NDArray[np.float32]:
    return draw_views([spectrum(peaks)] * 2, how, SHAPE, np.random.default_rng(seed))


def test_the_loss_in_numpy() -> None:
    draw = np.random.default_rng(1)
    a, b = draw.standard_normal((2, 7, 4))
    cosines = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T / 0.2
    own = np.diag(cosines)
    rows, columns = np.log(np.exp(cosines).sum(1)), np.log(np.exp(cosines).sum(0))
    expected = ((rows - own).mean() + (columns - own).mean()) / 2
    loss, matched = contrast_loss(torch.tensor(a), torch.tensor(b), 0.2)
    assert float(loss) == pytest.approx(expected, rel=1e-9)
    assert float(matched) == pytest.approx((cosines.argmax(1) == np.arange(7)).mean())


def test_bare_views_are_frames_of_a_stretch() -> None:
    first, second = views(BARE)
    assert first.shape == (5, SHAPE.bands)
    assert not np.array_equal(first, second)
    levels = first[:, 0] * 199
    assert (np.diff(levels) > 0).all()
    assert np.ptp(levels) <= 94  # 5 s of frames of 0.053 s
    np.testing.assert_array_equal(views(BARE), views(BARE))


def test_transposed_views_keep_their_intervals_and_reach_every_key() -> None:
    found = set()
    for seed in range(60):
        for view in views(replace(BARE, shift=6.0), seed):
            low, high = np.argsort(view[0])[-2:]
            assert abs(int(high) - int(low)) == 12
            found.add(int(min(low, high)) - 100)
    assert min(found) >= -18
    assert max(found) <= 18
    assert len(found) > 25
    assert all(set(np.argsort(view[0])[-2:]) == {100, 112} for seed in range(5) for view in views(BARE, seed))


def test_filters_are_the_same_in_all_frames_and_noise_fills_the_gaps() -> None:
    filtered = views(replace(BARE, filter=1.5))[0] - views(BARE)[0]
    np.testing.assert_allclose(filtered, np.broadcast_to(filtered[:1], filtered.shape), atol=1e-4)
    assert filtered.std() > 0.5
    heights = [np.ptp(views(how, seed), axis=2).max() for seed in range(9) for how in (BARE, replace(BARE, floor=True))]
    assert (np.array(heights[1::2]) < np.array(heights[::2])).all()


def test_a_short_recording_is_heard_twice() -> None:
    assert draw_views([spectrum((100,), 3)] * 2, BARE, SHAPE, np.random.default_rng(0)).shape == (2, 5, SHAPE.bands)


def test_it_teaches_what_is_told_whatever_the_key() -> None:
    """Mutation: a loss that takes other views for a recording's own fails here."""
    shape = HubertShape(conv_dim=(8,), conv_kernel=(10,), conv_stride=(5,), hidden=8, layers=1, heads=2,
                        intermediate=8, position_kernel=4, position_groups=4, melody=SHAPE)  # fmt: skip
    ready = {n: t.requires_grad_() for n, t in random_weights(shape, 0).items() if n.startswith("melody.")}
    tunes = [(100, 100 + a, 100 + b) for a, b in ((3, 12), (6, 15), (9, 21), (12, 18), (6, 24), (3, 27))]
    how = Contrast(frames=3, filter=0.5)

    def compared(seed: int) -> torch.Tensor:
        random = np.random.default_rng(seed)
        pairs = [draw_views([spectrum(tune)] * 2, how, SHAPE, random) for tune in tunes]
        return summary(ready, SHAPE, torch.from_numpy(np.concatenate(list(np.stack(pairs, 1)))))

    def measured() -> tuple[float, float]:
        losses, right = [], []
        with torch.no_grad():
            for seed in range(1000, 1010):
                first, second = compared(seed).chunk(2)
                losses.append(float(contrast_loss(first, second, 0.1)[0]))
                cosines = torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=2)
                right.append(float((cosines.argmax(1) == torch.arange(len(first))).float().mean()))
        return float(np.mean(losses)), float(np.mean(right))

    before = measured()
    optimiser = torch.optim.Adam(ready.values(), lr=0.01)
    for seed in range(40):
        first, second = compared(seed).chunk(2)
        loss, _ = contrast_loss(first, second, 0.1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = measured()
    assert after[0] < before[0] - 0.3
    assert after[1] > before[1]


def test_views_of_an_envelope_are_at_another_tempo() -> None:
    """Mutation: a stretch that is left out, or goes one way only, fails here."""
    shape = EnvelopeShape(rhythms=2)
    beats = np.cos(2 * np.pi * np.arange(400) / 20)[:, None].repeat(shape.bands, 1).astype(np.float16)
    how = Contrast(filter=0.0, floor=False, stretch=0.3)
    periods = []
    for seed in range(40):
        for view in draw_views([beats] * 2, how, shape, np.random.default_rng(seed)):
            assert view.shape == (188, shape.bands)
            periods.append(4096 / int(np.abs(np.fft.rfft(view[:, 0], 4096)).argmax()))
    assert min(periods) == pytest.approx(20 * 2**-0.3, rel=0.05)
    assert max(periods) == pytest.approx(20 * 2**0.3, rel=0.05)
    steady = draw_views([beats], replace(how, stretch=0.0), shape, np.random.default_rng(0))[0]
    assert any(np.allclose(steady, beats[start : start + 188], atol=1e-3) for start in range(213))
