"""What the scores of a record are called where people read them."""

from __future__ import annotations

from collections.abc import Mapping

SCORES: Mapping[str, str] = {
    "roc_auc": "ROC-AUC",
    "average_precision": "AP",
    "f1_micro": "F1 micro",
    "f1_macro": "F1 macro",
}
"""Of every record."""

DECISIONS: Mapping[str, str] = {"accuracy": "accuracy", "argmax_f1_macro": "argmax F1 macro"}
"""Of tasks with one label a track, besides."""
