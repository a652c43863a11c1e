"""The melody stream: what it hears does not change with the key, and every reader of a folder hears the same."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmbench.baselines.mert.checkpoint import Preprocessor, read_checkpoint
from cmbench.baselines.mert.folder import configuration, write_folder
from cmbench.baselines.mert.melody import MelodyShape, log_spectrum, salience, summary
from cmbench.baselines.mert.network import HubertShape, pooled_states, prepare, random_weights
from cmbench.baselines.mert.shape import STREAM_KEY, read_shape
from cmbench.baselines.mert.streams import hear, placed
from cmbench.errors import UsageError

STREAM_SHAPE = MelodyShape(patterns=6)
MELODY = STREAM_KEY.format(STREAM_SHAPE.name)
SHAPE = HubertShape(
    conv_dim=(8,) * 7, hidden=16, layers=2, heads=2, intermediate=32, position_kernel=4, position_groups=4
)
MELODIC = replace(SHAPE, melody=STREAM_SHAPE)
RATE = 24_000


def weights(shape: HubertShape = MELODIC) -> dict[str, torch.Tensor]:
    return random_weights(shape, 5)


def melody(semitones: tuple[float, ...], higher: float = 0.0) -> torch.Tensor:
    """Notes of half a second with six partials, ``[1, samples]``."""
    time = np.arange(RATE // 2) / RATE
    notes = []
    for step in semitones:
        pitch = 220 * 2 ** ((step + higher) / 12)
        notes.append(sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 7)) * np.hanning(len(time)))
    return torch.tensor(np.concatenate(notes)[None], dtype=torch.float32)


def test_bands_are_where_the_notes_are() -> None:
    spectrum = log_spectrum(STREAM_SHAPE, melody((0.0,) * 4))[0].mean(0)
    expected = STREAM_SHAPE.per_octave * np.log2(220 / STREAM_SHAPE.lowest)
    assert abs(int(spectrum.argmax()) - expected) <= 1
    assert log_spectrum(STREAM_SHAPE, melody((0.0,)))[0].shape[1] == STREAM_SHAPE.bands == 216


def test_the_level_does_not_count() -> None:
    audio = melody((0.0, 4.0, 7.0))
    loud, soft = log_spectrum(STREAM_SHAPE, audio), log_spectrum(STREAM_SHAPE, 0.01 * audio)
    torch.testing.assert_close(loud, soft, rtol=0, atol=0.05)


def test_a_transposed_spectrum_has_the_same_summary() -> None:
    ready = weights()
    draw = torch.Generator().manual_seed(0)
    spectrum = torch.zeros(2, 6, 216)
    spectrum[:, :, 80:130] = 3 * torch.rand(2, 6, 50, generator=draw)
    here = summary(ready, STREAM_SHAPE, spectrum)
    for bands in (-9, 1, 15):  # nothing may reach an end
        there = torch.roll(spectrum, bands, 2)
        rolled = torch.roll(salience(ready, STREAM_SHAPE, spectrum[0]), bands, 2)
        torch.testing.assert_close(salience(ready, STREAM_SHAPE, there[0])[..., 60:150], rolled[..., 60:150])
        torch.testing.assert_close(summary(ready, STREAM_SHAPE, there), here, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(here[0], here[1], atol=1e-2)
    with_other_intervals = torch.cat([spectrum[..., :100], spectrum[..., 110:], spectrum[..., :10]], 2)
    assert not torch.allclose(summary(ready, STREAM_SHAPE, with_other_intervals), here, atol=1e-2)


def test_a_melody_in_another_key_is_nearer_than_another_melody() -> None:
    ready = weights()

    def heard(steps: tuple[float, ...], higher: float) -> torch.Tensor:
        return summary(ready, STREAM_SHAPE, log_spectrum(STREAM_SHAPE, melody(steps, higher)))[0]

    tune, other = (0.0, 1.0, 5.0, 7.0, 8.0, 7.0), (0.0, 2.0, 4.0, 7.0, 9.0, 7.0)
    own = heard(tune, 0.0)
    assert float((own - heard(tune, 3.0)).norm()) < 0.7 * float((own - heard(other, 0.0)).norm())


def test_the_stream_reaches_every_state_and_others_are_as_they_were() -> None:
    audio = melody((0.0, 4.0, 7.0))
    plain, both = weights(SHAPE), weights()
    assert all(torch.equal(plain[name], both[name]) for name in plain)
    without = pooled_states(prepare(plain, SHAPE, torch.device("cpu")), SHAPE, audio)
    heard = pooled_states(prepare(both, MELODIC, torch.device("cpu")), MELODIC, audio)
    assert all(not torch.allclose(a, b) for a, b in zip(without[0], heard[0], strict=True))
    # It stands in the last dimensions, and what the convolutions give is in the others as it was.
    entering = placed(torch.ones(1, 3, 16), hear(both, [STREAM_SHAPE], audio))
    assert bool((entering[..., :4] == 1).all())
    torch.testing.assert_close(entering[0, :, 4:], hear(both, [STREAM_SHAPE], audio).expand(3, 12))
    assert hear(both, [STREAM_SHAPE], audio).shape == (1, 12)


def write(folder: Path, shape: HubertShape) -> None:
    write_folder(folder, shape, weights(shape), Preprocessor(RATE, False, "none"))


def test_a_folder_gives_the_stream_back(tmp_path: Path) -> None:
    write(tmp_path / "m", MELODIC)
    read = read_checkpoint(tmp_path / "m")
    assert read.shape == MELODIC
    assert all(torch.equal(read.weights[name], tensor) for name, tensor in weights().items())


def test_automodel_hears_what_cmbench_hears(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import cmbench

    cmbench.register()
    write(tmp_path / "m", MELODIC)
    model = transformers.AutoModel.from_pretrained(tmp_path / "m").eval()
    audio = melody((0.0, 4.0, 7.0))
    with torch.no_grad():
        states = model(audio, output_hidden_states=True).hidden_states
    found = pooled_states(prepare(weights(), MELODIC, torch.device("cpu")), MELODIC, audio)
    for ours, theirs in zip(found[0], states, strict=True):
        torch.testing.assert_close(ours, theirs[0].mean(0), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("stated", [{}, {"more": 1}, {"patterns": 0}, {"hop": "x"}])
def test_a_stream_that_cannot_be_meant_is_refused(stated: Any) -> None:
    config = configuration(MELODIC, Preprocessor(RATE, False, "none"))
    assert read_shape(config, Path("config.json")) == MELODIC
    with pytest.raises(UsageError, match=MELODY):
        read_shape(config | {MELODY: asdict(STREAM_SHAPE) | stated if stated else stated}, Path("config.json"))
