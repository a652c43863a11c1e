"""Reading a HuBERT or MERT folder in Hugging Face format: configuration, weights, preprocessor. Never its code.

Every tensor is accounted for: it is one that the network needs, under one of its known spellings, or one of the
training-only tensors listed in ``TRAINING_ONLY``; anything else, and anything missing, is an error that names it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from .hubert import DIRECTION, GAIN, POSITION, HubertShape

if TYPE_CHECKING:
    from torch import Tensor

MODEL_TYPES = ("mert_model", "hubert")

# torch before 2.1 and after call the two halves of a weight norm differently; the tensors are the same.
SPELLINGS = {f"{POSITION}.weight_g": GAIN, f"{POSITION}.weight_v": DIRECTION}

# What a wrapper around the network puts before each name (HubertForCTC and its kin; DataParallel; training scripts).
PREFIXES = ("hubert.", "model.", "module.", "encoder_model.", "model.hubert.", "module.hubert.")

MASK_VECTOR = "masked_spec_embed"
"""What stands in for masked frames; transformers makes room for it only where ``mask_time_prob`` is above zero."""

# Tensors that only training uses: the mask vector, and the heads of MERT's pre-training and of HubertFor... classes.
TRAINING_ONLY = (
    MASK_VECTOR,
    "final_proj.",
    "label_embs_concat",
    "encoder_cqt_model.",
    "lm_head.",
    "projector.",
    "classifier.",
    "layer_weights",
)

NOT_STATED = ("not stated",)
"""The corpora of a model whose card does not list them."""

NORMALISED = "zero mean and unit variance per window (eps 1e-7)"

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


_MOST_LAYERS = 1000
"""Far above any such network: a configuration that asks for more would only exhaust the memory with names."""

# What soundfile and soxr are asked for at most, Hz.
HIGHEST_RATE = 192_000


@dataclass(frozen=True)
class Preprocessor:
    """What happens to a window before the network.

    Attributes:
        sample_rate: Hz.
        normalise: whether each window is brought to zero mean and unit variance.
        words: the same for a reader.
    """

    sample_rate: int
    normalise: bool
    words: str


@dataclass(frozen=True)
class Checkpoint:
    """A network read from a folder.

    Attributes:
        shape: of the network.
        weights: float32 tensors under the names of :meth:`HubertShape.tensors`.
        training_only: the folder's other tensors, unused here.
        preprocessor: of the waveform.
        licence: as the folder's model card states it, else ``not stated``.
    """

    shape: HubertShape
    weights: dict[str, Tensor]
    training_only: dict[str, Tensor]
    preprocessor: Preprocessor
    licence: str


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a model folder (``config.json`` beside ``*.safetensors`` or ``pytorch_model.bin``).

    Raises:
        UsageError: it is not a folder of a HuBERT or MERT model, or anything in it does not fit; the message names
            the file and the key or tensor.
    """
    config = read_json(folder / "config.json")
    shape = read_shape(config, folder / "config.json")
    tensors, file = read_tensors(folder)
    weights, rest = match_tensors(tensors, shape, file)
    return Checkpoint(shape, weights, rest, _read_preprocessor(folder, config), read_licence(folder))


def has_weights(folder: Path) -> bool:
    """Whether the folder holds a configuration and at least one file of weights."""
    return (folder / "config.json").is_file() and bool(_weight_files(folder))


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
    )
    if shape.conv_norm not in ("group", "layer"):
        raise UsageError(f"{where}: feat_extract_norm = {shape.conv_norm!r} is neither 'group' nor 'layer'.")
    if shape.layers > _MOST_LAYERS:
        raise UsageError(f"{where}: num_hidden_layers = {shape.layers} is beyond {_MOST_LAYERS}.")
    if not len(shape.conv_dim) == len(shape.conv_kernel) == len(shape.conv_stride):
        raise UsageError(f"{where}: conv_dim, conv_kernel and conv_stride differ in length.")
    for key, parts in (("num_attention_heads", shape.heads), ("num_conv_pos_embedding_groups", shape.position_groups)):
        if shape.hidden % parts:
            raise UsageError(f"{where}: hidden_size = {shape.hidden} is not a multiple of {key} = {parts}.")
    return shape


