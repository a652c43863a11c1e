"""Conformer blocks: positions against complex numbers, levels against numpy. The whole is in the two models' tests."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cmbench.baselines import conformer


def test_positions_turn_pairs_of_numbers() -> None:
    torch.manual_seed(0)
    stack = conformer.Conformer({}, 0, heads=2, eps=1e-5, base=100.0, activation=nn.functional.gelu)
    value = torch.randn(1, 2, 7, 6)
    turned = conformer.turned_halves(value, stack._turns(torch.zeros(1, 7, 12)))
    angles = torch.arange(7)[:, None] * 100.0 ** (-torch.arange(3) / 3)
    expected = torch.complex(value[..., :3], value[..., 3:]) * torch.polar(torch.ones(7, 3), angles)
    torch.testing.assert_close(turned, torch.cat([expected.real, expected.imag], -1))


def test_scores_of_attention_know_distances_alone() -> None:
    """The product of a turned query and a turned key is the same wherever the two stand."""
    stack = conformer.Conformer({}, 0, heads=1, eps=1e-5, base=100.0, activation=nn.functional.gelu)
    turns = stack._turns(torch.zeros(1, 9, 8))
    query, key = (conformer.turned_halves(torch.randn(8).expand(1, 1, 9, 8), turns)[0, 0] for _ in range(2))
    products = query @ key.T
    torch.testing.assert_close(products.diagonal(2), products[0, 2].expand(7))


def test_every_block_has_its_shapes() -> None:
    shapes = conformer.block_shapes(3, 4, 6, 5, over_clips=True)
    plain = conformer.block_shapes(3, 4, 6, 5, over_clips=False)
    assert {name for name in shapes if name not in plain} == {
        f"layers.{k}.conv_module.conv_block.4.1.running_{part}" for k in range(3) for part in ("mean", "var")
    }
    assert len(plain) == 3 * 31
    assert shapes["layers.2.conv_module.conv_block.3.weight"] == (4, 1, 5)
    assert shapes["layers.0.ffn2.w_1.weight"] == (6, 4)


def test_levels_are_those_of_mirrored_frames() -> None:
    draw = np.random.default_rng(0)
    audio, filters = draw.normal(0, 0.1, 300), draw.random((33, 4))
    window = np.hanning(64)
    padded = np.pad(audio, 32, mode="reflect")
    frames = np.stack([padded[k : k + 64] * window for k in range(0, 301, 20)])
    expected = 10 * np.log10(np.abs(np.fft.rfft(frames)) ** 2 @ filters)[:-1]
    heard, shape, bank = (torch.tensor(values).float() for values in (audio[None], window, filters))
    found = conformer.mel_decibels(heard, shape, bank, 64, 20)
    np.testing.assert_allclose(found[0], expected, atol=1e-3)
