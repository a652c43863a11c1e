"""What a pre-trained model says of itself: its model card and ``pretraining.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePath

from ..baselines.cards import SEE_SOURCES, contaminated_tasks, heard, hub_name, markdown_table, model_card
from ..version import __version__
from .corpus.corpus import Corpus
from .recipes.reading import OpenedRecipe
from .recipes.recipe import SCRATCH

FACTS = "pretraining.json"

CURVE = "held_out.csv"
"""File of the curves on held-out music in a model's folder."""


@dataclass(frozen=True)
class Origin:
    """Where a run began.

    Attributes:
        name: of the model; empty for random weights.
        source: where it came from.
        licence: of its weights.
        trained_on: its corpora.
        weights_sha256: of its encoder; of its file, for a fairseq checkpoint.
        exclusion_sha256: of the list of tracks that were kept out of its own pre-training; empty if it does not say.
        held_out_sha256: of the recordings that its own pre-training held out; empty if it does not say.
    """

    name: str = ""
    source: str = "random weights"
    licence: str = ""
    trained_on: tuple[str, ...] = ()
    weights_sha256: str = ""
    exclusion_sha256: str = ""
    held_out_sha256: str = ""


@dataclass(frozen=True)
class Pretrained:
    """Who a pre-trained model is.

    Attributes:
        name: of the model's folder.
        opened: the recipe with its marks.
        corpus: what it heard.
        origin: where it began.
        teacher: what gave its tokens.
        drawn: parts that were drawn at random at the beginning.
        steps: updates that were done.
        held_out: tradition -> loss on held-out music before the first and after the last update.
        weights_sha256: of its encoder.
        processes: that trained it.
        streams: whether its network has streams.
    """

    name: str
    opened: OpenedRecipe
    corpus: Corpus
    origin: Origin
    teacher: str
    drawn: tuple[str, ...]
    steps: int
    held_out: Mapping[str, tuple[float, float]]
    weights_sha256: str
    processes: int
    streams: bool = False

    @property
    def licence(self) -> str:
        """That of the starting model; for a model from scratch that of rendered music, where all of it is."""
        if self.opened.recipe.start != SCRATCH:
            return self.origin.licence
        return "Apache-2.0" if self.corpus.edition == "mini" else SEE_SOURCES

    @property
    def hours(self) -> dict[str, float]:
        """Tradition -> hours, of the stage that has most of it."""
        found: dict[str, float] = {}
        for stage in self.corpus.stages:
            for tradition, hours in self.corpus.hours(stage).items():
                found[tradition] = max(hours, found.get(tradition, 0.0))
        return found

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Corpora: the starting model's, then tradition and hours of each part of the mix."""
        kind = {"mini": ", mini", "full": "", "mixed": ", partly mini"}[self.corpus.edition]
        own = (f"{tradition.capitalize()} {hours:.3g} h{kind}" for tradition, hours in self.hours.items())
        leaked = sorted({found.hidden.split(" ")[0] for found in self.corpus.found}) if self.corpus.contaminated else ()
        new = [corpus for corpus in map(heard, leaked) if corpus not in self.origin.trained_on]
        return (*self.origin.trained_on, *own, *new)

    @property
    def contaminated(self) -> tuple[str, ...]:
        """Tasks whose validation or test tracks it heard, here or in the model that it began with."""
        return contaminated_tasks(self.trained_on)

    @property
    def contamination(self) -> str:
        """What is known of validation and test tracks among the music, in a sentence; for the leaderboard."""
        if self.contaminated:
            return f"Contaminated: trained on validation or test tracks of {', '.join(self.contaminated)}."
        listed = sum(one.count for one in self.corpus.exclusions)
        unchecked = f" Not checked: {', '.join(self.corpus.unchecked)}." if self.corpus.unchecked else ""
        return (
            f"{listed} validation and test tracks were kept out of its pre-training by id, file name and bytes "
            f"(list {self.corpus.exclusion_sha256[:12]}).{unchecked}{self._begun}"
        )

    @property
    def _begun(self) -> str:
        """What is known of the music that the starting model had heard."""
        if not self.origin.name:
            return ""
        if not self.origin.exclusion_sha256:
            return f" Of what {self.origin.name} had heard nothing is known here."
        same = self.origin.exclusion_sha256 == self.corpus.exclusion_sha256
        which = "the same list" if same else f"the list {self.origin.exclusion_sha256[:12]}"
        return f" {self.origin.name} says that {which} was kept out of its own."


