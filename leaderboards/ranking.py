"""Who stands where: a place that depends on an entry's own predictions, and on nobody else's being there.

An entry's score is that of :mod:`..benchmark.comparing.summary`: 0 at chance, 1 for a perfect ranking, each tradition
once. Two entries are told apart by the paired bootstrap of the difference of their scores on the same resamples of
whole groups, each pair by itself at 5 %: a control of false discoveries among all pairs would let a third entry decide
whether two others differ. :func:`..benchmark.comparing.ties.standings`, which `cmbench compare` prints, controls them,
and ranks on the tasks and tracks that all models have; neither will do where anybody may join.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np

from ..benchmark.comparing.equity import Equity, equity
from ..benchmark.comparing.paired import LEVEL, RANKED, Difference, Level, difference, level, replicate, replicate_all
from ..benchmark.comparing.summary import mean_over_traditions, tradition_replicates
from ..benchmark.records.evidence import Evidence
from ..benchmark.records.record import Record
from ..benchmark.scoring.intervals import Sample, fewest
from ..benchmark.scoring.metrics import Doubles
from ..errors import CmbenchError
from ..tasks.base import EDITION_ORDER, PAPER_TASKS, WESTERN
from ..tasks.registry import built_in

RESAMPLES = 1000
"""Of the bootstrap, as in `cmbench compare`."""

ANCHORS = ("constant", "random weights", "MFCC")
"""What every score is to be seen against; always shown, and named where nobody has measured them yet."""

_ANCHOR_MODELS: Mapping[tuple[str, str], str] = {
    ("anchors", "constant"): "constant",
    ("anchors", "random-mert-nano"): "random weights",
    ("anchors", "random-mert-95m"): "random weights",
    ("anchors", "MERT-nano-untrained"): "random weights",
    ("spectral", "mfcc"): "MFCC",
}

WHY_EVERY_TRACK = (
    "A place needs every test track: who may leave tracks out can choose those that the model gets wrong, and whatever "
    "is put in their place, chance included, would reward that. A track that nobody can have (Dunya lists recordings "
    "without audio) is left out for everybody, by a split of its own: open an issue with its id."
)
"""Said wherever an entry has no place for tracks that it lacks."""

WORLD = "world"
"""The board of all tasks that ship; that of the paper's six has no name of its own."""

BoardKey = tuple[str, str, str, str, str]

Replicated = tuple[Doubles, Sample]
"""A number on the test split (first) and on its resamples, ``[1 + resamples]``, and the groups that were drawn from."""


@dataclass(frozen=True, eq=False)
class Entrant:
    """An entry as it comes to the board."""

    name: str  # of the entry, different for every entrant
    found: tuple[Evidence, ...]  # its records with their predictions
    base: str | None = None  # name of the entry that it was adapted from; ``None`` if it was not, or does not say
    contaminated: str = ""  # why its scores mean nothing; empty if no test track was heard


@dataclass(frozen=True, eq=False)
class Scored:
    """A complete entry with the replicates that its place is decided on."""

    name: str  # of the entry
    base: str | None  # name of the entry that it was adapted from, if any
    records: tuple[Record, ...]  # by task, in the order of their names
    equity: Equity  # its score, its traditions and how evenly it serves them
    mean: Doubles  # its score on the test splits (first) and on their resamples, ``[1 + resamples]``
    western: Doubles  # its score on the Western tasks, ``[1 + resamples]``
    sample: Sample  # that was drawn from; the poorest of any task
    western_sample: Sample  # the poorest of any Western task
    replicates: Mapping[str, Replicated]  # of every number that two entries are compared in (:func:`_replicates`)


