"""The music that a model is pre-trained on: hours per tradition, without any validation or test track of any task.

A corpus is made of recordings that are chosen once, in an order that depends on the seed and their ids alone. What is
drawn from it (:mod:`.crops`) depends on the seed and the number of the draw alone, so that a run can be resumed, or
shared among processes, without any state of a generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...decoding import find_stretch
from ...errors import CmbenchError, UnusableAudio, UsageError
from ...opening import opened
from ...tasks.base import LoadContext, Task, Track
from ...tasks.choice import get_task
from ...tasks.fetching.tables import AUDIO_SUFFIXES
from ...tasks.mini.corpus import FORMER
from ...tasks.registry import registry
from ...written import is_hidden
from ..recipes.recipe import TELLINGS, Recipe
from .exclusion import Exclusion, Found, Recording, exclusion_sha256, find_hidden, hidden_tracks

SUFFIXES = frozenset(AUDIO_SUFFIXES)
"""Of the files in a folder that are taken for audio."""

MINI = "mini:"
"""Beginning of a source, and of a recording's id, of music that is rendered here."""

HELD_OUT_DRAW = 1337
"""Seed of what is held out of mini music; not the recipe's, so that models of different seeds hold out the same."""

MINI_SPARE = 1.25
"""How much more unlabelled mini music is looked at than the recipe asks for, so that some can be held out."""


@dataclass(frozen=True)
class Unusable:
    """A file that was left out: its path, and the reason in a few words."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Corpus:
    """What a recipe's stages train and measure on.

    Attributes:
        stages: stage -> tradition -> recordings.
        held_out: tradition -> recordings that no stage trains on.
        teacher: tradition -> recordings that a teacher is fitted on, where they are not those of the first stage.
        found: validation and test tracks that were met; left out unless ``contaminated``.
        exclusions: what was kept out.
        unusable: files that were left out.
        contaminated: whether validation and test tracks were let in.
    """

    stages: Mapping[str, Mapping[str, tuple[Recording, ...]]]
    held_out: Mapping[str, tuple[Recording, ...]]
    found: tuple[Found, ...]
    exclusions: tuple[Exclusion, ...]
    unusable: tuple[Unusable, ...] = ()
    contaminated: bool = False
    teacher: Mapping[str, tuple[Recording, ...]] = field(default_factory=dict)

    def hours(self, stage: str) -> dict[str, float]:
        """Hours of each tradition in a stage."""
        return _hours(self.stages[stage])

    @property
    def teacher_hours(self) -> dict[str, float]:
        """Hours of each tradition that a teacher is fitted on, where they are not those of the first stage."""
        return _hours(self.teacher)

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """Everything that is trained, fitted or measured on, each once, by id."""
        everything = [r for stage in self.stages.values() for rs in stage.values() for r in rs]
        everything += [r for part in (self.teacher, self.held_out) for rs in part.values() for r in rs]
        return tuple({r.id: r for r in sorted(everything, key=lambda r: r.id)}.values())

    @property
    def sha256(self) -> str:
        """Hash of what is in which stage: ids, lengths and sizes of files (their bytes are not read)."""
        digest = hashlib.sha256()
        parts = [(name, t, rs) for name, stage in self.stages.items() for t, rs in stage.items()]
        parts += [("held out", t, rs) for t, rs in self.held_out.items()]
        parts += [("teacher", t, rs) for t, rs in self.teacher.items()]
        for name, tradition, recordings in parts:
            for r in recordings:
                row = (name, tradition, r.id, f"{r.seconds:.3f}", str(r.path.stat().st_size))
                digest.update("\t".join(row).encode() + b"\n")
        return digest.hexdigest()

    @property
    def held_out_sha256(self) -> str:
        """Hash of the ids of what is held out, so that another run can tell whether it holds out the same."""
        return hashlib.sha256("\n".join(sorted(r.id for rs in self.held_out.values() for r in rs)).encode()).hexdigest()

    @property
    def exclusion_sha256(self) -> str:
        """Hash of the list of tracks that were kept out."""
        return exclusion_sha256(self.exclusions)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Tasks whose lists are not on this machine."""
        return tuple(task for one in self.exclusions for task in one.unchecked)

    @property
    def edition(self) -> str:
        """``mini`` if every recording is rendered, ``full`` if none is, else ``mixed``."""
        rendered = {r.id.startswith(MINI) for r in self.recordings}
        return "mixed" if len(rendered) > 1 else "mini" if rendered == {True} else "full"


def _hours(music: Mapping[str, Sequence[Recording]]) -> dict[str, float]:
    return {tradition: sum(r.seconds for r in rs) / 3600 for tradition, rs in music.items()}