def pretraining_facts(model: Pretrained) -> dict[str, object]:
    """Return the content of ``pretraining.json``."""
    recipe, corpus = model.opened.recipe, model.corpus
    return {
        "pretraining_version": 1,
        "cmbench": __version__,
        "name": model.name,
        "recipe": asdict(recipe) | {"sources": _without_places(recipe.sources)},
        "recipe_marks": dict(sorted(model.opened.marks.items())),
        "recipe_sha256": recipe.sha256,
        "corpus_sha256": corpus.sha256,
        "exclusion_sha256": corpus.exclusion_sha256,
        "held_out_sha256": corpus.held_out_sha256,
        "excluded_tracks": sum(one.count for one in corpus.exclusions),
        "excluded_recordings": 0 if corpus.contaminated else len(corpus.found),
        "unchecked_tasks": list(corpus.unchecked),
        "unusable_files": len(corpus.unusable),
        "contaminated": bool(model.contaminated),
        "contaminated_tasks": list(model.contaminated),
        "edition": corpus.edition,
        "stages": {
            name: {"hours": corpus.hours(name), "recordings": sum(map(len, corpus.stages[name].values()))}
            for name in corpus.stages
        },
        "steps": model.steps,
        "planned_steps": recipe.steps,
        "start": asdict(model.origin),
        "drawn": list(model.drawn),
        "teacher": model.teacher,
        "teacher_hours": corpus.teacher_hours,
        "held_out_loss": {t: {"before": pair[0], "after": pair[1]} for t, pair in model.held_out.items()},
        "weights_sha256": model.weights_sha256,
        "processes": model.processes,
        "licence": model.licence,
        "trained_on": list(model.trained_on),
    }


def _without_places(sources: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Name folders by their last part: a card is no place for a machine's paths."""

    def bare(source: str) -> str:
        kind, _, rest = source.partition(":")
        return f"{kind}:{PurePath(rest).name}" if kind == "folder" or "/" in rest else source

    return {tradition: [bare(source) for source in named] for tradition, named in sources.items()}


def pretraining_card(model: Pretrained) -> str:
    """Return ``README.md``: what was done, what was left out, how to load it."""
    recipe, corpus, origin = model.opened.recipe, model.corpus, model.origin
    begun, perhaps = "from random weights", ""
    if origin.name:
        begun = f"continued from {origin.name} ({origin.source}; {origin.weights_sha256[:12]})"
        # What is held out of other than mini music depends on the recipe, so another run may have trained on it.
        if origin.held_out_sha256 != corpus.held_out_sha256:
            perhaps = f"; {origin.name} may have been trained on it"
    done = (
        "" if model.steps == recipe.steps else f" **Stopped before its end: {model.steps} of {recipe.steps} updates.**"
    )
    drawn = f" Drawn at random at the beginning: {', '.join(model.drawn)}." if model.drawn else ""
    losses = [(t, f"{first:.4f}", f"{last:.4f}") for t, (first, last) in model.held_out.items()]
    parts = [
        f"MERT's pre-training by the recipe `{recipe.name}` of cmbench {__version__}, {begun}: {model.steps} updates "
        f"of {recipe.batch.crops} crops.{done}{drawn} Targets: {model.teacher}{_fitted_on(corpus)}. `{FACTS}` says "
        "every value and whose choice it is.",
        markdown_table(("tradition", "hours"), [(t, f"{hours:.4g}") for t, hours in model.hours.items()]),
        *_warnings(model),
        f"Left out: {sum(one.count for one in corpus.exclusions)} validation and test tracks are on the list, "
        f"{0 if corpus.contaminated else len(corpus.found)} recordings were recognised among the music and removed.",
        f"Loss on music that was not trained on here{perhaps}; `{CURVE}` has it from update to update:",
        markdown_table(("tradition", "before", "after"), losses),
        f"Licence: {model.licence}. The music's own terms may ask for more.",
    ]
    return model_card(
        model.name,
        parts,
        24_000,
        licence=model.licence,
        base_model=hub_name(origin.source, origin.name) or None,
        relation="finetune" if origin.name else None,
        trained_on=model.trained_on,
        contamination=model.contamination,
        streams=model.streams,
        pretraining={
            "edition": corpus.edition,
            "contaminated": bool(model.contaminated),
            "recipe": recipe.name,
            "recipe_sha256": recipe.sha256,
            "corpus_sha256": corpus.sha256,
            "exclusion_sha256": corpus.exclusion_sha256,
            "steps": model.steps,
            "hours": {t: round(hours, 4) for t, hours in model.hours.items()},
        },
    )


def _fitted_on(corpus: Corpus) -> str:
    """Say which music a teacher heard, where it is not that of the network."""
    hours = corpus.teacher_hours
    return f", fitted on frames of {', '.join(f'{h:.3g} h of {t} music' for t, h in hours.items())}" if hours else ""


def _warnings(model: Pretrained) -> list[str]:
    corpus, found = model.corpus, []
    if model.contaminated:
        own = f"{len(corpus.found)} here" if corpus.contaminated else f"by {model.origin.name}"
        found.append(
            f"**Contaminated: trained on validation or test tracks of {', '.join(model.contaminated)} ({own}). Its "
            "scores there mean nothing.**"
        )
    if corpus.edition != "full":
        found.append("Trained on `mini` music, which is rendered from music theory: a model for tests, not for music.")
    if corpus.unchecked:
        found.append(
            f"The lists of these tasks were not on the machine, so nothing of them could be recognised: "
            f"{', '.join(corpus.unchecked)}."
        )
    return found