@dataclass(frozen=True)
class Place:
    """Where an entry stands."""

    name: str  # of the entry
    records: tuple[Record, ...]  # by task, in the order of their names
    equity: Equity  # its score, its traditions and how evenly it serves them
    tied: tuple[str, ...]  # the other entries that it cannot be told apart from, best first
    first: int  # the best place that it may have: one more than there are entries shown to be better
    last: int  # the worst place that it may have: the number of entries less those shown to be worse
    # share of its base's Western score that is left; ``None`` where the base is not on the board
    retention: Level | None
    base: str | None  # name of the entry that it was adapted from, if any
    anchor: str  # one of :data:`ANCHORS`; empty for a model that has learnt something
    # of every number that two entries are compared in: ``score``, a tradition, or a metric and a task
    replicates: Mapping[str, Replicated] = field(default_factory=dict, repr=False, compare=False)

    @property
    def seconds_per_hour(self) -> float | None:
        """Seconds of encoding for an hour of audio over all tasks; ``None`` where no audio or no time was counted."""
        audio = sum(r.cost.audio_seconds for r in self.records)
        spent = sum(r.cost.encode_seconds for r in self.records)
        return 3600 * spent / audio if audio > 0 and spent > 0 else None

    @property
    def devices(self) -> tuple[str, ...]:
        """What it was encoded on."""
        return tuple(sorted({r.environment.device_name or r.environment.device for r in self.records}))


@dataclass(frozen=True)
class Incomplete:
    """An entry without a place: it lacks something, which nothing replaces, or it heard test tracks."""

    name: str  # of the entry
    records: tuple[Record, ...]  # what it has
    reasons: tuple[str, ...]  # what it lacks, or why its scores mean nothing
    contaminated: bool = False  # whether test tracks were heard
    lacks_tracks: bool = False  # whether it lacks some test tracks of a task that it has

    @property
    def why(self) -> str:
        """Why it has no place, in sentences."""
        return " ".join([f"{'; '.join(self.reasons)}.", *([WHY_EVERY_TRACK] if self.lacks_tracks else [])])


@dataclass(frozen=True)
class Board:
    """Entries that may stand side by side: one edition, split, protocol, set of tasks, content of the tests."""

    edition: str  # ``full``, ``mini`` or ``custom``
    split: str  # ``official`` or another published one
    protocol: str  # name
    protocol_sha256: str  # hash of its values
    suite: str  # tasks that an entry needs: :data:`WORLD`, or nothing for the paper's six
    data_sha256: str  # hash of the tasks' splits, labels, groups and targets; empty where no entry is complete
    places: tuple[Place, ...]  # best first
    incomplete: tuple[Incomplete, ...]  # by name
    # (better, other) -> second minus first, for every pair of places in their order
    differences: Mapping[tuple[str, str], Difference]

    @property
    def title(self) -> str:
        """Edition, split, protocol and data in words, with what the hashes of the two begin with."""
        data = f", data {self.data_sha256[:6]}" if self.data_sha256 else ""
        tasks = f" · {self.suite}" if self.suite else ""
        return (
            f"{self.edition} edition · {self.split} split · {self.protocol} ({self.protocol_sha256[:4]}{data}){tasks}"
        )

    @property
    def slug(self) -> str:
        """Its address, for ever: another protocol or other data make another board."""
        tasks = f"-{self.suite}" if self.suite else ""
        return f"{self.edition}-{self.split}-{self.protocol}-{self.protocol_sha256[:4]}{self.data_sha256[:6]}{tasks}"

    @property
    def tasks(self) -> tuple[Record, ...]:
        """A record of each ranked task, by its name; none where no entry is complete."""
        return self.places[0].records if self.places else ()

    @property
    def traditions(self) -> tuple[str, ...]:
        """Traditions in the order of the paper's tables; none where no entry is complete."""
        return tuple(self.places[0].equity.traditions) if self.places else ()

    @property
    def trainings(self) -> int:
        """Trainings on resamples that all differences take in; with 0 they are of the test sample only."""
        return min((sample.trainings for place in self.places for _, sample in place.replicates.values()), default=0)

    @property
    def missing_anchors(self) -> tuple[str, ...]:
        """Anchors that nobody has measured for this board yet."""
        there = {place.anchor for place in self.places}
        return tuple(anchor for anchor in ANCHORS if anchor not in there)


