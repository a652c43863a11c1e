"""The passes of a stage: the next one is decoded while one is computed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from ...decoding import tell_unusable
from ...errors import UnusableAudio
from ..corpus.corpus import Mix
from ..corpus.crops import draw_crops, draw_recordings, key
from ..recipes.recipe import TELLINGS, Recipe
from .run import Run, load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Loaded = tuple[NDArray[np.float32], NDArray[np.int64], list[NDArray[np.float32]]]

REDRAWS = 20
"""How often a pass replaces crops of files that cannot be decoded, before it gives up."""


def contrasted(mixed: Mix, recipe: Recipe) -> Mix:
    """Return the recordings of a stage that are contrasted: none, all, or those that are told twice."""
    if recipe.contrast.weight and recipe.contrast.positives != TELLINGS:
        return mixed
    both = zip(mixed.recordings, mixed.shares, strict=True)
    told = [(one, share) for one, share in both if recipe.contrast.weight and one.telling]
    return Mix(tuple(one for one, _ in told), tuple(share for _, share in told))


class Passes:
    """Reads the passes of this process, one ahead.

    Args:
        run: whose they are.
        mixed: recordings of the stage.
    """

    def __init__(self, run: Run, mixed: Mix) -> None:
        self._run = run
        self._mix = mixed
        self._told = contrasted(mixed, run.recipe)
        self._pool = ThreadPoolExecutor(1, "crops")
        self._ahead: dict[tuple[int, int], Future[Loaded]] = {}

    def mine(self) -> range:
        """Return the numbers of this process's passes of an update."""
        batch, group = self._run.recipe.batch, self._run.group
        return range(group.rank, batch.crops // batch.together, group.size)

    def read(self, number: int) -> Loaded:
        """Return audio, tokens and views of recordings (where they are contrasted) of a pass of the current update."""
        step, mine = self._run.progress.step, self.mine()
        now = self._ahead.pop((step, number), None) or self._pool.submit(self._load, step, number)
        following = (step + 1, mine[0]) if number == mine[-1] else (step, number + mine.step)
        self._ahead[following] = self._pool.submit(self._load, *following)
        return now.result()

    def _load(self, step: int, number: int) -> Loaded:
        return *self._crops(step, number), self._views(step, number)

    def _views(self, step: int, number: int) -> list[NDArray[np.float32]]:
        recipe = self._run.recipe
        if len(self._told.recordings) < 2:
            return []
        recordings = draw_recordings(self._told, recipe.contrast.pairs, recipe.seed, "pairs", step, number)
        return self._run.learner.views(recordings, key(recipe.seed, "views", step, number))

    def _crops(self, step: int, number: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        recipe = self._run.recipe
        together, seconds = recipe.batch.together, recipe.batch.seconds
        parts = (recipe.seed, "crops", step, number)
        crops = draw_crops(self._mix, together, seconds, *parts, shifts=recipe.pitch_shifts)
        for attempt in range(REDRAWS):
            try:
                return load(self._run, crops)
            except UnusableAudio as error:
                tell_unusable(error.path, error.reason)
                # Keyed like every draw: a resumed run passes over the same files and takes the same in their place.
                spare = draw_crops(self._mix, together, seconds, *parts, "instead", attempt, shifts=recipe.pitch_shifts)
                broken = [crop.recording.path == error.path for crop in crops]
                crops = [new if bad else old for old, new, bad in zip(crops, spare, broken, strict=True)]
        return load(self._run, crops)

    def close(self) -> None:
        """Drop what was read ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)