@dataclass(frozen=True)
class _Values:
    """Typed access to a configuration."""

    config: Mapping[str, object]
    where: Path

    def value(self, key: str) -> object:
        return self.config.get(key, _DEFAULTS[key])

    def _wrong(self, key: str, wanted: str) -> UsageError:
        return UsageError(f"{self.where}: {key} = {self.value(key)!r} should be {wanted}.")

    def integer(self, key: str) -> int:
        value = self.value(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._wrong(key, "a positive integer")
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        value = self.value(key)
        if not isinstance(value, list) or not value or not all(type(v) is int and v > 0 for v in value):
            raise self._wrong(key, "a list of positive integers")
        return tuple(value)

    def boolean(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def fraction(self, key: str) -> float:
        value = self.value(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
            raise self._wrong(key, "a number between 0 and 1")
        return float(value)


def read_tensors(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """Read a folder's tensors as they are stored; ``.safetensors`` files are preferred to ``.bin`` files.

    Returns:
        The tensors by stored name, and the file (or the folder, if there are several) they come from.

    Raises:
        UsageError: no such file, a damaged one, or a ``.bin`` that holds more than tensors (it is not executed).
    """
    files = _weight_files(folder)
    if not files:
        raise UsageError(f"{folder}: there is neither a .safetensors file nor a pytorch_model.bin.")
    tensors: dict[str, Tensor] = {}
    for file in files:
        part = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickle(file)
        twice = sorted(tensors.keys() & part.keys())
        if twice:
            raise UsageError(f"{file}: tensor {twice[0]!r} is also in another file of {folder}.")
        tensors |= part
    return tensors, files[0] if len(files) == 1 else folder


def _weight_files(folder: Path) -> list[Path]:
    # Names that begin with a dot are notes of other systems (macOS's "._model.safetensors"), not parts of a model.
    found = (sorted(folder.glob("[!.]*.safetensors")), sorted(folder.glob("pytorch_model*.bin")))
    return found[0] or found[1]


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(file))
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{file}: this is not a complete safetensors file ({error}). Fetch it again.") from error


def _read_pickle(file: Path) -> dict[str, Tensor]:
    import pickle
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            # What torch says of archives that it then refuses is said by the error.
            warnings.simplefilter("ignore", UserWarning)
            content: object = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{file}: this pickle holds more than tensors, or is damaged. Its code was not run. "
            "Ask for a .safetensors file, or fetch it again from a source that you trust."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UsageError(f"{file}: this is not a complete file of torch weights ({error}). Fetch it again.") from error
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise UsageError(f"{file}: this is not a plain table of tensors.")
    # Parameters that were saved as such would ask for a gradient.
    return {str(name): tensor.detach() for name, tensor in content.items()}


def match_tensors(
    tensors: Mapping[str, Tensor], shape: HubertShape, where: Path
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Give every stored tensor its place.

    Args:
        tensors: by stored name.
        shape: of the network that they should fill.
        where: the file they come from, for messages.

    Returns:
        The network's tensors (float32, contiguous, canonical names) and the training-only ones (canonical names).

    Raises:
        UsageError: a tensor is missing, unknown, given twice, of a wrong shape, not floating point, or not finite in
            float32.
    """
    wanted = shape.tensors()
    places, others = match_names(tensors, shape, where)
    found = {name: tensors[stored] for name, stored in places.items()}
    for name, size in wanted.items():
        if tuple(found[name].shape) != size:
            raise UsageError(
                f"{where}: tensor {name!r} has the shape {list(found[name].shape)}; config.json asks for {list(size)}."
            )
    weights = {name: _finite_float32(found[name], name, where) for name in wanted}
    rest = {name: tensors[stored] for name, stored in others.items()}
    if MASK_VECTOR in rest:
        if tuple(rest[MASK_VECTOR].shape) != (shape.hidden,):
            raise UsageError(
                f"{where}: tensor {MASK_VECTOR!r} has the shape {list(rest[MASK_VECTOR].shape)}; "
                f"config.json asks for {[shape.hidden]}."
            )
        _finite_float32(rest[MASK_VECTOR], MASK_VECTOR, where)
    return weights, rest


def _finite_float32(tensor: Tensor, name: str, where: Path) -> Tensor:
    """Return a tensor in float32; refuse what is not one of finite floats, and what torch cannot test (eight bits)."""
    import torch

    plain = tensor.layout is torch.strided and not tensor.is_meta
    if plain and tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        converted = tensor.to(torch.float32).contiguous()
        if bool(torch.isfinite(converted).all()):
            return converted
    kind = str(tensor.dtype).removeprefix("torch.") + ("" if plain else ", not stored in full")
    raise UsageError(f"{where}: tensor {name!r} ({kind}) is not made of finite real numbers of 16, 32 or 64 bits.")


def match_names(names: Iterable[str], shape: HubertShape, where: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Give every stored name its place, whatever the style of the file.

    Args:
        names: as stored.
        shape: of the network that the tensors should fill.
        where: the file they come from, for messages.

    Returns:
        Canonical name -> stored name: of the network's tensors, and of the training-only ones.

    Raises:
        UsageError: a tensor is missing, unknown, or given twice.
    """
    names = list(names)
    wanted = shape.tensors()
    found: dict[str, str] = {}
    rest: dict[str, str] = {}
    unexpected: list[str] = []
    prefix = _prefix(names, wanted)
    for stored in names:
        bare = stored.removeprefix(prefix)
        name = SPELLINGS.get(bare, bare)
        if name in wanted and stored.startswith(prefix):
            if name in found:
                raise UsageError(f"{where}: tensor {name!r} is there twice, under an old and a new name.")
            found[name] = stored
        elif any(name == known or (known.endswith(".") and name.startswith(known)) for known in TRAINING_ONLY):
            rest[name] = stored
        else:
            unexpected.append(stored)
    missing = [name for name in wanted if name not in found]
    if missing or unexpected:
        raise UsageError(f"{where}: " + _differences(missing, unexpected))
    return found, rest


def _prefix(names: list[str], wanted: Mapping[str, tuple[int, ...]]) -> str:
    def fitting(prefix: str) -> int:
        return sum(name.startswith(prefix) and name.removeprefix(prefix) in wanted for name in names)

    return max(("", *PREFIXES), key=fitting)


def _differences(missing: list[str], unexpected: list[str], shown: int = 5) -> str:
    def listed(names: list[str]) -> str:
        more = f" and {len(names) - shown} more" if len(names) > shown else ""
        return ", ".join(repr(name) for name in names[:shown]) + more

    parts = []
    if missing:
        parts.append(f"missing tensors: {listed(missing)}")
    if unexpected:
        parts.append(f"unexpected tensors: {listed(unexpected)}")
    return "; ".join(parts) + ". The weights do not belong to this config.json."


def weights_sha256(weights: Mapping[str, Tensor]) -> str:
    """Hash names, types, shapes and values in the order of the names.

    Of canonical tensors (:func:`match_tensors`) it does not depend on the file's format, key style or stored precision.
    """
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(weights):
        array = weights[name].numpy()
        digest.update(f"{name} {array.dtype.newbyteorder('<').str} {list(array.shape)}\n".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _read_preprocessor(folder: Path, config: Mapping[str, object]) -> Preprocessor:
    """Read ``preprocessor_config.json`` with the defaults of transformers' ``Wav2Vec2FeatureExtractor``.

    Its sample rate counts before the configuration's, which in MERT is the default of a class more often than a fact.
    """
    rate = config.get("sample_rate", 24000 if config["model_type"] == "mert_model" else 16000)
    file = folder / "preprocessor_config.json"
    normalise, words = False, "none (the model has no preprocessor_config.json)"
    if file.is_file():
        content = read_json(file)
        rate = content.get("sampling_rate", rate)
        stated = content.get("do_normalize", True)
        if not isinstance(stated, bool):
            raise UsageError(f"{file}: do_normalize = {stated!r} should be true or false.")
        normalise = stated
        words = NORMALISED if normalise else "none"
    if type(rate) is not int or not 1 <= rate <= HIGHEST_RATE:
        raise UsageError(f"{folder}: the sample rate {rate!r} is not a positive integer up to {HIGHEST_RATE} (Hz).")
    return Preprocessor(rate, normalise, words)


def read_licence(folder: Path) -> str:
    """Return the licence that the front matter of a folder's model card states, else ``not stated``."""
    file = folder / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace")[:4000] if file.is_file() else ""
    stated = re.match(r"---\n(?:.*\n)*?license:[ \t]*(\S.*)\n", text)
    return stated.group(1).strip() if stated else "not stated"


def read_trained_on(folder: Path) -> tuple[str, ...]:
    """Return the corpora that the front matter of a folder's model card lists under ``trained_on``.

    ``("not stated",)`` where there is no such list of texts; an empty list says that the model is untrained.
    """
    listed = _stated(folder, "trained_on")
    return tuple(listed) if isinstance(listed, list) and all(isinstance(one, str) for one in listed) else NOT_STATED


def read_is_merge(folder: Path) -> bool:
    """Return whether a folder's model card says, as cards of the hub do, that the model is a merge of others."""
    return _stated(folder, "base_model_relation") == "merge"


def _stated(folder: Path, key: str) -> object:
    """Return what the front matter of a folder's model card says under ``key``; ``None`` where it says nothing."""
    file = folder / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace")[:100_000] if file.is_file() else ""
    front = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    if not front or f"{key}:" not in front[1]:
        return None
    import yaml

    try:
        return yaml.safe_load(front[1])[key]
    except (yaml.YAMLError, KeyError, TypeError, RecursionError):
        # A card is prose by anyone; weights are not refused for it.
        return None


def read_json(file: Path) -> dict[str, object]:
    """Read a JSON object of a model folder.

    Raises:
        UsageError: there is no such file, or it is not a JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{file.parent}: there is no {file.name}; this is not a model folder.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{file}: this is not readable JSON ({error}).") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file}: this is not a JSON object.")
    return content
