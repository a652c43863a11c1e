"""A recipe: everything that decides a pre-training run, as data with a schema.

A recipe is a YAML file. ``extends`` names another one that it changes; what the command line gives
(``stages.second.steps=100``) comes last. Unknown keys are errors. Every value of a shipped recipe carries a comment
that says whose choice it is (:data:`MARKS`), and :func:`marks_of` reads these comments, so that a card can repeat them.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..baselines.hubert import Dropout
from ..errors import UsageError, unknown_name
from ..tasks.base import TRADITIONS
from .masking import SpanMasking
from .mixture import NoiseMixture
from .schedule import Schedule

if TYPE_CHECKING:
    import yaml

SHIPPED = Path(__file__).parent / "recipes"
SCRATCH = "scratch"
"""Start of a recipe that begins with random weights."""

FAIRSEQ = ".pt"
"""Ending of a start that is a checkpoint of MERT's own code, with its heads."""

MARKS = ("reported", "as in MERT", "our choice")
"""Where a value comes from: CultureMERT's publications, MERT's code or configuration, or nobody but us."""

OVERRIDDEN = "command line"

PARTS = ("front_end", "projection", "transformer", "mask_vector", "codewords", "heads")
"""What a stage can train: the convolutions; the projection after them; positions and Transformer layers; the mask
vector; the codeword embeddings; the token heads and the CQT head."""

FIT, START = "fit", "start"
"""Teachers: residual k-means fitted on the corpus; the one that the starting model was trained with."""

SOURCE_KINDS = ("mini", "task", "folder")
SHAPES = ("nano", "95m")
_UNMARKED = ("name", "extends", "summary")
_MARK = re.compile(rf"#\s*({'|'.join(MARKS)})\b")


@dataclass(frozen=True)
class Batch:
    """Attributes: crops of one update; crops of one forward pass; seconds of a crop."""

    crops: int = 16
    together: int = 16
    seconds: float = 5.0


@dataclass(frozen=True)
class Loss:
    """Factors of the parts of the loss; :class:`.objective.LossWeights`."""

    tokens: float = 1.0
    cqt: float = 1.0
    features: float = 10.0


@dataclass(frozen=True)
class Targets:
    """What the heads predict.

    Attributes:
        teacher: ``fit`` (residual k-means on this corpus), ``start`` (the one that the starting model was trained
            with), or an EnCodec model: ``encodec-24khz``, a folder, ``hf:owner/name``.
        codebook_size: tokens of each codebook of a fitted teacher.
        dim: length of a codeword embedding.
        temperature: divides the cosines.
    """

    teacher: str = "encodec-24khz"
    codebook_size: int = 1024
    dim: int = 64
    temperature: float = 0.1


@dataclass(frozen=True)
class Optimiser:
    """AdamW, with the decoupled weight decay of fairseq's ``adam``, and the clipping of the gradient's norm."""

    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 10.0


@dataclass(frozen=True)
class Stage:
    """One stage of continual pre-training.

    Attributes:
        hours: tradition -> hours of its music.
        steps: updates.
        peak: learning rate.
        start: share of the peak that the re-warm starts from.
        floor: share of the peak that the re-decay ends at.
        warmup: share of the steps that re-warm.
        decay: ``cosine``, ``linear`` or ``constant``.
        train: parts that are trained (:data:`PARTS`); the others are frozen.
    """

    hours: dict[str, float] = field(default_factory=dict)
    steps: int = 1000
    peak: float = 1e-4
    start: float = 0.0
    floor: float = 0.1
    warmup: float = 0.1
    decay: str = "cosine"
    train: list[str] = field(default_factory=lambda: list(PARTS))

    @property
    def schedule(self) -> Schedule:
        """Its learning rate."""
        return Schedule(self.peak, self.start, self.floor, round(self.warmup * self.steps), self.steps, self.decay)


@dataclass(frozen=True)
class HeldOut:
    """What is never trained on and measured on the way.

    Attributes:
        tracks: of every tradition that has any music here.
        crops: of every tradition, each time.
    """

    tracks: int = 8
    crops: int = 16


