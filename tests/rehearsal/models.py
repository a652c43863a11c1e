"""Models of the released shape with random weights: folders as the hub keeps them, whole or shallow.

``config.json`` is that of m-a-p/MERT-v1-95M (commit c5a8dd1, every key that could be read), the names of the tensors
those of its ``pytorch_model.bin``: the weight norm's halves as ``weight_g`` and ``weight_v``, and the mask vector
(yizhilll/MERT, ``scripts/convert_MERT_HF.py``). Not known: the file list of ntua-slp/CultureMERT-95M, whether it has
safetensors, and the preprocessors' ``do_normalize``; the family is taken to be alike.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cmbench.baselines.mert import encoder
from cmbench.baselines.mert.network import DIRECTION, GAIN, POSITION, HubertShape, random_weights
from cmbench.tests.rehearsal.corpus import Form

NAMES = ("MERT-v1-95M", "CultureMERT-95M", "CultureMERT-TA-95M")
REPOSITORIES = dict(zip(NAMES, ("m-a-p/MERT-v1-95M", *(f"ntua-slp/{name}" for name in NAMES[1:])), strict=True))
CARD = "---\nlicense: cc-by-nc-4.0\nlibrary_name: transformers\n---\n# A double with random weights\n"


def shape(form: Form) -> HubertShape:
    """The released shape, or one of the same keys with fewer and smaller layers."""
    if form.hidden == HubertShape().hidden:
        return HubertShape()
    small = HubertShape(hidden=form.hidden, layers=form.layers, heads=4, intermediate=2 * form.hidden)
    return HubertShape(**(vars(small) | {"conv_dim": (32,) * 7, "position_kernel": 16, "position_groups": 4}))


def weights(form: Form, name: str) -> dict[str, torch.Tensor]:
    """Random tensors under the released names; the two later models are the first one, moved a little."""
    base = random_weights(shape(form), 1)
    if NAMES.index(name):
        step = random_weights(shape(form), 10 + NAMES.index(name))
        base = {key: tensor + 0.5 * step[key] * (tensor.dim() > 1) for key, tensor in base.items()}
    old = {GAIN: f"{POSITION}.weight_g", DIRECTION: f"{POSITION}.weight_v"}
    named = {old.get(key, key): tensor.contiguous() for key, tensor in base.items()}
    return named | {"masked_spec_embed": torch.rand(form.hidden, generator=torch.Generator().manual_seed(1))}


def parameters(form: Form) -> int:
    """Of the network, without its mask vector."""
    return sum(tensor.numel() for tensor in weights(form, NAMES[0]).values()) - form.hidden


def configuration(form: Form) -> dict[str, object]:
    """The released ``config.json`` with this form's numbers."""
    own = shape(form)
    return {
        "activation_dropout": 0.0,
        "apply_spec_augment": True,
        "architectures": ["MERTModel"],
        "attention_dropout": 0.1,
        "attention_relax": -1.0,
        "auto_map": {"AutoConfig": "configuration_MERT.MERTConfig", "AutoModel": "modeling_MERT.MERTModel"},
        "bos_token_id": 1,
        "classifier_proj_size": 256,
        "conv_bias": False,
        "conv_dim": list(own.conv_dim),
        "conv_kernel": list(own.conv_kernel),
        "conv_stride": list(own.conv_stride),
        "ctc_loss_reduction": "sum",
        "ctc_zero_infinity": False,
        "deepnorm": False,
        "do_stable_layer_norm": False,
        "eos_token_id": 2,
        "feat_extract_activation": "gelu",
        "feat_extract_dropout": 0.0,
        "feat_extract_norm": "group",
        "feat_proj_dropout": 0.1,
        "feat_proj_layer_norm": True,
        "feature_extractor_cqt": False,
        "feature_extractor_cqt_bins": 336,
        "final_dropout": 0.1,
        "gradient_checkpointing": False,
        "hidden_act": "gelu",
        "hidden_dropout": 0.1,
        "hidden_dropout_prob": 0.1,
        "hidden_size": own.hidden,
        "initializer_range": 0.02,
        "intermediate_size": own.intermediate,
        "layer_norm_eps": 1e-05,
        "layerdrop": 0.05,
        "mask_feature_length": 10,
        "mask_feature_min_masks": 0,
        "mask_feature_prob": 0.0,
        "mask_time_length": 10,
        "mask_time_min_masks": 2,
        "mask_time_prob": 0.05,
        "model_type": "mert_model",
        "num_attention_heads": own.heads,
        "num_conv_pos_embedding_groups": own.position_groups,
        "num_conv_pos_embeddings": own.position_kernel,
        "num_feat_extract_layers": len(own.conv_dim),
        "num_hidden_layers": own.layers,
        "pad_token_id": 0,
        "sample_rate": 24000,
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
    }


def save(folder: Path, form: Form, name: str) -> Path:
    """Write a model's folder as the hub keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    preprocessor = {
        "do_normalize": True,
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "padding_side": "right",
        "padding_value": 0,
        "return_attention_mask": True,
        "sampling_rate": 24000,
    }
    (folder / "config.json").write_text(json.dumps(configuration(form), indent=2), encoding="utf-8")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    save_file(weights(form, name), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def expect_depth(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let shallow models pass under the short names, whose depth cmbench checks; deep ones pass by themselves."""
    if form.layers != HubertShape().layers:
        monkeypatch.setattr(encoder, "_check_shape", lambda *_: None)
