"""What the network computes in other arithmetic; that it equals transformers is tested with the encoder."""

from __future__ import annotations

import torch

from cmbench.baselines.mert.network import POSITION, HubertShape, embed


def test_positions_are_right_in_bfloat16_on_any_processor() -> None:
    shape = HubertShape(hidden=96, pre_norm=True)
    torch.manual_seed(0)
    ready = {f"{POSITION}.weight": torch.randn(96, 6, 128), f"{POSITION}.bias": torch.randn(96)}
    states = torch.randn(2, 49, 96)
    exact = embed(ready, shape, states)
    rough = embed({name: tensor.bfloat16() for name, tensor in ready.items()}, shape, states.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        trained = embed(ready, shape, states)
    for found in (rough, trained):
        assert (found.float() - exact).abs().max() < 0.02 * exact.abs().max()