@dataclass(frozen=True)
class Running:
    """What a run does beside learning.

    Attributes:
        log: updates between two lines of the log.
        evaluate: updates between two measurements on held-out music; a checkpoint follows each.
        precision: ``auto`` (bfloat16 where the device multiplies it in hardware), ``float32`` or ``bfloat16``.
        recompute: keep fewer activations and compute them again in the backward pass (gradient checkpointing).
        divergence: the run stops once the mean loss of 20 updates is above this multiple of the lowest such mean.
    """

    log: int = 10
    evaluate: int = 500
    precision: str = "auto"
    recompute: bool = False
    divergence: float = 2.0


@dataclass(frozen=True)
class Recipe:
    """A pre-training run.

    Attributes:
        name: of the recipe and of the model that it makes.
        summary: one sentence.
        start: a model of the MERT family (name, folder, ``hf:owner/name``, fairseq's ``.pt``), or ``scratch``.
        shape: of the network if it starts from scratch, ``nano`` or ``95m``.
        seed: of everything that is drawn.
        sources: tradition -> where its music comes from, each ``mini:TASK``, ``task:TASK`` or ``folder:PATH``.
        temperature: a tradition is drawn with probability proportional to its hours to the power 1/temperature.
        batch: its sizes.
        masking: which frames are predicted.
        mixture: noise of other clips.
        loss: factors of its parts.
        dropout: rates in training.
        feature_gradient: factor on the gradient into the convolutions.
        targets: what is predicted.
        optimiser: its settings.
        held_out: music to measure on.
        running: what happens on the way.
        stages: by name, in their order.
    """

    name: str = "???"
    summary: str = ""
    start: str = SCRATCH
    shape: str = "95m"
    seed: int = 0
    sources: dict[str, list[str]] = field(default_factory=dict)
    temperature: float = 1.0
    batch: Batch = field(default_factory=Batch)
    masking: SpanMasking = field(default_factory=SpanMasking)
    mixture: NoiseMixture = field(default_factory=NoiseMixture)
    loss: Loss = field(default_factory=Loss)
    dropout: Dropout = field(default_factory=Dropout)
    feature_gradient: float = 1.0
    targets: Targets = field(default_factory=Targets)
    optimiser: Optimiser = field(default_factory=Optimiser)
    held_out: HeldOut = field(default_factory=HeldOut)
    running: Running = field(default_factory=Running)
    stages: dict[str, Stage] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Updates of all stages."""
        return sum(stage.steps for stage in self.stages.values())

    @property
    def sha256(self) -> str:
        """Hash of every value."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class OpenedRecipe:
    """A recipe with the origin of its values.

    Attributes:
        recipe: the values.
        marks: dotted key -> one of :data:`MARKS`, ``command line``, or nothing where a user's recipe says none.
    """

    recipe: Recipe
    marks: Mapping[str, str]


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with cmbench."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml") if not path.stem.startswith("_")))


def open_recipe(name: str, overrides: Sequence[str] = ()) -> OpenedRecipe:
    """Read a recipe, what it extends, and what the command line changes.

    Args:
        name: of a shipped recipe, or a path to a ``.yaml`` file.
        overrides: each ``key.sub=value``.

    Raises:
        UsageError: no such recipe, an unknown key (the closest one is named), a value of the wrong type or out of its
            range.
    """
    from omegaconf import OmegaConf

    marks: dict[str, str] = {}
    config = OmegaConf.structured(Recipe)
    if name.startswith("_"):  # what shipped recipes share is none by itself
        raise unknown_name("recipe", name, shipped_recipes(), "cmbench pretrain")
    for path, content in reversed(list(_chain(_find(name)))):
        config = _merged(config, content, str(path))
        marks |= marks_of(path.read_text(encoding="utf-8"))
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{override!r} changes nothing of a recipe; write key=value, for example stages.s.steps=9."
            )
        _refuse_interpolation(override, "the command line")
        config = _merged(config, _parsed(override), override)
        marks = {k: m for k, m in marks.items() if k != key and not k.startswith(f"{key}.")} | {key: OVERRIDDEN}
    try:
        recipe = OmegaConf.to_object(config)
    except Exception as error:
        raise UsageError(f"{name}: {str(error).splitlines()[0]}") from error
    assert isinstance(recipe, Recipe)
    return OpenedRecipe(checked(recipe), marks)


