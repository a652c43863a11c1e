"""Reading the fairseq checkpoint of a MERT model, with the heads that its Hugging Face folder lacks.

Such a file (``MERT-v1-95M_fairseq.pt``) is a pickle that names classes of fairseq, among them the dictionaries that say
which row of the codeword embeddings belongs to which code. It is read without fairseq and without running anything:
tensors are rebuilt by torch's own function, every other class becomes an :class:`_Inert` that only keeps its state.
Names as in https://github.com/yizhilll/MERT, scripts/convert_MERT_HF.py.
"""

from __future__ import annotations

import collections
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ...files import is_git_lfs_pointer
from ..hub.about import HIGHEST_RATE
from .checkpoint import MASK_VECTOR, match_tensors
from .heads import CODEWORDS, CQT_HEAD, PROJECTION, HeadShape
from .network import HubertShape

_RENAMED = (
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    # A group norm is the block's third module; a layer norm stands between two transpositions.
    (r"^feature_extractor\.conv_layers\.(\d+)\.2\.(?:1\.)?", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.self_attn\.", ".attention."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
    (r"^mask_emb$", MASK_VECTOR),
)

_CQT_KERNELS = "encoder_cqt_model.spec_layer."
"""Fixed kernels of nnAudio; :mod:`...pretraining.objective.cqt` computes them."""


@dataclass(frozen=True)
class FairseqModel:
    """What a fairseq checkpoint holds.

    Attributes:
        shape: of the encoder.
        heads: their size.
        weights: of the encoder, under the names of :meth:`HubertShape.tensors`.
        training_only: heads, codewords and mask vector under the names of :mod:`.heads` and of
            :mod:`...pretraining.objective.model`; codeword ``k`` of a codebook is the embedding of code ``k``, whatever
            row it had.
    """

    shape: HubertShape
    heads: HeadShape
    weights: dict[str, Tensor]
    training_only: dict[str, Tensor]


@dataclass(frozen=True)
class FairseqEncoder:
    """The encoder of a fairseq checkpoint, and what it was trained on.

    Attributes:
        shape: of the encoder.
        weights: under the names of :meth:`HubertShape.tensors`.
        sample_rate: Hz, as the task of the training states it; ``None`` if it does not.
        normalise: whether that task brought each clip to zero mean and unit variance.
    """

    shape: HubertShape
    weights: dict[str, Tensor]
    sample_rate: int | None
    normalise: bool


class _Inert:
    """Stands in for a class that is not loaded: takes anything, does nothing, keeps what pickle sets as its state."""

    def __init__(self, *arguments: object, **named: object) -> None:
        self.arguments = arguments

    def __call__(self, *arguments: object, **named: object) -> _Inert:
        """Stand in for what a function that is not loaded would return."""
        return _Inert()

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Take an item of a mapping that is not loaded."""

    def append(self, value: object) -> None:
        """Take an item of a list that is not loaded."""

    def extend(self, values: object) -> None:
        """Take items of a list that is not loaded."""


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    **{
        ("torch", name): getattr(torch, name)
        for name in ("FloatStorage", "HalfStorage", "DoubleStorage", "LongStorage", "IntStorage", "BoolStorage")
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few classes that tensors need, or one that does nothing."""
        return _ALLOWED.get((module, name), _Inert)


def _load(file: IO[bytes], **settings: Any) -> Any:
    return _Unpickler(file, **settings).load()


_PICKLE = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__="pickle")


def read_encoder(file: Path) -> FairseqEncoder:
    """Read the encoder of a checkpoint; its heads and dictionaries may be absent.

    Raises:
        UsageError: there is no such file, or it is not a checkpoint of a MERT network.
    """
    content = _read(file)
    shape, weights, _ = _matched(content, file)
    task = content["cfg"].get("task")
    settings = task if isinstance(task, Mapping) else {}
    rate, normalise = settings.get("sample_rate"), settings.get("normalize", False)
    if rate is not None and (type(rate) is not int or not 1 <= rate <= HIGHEST_RATE):
        raise UsageError(f"{file}: the sample rate {rate!r} of its task should be an integer up to {HIGHEST_RATE} Hz.")
    if not isinstance(normalise, bool):
        raise UsageError(f"{file}: normalize = {normalise!r} of its task should be true or false.")
    return FairseqEncoder(shape, weights, rate, normalise)


def _matched(content: Mapping[str, Any], file: Path) -> tuple[HubertShape, dict[str, Tensor], dict[str, Tensor]]:
    """Return shape, weights and training-only tensors of what was read."""
    tensors = {_renamed(str(name)): tensor for name, tensor in content["model"].items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_CQT_KERNELS)}
    shape = _read_shape(content, tensors, file)
    return (shape, *match_tensors(tensors, shape, file))


