"""Writing a merged model: a folder that cmbench and transformers load, wholly or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ...baselines.base import LoadOptions
from ...baselines.hub.about import weights_sha256
from ...baselines.mert.checkpoint import MASK_VECTOR
from ...baselines.mert.folder import as_float16, require_dtype, write_folder
from ...errors import UsageError
from ...files import NEW, folder_beside, naming, put_in_place
from .card import FACTS, MergedModel, by_name, merge_card, merge_facts
from .merge import MergeSettings, merge
from .parameters import Parameters, open_parameters


def merge_models(
    base: str,
    added: Sequence[str],
    how: MergeSettings,
    out: Path,
    options: LoadOptions,
    dtype: str = "float32",
    force: bool = False,
) -> MergedModel:
    """Merge models and write the folder: wholly, or not at all.

    Args:
        base: the model that all were adapted from: a short name, a folder, or ``hf:owner/name@revision``.
        added: the adapted models.
        how: method and scales, the latter in the order of ``added``.
        out: folder to write.
        options: network policy.
        dtype: of the stored weights, ``float32`` or ``float16``.
        force: replace what the folder holds.

    Raises:
        UsageError: the models do not fit together, or the folder may not be replaced.
        MissingError: a model is not on this machine and cannot be fetched.
    """
    out = out.expanduser().resolve()
    require_free(out, force)
    require_dtype(dtype)
    # Beside the result, so that the last step is a rename.
    with naming(out), folder_beside(out) as made:
        base_model, *models = [open_parameters(name, options, made / "read") for name in (base, *added)]
        for model in (base_model, *models):
            if any(out in file.resolve().parents for file, _ in model.places.values()):
                raise UsageError(f"{out} is one of the models to merge; write the result elsewhere.")
        merged = write_merged(base_model, models, how, made / NEW, out.name, dtype)
        put_in_place(out, made)
    return merged


def require_free(out: Path, force: bool) -> None:
    """Check that a folder may be written.

    Raises:
        UsageError: it is a file, or holds something and ``force`` is not set; even with it a folder that has folders
            of its own is not replaced, for a model has none.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder.")
    held = list(out.iterdir()) if out.is_dir() else []
    if held and not force:
        raise UsageError(f"{out} is not empty; name another folder, or replace it with --force.")
    if folders := sorted(one.name for one in held if one.is_dir()):
        raise UsageError(f"{out} holds folders ({folders[0]}), so it is no model's; --force does not remove it.")


def write_merged(
    base: Parameters, added: Sequence[Parameters], how: MergeSettings, folder: Path, name: str, dtype: str = "float32"
) -> MergedModel:
    """Merge opened models and write the files of the result.

    Args:
        base: the model that all were adapted from.
        added: the adapted models.
        how: method and scales.
        folder: made if need be; must hold no weights.
        name: of the merged model.
        dtype: of the stored weights.

    Raises:
        UsageError: the models do not fit together, or a value is beyond the stored type; the tensor is named.
    """
    import torch

    require_dtype(dtype)
    result = merge(base, added, how)
    weights, vector = result.weights, result.mask_vector
    if dtype == "float16":
        weights = {tensor: as_float16(tensor, weights.pop(tensor)) for tensor in list(weights)}
        vector = None if vector is None else as_float16(MASK_VECTOR, vector)
    merged = MergedModel(
        name=name,
        base=base,
        sources=by_name(added, how.scales, result.lengths),
        how=how,
        dtype=dtype,
        weights_sha256=weights_sha256({tensor: values.to(torch.float32) for tensor, values in weights.items()}),
        warnings=result.warnings,
    )
    facts = json.dumps(merge_facts(merged), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_folder(
        folder, base.shape, weights, base.preprocessor, vector, {"README.md": merge_card(merged), FACTS: facts}
    )
    return merged
