"""How a model says for good that its training heard what it is judged by: as one of the corpora that it lists.

Corpora follow a model into what is trained on from it, into merges, into records and onto the leaderboard.
"""

from __future__ import annotations

from collections.abc import Iterable

_HEARD = "validation and test tracks of "


def heard(task: str) -> str:
    """Return the corpus that a model lists if it was trained on validation or test tracks of a task."""
    return f"{_HEARD}{task}"


def contaminated_tasks(trained_on: Iterable[str]) -> tuple[str, ...]:
    """Return the tasks that a model with these corpora cannot be judged by, sorted."""
    return tuple(sorted({corpus[len(_HEARD) :] for corpus in trained_on if corpus.casefold().startswith(_HEARD)}))