def read_fairseq(file: Path, temperature: float = 0.1) -> FairseqModel:
    """Read a checkpoint.

    Args:
        file: as fairseq saved it.
        temperature: of the heads; not a tensor, so not read.

    Raises:
        UsageError: there is no such file, or it is not a MERT checkpoint with its heads and dictionaries.
    """
    content = _read(file)
    shape, weights, rest = _matched(content, file)
    wanted = (f"{PROJECTION}.weight", f"{PROJECTION}.bias", CODEWORDS, f"{CQT_HEAD}.weight", f"{CQT_HEAD}.bias")
    absent = [name for name in (*wanted, MASK_VECTOR) if name not in rest]
    if absent:
        raise UsageError(f"{file}: tensor {absent[0]!r} is missing; these are not the weights of MERT's pre-training.")
    rows = _rows_of_codes(content, file)
    codewords = rest[CODEWORDS].float()
    if codewords.ndim != 2 or len(codewords) != sum(size for size, _ in rows):
        raise UsageError(
            f"{file}: {CODEWORDS} has {len(codewords)} rows; the dictionaries have {sum(size for size, _ in rows)}."
        )
    starts = np.cumsum([0, *(size for size, _ in rows[:-1])])
    order = np.concatenate([start + found for start, (_, found) in zip(starts, rows, strict=True)])
    heads = HeadShape(len(rows[0][1]), len(rows), codewords.shape[1], len(rest[f"{CQT_HEAD}.bias"]), temperature)
    found = {name: rest[name].float().contiguous() for name in (*wanted, MASK_VECTOR)}
    found[CODEWORDS] = codewords[torch.from_numpy(order)].contiguous()
    for name, size in (heads.tensors(shape.hidden) | {MASK_VECTOR: (shape.hidden,)}).items():
        if tuple(found[name].shape) != size or not bool(found[name].isfinite().all()):
            raise UsageError(f"{file}: tensor {name!r} should be finite, of the shape {list(size)}.")
    return FairseqModel(shape, heads, weights, found)


def _read(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise UsageError(f"{file}: there is no such file.")
    if is_git_lfs_pointer(file):
        raise UsageError(f"{file}: this is a pointer of Git LFS; run `git lfs pull` in {file.parent}.")
    try:
        content = torch.load(file, map_location="cpu", pickle_module=_PICKLE, weights_only=False)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError,
            IndexError) as error:  # fmt: skip
        raise UsageError(f"{file}: this is not a complete fairseq checkpoint ({error}). Fetch it again.") from error
    model = content.get("model") if isinstance(content, Mapping) else None
    if not isinstance(model, Mapping) or not all(isinstance(tensor, Tensor) for tensor in model.values()):
        raise UsageError(f"{file}: there is no table of tensors named 'model'; this is not a fairseq checkpoint.")
    return {str(key): value for key, value in content.items()}


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _read_shape(content: Mapping[str, Any], tensors: Mapping[str, Tensor], file: Path) -> HubertShape:
    """Return the shape that configuration and tensors give; strides are those of every HuBERT."""
    cfg = content.get("cfg")
    settings = cfg.get("model") if isinstance(cfg, Mapping) else None
    if not isinstance(settings, Mapping):
        raise UsageError(f"{file}: there is no configuration of the model ('cfg', 'model').")
    try:
        layers = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("encoder.layers."))
        convolutions = [
            tensors[f"feature_extractor.conv_layers.{i}.conv.weight"].shape for i in range(len(HubertShape.conv_stride))
        ]
        hidden, width, kernel = tensors["encoder.pos_conv_embed.conv.weight_v"].shape
        intermediate = len(tensors["encoder.layers.0.feed_forward.intermediate_dense.bias"])
        heads = int(settings["encoder_attention_heads"])
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise UsageError(f"{file}: this is not a HuBERT network of seven convolutions ({error!r}).") from error
    return HubertShape(
        conv_dim=tuple(size[0] for size in convolutions),
        conv_kernel=tuple(size[2] for size in convolutions),
        conv_bias="feature_extractor.conv_layers.0.conv.bias" in tensors,
        conv_norm="layer" if settings.get("extractor_mode") == "layer_norm" else "group",
        hidden=hidden,
        layers=layers,
        heads=heads,
        intermediate=intermediate,
        position_kernel=kernel,
        position_groups=hidden // width,
        pre_norm=bool(settings.get("layer_norm_first", False)),
    )


def _rows_of_codes(content: Mapping[str, Any], file: Path) -> list[tuple[int, NDArray[np.int64]]]:
    """Return for each codebook how many rows it has and the row of each code, from fairseq's dictionaries.

    A dictionary puts four special symbols first and the codes, as text, in the order of its file after them, so code k
    is neither in row k nor, in general, in row k + 4.
    """
    state = content.get("task_state")
    dictionaries = state.get("dictionaries") if isinstance(state, Mapping) else None
    if not isinstance(dictionaries, list) or not dictionaries:
        raise UsageError(f"{file}: there are no dictionaries ('task_state', 'dictionaries'): rows have no codes.")
    found: list[tuple[int, NDArray[np.int64]]] = []
    for number, dictionary in enumerate(dictionaries):
        stored = getattr(dictionary, "state", None)
        symbols = stored.get("symbols") if isinstance(stored, Mapping) else None
        if not isinstance(symbols, list):
            raise UsageError(f"{file}: dictionary {number} has no list of symbols.")
        rows = {int(symbol): row for row, symbol in enumerate(symbols) if str(symbol).isdecimal()}
        if not rows or sorted(rows) != list(range(len(rows))) or (found and len(rows) != len(found[0][1])):
            raise UsageError(
                f"{file}: dictionary {number} has {len(rows)} codes that are not 0 to {len(rows) - 1}, or not as many "
                "as the first has; its rows cannot be told apart."
            )
        found.append((len(symbols), np.array([rows[code] for code in range(len(rows))], np.int64)))
    return found
