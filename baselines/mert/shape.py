"""The shape of a MERT-like network, read from its ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .network import HubertShape
from .streams import STREAMS

MODEL_TYPES = ("mert_model", "hubert")

# Defaults of transformers' HubertConfig, which a saved configuration may leave out.
_DEFAULTS: dict[str, object] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": False,
    "feat_extract_norm": "group",
    "feat_proj_layer_norm": True,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "do_stable_layer_norm": False,
    "layer_norm_eps": 1e-5,
}

# Settings that would change the arithmetic in a way that is not implemented, with the value that leaves it alone.
# ``attention_relax`` is not among them: it shifts logits by a constant, which softmax cancels.
_NEUTRAL: dict[str, object] = {
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "conv_pos_batch_norm": False,
    "deepnorm": False,
    "feature_extractor_cqt": False,
    "adapter_attn_dim": None,
}

STREAM_KEY = "{}_stream"
"""Key of a stream, our extension."""

_MOST_OF_A_STREAM = 1 << 16
"""Far above any value of such a stream, for the same reason."""

_MOST_LAYERS = 1000
"""Far above any such network: a configuration that asks for more would only exhaust the memory with names."""


def read_shape(config: Mapping[str, object], where: Path) -> HubertShape:
    """Read the network's shape from a configuration.

    Args:
        config: the content of ``config.json``.
        where: the file it comes from, for messages.

    Raises:
        UsageError: another kind of model, an impossible value, or a setting that cmbench does not implement.
    """
    kind = config.get("model_type")
    if kind not in MODEL_TYPES:
        raise UsageError(f"{where}: model_type is {kind!r}; cmbench reads {' and '.join(MODEL_TYPES)} folders here.")
    for key, neutral in _NEUTRAL.items():
        if config.get(key, neutral) not in (neutral, None):
            raise UsageError(f"{where}: {key} = {config[key]!r} is not supported, only {neutral!r}.")
    read = _Values(config, where)
    shape = HubertShape(
        conv_dim=read.integers("conv_dim"),
        conv_kernel=read.integers("conv_kernel"),
        conv_stride=read.integers("conv_stride"),
        conv_bias=read.boolean("conv_bias"),
        conv_norm=str(read.value("feat_extract_norm")),
        feature_norm=read.boolean("feat_proj_layer_norm"),
        hidden=read.integer("hidden_size"),
        layers=read.integer("num_hidden_layers"),
        heads=read.integer("num_attention_heads"),
        intermediate=read.integer("intermediate_size"),
        position_kernel=read.integer("num_conv_pos_embeddings"),
        position_groups=read.integer("num_conv_pos_embedding_groups"),
        pre_norm=read.boolean("do_stable_layer_norm"),
        eps=read.fraction("layer_norm_eps"),
        **{name: _stream(name, config, where) for name in STREAMS},
    )
    if shape.conv_norm not in ("group", "layer"):
        raise UsageError(f"{where}: feat_extract_norm = {shape.conv_norm!r} is neither 'group' nor 'layer'.")
    if sum(stream.size for stream in shape.streams) >= shape.hidden:
        raise UsageError(f"{where}: hidden_size = {shape.hidden} has no room for what the streams hear and more.")
    if shape.layers > _MOST_LAYERS:
        raise UsageError(f"{where}: num_hidden_layers = {shape.layers} is beyond {_MOST_LAYERS}.")
    if not len(shape.conv_dim) == len(shape.conv_kernel) == len(shape.conv_stride):
        raise UsageError(f"{where}: conv_dim, conv_kernel and conv_stride differ in length.")
    for key, parts in (("num_attention_heads", shape.heads), ("num_conv_pos_embedding_groups", shape.position_groups)):
        if shape.hidden % parts:
            raise UsageError(f"{where}: hidden_size = {shape.hidden} is not a multiple of {key} = {parts}.")
    return shape


def _stream(name: str, config: Mapping[str, object], where: Path) -> Any:
    """Read the shape of a stream; ``None`` where the configuration has none."""
    key, kind = STREAM_KEY.format(name), STREAMS[name]
    if (stated := config.get(key)) is None:
        return None
    known = {one.name for one in fields(kind)}
    if not isinstance(stated, Mapping) or stated.keys() != known:
        raise UsageError(f"{where}: {key} should be a table of {', '.join(sorted(known))}.")
    if not all(type(v) in (int, float) and 0 < v <= _MOST_OF_A_STREAM for v in stated.values()):
        raise UsageError(f"{where}: {key} = {dict(stated)!r} should have positive numbers.")
    return kind(**{name: v if name == "lowest" else int(v) for name, v in stated.items()})


@dataclass(frozen=True)
class _Values:
    """Typed access to a configuration."""

    config: Mapping[str, object]
    where: Path

    def value(self, key: str) -> object:
        """Return what is said of a key, or its default."""
        return self.config.get(key, _DEFAULTS[key])

    def _wrong(self, key: str, wanted: str) -> UsageError:
        return UsageError(f"{self.where}: {key} = {self.value(key)!r} should be {wanted}.")

    def integer(self, key: str) -> int:
        """Return a positive whole number; see :func:`read_shape` for the error."""
        value = self.value(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._wrong(key, "a positive integer")
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        """Return a list of positive whole numbers."""
        value = self.value(key)
        if not isinstance(value, list) or not value or not all(type(v) is int and v > 0 for v in value):
            raise self._wrong(key, "a list of positive integers")
        return tuple(value)

    def boolean(self, key: str) -> bool:
        """Return a truth value."""
        value = self.value(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def fraction(self, key: str) -> float:
        """Return a number between 0 and 1."""
        value = self.value(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
            raise self._wrong(key, "a number between 0 and 1")
        return float(value)
