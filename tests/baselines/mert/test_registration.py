"""transformers reads MERT folders without the code of their repository, under old and new names."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cmbench
from cmbench.baselines.anchors import NANO
from cmbench.baselines.mert.checkpoint import match_tensors, read_tensors
from cmbench.baselines.mert.network import HubertShape, random_weights
from cmbench.baselines.mert.shape import read_shape
from cmbench.errors import UsageError
from cmbench.tests.baselines.mert.test_encoder import old_names, save, tone

FRONT = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 24000, "do_normalize": True}


def read_again(folder: Path) -> tuple[dict[str, torch.Tensor], HubertShape, Path]:
    """What transformers wrote, its network's shape, and where."""
    config = json.loads((folder / "config.json").read_text())
    return read_tensors(folder)[0], read_shape(config, folder), folder


@pytest.mark.parametrize("names", ["old", "new"])
def test_automodel_computes_what_our_encoder_does(names: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

    cmbench.register()
    cmbench.register()
    weights = random_weights(NANO, 3, std=0.1)
    stored = (old_names(weights) if names == "old" else weights) | {"encoder_cqt_model.bias": torch.zeros(3)}
    stored["masked_spec_embed"] = torch.zeros(NANO.hidden)
    folder = save(tmp_path / "m", NANO, stored)
    (folder / "preprocessor_config.json").write_text(json.dumps(FRONT))
    # Its remote code is not there: whoever asked for it would fail.
    model, report = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert AutoConfig.from_pretrained(folder).model_type == "mert_model"
    audio = tone(1.0)
    extractor: Any = AutoFeatureExtractor
    inputs = extractor.from_pretrained(folder)(list(audio), sampling_rate=24000, return_tensors="pt")
    model.eval()
    with torch.no_grad():
        states = model(inputs["input_values"], output_hidden_states=True).hidden_states
    expected = cmbench.load_model(str(folder)).encode(audio)
    np.testing.assert_allclose(torch.stack([one.mean(1) for one in states], 1).numpy(), expected, atol=2e-5)
    model.save_pretrained(tmp_path / "again")
    again = match_tensors(*read_again(tmp_path / "again"))[0]
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())
    assert type(pickle.loads(pickle.dumps(model.config))) is type(model.config)


def test_a_network_that_is_not_huberts_is_refused(tmp_path: Path) -> None:
    from transformers import AutoModel

    cmbench.register()
    folder = save(tmp_path / "m", NANO, random_weights(NANO, 3), deepnorm=True)
    with pytest.raises(UsageError, match="deepnorm = True is not supported"):
        AutoModel.from_pretrained(folder)
