"""Results that are possible but unlikely: each is flagged, and a maintainer runs the model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
from scipy.stats import norm

from ...baselines.published import published
from ...benchmark.comparing.paired import LEVEL, RANKED
from ...benchmark.records.evidence import Evidence
from ..entry import Entry
from .findings import Finding

DEVIATIONS = 5.0
"""Standard errors from which a result is suspicious."""

CORPORA: Mapping[str, tuple[str, ...]] = {
    "magnatagatune": ("magnatagatune", "magna tag a tune", "mtat", "mtt"),
    "fma_medium": ("fma", "free music archive"),
    "lyra": ("lyra",),
    "carnatic": ("carnatic", "saraga", "compmusic", "dunya"),
    "hindustani": ("hindustani", "saraga", "compmusic", "dunya"),
    "turkish_makam": ("makam", "compmusic", "dunya"),
}
"""Task -> names under which its recordings are used for training."""


def check_training(entry: Entry) -> Iterator[Finding]:
    """Compare what a model was trained on with the tasks that it is judged by."""
    submission = entry.submission
    if entry.marks and not submission.contaminated and submission.schema_version != "1.0":
        yield Finding(
            "error",
            "training",
            entry.key,
            f"{entry.marks[0]}, and the submission says `contaminated: false`; it must say `true`.",
        )
    elif entry.contaminated:
        said = f"contaminated: {entry.contaminated}. It is listed without a place."
        yield Finding("flag", "training", entry.key, said)
    card = entry.evidence[0].record.model
    stated = [name for name in card.trained_on if name != "not stated"]
    if unsaid := [name for name in stated if name not in submission.training_corpora]:
        yield Finding(
            "flag",
            "training",
            entry.key,
            f"the encoder's card lists {unsaid[0]!a} as training data, the submission does not.",
        )
    if not submission.training_corpora and card.parameters and card.family != "anchors":
        yield Finding("flag", "training", entry.key, f"no training data is declared for {card.parameters} parameters.")
    for e in entry.evidence:
        task = e.record.task.name
        for corpus in (*submission.training_corpora, *card.trained_on):
            if any(re.search(rf"(?<![a-z]){name}(?![a-z])", corpus.casefold()) for name in CORPORA.get(task, ())):
                yield Finding(
                    "flag",
                    "training",
                    task,
                    f"trained on {corpus!a}, the source of this task: read the statement on contamination.",
                )
                break


def check_ceiling(evidence: Evidence) -> Iterator[Finding]:
    """Flag a score above everything that was ever published for the task by more than five standard errors."""
    record = evidence.record
    if record.task.edition != "full":
        return
    for metric in RANKED:
        reported = [
            value for row in published() if (value := row.scores.get(record.task.name, {}).get(metric)) is not None
        ]
        found = record.metrics[metric]
        if not reported or found.value is None or found.interval is None:
            continue
        error = (found.interval.high - found.interval.low) / (2 * norm.ppf(0.5 + LEVEL / 2))
        if found.value > max(reported) + DEVIATIONS * error:
            yield Finding(
                "flag",
                "suspicious",
                record.task.name,
                f"{metric} {found.value:.3f} lies more than five standard errors above the best published figure, "
                f"{max(reported):.3f}.",
            )


def check_order(evidence: Evidence) -> Iterator[Finding]:
    """Flag labels that a track's place in the list predicts better than the model does.

    Beyond five standard errors of the Mann-Whitney statistic without effect, ``sqrt((n + 1) / (12 n+ n-))`` (Mann and
    Whitney, 1947): then the order of the tracks carries the label, and a model could have learnt it.
    """
    found = []
    for k, label in enumerate(evidence.record.labels):
        truth = evidence.targets[evidence.judged(k), k]
        n, one = len(truth), int(truth.sum())
        if label.roc_auc is None or not 0 < one < n:
            continue
        rank = float((np.flatnonzero(truth) + 1).mean())
        area = (rank - (one + 1) / 2) / (n - one)
        area = max(area, 1 - area)
        error = np.sqrt((n + 1) / (12 * one * (n - one)))
        if area > label.roc_auc and area - 0.5 > DEVIATIONS * error:
            found.append(f"{label.label!a} ({area:.3f} against {label.roc_auc:.3f})")
    if found:
        yield Finding(
            "flag",
            "suspicious",
            evidence.record.task.name,
            f"{len(found)} labels are predicted better from track order than from audio: {', '.join(found[:3])}.",
        )
