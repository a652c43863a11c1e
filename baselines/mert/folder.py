"""Writing a HuBERT or MERT folder in Hugging Face format: the way back from :mod:`.checkpoint`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import CmbenchError, UsageError
from ...files import whole_file
from ..hub.about import FACTS, with_hashes
from ..hub.layout import HEADS
from .checkpoint import MASK_VECTOR, SPELLINGS, Preprocessor
from .network import HubertShape
from .shape import STREAM_KEY

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = ("float32", "float16")
"""Types that weights are stored in."""


def configuration(shape: HubertShape, preprocessor: Preprocessor, masks: bool = False) -> dict[str, object]:
    """Return the ``config.json`` of a network.

    The model type is ``hubert``, which every release of transformers knows; that of a network with streams is
    ``mert_model``, which ``cmbench.register()`` makes known: ``HubertModel`` would leave them out. The other keys
    are those that MERT's published configuration class reads, at the values that leave the network as it is; among them
    ``conv_pos_batch_norm``, without which that class fails under transformers 4.48 and later. Dropout, layer drop and
    SpecAugment are off: who trains the model sets them.

    Args:
        shape: of the network.
        preprocessor: of the waveform.
        masks: whether the weights hold :data:`MASK_VECTOR`.
    """
    kind: dict[str, object] = {"architectures": ["HubertModel"], "model_type": "hubert"}
    if shape.streams:
        streams = {STREAM_KEY.format(stream.name): asdict(stream) for stream in shape.streams}
        kind = {"architectures": ["MertModel"], "model_type": "mert_model", **streams}
    return kind | {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "hidden_act": "gelu",
        "conv_dim": list(shape.conv_dim),
        "conv_kernel": list(shape.conv_kernel),
        "conv_stride": list(shape.conv_stride),
        "conv_bias": shape.conv_bias,
        "num_feat_extract_layers": len(shape.conv_dim),
        "feat_extract_norm": shape.conv_norm,
        "feat_extract_activation": "gelu",
        "feat_proj_layer_norm": shape.feature_norm,
        "num_conv_pos_embeddings": shape.position_kernel,
        "num_conv_pos_embedding_groups": shape.position_groups,
        "conv_pos_batch_norm": False,
        "do_stable_layer_norm": shape.pre_norm,
        "layer_norm_eps": shape.eps,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "feat_proj_dropout": 0.0,
        "final_dropout": 0.0,
        "layerdrop": 0.0,
        "apply_spec_augment": False,
        "mask_time_prob": 0.05 if masks else 0.0,
        "mask_feature_prob": 0.0,
        "attention_relax": -1.0,
        "deepnorm": False,
        "feature_extractor_cqt": False,
        "sample_rate": preprocessor.sample_rate,
    }


def feature_extractor(shape: HubertShape, preprocessor: Preprocessor) -> dict[str, object]:
    """Return the ``preprocessor_config.json`` of a network.

    Networks with a group norm over time take no attention mask: it would not reach the norm.
    """
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": preprocessor.sample_rate,
        "padding_value": 0.0,
        "padding_side": "right",
        "do_normalize": preprocessor.normalise,
        "return_attention_mask": shape.conv_norm == "layer",
    }


def write_folder(
    folder: Path,
    shape: HubertShape,
    weights: Mapping[str, Tensor],
    preprocessor: Preprocessor,
    mask_vector: Tensor | None = None,
    extra: Mapping[str, str] | None = None,
    heads: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a folder that cmbench, transformers' ``HubertModel`` and MERT's published code read.

    One of :data:`FACTS` among the further files gets the hashes of the others. The halves of the weight norm get their
    old names (``weight_g``, ``weight_v``): every release of torch and transformers reads those. The weights' file is
    written last and renamed into place, so that a folder with weights is a whole one.

    Args:
        folder: made if need be.
        shape: of the network.
        weights: canonical tensors, as :func:`.checkpoint.match_tensors` gives them.
        preprocessor: of the waveform.
        mask_vector: :data:`MASK_VECTOR` ``[hidden]``, if the model has one.
        extra: further text files by path in the folder, for example ``README.md``.
        heads: tensors that only training uses; they get the file :data:`HEADS`, which transformers does not read.

    Raises:
        UsageError: the folder holds weights already, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.glob("*.safetensors")) or any(folder.glob("*.bin"))):
        raise UsageError(f"{folder} exists already and is not an empty folder; name another.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("config.json", configuration(shape, preprocessor, mask_vector is not None)),
        ("preprocessor_config.json", feature_extractor(shape, preprocessor)),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    texts = dict(extra or {})
    facts = {name: texts.pop(name) for name in FACTS if name in texts}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    old = {new: spelling for spelling, new in SPELLINGS.items()}
    tensors = {old.get(name, name): tensor for name, tensor in weights.items()}
    if mask_vector is not None:
        tensors[MASK_VECTOR] = mask_vector
    if heads:
        _write_tensors(folder / HEADS, heads)
    for name, text in facts.items():
        beside = ["config.json", "preprocessor_config.json", *texts, *([HEADS] if heads else [])]
        (folder / name).write_text(with_hashes(text, folder, beside, mask_vector), encoding="utf-8")
    _write_tensors(folder / "model.safetensors", tensors)


def _write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with whole_file(file) as part:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, metadata={"format": "pt"})
    except SafetensorError as error:
        raise CmbenchError(
            f"{file}: the weights cannot be written ({error}). Free some space, or name a folder that can be written."
        ) from error


def require_dtype(dtype: str) -> None:
    """Raise a usage error for a type that weights are not stored in."""
    if dtype not in DTYPES:
        raise UsageError(f"There is no dtype {dtype!r}; choose {' or '.join(DTYPES)}.")


def as_float16(name: str, tensor: Tensor) -> Tensor:
    """Return a tensor in float16.

    Args:
        name: of the tensor, for messages.
        tensor: finite.

    Raises:
        UsageError: a value is beyond float16.
    """
    half = tensor.half()
    if not bool(half.isfinite().all()):
        raise UsageError(f"Tensor {name!r} is beyond float16; write the model with --dtype float32.")
    return half
