"""The envelope stream: a cycle at another tempo is at another place, level does not count, readers hear the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cmbench.baselines.mert.checkpoint import Preprocessor, read_checkpoint
from cmbench.baselines.mert.envelope import EnvelopeShape, envelopes, rhythm, summary
from cmbench.baselines.mert.folder import write_folder
from cmbench.baselines.mert.melody import MelodyShape
from cmbench.baselines.mert.network import HubertShape, pooled_states, prepare, random_weights

SHAPE = EnvelopeShape(rhythms=12)
BOTH = HubertShape(
    conv_dim=(8,) * 7, hidden=144, layers=2, heads=2, intermediate=32, position_kernel=4, position_groups=4,
    melody=MelodyShape(patterns=6), envelope=SHAPE,
)  # fmt: skip
RATE = 24_000


def weights(shape: HubertShape = BOTH) -> dict[str, torch.Tensor]:
    return random_weights(shape, 5)


def strokes(pulses: str, pulse: float, seconds: float = 8.0) -> torch.Tensor:
    """Bursts of noise, ``x`` loud and ``o`` soft, over and over, ``[1, samples]``."""
    draw = np.random.default_rng(0)
    audio = 0.01 * draw.standard_normal(round(seconds * RATE))
    decay = np.exp(-np.arange(RATE // 20) / 300)
    for i in range(int(seconds / pulse)):
        level = {"x": 1.0, "o": 0.4, ".": 0.0}[pulses[i % len(pulses)]]
        start = round(i * pulse * RATE)
        burst = level * draw.standard_normal(len(decay)) * decay
        audio[start : start + len(decay)] += burst[: len(audio) - start]
    return torch.tensor(audio[None], dtype=torch.float32)


def heard(audio: torch.Tensor) -> torch.Tensor:
    return rhythm(weights(), SHAPE, envelopes(SHAPE, audio))[0].mean(0)


def test_the_level_does_not_count() -> None:
    audio = strokes("x.o.", 0.2)
    torch.testing.assert_close(envelopes(SHAPE, audio), envelopes(SHAPE, 0.1 * audio), rtol=0, atol=0.05)
    assert envelopes(SHAPE, audio).shape == (1, 1 + audio.shape[1] // SHAPE.hop, SHAPE.bands)


def test_strokes_agree_at_their_period_and_its_multiples() -> None:
    found = heard(strokes("x", 0.4))
    lags = SHAPE.shortest / 1000 * 2 ** (np.arange(SHAPE.lags) / SHAPE.per_octave)
    on, off = (int(np.abs(lags - seconds).argmin()) for seconds in (0.4, 0.6))
    assert found[on] > 0.5
    assert found[off] < 0.2
    assert found[on + SHAPE.per_octave] > 0.5  # 0.8 s


def test_another_tempo_is_another_place() -> None:
    slow, fast = heard(strokes("x.xo.o", 0.2)), heard(strokes("x.xo.o", 0.2 / 2 ** (4 / SHAPE.per_octave)))
    shifted = [float(torch.corrcoef(torch.stack([slow[10:50], fast[10 - s : 50 - s]]))[0, 1]) for s in range(-8, 9)]
    assert int(np.argmax(shifted)) - 8 == 4


def test_a_cycle_at_another_tempo_is_nearer_than_another_cycle() -> None:
    def patterns(audio: torch.Tensor) -> torch.Tensor:
        return summary(weights(), SHAPE, envelopes(SHAPE, audio))[0, : SHAPE.told]

    own, again, other = (patterns(strokes(*how)) for how in (("x.xo.o", 0.2), ("x.xo.o", 0.23), ("xo", 0.2)))
    assert float((own - again).norm()) < float((own - other).norm())


def test_lags_beyond_a_short_clip_read_nothing() -> None:
    found = rhythm(weights(), SHAPE, envelopes(SHAPE, strokes("x.o.", 0.1, 0.5)))
    assert bool(torch.isfinite(found).all())
    assert bool((found[..., -12:] == 0).all())
    one = summary(weights(), SHAPE, envelopes(SHAPE, torch.zeros(1, RATE)))
    assert bool(torch.isfinite(one).all())


def test_a_folder_gives_both_streams_back_and_automodel_hears_them(tmp_path: Path) -> None:
    write_folder(tmp_path / "m", BOTH, weights(), Preprocessor(RATE, False, "none"))
    read = read_checkpoint(tmp_path / "m")
    assert read.shape == BOTH
    audio = strokes("x.xo.o", 0.2, 3.0)
    states = pooled_states(prepare(read.weights, BOTH, torch.device("cpu")), BOTH, audio)[0]
    alone = replace(BOTH, envelope=None)
    without = pooled_states(prepare(weights(alone), alone, torch.device("cpu")), alone, audio)[0]
    assert not torch.allclose(states, without, atol=1e-3)
    transformers = pytest.importorskip("transformers")
    import cmbench

    cmbench.register()
    model = transformers.AutoModel.from_pretrained(tmp_path / "m").eval()
    with torch.no_grad():
        theirs = model(audio, output_hidden_states=True).hidden_states
    for ours, other in zip(states, theirs, strict=True):
        torch.testing.assert_close(ours, other[0].mean(0), rtol=1e-4, atol=5e-5)
