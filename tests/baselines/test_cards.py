"""Licences: the hub's names, and the one that covers a mixture."""

from __future__ import annotations

from itertools import permutations

import pytest

from cmbench.baselines.cards import SEE_SOURCES, contaminated_tasks, heard, hub_licence, most_restrictive


def test_licences_of_the_hub() -> None:
    assert hub_licence("CC BY-NC 4.0") == "cc-by-nc-4.0"
    assert hub_licence("apache-2.0") == hub_licence("Apache-2.0") == "apache-2.0"
    assert hub_licence("not stated") == "other"


@pytest.mark.parametrize(
    ("licences", "expected"),
    [
        (("Apache-2.0", "CC BY-NC 4.0", "mit"), "CC BY-NC 4.0"),
        (("Apache-2.0", "Apache-2.0"), "Apache-2.0"),
        (("CC BY-NC 4.0", "not stated"), SEE_SOURCES),
        (("cc-by-sa-4.0", "cc-by-nc-4.0"), SEE_SOURCES),
        (("cc-by-sa-4.0",), "cc-by-sa-4.0"),
        (("not stated",), SEE_SOURCES),
        ((SEE_SOURCES, "Apache-2.0"), SEE_SOURCES),
        ((), SEE_SOURCES),
    ],
)
def test_the_most_restrictive_covers_all_or_none_is_named(licences: tuple[str, ...], expected: str) -> None:
    assert {most_restrictive(order) for order in permutations(licences)} == {expected}


def test_tasks_are_told_from_corpora() -> None:
    corpora = (
        "20,000 h of music",
        heard("lyra"),
        "Greek 50 h",
        heard("carnatic"),
        heard("lyra"),
        "test tracks of lyra",
    )
    assert contaminated_tasks(corpora) == ("carnatic", "lyra")
    assert contaminated_tasks(()) == ()
    # What earlier cards say is read by later versions.
    assert heard("lyra") == "validation and test tracks of lyra"
