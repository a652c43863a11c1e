"""What no check of predictions can show: an entry's claims, in the same words wherever an entry is shown."""

from __future__ import annotations

from .entry import Entry

UNVERIFIED = "unverified"
"""What a claim is called, on the board, on an entry's page, in ``board.json`` and by `cmbench leaderboard verify`."""

SHOWN_BY_A_RUN = (
    "that the model named made these predictions",
    "hash of the weights, fingerprint, parameters and source",
    "layer scores and the chosen layer",
    "that predictions of resamples come from trainings on them, which decides how wide an interval is",
)
"""Claims that a maintainer's own run of the model bears out."""

SAID = (
    "cost and device",
    "tracks of training and validation that could not be used",
    "training data, and what is said of test tracks among it",
    "licence, contact and day",
)
"""Claims that stay."""

WAY_OUT = "`cmbench leaderboard reproduce` is the way out: a maintainer runs the model."


def claims(entry: Entry) -> tuple[str, ...]:
    """Return what remains a claim of an entry's submitter."""
    return SAID if entry.reproduction is not None else (*SHOWN_BY_A_RUN, *SAID)
