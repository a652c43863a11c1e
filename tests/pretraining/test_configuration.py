"""Configurations are merged into a schema; what does not fit is told by key, with what to write."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cmbench.errors import UsageError
from cmbench.pretraining.configuration import built, merged, parsed, read_table


@dataclass(frozen=True)
class Part:
    rate: float = 0.5


@dataclass(frozen=True)
class Schema:
    names: list[str] = field(default_factory=list)
    places: dict[str, list[str]] = field(default_factory=dict)
    count: int | None = 3
    quick: bool = False
    title: str = ""
    part: Part = field(default_factory=Part)
    ends: tuple[int, int] = (0, 1)


def after(*changes: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for change in changes:
        content = merged(content, parsed(change, "a test"), Schema, change, "a test")
    found: Schema = built(content, Schema)
    return asdict(found)


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("names=a,b", "names", ["a,b"]),
        ("names=[a,b]", "names", ["a", "b"]),
        ("places.turkish=folder:/x", "places", {"turkish": ["folder:/x"]}),
        ("count=null", "count", None),
        ("count=7", "count", 7),
        ("quick=true", "quick", True),
        ("title=12", "title", "12"),
        ("part.rate=1", "part", {"rate": 1.0}),
        ("ends=[3,4]", "ends", (3, 4)),
    ],
)
def test_a_value_takes_the_form_of_its_key(change: str, key: str, value: object) -> None:
    assert after(change)[key] == value


def test_the_last_change_counts_and_the_others_stay() -> None:
    found = after("places.a=x", "places.b=y", "places.a=[z]")
    assert found["places"] == {"a": ["z"], "b": ["y"]}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("nmaes=a", "a test has no key 'nmaes'; the closest is 'names'. Known here: names, places"),
        ("part.raet=1", "no key 'part.raet'; the closest is 'part.rate'"),
        ("names={a: b}", r"names should be a list, not {'a': 'b'}; write it like names=\[…\]"),
        ("names=[[a]]", r"names should be a text, not \['a'\]"),
        ("places=x", "places should be a table, not 'x'; write it like places.NAME=…"),
        ("places.a=", r"places.a should be a list, not nothing; write it like places.a=\[…\]"),
        ("count=x", "count should be a whole number, not 'x'; write it like count=3"),
        ("count=1.5", "count should be a whole number, not 1.5"),
        ("quick=perhaps", "quick should be true or false, not 'perhaps'; write it like quick=true"),
        ("part=1", "part should be a table of rate, not 1; write it like part.rate=…"),
        ("ends=[3]", r"ends should be a list of 2, not \[3\]"),
        ("part.rate=[1]", r"part.rate should be a number, not \[1\]"),
        ("names=[a", "cannot be read: .*quotation marks"),
        ("title=${oc.env:HOME}", "not resolved"),
        ("title", "'title' changes nothing of a test; write key=value"),
        ("=1", "changes nothing of a test"),
    ],
)
def test_what_does_not_fit_is_told_with_its_remedy(change: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as error:
        after(change)
    assert not any(word in str(error.value) for word in ("Node", "ListConfig", "Dict[", "NoneType"))


@pytest.mark.parametrize(
    ("text", "told"),
    [("- a", "is a table of keys"), ("a: [1", ":2: not valid YAML"), ("1: 2", "is a table of keys")],
)
def test_a_file_that_is_no_table_is_told(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        read_table(tmp_path / "a.yaml", "a test")
