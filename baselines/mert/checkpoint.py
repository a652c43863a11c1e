"""Reading a HuBERT or MERT folder in Hugging Face format: configuration, weights, preprocessor. Never its code.

Every tensor is accounted for: it is one that the network needs, under one of its known spellings, or one of the
training-only tensors listed in ``TRAINING_ONLY``; anything else, and anything missing, is an error that names it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...files import read_json
from ..hub.about import HIGHEST_RATE, read_licence
from ..hub.layout import front_end, require_content, weight_files
from ..states import listed
from .network import DIRECTION, GAIN, POSITION, HubertShape
from .shape import read_shape

if TYPE_CHECKING:
    from torch import Tensor

# torch before 2.1 and after call the two halves of a weight norm differently; the tensors are the same.
SPELLINGS = {f"{POSITION}.weight_g": GAIN, f"{POSITION}.weight_v": DIRECTION}

PREFIXES = ("module.", "model.", "hubert.", "encoder_model.")
"""What wrappers around the network put before each name, one inside another (DataParallel; training scripts;
HubertForCTC and its kin)."""

TRANSPARENT = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What torch.compile, FSDP and gradient checkpointing put anywhere into a name; no network has such a part."""

MASK_VECTOR = "masked_spec_embed"
"""What stands in for masked frames; transformers makes room for it only where ``mask_time_prob`` is above zero."""

# Tensors that only training uses: the mask vector, and the heads of pre-training and of HubertFor... classes.
TRAINING_ONLY = (
    MASK_VECTOR,
    "final_proj.",
    "label_embs_concat",
    "encoder_cqt_model.",
    "contrast_head.",
    "lm_head.",
    "projector.",
    "classifier.",
    "layer_weights",
)

NORMALISED = "zero mean and unit variance per window (eps 1e-7)"


_TABLES = ("state_dict", "model", "model_state_dict", "module")
"""Where trainers put a model's tensors beside their own notes."""


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


def read_tensors(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """Read a folder's tensors as they are stored; ``.safetensors`` files are preferred to ``.bin`` files.

    Returns:
        The tensors by stored name, and the file (or the folder, if there are several) they come from.

    Raises:
        UsageError: no such file, a damaged one, or a ``.bin`` that holds more than tensors (it is not executed).
    """
    files = weight_files(folder)
    if not files:
        raise UsageError(f"{folder}: there is neither a .safetensors file nor a pytorch_model.bin.")
    require_content(files)
    tensors: dict[str, Tensor] = {}
    for file in files:
        part = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickle(file)
        twice = sorted(tensors.keys() & part.keys())
        if twice:
            raise UsageError(
                f"{file}: tensor {twice[0]!r} is also in another file of {folder}. Leave the files of one copy there."
            )
        tensors |= part
    return tensors, files[0] if len(files) == 1 else folder


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
    tables = [content, *(content.get(key) for key in _TABLES)] if isinstance(content, Mapping) else []
    table = next((t for t in tables if t and isinstance(t, Mapping) and _holds_tensors(t)), None)
    if table is None:
        raise UsageError(
            f"{file}: this is no table of tensors, nor does it hold one under {', '.join(_TABLES)}. "
            "Save the model's `state_dict()` alone, best with `safetensors.torch.save_file`."
        )
    # Parameters that were saved as such would ask for a gradient.
    return {str(name): tensor.detach() for name, tensor in table.items()}


def _holds_tensors(table: Mapping[object, object]) -> bool:
    import torch

    return all(isinstance(value, torch.Tensor) for value in table.values())


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
    wanted = shape.tensors()
    found: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    rest: dict[str, str] = {}
    unexpected: list[str] = []
    for stored in names:
        prefix, name = _unwrapped(stored, wanted)
        if name in wanted:
            if name in found:
                raise UsageError(f"{where}: tensor {name!r} is there twice, as {found[name]!r} and as {stored!r}.")
            found[name] = stored
            prefixes.setdefault(prefix, stored)
        elif _is_training_only(name):
            rest[name] = stored
        else:
            unexpected.append(stored)
    missing = [name for name in wanted if name not in found]
    if missing or unexpected:
        raise UsageError(f"{where}: " + _differences(missing, unexpected))
    if len(prefixes) > 1:
        listed = " and ".join(repr(name) for name in prefixes.values())
        raise UsageError(f"{where}: the tensors are of more than one network: their names begin as in {listed}.")
    return found, rest


def _is_training_only(name: str) -> bool:
    return any(name == known or (known.endswith(".") and name.startswith(known)) for known in TRAINING_ONLY)


def _unwrapped(stored: str, wanted: Mapping[str, tuple[int, ...]]) -> tuple[str, str]:
    """Return what wrappers have put before a name, and the name; all of them, however often they wrap."""
    name = stored
    for part in TRANSPARENT:
        name = name.replace(part, "")
    prefix = ""
    while True:
        canonical = SPELLINGS.get(name, name)
        wrapper = next((one for one in PREFIXES if name.startswith(one)), "")
        if canonical in wanted or _is_training_only(canonical) or not wrapper:
            return prefix, canonical
        prefix, name = prefix + wrapper, name.removeprefix(wrapper)


def _differences(missing: list[str], unexpected: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"missing tensors: {listed(missing)}")
    if unexpected:
        parts.append(f"unexpected tensors: {listed(unexpected)}")
    return "; ".join(parts) + ". The weights do not belong to this config.json."


def _read_preprocessor(folder: Path, config: Mapping[str, object]) -> Preprocessor:
    """Read the settings of the front end with the defaults of transformers' ``Wav2Vec2FeatureExtractor``.

    Their sample rate counts before the configuration's, which in MERT is the default of a class more often than a fact.
    """
    rate = config.get("sample_rate", 24000 if config["model_type"] == "mert_model" else 16000)
    found = front_end(folder)
    normalise, words = False, "none (the model has no preprocessor_config.json)"
    if found is not None:
        content, file = found
        rate = content.get("sampling_rate", rate)
        stated = content.get("do_normalize", True)
        if not isinstance(stated, bool):
            raise UsageError(f"{file}: do_normalize = {stated!r} should be true or false.")
        normalise = stated
        words = NORMALISED if normalise else "none"
    if type(rate) is not int or not 1 <= rate <= HIGHEST_RATE:
        raise UsageError(f"{folder}: the sample rate {rate!r} is not a positive integer up to {HIGHEST_RATE} (Hz).")
    if found is None:
        known = "as config.json says" if "sample_rate" in config else "as is usual for its kind"
        logging.getLogger(__name__).warning(
            "%s has neither preprocessor_config.json nor processor_config.json: audio is taken at %d Hz, %s, and not "
            "normalised. Put the file of the model that was trained into the folder if it has one.",
            folder,
            rate,
            known,
        )
    return Preprocessor(rate, normalise, words)
