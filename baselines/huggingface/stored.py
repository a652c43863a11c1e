"""The tensors of a folder that transformers would not find under their own names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..hub.layout import require_content, weight_files
from ..mert.checkpoint import TRANSPARENT, read_tensors

if TYPE_CHECKING:
    from torch import Tensor

_USUAL = re.compile(r"(?:model(?:-\d+-of-\d+)?\.safetensors|pytorch_model(?:-\d+-of-\d+)?\.bin)")
_WRAPPERS = ("module.", "model.")
"""What DataParallel and training scripts put before each name, once for each time that they wrap. Of transformers' own
parts only one of Whisper is called so, and is found without it, too."""


def unwrapped_tensors(folder: Path) -> dict[str, Tensor] | None:
    """Return a folder's tensors without what wrappers put into their names; ``None`` where transformers reads it as is.

    Raises:
        UsageError: a file is absent, damaged or no table of tensors, or two names are one without their wrappers.
    """
    files = weight_files(folder)
    require_content(files)
    bare: dict[str, str] = {}
    for stored in _stored_names(folder, files):
        name = stored
        for part in TRANSPARENT:
            name = name.replace(part, "")
        while wrapper := next((one for one in _WRAPPERS if name.startswith(one)), ""):
            name = name.removeprefix(wrapper)
        if name in bare:
            raise UsageError(f"{folder}: tensor {name!r} is there twice, as {bare[name]!r} and as {stored!r}.")
        bare[name] = stored
    if all(name == stored for name, stored in bare.items()) and _USUAL.fullmatch(files[0].name):
        return None
    tensors, _ = read_tensors(folder)
    return {name: tensors[stored] for name, stored in bare.items()}


def _stored_names(folder: Path, files: list[Path]) -> list[str]:
    from safetensors import SafetensorError, safe_open

    if any(file.suffix != ".safetensors" for file in files):
        return list(read_tensors(folder)[0])
    names: list[str] = []
    for file in files:
        try:
            with safe_open(file, "pt") as tensors:
                names += tensors.keys()
        except (SafetensorError, OSError) as error:
            raise UsageError(f"{file}: this is not a complete safetensors file ({error}). Fetch it again.") from error
    return names