def _find(name: str) -> Path:
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError(f"{path}: there is no such recipe.")
        return path
    path = SHIPPED / f"{name}.yaml"
    if not re.fullmatch(r"[\w-]+", name) or not path.is_file():
        raise unknown_name("recipe", name, shipped_recipes(), "cmbench pretrain")
    return path


def _chain(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a recipe, then what it extends, and so on."""
    from omegaconf import OmegaConf

    seen: list[Path] = []
    while True:
        if path in seen:
            raise UsageError(f"{seen[0]}: the recipes extend each other in a circle: {' -> '.join(map(str, seen))}.")
        seen.append(path)
        try:
            text = path.read_text(encoding="utf-8")
            _refuse_interpolation(text, str(path))
            loaded = OmegaConf.to_container(OmegaConf.create(text))
        except UsageError:
            raise
        except Exception as error:  # a YAML error of one of three libraries, or a file that is no text
            reason = " ".join(str(error).split())[:200]
            raise UsageError(f"{path}: this is not a recipe in YAML ({reason}).") from error
        if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
            raise UsageError(f"{path}: a recipe is a table of keys and values.")
        content = {str(key): value for key, value in loaded.items()}
        parent = content.pop("extends", None)
        yield path, content
        if parent is None:
            return
        beside = path.parent / f"{parent}.yaml"
        path = beside if beside.is_file() else _find(str(parent))


def _refuse_interpolation(text: str, where: str) -> None:
    if "${" in text:
        raise UsageError(f"{where}: a recipe says its values; ${{...}} is not resolved in it.")


def _parsed(override: str) -> Any:
    from omegaconf import OmegaConf

    try:
        return OmegaConf.from_dotlist([override])
    except Exception as error:
        raise UsageError(f"{override!r} cannot be read: {str(error).splitlines()[0]}") from error


def _merged(config: Any, content: Any, where: str) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

    try:
        return OmegaConf.merge(config, content)
    except ConfigKeyError as error:
        raise UsageError(_unknown_key(error, where)) from error
    except OmegaConfBaseException as error:
        place = f"{error.full_key}: " if error.full_key else ""
        raise UsageError(f"{where}: {place}{str(error).splitlines()[0]}.") from error


def _unknown_key(error: Any, where: str) -> str:
    parent, _, key = str(error.full_key).rpartition(".")
    known = list(getattr(error.object_type, "__dataclass_fields__", {}))
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.3)
    hint = f"; the closest is {(parent + '.' if parent else '') + close[0]!r}" if close else ""
    return f"{where}: a recipe has no key {error.full_key!r}{hint}. Known here: {', '.join(known)}."


def checked(recipe: Recipe) -> Recipe:
    """Return a recipe if its values can be meant.

    Raises:
        UsageError: one cannot; its key is named.
    """
    _check_names(recipe)
    wrong: list[str] = []

    def need(key: str, value: float, good: bool, wanted: str) -> None:
        if not (math.isfinite(value) and good):
            wrong.append(f"{key} = {value!r} should be {wanted}")

    b, o, r, h = recipe.batch, recipe.optimiser, recipe.running, recipe.held_out
    need("seed", recipe.seed, 0 <= recipe.seed < 2**63, "from 0 to 2^63 - 1")
    need("temperature", recipe.temperature, recipe.temperature > 0, "positive")
    need("batch.together", b.together, b.together >= 1, "at least 1")
    need("batch.crops", b.crops, b.together >= 1 and b.crops >= 1 and b.crops % max(b.together, 1) == 0,
         "a multiple of batch.together")  # fmt: skip
    need("batch.seconds", b.seconds, 0.5 <= b.seconds <= 60, "from 0.5 to 60")
    need("optimiser.beta1", o.beta1, 0 <= o.beta1 < 1, "from 0 to below 1")
    need("optimiser.beta2", o.beta2, 0 <= o.beta2 < 1, "from 0 to below 1")
    for name in ("eps", "clip"):
        need(f"optimiser.{name}", getattr(o, name), getattr(o, name) > 0, "positive")
    need("optimiser.weight_decay", o.weight_decay, o.weight_decay >= 0, "0 or more")
    for name in ("tokens", "cqt", "features"):
        need(f"loss.{name}", getattr(recipe.loss, name), getattr(recipe.loss, name) >= 0, "0 or more")
    for name in ("input", "hidden", "attention", "activation", "layer"):
        need(
            f"dropout.{name}",
            getattr(recipe.dropout, name),
            0 <= getattr(recipe.dropout, name) < 1,
            "from 0 to below 1",
        )
    need("feature_gradient", recipe.feature_gradient, recipe.feature_gradient >= 0, "0 or more")
    need("targets.codebook_size", recipe.targets.codebook_size, recipe.targets.codebook_size >= 2, "at least 2")
    need("targets.dim", recipe.targets.dim, recipe.targets.dim >= 1, "at least 1")
    need("targets.temperature", recipe.targets.temperature, recipe.targets.temperature > 0, "positive")
    need("held_out.tracks", h.tracks, h.tracks >= 1, "at least 1")
    need("held_out.crops", h.crops, h.crops >= 1, "at least 1")
    need("running.log", r.log, r.log >= 1, "at least 1")
    need("running.evaluate", r.evaluate, r.evaluate >= 1, "at least 1")
    need("running.divergence", r.divergence, r.divergence > 1, "above 1")
    for name, stage in recipe.stages.items():
        need(f"stages.{name}.warmup", stage.warmup, 0 <= stage.warmup <= 1, "a share of the steps, from 0 to 1")
        need(f"stages.{name}.hours", sum(stage.hours.values()), any(stage.hours.values()), "more than nothing")
        for tradition, hours in stage.hours.items():
            need(f"stages.{name}.hours.{tradition}", hours, hours >= 0, "0 or more")
    if wrong:
        raise UsageError(f"Recipe {recipe.name}: {'; '.join(wrong)}.")
    for name, stage in recipe.stages.items():
        try:
            stage.schedule  # noqa: B018 - checks itself
        except UsageError as error:
            raise UsageError(f"Recipe {recipe.name}, stage {name}: {error}") from error
    return recipe


def _check_names(recipe: Recipe) -> None:
    """Check the values that are names of something."""

    def among(key: str, value: str, known: Sequence[str]) -> None:
        if value not in known:
            close = difflib.get_close_matches(value, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"Recipe {recipe.name}: {key}: {value!r} is none of {', '.join(known)}.{hint}")

    if not re.fullmatch(r"\w[\w.-]{0,63}", recipe.name):
        raise UsageError(f"A recipe's name is letters, digits, '_', '-' and '.', at most 64; not {recipe.name!r}.")
    among("shape", recipe.shape, SHAPES)
    among("running.precision", recipe.running.precision, ("auto", "float32", "bfloat16"))
    if not recipe.stages:
        raise UsageError(f"Recipe {recipe.name} has no stages.")
    for tradition, sources in recipe.sources.items():
        among("sources", tradition, TRADITIONS)
        for source in sources:
            kind, colon, rest = source.partition(":")
            among(f"sources.{tradition}", kind, SOURCE_KINDS)
            if not colon or not rest:
                raise UsageError(f"Recipe {recipe.name}: sources.{tradition}: {source!r} should be KIND:NAME.")
    for name, stage in recipe.stages.items():
        for tradition in stage.hours:
            among(f"stages.{name}.hours", tradition, TRADITIONS)
        for part in stage.train:
            among(f"stages.{name}.train", part, PARTS)
        if not stage.train:
            raise UsageError(f"Recipe {recipe.name}: stage {name} trains nothing.")
    _check_hours(recipe)


def _check_hours(recipe: Recipe) -> None:
    for name, stage in recipe.stages.items():
        for tradition, hours in stage.hours.items():
            if hours and not recipe.sources.get(tradition):
                raise UsageError(
                    f"Recipe {recipe.name}: stage {name} wants {hours:g} h of {tradition} music, but "
                    f"sources.{tradition} names no place for it."
                )


def marks_of(text: str) -> dict[str, str]:
    """Return whose choice each value of a recipe is: dotted key -> mark, empty where the line's comment names none.

    Args:
        text: of the YAML file.
    """
    import yaml

    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found: dict[str, str] = {}
    for key, line in _leaves(root, ()):
        if key not in _UNMARKED:
            mark = _MARK.search(lines[line])
            found[key] = mark[1] if mark else ""
    return found


def _leaves(node: yaml.Node | None, path: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the dotted key of every value that is no table, and the line it ends on."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _leaves(value, (*path, str(key.value)))
    elif node is not None and path:
        yield ".".join(path), node.end_mark.line