def boards(entrants: Iterable[Entrant], resamples: int = RESAMPLES) -> tuple[Board, ...]:
    """Sort entries onto boards and rank the complete ones; real data first, ``mini`` last.

    Entrants are read one after the other, so that their predictions need not fit into memory together.

    Raises:
        CmbenchError: two entrants have the same name, or one has two records of a task or records for two boards.
        UsageError: the records of an entry are of several models.
    """
    complete: dict[BoardKey, dict[str, list[Scored]]] = {}
    lacking: dict[BoardKey, list[Incomplete]] = {}
    seen: set[str] = set()
    for entrant in entrants:
        if entrant.name in seen:
            raise CmbenchError(f"Two entries are called {entrant.name!r}; a board needs a name of its own for each.")
        seen.add(entrant.name)
        one_board = _one_board(entrant)
        for suite, tasks in suites_of(e.record.task.name for e in entrant.found):
            key = (*one_board, suite)
            found = tuple(sorted((e for e in entrant.found if e.record.task.name in tasks), key=_name_of_task))
            judged = _score(entrant, found, tasks, resamples)
            if isinstance(judged, Incomplete):
                lacking.setdefault(key, []).append(judged)
            else:
                complete.setdefault(key, {}).setdefault(_content(found), []).append(judged)
    made = []
    for key in {**complete, **lacking}:
        apart = tuple(sorted(lacking.get(key, ()), key=lambda one: one.name))
        for data, members in complete.get(key, {"": []}).items():
            places, differences = _rank(members)
            made.append(Board(*key, data, places, apart, differences))
    return tuple(sorted(made, key=_order))


def _order(board: Board) -> tuple[int, str, str, str, str, str, str]:
    known = board.edition in EDITION_ORDER
    place = EDITION_ORDER.index(board.edition) if known else len(EDITION_ORDER) - 1
    return (place, board.edition, board.split, board.protocol, board.protocol_sha256, board.suite, board.data_sha256)


