"""Simulated test splits as large as the published ones: their labels' supports, tracks in groups of unequal sizes.

Supports are those of the published evaluations (pxaris/ccml, ``evaluation/``). Groups: the videos of Lyra's test split,
and for MagnaTagATune albums of about its sizes (92 albums, 40 to 80 clips each but for the ends). For the rest no sizes
are published; releases of four and artists of two and a half tracks on average are our guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cmbench.benchmark.scoring.metrics import Bools, Doubles, Floats


@dataclass(frozen=True)
class Task:
    """A published test split.

    Attributes:
        name: of the task.
        tracks: in the test split.
        supports: expected positives of each label.
        sizes: tracks of every group, where they are known.
        mean: tracks of a group on average, where they are not; sizes are then lognormal.
        spread: deviation of the logarithm of a group's size.
        similar: share of a label's log-odds that its group decides, at most; each label has one of its own.
    """

    name: str
    tracks: int
    supports: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    mean: float = 4.0
    spread: float = 0.8
    similar: float = 0.6


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


TASKS = (
    Task("hindustani", 240, _numbers("206 128 98 96 84 62 40 18 19 18 9 16 8 12 9 6 2 8 6 4")),
    Task("carnatic", 522, _numbers("432 437 408 357 276 165 88 60 30 36 35 17 14 19 17 12 16 13 8 10")),
    Task(
        "lyra",
        330,
        _numbers("223 277 171 186 141 156 120 64 61 38 56 39 30 30 30 30 41 38 38 36 8 3 42 47 15 15 10 10 10 31"),
        sizes=_numbers("33 30 30 26 23 23 20 20 20 19 19 18 18 16 15"),
    ),
    Task(
        "turkish_makam",
        1059,
        _numbers(
            "650 321 314 309 250 247 254 171 177 106 126 112 94 84 73 65 60 58 50 65 60 42 49 42 44 49 41 41 29 28"
        ),
    ),
    Task(
        "fma_medium",
        4996,
        _numbers("1396 1259 649 441 446 325 280 275 263 247 181 203 224 192 145 159 175 123 132 118"),
        mean=2.5,
    ),
    Task(
        "magnatagatune",
        4332,
        _numbers(
            "875 699 806 598 394 516 496 564 495 467 508 344 231 435 330 381 174 373 264 295 282 245 189 273 248 162 "
            "251 166 192 196 249 102 159 135 110 188 142 148 153 122 160 142 141 20 116 131 67 165 119 131"
        ),
        mean=47,
        spread=0.4,
    ),
)


@dataclass(frozen=True)
class Pair:
    """Two models on one drawn split.

    Attributes:
        targets: ``[tracks, labels]``.
        first: scores ``[tracks, labels]``.
        second: scores ``[tracks, labels]``.
        groups: number of each track's group, ``[tracks]``.
    """

    targets: Bools
    first: Floats
    second: Floats
    groups: NDArray[np.intp]


@dataclass(frozen=True)
class World:
    """What stays the same from split to split: how similar groups are, how well each label is told.

    Attributes:
        task: the split's sizes.
        similar: share of log-odds and of noise that a group decides, ``[labels]``.
        told: distance between the means of positives and negatives, in deviations of the negatives, ``[labels]``.
        wide: deviation of the positives over that of the negatives, ``[labels]``.
        gain: added to ``told`` for the second model.
    """

    task: Task
    similar: Doubles
    told: Doubles
    wide: Doubles
    gain: float = 0.0

    def draw(self, rng: np.random.Generator) -> Pair:
        """Draw a split: the number of positives of each label varies, and so do the groups."""
        groups = self._groups(rng)
        shape = (len(groups), len(self.told))

        def grouped() -> Doubles:
            shared = rng.standard_normal((int(groups.max()) + 1, shape[1]))[groups]
            mixed: Doubles = np.sqrt(self.similar) * shared + np.sqrt(1 - self.similar) * rng.standard_normal(shape)
            return mixed

        share = np.array(self.task.supports) / self.task.tracks
        targets = grouped() > norm.ppf(1 - share)
        common = grouped()
        scores = []
        for gain in (0.0, self.gain):
            noise = (common + grouped()) / np.sqrt(2)
            scores.append(np.where(targets, self.told + gain + self.wide * noise, noise).astype(np.float32))
        return Pair(targets, scores[0], scores[1], groups)

    def _groups(self, rng: np.random.Generator) -> NDArray[np.intp]:
        task = self.task
        sizes = list(task.sizes)
        while sum(sizes) < task.tracks:
            factor = float(np.exp(task.spread * rng.standard_normal() - task.spread**2 / 2))
            sizes.append(max(1, round(task.mean * factor)))
        return np.repeat(np.arange(len(sizes)), sizes)[: task.tracks]


def world(task: Task, seed: int, gain: float = 0.0) -> World:
    """Draw how a task's labels behave."""
    rng = np.random.default_rng(seed)
    labels = len(task.supports)
    similar = rng.uniform(0, task.similar, labels)
    return World(task, similar, rng.uniform(0.5, 2.5, labels), rng.uniform(1.0, 1.3, labels), gain)
