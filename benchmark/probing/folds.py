"""The grouped, multi-label stratified split as a splitter of scikit-learn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator

from ...errors import UsageError
from ...tasks.base import Track
from ...tasks.splits.draw import draw_splits


class GroupedStratifiedKFold(BaseCrossValidator):  # type: ignore[misc]
    """Folds in which no group is twice and every label has its share, as far as the groups allow.

    Iterative stratification over whole groups, as the tasks' own splits are drawn; scikit-learn's
    ``StratifiedGroupKFold`` knows one class a sample only. Nothing is random: the same samples give the same folds.

    .. code-block:: python

        cross_val_score(estimator, X, y, groups=albums, cv=cmbench.GroupedStratifiedKFold(5), scoring="roc_auc")

    Args:
        n_splits: number of folds, at least 2.
    """

    __metadata_request__split: ClassVar[dict[str, bool]] = {"groups": True}

    def __init__(self, n_splits: int = 5) -> None:
        self.n_splits = n_splits

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: N803
        """Return the number of folds."""
        return self.n_splits

    def _iter_test_indices(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[NDArray[np.intp]]:  # noqa: N803
        if y is None or self.n_splits < 2:
            raise ValueError("The folds are stratified: they need y, and n_splits of at least 2.")
        fold = drawn(y, groups, {str(k): 1 / self.n_splits for k in range(self.n_splits)})
        for k in range(self.n_splits):
            yield np.flatnonzero(fold == str(k))


def drawn(y: ArrayLike, groups: Iterable[Any] | None, shares: dict[str, float]) -> NDArray[np.str_]:
    """Return the part of every sample ``[samples]``.

    Args:
        y: classes ``[samples]``, or a matrix of 0 and 1 ``[samples, labels]``.
        groups: of each sample, several joined with ``|``; a sample whose group is ``None``, empty or NaN is its own.
        shares: of the samples by part; they add up to 1.

    Raises:
        ValueError: there are fewer groups than parts.
    """
    truth = np.asarray(y)
    rows = [[str(k) for k in np.flatnonzero(row)] for row in truth] if truth.ndim == 2 else [[str(c)] for c in truth]
    named = [None] * len(rows) if groups is None else [_name(group) for group in groups]
    tracks = [
        Track(f"{i:012d}", Path(), tuple(labels), group)
        for i, (labels, group) in enumerate(zip(rows, named, strict=True))
    ]
    try:
        found = draw_splits(tracks, shares)
    except UsageError as error:
        raise ValueError(f"{len(tracks)} samples cannot be divided: {error}") from error
    return np.array([found[track.id] for track in tracks])


def _name(group: Any) -> str | None:
    return None if group is None or group != group or not str(group).strip() else str(group)