def suites_of(tasks: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the boards that records of some tasks are for, each with the tasks that it needs.

    The paper's six are one in any case; all that ship are another where a record is beyond the six.
    """
    yield "", PAPER_TASKS
    world = frozenset(built_in())
    if not PAPER_TASKS.issuperset(world.intersection(tasks)):
        yield WORLD, world


def _name_of_task(found: Evidence) -> str:
    return found.record.task.name


def _key(record: Record) -> tuple[str, str, str, str]:
    return (record.task.edition, record.task.split, record.protocol.name, record.protocol.sha256)


def _one_board(entrant: Entrant) -> tuple[str, str, str, str]:
    """Return what an entry's boards have in common; raise for no records, several boards, a task twice."""
    keys = {_key(e.record) for e in entrant.found}
    if len(keys) != 1:
        raise CmbenchError(f"{entrant.name} has records for {len(keys)} boards; an entry is for one.")
    for one, other in pairwise(sorted(map(_name_of_task, entrant.found))):
        if one == other:
            raise CmbenchError(f"{entrant.name} has two records of {one}.")
    return keys.pop()


def _content(found: Sequence[Evidence]) -> str:
    """Return the hash of what the entries of a board must have in common: tracks, groups, labels, known targets."""
    digest = hashlib.sha256()
    for e in found:
        task = e.record.task
        digest.update(repr((task.name, task.split_sha256, task.label_sha256, e.track_ids, e.groups)).encode())
        digest.update(np.packbits(e.targets).tobytes())
        digest.update(b"" if e.known is None else np.packbits(e.known).tobytes())
    return digest.hexdigest()


def _lost_tracks(found: Sequence[Evidence]) -> Iterator[str]:
    for e in found:
        task = e.record.task
        asked = max(e.record.coverage.asked.get("test", 0), task.tracks.get("test", 0))
        if lost := asked - len(e.track_ids):
            yield f"{lost} of {asked} test tracks of {task.name} are missing"


def _score(entrant: Entrant, found: tuple[Evidence, ...], tasks: frozenset[str], resamples: int) -> Scored | Incomplete:
    records = tuple(e.record for e in found)
    heard = (f"contaminated: {entrant.contaminated}",) if entrant.contaminated else ()
    absent = sorted(tasks - {record.task.name for record in records})
    lacking = (f"no record of {', '.join(absent)}",) if absent else ()
    lost = tuple(_lost_tracks(found))
    if reasons := (*heard, *lacking, *lost):
        return Incomplete(entrant.name, records, reasons, bool(heard), bool(lost))
    replicate_all(found, resamples, os.cpu_count() or 1)
    traditions = tradition_replicates(found, resamples)
    judged = equity(found, resamples)
    undefined = sorted(tradition for tradition, scores in traditions.items() if np.isnan(scores[0]))
    if undefined or judged is None:
        return Incomplete(entrant.name, records, (f"no label is defined in {', '.join(undefined)}",))
    western = [e for e in found if e.record.task.tradition == WESTERN]
    mean = mean_over_traditions({t: traditions[t] for t in sorted(traditions)})
    return Scored(
        name=entrant.name,
        base=entrant.base,
        records=records,
        equity=judged,
        mean=mean,
        western=traditions[WESTERN],
        sample=fewest([e.sample for e in found]),
        western_sample=fewest([e.sample for e in western]),
        replicates=_replicates(found, {"score": mean, **traditions}, resamples),
    )


def _replicates(found: Sequence[Evidence], means: Mapping[str, Doubles], resamples: int) -> dict[str, Replicated]:
    samples = {e.record.task.name: e.sample for e in found}
    replicates = {}
    for name, values in means.items():
        members = [e.record.task.name for e in found if name in ("score", e.record.task.tradition)]
        replicates[name] = (values, fewest([samples[member] for member in members]))
    for e in found:
        for metric in RANKED:
            values = replicate(e, resamples).macro(metric)
            replicates[f"{metric} {e.record.task.name}"] = (values, samples[e.record.task.name])
    return replicates


def _rank(members: Sequence[Scored]) -> tuple[tuple[Place, ...], dict[tuple[str, str], Difference]]:
    order = sorted(members, key=lambda one: (-one.mean[0], one.name))
    differences = {
        (first.name, second.name): difference(first.mean, second.mean, fewest([first.sample, second.sample]), 0.0)
        for first, second in combinations(order, 2)
    }
    # The order is that of the scores, so the first of a pair that is told apart is the better one.
    apart = [pair for pair, found in differences.items() if told_apart(found)]
    by_name = {one.name: one for one in order}
    places = []
    for one in order:
        better = {winner for winner, loser in apart if loser == one.name}
        worse = {loser for winner, loser in apart if winner == one.name}
        base = by_name.get(one.base) if one.base is not None else None
        places.append(
            Place(
                name=one.name,
                records=one.records,
                equity=one.equity,
                tied=tuple(name for name in by_name if name not in better | worse | {one.name}),
                first=1 + len(better),
                last=len(order) - len(worse),
                retention=None if base is None or base is one else _retention(base, one),
                base=one.base,
                anchor=anchor_of(one.records[0]),
                replicates=one.replicates,
            )
        )
    return tuple(places), differences


def told_apart(found: Difference) -> bool:
    """Whether two scores differ by the paired bootstrap, the pair judged by itself."""
    return found.p_value is not None and found.p_value <= 1 - LEVEL


def anchor_of(record: Record) -> str:
    """Return which of :data:`ANCHORS` a record was made with; empty for any other encoder."""
    return _ANCHOR_MODELS.get((record.model.family, record.model.name), "")


def _retention(before: Scored, after: Scored) -> Level | None:
    """Return what is left of the base's Western score above chance, as in :mod:`..benchmark.comparing.forgetting`."""
    if not before.western[0] > 0:
        return None
    left = np.divide(after.western, before.western, out=np.full_like(after.western, np.nan), where=before.western > 0)
    return level(left, before.western_sample)
