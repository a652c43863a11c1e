"""What a merged model says of itself: its model card and ``merge.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...baselines.cards import SEE_SOURCES, contaminated_tasks, hub_name, markdown_table, model_card, most_restrictive
from ...version import __version__
from .merge import METHODS, MergeSettings
from .parameters import Parameters

FACTS = "merge.json"


@dataclass(frozen=True)
class Source:
    """A model that was added.

    Attributes:
        model: which.
        scale: of its task vector.
        length: of its task vector, as a share of the base's Euclidean length.
    """

    model: Parameters
    scale: float
    length: float


@dataclass(frozen=True)
class MergedModel:
    """Who a merged model is: the same for the same merge, whatever the order of the models.

    Attributes:
        name: of the merged model.
        base: the model that all were adapted from.
        sources: by name.
        how: method and settings.
        dtype: of the stored weights.
        weights_sha256: as on the encoder's card.
        warnings: what a user should know, in sentences.
    """

    name: str
    base: Parameters
    sources: tuple[Source, ...]
    how: MergeSettings
    dtype: str
    weights_sha256: str
    warnings: tuple[str, ...]

    @property
    def models(self) -> tuple[Parameters, ...]:
        """The base and the sources."""
        return (self.base, *(source.model for source in self.sources))

    @property
    def licence(self) -> str:
        """The most restrictive of the sources', if it is known which that is."""
        return most_restrictive(model.licence for model in self.models)

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Corpora of all sources, each once."""
        return tuple(dict.fromkeys(corpus for model in self.models for corpus in model.trained_on))

    @property
    def contaminated(self) -> tuple[str, ...]:
        """Tasks whose validation or test tracks one of the models heard."""
        return contaminated_tasks(self.trained_on)

    @property
    def formula(self) -> str:
        """What was computed, in words."""
        scales = {source.scale for source in self.sources}
        scaled = f"{scales.pop():g} times" if len(scales) == 1 else "(task vectors scaled one by one)"
        kept = f", density {self.how.density:g}" if self.how.density is not None else ""
        return f"base + {scaled} {METHODS[self.how.method].words}{kept}"


def by_name(models: Sequence[Parameters], scales: Sequence[float], lengths: Sequence[float]) -> tuple[Source, ...]:
    """Return the added models with their scales and lengths, in an order that does not depend on theirs."""
    sources = [Source(*one) for one in zip(models, scales, lengths, strict=True)]
    return tuple(sorted(sources, key=lambda s: (s.model.name, s.model.weights_sha256, s.scale)))


def merge_facts(merged: MergedModel) -> dict[str, object]:
    """Return the content of ``merge.json``."""
    added = [_about(s.model) | {"scale": s.scale, "relative_length": s.length} for s in merged.sources]
    return {
        "merge_version": 1,
        "cmbench": __version__,
        "name": merged.name,
        "method": merged.how.method,
        "formula": merged.formula,
        "weight_norm": merged.how.weight_norm,
        "density": merged.how.density,
        "seed": merged.how.seed,
        "dtype": merged.dtype,
        "weights_sha256": merged.weights_sha256,
        "licence": merged.licence,
        "trained_on": list(merged.trained_on),
        "contaminated": bool(merged.contaminated),
        "base": _about(merged.base),
        "added": added,
        "warnings": sorted(merged.warnings),
    }


def _about(model: Parameters) -> dict[str, object]:
    return {
        "name": model.name,
        "source": model.source,
        "licence": model.licence,
        "weights_sha256": model.weights_sha256,
        "trained_on": list(model.trained_on),
    }


def merge_card(merged: MergedModel) -> str:
    """Return ``README.md``: what was merged and how, how to load it."""
    how, keys = merged.how, ("name", "source", "weights_sha256")
    scaled = [("base", merged.base), *((f"{s.scale:g}", s.model) for s in merged.sources)]
    rows = [(scale, m.name, m.source, m.licence, f"`{m.weights_sha256}`") for scale, m in scaled]
    unclear = " No licence among them is known to cover all the others." if merged.licence == SEE_SOURCES else ""
    parts = [
        f"A merge of models: {merged.formula}. A task vector is a model minus the base. Merged by cmbench "
        f"{__version__} with the weight norm {how.weight_norm}; `{FACTS}` says the same to machines.",
        markdown_table(("scale", "model", "source", "licence", "sha256 of the weights"), rows),
        f"Licence: {merged.licence}.{unclear}",
        f"Trained on: {'; '.join(merged.trained_on) or 'nothing'}.",
        f"Preprocessing: {merged.base.preprocessor.words}, as for {merged.base.name}.",
        *(f"Note: {warning}" for warning in sorted(merged.warnings)),
    ]
    if merged.contaminated:
        parts.insert(
            4,
            f"**Contaminated: a model among them was trained on validation or test tracks of "
            f"{', '.join(merged.contaminated)}. Its scores there mean nothing.**",
        )
    settings = {"method": how.method, "weight_norm": how.weight_norm, "dtype": merged.dtype}
    optional = {"density": how.density, "seed": how.seed}
    return model_card(
        merged.name,
        parts,
        merged.base.preprocessor.sample_rate,
        licence=merged.licence,
        base_model=list(dict.fromkeys(hub_name(m.source, m.name) for m in merged.models)),
        relation="merge",
        tags=("merge",),
        trained_on=merged.trained_on,
        streams=bool(merged.base.shape.streams),
        merge={
            **settings,
            **{key: value for key, value in optional.items() if value is not None},
            "base": {key: _about(merged.base)[key] for key in keys},
            "added": [{key: _about(s.model)[key] for key in keys} | {"scale": s.scale} for s in merged.sources],
        },
    )