def build_corpus(recipe: Recipe, context: LoadContext, allow_contamination: bool = False) -> Corpus:
    """Find the music of a recipe, leave out what must not be heard, hold some out, and fill the stages.

    Traditions that no stage trains on are held out too, where their music is here, so that forgetting is seen.

    Args:
        recipe: asks for the music.
        context: where it is, and how to render it.
        allow_contamination: let validation and test tracks in, and mark the corpus.

    Raises:
        UsageError: there is less music than the recipe asks for.
        MissingError: a task's audio is not on this machine.
    """
    asked = [*(stage.hours for stage in recipe.stages.values()), recipe.targets.hours]
    wanted = {tradition: max(hours.get(tradition, 0.0) for hours in asked) for tradition in recipe.sources}
    found: dict[str, list[Recording]] = {}
    unusable: list[Unusable] = []
    ahead: set[str] = set()
    for tradition, sources in recipe.sources.items():
        found[tradition] = []
        for source in sources:
            seconds = wanted[tradition] * 3600 / len(sources) * MINI_SPARE + recipe.held_out.tracks * 10
            new, broken = candidates(source, tradition, context, seconds, recipe.contrast.positives == TELLINGS)
            found[tradition] += new
            unusable += broken
            if all(one.startswith(MINI) for one in sources):
                ahead |= {r.id for r in new[: recipe.held_out.tracks]}
    usable = {t: _long_enough(rs, recipe.batch.seconds, unusable) for t, rs in found.items()}
    exclusions = tuple(_exclusions(recipe, context))
    met = find_hidden([r for rs in usable.values() for r in rs], exclusions)
    if not allow_contamination:
        hidden = {one.recording.id for one in met}
        usable = {t: [r for r in rs if r.id not in hidden] for t, rs in usable.items()}
    held_out: dict[str, tuple[Recording, ...]] = {}
    for tradition, recordings in usable.items():
        # Every recipe sees the first mini recordings, so what one holds out, another that continues from it does too.
        recordings.sort(key=lambda r: _place(r.id, recipe.seed, r.id in ahead))
        # Never a quarter or more: a small corpus is there to be trained on.
        share = recipe.held_out.tracks if not wanted[tradition] else min(recipe.held_out.tracks, len(recordings) // 4)
        held_out[tradition] = tuple(recordings[:share])
        usable[tradition] = recordings[share:]
    stages = {
        name: _fill_all(recipe, f"stages.{name}.hours", usable, stage.hours) for name, stage in recipe.stages.items()
    }
    return Corpus(
        stages,
        {t: rs for t, rs in held_out.items() if rs},
        tuple(met),
        exclusions,
        tuple(unusable),
        contaminated=allow_contamination and bool(met),
        teacher=_fill_all(recipe, "targets.hours", usable, recipe.targets.hours),
    )


def _place(recording: str, seed: int, ahead: bool) -> tuple[bool, bytes]:
    """Return what a tradition's recordings are sorted by: first those to hold out, in an order of their own."""
    return not ahead, hashlib.sha256(f"{HELD_OUT_DRAW if ahead else seed}/{recording}".encode()).digest()


def _fill_all(
    recipe: Recipe, key: str, usable: Mapping[str, Sequence[Recording]], hours: Mapping[str, float]
) -> dict[str, tuple[Recording, ...]]:
    return {t: fill(recipe.name, f"{key}.{t}", t, usable[t], wanted) for t, wanted in hours.items() if wanted}


def fill(recipe: str, key: str, tradition: str, recordings: Sequence[Recording], hours: float) -> tuple[Recording, ...]:
    """Take recordings, in their order, until there are enough hours.

    Args:
        recipe: whose music it is.
        key: of the recipe, that asks for it.
        tradition: of the recordings.
        recordings: to take from.
        hours: that are asked for.

    Raises:
        UsageError: there are not.
    """
    taken: list[Recording] = []
    seconds = 0.0
    for recording in recordings:
        if seconds >= hours * 3600:
            break
        taken.append(recording)
        seconds += recording.seconds
    if seconds < hours * 3600:
        raise UsageError(
            f"Recipe {recipe}, {key}: {hours:g} h of {tradition} music are asked for; {seconds / 3600:.4g} h "
            f"are left after the held-out and the excluded tracks. Add to sources.{tradition}, or ask for less: "
            f"{key}={seconds / 3600 * 0.999:.3g}"
        )
    return tuple(taken)


def candidates(
    source: str, tradition: str, context: LoadContext, seconds: float, tellings: bool = False
) -> tuple[list[Recording], list[Unusable]]:
    """List the recordings of a source, and the files that cannot be used.

    Args:
        source: ``mini:TASK`` (unlabelled music rendered here), ``task:TASK`` (a task's training tracks, in full) or
            ``folder:PATH`` (every audio file below it).
        tradition: whose music it is.
        context: where to look.
        seconds: of ``mini`` music that is wanted.
        tellings: whether its melodies are wanted a second time, told otherwise.

    Raises:
        UsageError: no such source.
        MissingError: a task's audio is not on this machine.
    """
    kind, _, name = source.partition(":")
    if kind == "mini":
        from ...tasks.mini.edition import load_unlabelled
        from ...tasks.mini.labels import LEFT_OUT

        if name not in LEFT_OUT:
            raise UsageError(f"{source}: there is no mini edition of {name!r}; there are {', '.join(LEFT_OUT)}.")
        tracks = load_unlabelled(name, context, seconds)
        found = [_of_track(source, tradition, name, t, t.seconds or 0.0) for t in tracks]
        if tellings:
            told = load_unlabelled(name, context, seconds, telling=1)
            found = [replace(r, telling=t.path) for r, t in zip(found, told, strict=True)]
        return found, []
    if kind == "task":
        task = get_task(name)
        edition = "custom" if "custom" in task.editions else "full"
        tracks = list(task.load(edition, context).splits["train"])
        rows = [_of_track(f"task:{task.name}", tradition, task.name, t, 0.0) for t in tracks]
    else:
        rows = list(_in_folder(Path(name).expanduser(), source, tradition))
    return _measured(rows)


def _of_track(source: str, tradition: str, task: str, track: Track, seconds: float) -> Recording:
    name = f"{source}/{track.id}"
    return Recording(name, tradition, track.path, track.start, track.end, seconds, task, track.id)


def _in_folder(folder: Path, source: str, tradition: str) -> Iterable[Recording]:
    if not folder.is_dir():
        raise UsageError(f"{source}: there is no folder {folder}.")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not is_hidden(path))
    files = sorted(path for path in found if path.is_file())
    if not files:
        raise UsageError(f"{source}: there is no audio file in {folder}.")
    for path in files:
        # Not the folder's own place: the same music elsewhere is the same corpus.
        yield Recording(f"folder/{tradition}/{path.relative_to(folder).as_posix()}", tradition, path, 0.0, None, 0.0)


