"""Small model folders: a base, and models that were moved away from it a little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cmbench.baselines.mert.checkpoint import Preprocessor
from cmbench.baselines.mert.folder import write_folder
from cmbench.baselines.mert.network import HubertShape, random_weights

TINY = HubertShape(
    conv_dim=(8,) * 7, hidden=16, layers=2, heads=2, intermediate=32, position_kernel=4, position_groups=4
)

WriteModel = Callable[..., str]


def moved_weights(shape: HubertShape, seed: int, step: float = 0.01) -> dict[str, torch.Tensor]:
    """Weights of the base (seed 0 and step 0), or moved from there by normal steps; no part is uniform."""
    draw = torch.Generator().manual_seed(0)
    weights = {name: t + 0.1 * torch.randn(t.shape, generator=draw) for name, t in random_weights(shape, 7).items()}
    draw = torch.Generator().manual_seed(seed)
    return {name: t + step * torch.randn(t.shape, generator=draw) for name, t in weights.items()}


@pytest.fixture
def write_model(tmp_path: Path) -> WriteModel:
    """Return a function that writes a folder and returns its path as text."""

    def write(
        name: str,
        seed: int = 0,
        *,
        shape: HubertShape = TINY,
        step: float | None = None,
        preprocessor: Preprocessor | None = None,
        card: str | None = None,
        masks: bool = True,
        weights: dict[str, torch.Tensor] | None = None,
    ) -> str:
        step = (0.01 if seed else 0.0) if step is None else step
        weights = moved_weights(shape, seed, step) if weights is None else weights
        mask = torch.full((shape.hidden,), 1.0 + seed) if masks else None
        files = {} if card is None else {"README.md": card}
        write_folder(tmp_path / name, shape, weights, preprocessor or Preprocessor(24_000, False, "none"), mask, files)
        return str(tmp_path / name)

    return write
