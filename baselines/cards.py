"""Licences of weights: the hub's identifiers, and which of several binds whoever uses a mixture."""

from __future__ import annotations

from collections.abc import Iterable

_HEARD = "validation and test tracks of "

SEE_SOURCES = "see sources"
"""Where no single licence is known to cover all of several."""

# Each covers the terms of those before it. Share-alike without non-commercial is not here: it contradicts NC.
_CHAIN = ("cc0-1.0", "isc", "mit", "apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")


def hub_licence(licence: str) -> str:
    """Return the hub's identifier of a licence; ``other`` if it has none."""
    plain = "-".join(licence.lower().split())
    return plain if plain in _CHAIN else "other"


def most_restrictive(licences: Iterable[str]) -> str:
    """Return the licence, of those given, whose terms cover all the others.

    :data:`SEE_SOURCES` where one is not stated, or where several are given and it is not known which covers which.
    """
    given = sorted(set(licences))
    ranks = {licence: _CHAIN.index(hub) for licence in given if (hub := hub_licence(licence)) != "other"}
    if given and len(ranks) == len(given):
        return max(ranks, key=lambda licence: ranks[licence])
    alone = len(given) == 1 and given[0] not in ("not stated", "other")
    return given[0] if alone else SEE_SOURCES


def heard(task: str) -> str:
    """Return the corpus that a model lists if it was trained on validation or test tracks of a task."""
    return f"{_HEARD}{task}"


def contaminated_tasks(trained_on: Iterable[str]) -> tuple[str, ...]:
    """Return the tasks that a model with these corpora cannot be judged by, sorted."""
    return tuple(sorted({corpus[len(_HEARD) :] for corpus in trained_on if corpus.casefold().startswith(_HEARD)}))
