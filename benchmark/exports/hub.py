"""``cmbench export hf``: a MERT-shaped model as a folder for the hub, with a model card that carries its scores."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ...baselines.cards import hub_name, model_card
from ...errors import UsageError
from ...files import whole_folder

if TYPE_CHECKING:
    from ...baselines.network import Network
    from ..records.record import Record


def export_hf(model: Network, out: Path, records: Sequence[Record] = (), eval_dataset: str | None = None) -> Path:
    """Write the folder: configuration, preprocessor, weights and a model card.

    Records of other models are left out by name. Real and ``mini`` results never share a card: where there are real
    ones, ``mini`` ones are left out.

    Args:
        model: what to write.
        out: folder; made if need be.
        records: scores to put into the card.
        eval_dataset: ``owner/name`` of the benchmark's data set on the hub; ``.eval_results/cmbench.yaml`` refers to
            it and is written only if it is given.

    Raises:
        UsageError: the folder holds weights already, records were given and none is of this model, or one is of other
            weights under its name.
    """
    import yaml

    from ...baselines.mert.checkpoint import MASK_VECTOR
    from ...baselines.mert.folder import write_folder
    from .cards import eval_results

    own = _own(model, records)
    real = [r for r in own if r.task.edition != "mini"]
    files = {"README.md": exported_card(model, real or own)}
    if eval_dataset is not None and own:
        content = yaml.safe_dump(eval_results(real or own, eval_dataset), sort_keys=False, allow_unicode=True)
        files[".eval_results/cmbench.yaml"] = content
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder.")
    read = model.checkpoint
    # Beside files of the user's the weights come last, and are what makes it a model.
    with nullcontext(out) if out.is_dir() and any(out.iterdir()) else whole_folder(out) as folder:
        write_folder(folder, read.shape, read.weights, read.preprocessor, read.training_only.get(MASK_VECTOR), files)
    return out


def _own(model: Network, records: Sequence[Record]) -> list[Record]:
    """Return the records of a model, by its name; other weights that are called the same are an error."""
    from ...baselines.hub.about import weights_sha256

    own = [r for r in records if r.model.name == model.name]
    if records and not own:
        names = ", ".join(sorted({r.model.name for r in records}))
        raise UsageError(f"None of the records is of {model.name}; they are of {names}.")
    weights = weights_sha256(model.checkpoint.weights) if own else ""
    if foreign := [r for r in own if r.model.weights_sha256 != weights]:
        raise UsageError(
            f"The record of {model.name} on {foreign[0].task.name} was made with other weights (sha256 "
            f"{foreign[0].model.weights_sha256[:12]}, not {weights[:12]}); evaluate the model that you export."
        )
    return own


def exported_card(model: Network, records: Sequence[Record]) -> str:
    """Return ``README.md``: what the model is, its scores, how to load it; the scores also as ``model-index``."""
    from ...baselines.hub.about import NOT_STATED
    from .cards import evaluated, scores_table

    shape, preprocessor = model.checkpoint.shape, model.checkpoint.preprocessor
    parts = [
        f"A HuBERT network with {shape.layers} layers of {shape.hidden} for music at "
        f"{preprocessor.sample_rate} Hz. Source of the weights: {model.source}. Trained on: "
        f"{', '.join(model.trained_on) or 'nothing'}. Licence: {model.licence}.",
        f"Preprocessing: {preprocessor.words}.",
    ]
    if records:
        editions = dict.fromkeys(record.task.edition for record in records)
        edition = " and ".join("mini (synthetic)" if name == "mini" else name for name in editions)
        parts += [
            "## Scores",
            f"Measured by cmbench, {edition} edition; means over the probes' seeds with 95 % intervals.",
            scores_table(records),
        ]
    return model_card(
        model.name.rpartition("/")[2],
        parts,
        preprocessor.sample_rate,
        licence=model.licence,
        base_model=hub_name(model.source, "") or None,
        trained_on=None if model.trained_on == NOT_STATED else model.trained_on,
        streams=bool(shape.streams),
        model_name=model.name,
        eval_results=evaluated(records) or None,
    )
