"""The model card, and licences: the hub's names, and the one that covers a mixture."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
import yaml

from cmbench.baselines.cards import (
    SEE_SOURCES,
    contaminated_tasks,
    heard,
    hub_licence,
    hub_name,
    markdown_table,
    model_card,
    most_restrictive,
)
from cmbench.baselines.hub.about import read_licence, read_trained_on


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


def test_the_card_is_what_the_hub_and_the_loader_read(tmp_path: Path) -> None:
    card = model_card(
        "mine {{ x }}",
        ["Says {{ title }}."],
        24_000,
        licence="GPL 3",
        trained_on=["a: b"],
        tags=("merge",),
        more={"x": 1},
    )
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert card.count("# mine {{ x }}\n\nSays {{ title }}.\n\n## Use\n\n```python\n") == 1
    assert "[batch, samples] at 24000 Hz" in card
    assert (read_licence(tmp_path), read_trained_on(tmp_path)) == ("other", ("a: b",))
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["license_name"], front["tags"][2], front["more"]) == ("gpl-3", "merge", {"x": 1})
    unsaid = yaml.safe_load(model_card("x", [], 1, licence="mit", trained_on=None).split("---\n")[1])
    assert unsaid.keys() == {"license", "library_name", "pipeline_tag", "tags"}


def test_cells_of_a_table_cannot_break_it() -> None:
    assert markdown_table(("a", "b"), [("1|2", "3\n4")]) == "| a | b |\n|---|---|\n| 1\\|2 | 3 4 |"
    assert hub_name("hf:owner/name@rev (pinned)", "x") == "owner/name"
    assert hub_name("a folder", "x") == "x"