def _measured(rows: Iterable[Recording]) -> tuple[list[Recording], list[Unusable]]:
    """Fill in the lengths of recordings from the headers of their files."""
    good, broken = [], []
    for row in rows:
        try:
            with opened(row.path) as sound:
                stretch = find_stretch(row.path, sound, row.start, row.end, None)
                good.append(replace(row, seconds=(stretch.stop - stretch.first) / sound.samplerate))
        except UnusableAudio as error:
            broken.append(Unusable(row.path, error.reason))
    return good, broken


def _long_enough(recordings: Sequence[Recording], seconds: float, unusable: list[Unusable]) -> list[Recording]:
    """Leave out what is shorter than a crop, as MERT leaves out files under ``min_sample_size``; ids must differ."""
    seen: dict[str, Recording] = {}
    for r in recordings:
        if r.id in seen:
            raise CmbenchError(f"Two recordings of the {r.tradition} music are called {r.id!r}: name each source once.")
        seen[r.id] = r
    short = [r for r in recordings if r.seconds < seconds]
    unusable += [Unusable(r.path, f"{r.seconds:.3g} s, shorter than a crop of {seconds:g} s") for r in short]
    return [r for r in recordings if r.seconds >= seconds]


def _exclusions(recipe: Recipe, context: LoadContext) -> Iterable[Exclusion]:
    """Yield what must not be heard: of the editions that the recipe's sources could hold; a folder may hold any."""
    named = [source.partition(":")[::2] for sources in recipe.sources.values() for source in sources]
    lists = replace(context, needs_audio=False)
    tasks: dict[str, Task] = dict(registry())
    own = [get_task(name) for kind, name in named if kind == "task"]
    if any(kind in ("mini", "folder") for kind, _ in named):
        yield hidden_tracks(tasks.values(), "mini", lists)
        # Entries on the version before are still verified, so what they were tested on is not trained on either.
        yield hidden_tracks(tasks.values(), "mini", replace(lists, mini_version=FORMER))
    if any(kind != "mini" for kind, _ in named):
        yield hidden_tracks(tasks.values(), "full", lists)
    custom = {task.name: task for task in own if "custom" in task.editions}
    if custom:
        yield hidden_tracks(custom.values(), "custom", lists)


@dataclass(frozen=True)
class Mix:
    """Recordings with the probability of each.

    Attributes:
        recordings: in the corpus's order.
        shares: probability of each recording; they add up to 1.
    """

    recordings: tuple[Recording, ...]
    shares: tuple[float, ...]


def mix(stage: Mapping[str, Sequence[Recording]], temperature: float) -> Mix:
    """Weigh the recordings of a stage.

    A tradition with h hours is drawn with probability proportional to h^(1/temperature) (Conneau et al. 2020,
    *Unsupervised Cross-lingual Representation Learning at Scale*, arXiv 1911.02116, section 3.1, where alpha is
    1/temperature); within it, a recording with probability proportional to its length.
    """
    hours = {t: sum(r.seconds for r in rs) for t, rs in stage.items()}
    weights = {t: h ** (1 / temperature) for t, h in hours.items() if h}
    traditions = {t: w / sum(weights.values()) for t, w in weights.items()}
    recordings = tuple(r for t in traditions for r in stage[t])
    shares = tuple(traditions[r.tradition] * r.seconds / hours[r.tradition] for r in recordings)
    return Mix(recordings, shares)
