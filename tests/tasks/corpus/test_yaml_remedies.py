"""What is said to help against a broken ``task.yaml`` does, when it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmbench.errors import UsageError
from cmbench.tasks.corpus.description import read_description
from cmbench.tasks.corpus.yaml_remedies import flow_list, remedy


def told(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    try:
        found = read_description(path).problems
    except UsageError as error:
        return str(error).removeprefix(str(path.parent) + "/")
    return "".join(f"{one.text}." for one in found)


@pytest.mark.parametrize(
    ("line", "said", "mended"),
    [
        ("labels: *a", "task.yaml:2: not valid YAML: .* with `*`; put it in quotes: '*a'.", "labels: ['*a']"),
        ("\tlabels: [a]", "begins with a tab; begin it with spaces.", "labels: [a]"),
        ("labels:\n\t- a", "begins with a tab; begin it with spaces.", "labels:\n  - a"),
        ("labels: low, high", "list with at least one label; write labels: [low, high].", "labels: [low, high]"),
        ("labels: no; 1990; #x", "write labels: ['no', '1990'].", "labels: ['no', '1990']"),
        ("labels: {a, b}", "write labels: [a, b].", "labels: [a, b]"),
        ("labels: [a, 'b: c'", "the bracket is not closed: ", "labels: [a, 'b: c']"),
        ("labels: - a", "or all in brackets: [low, high].", "labels: [a]"),
        ("labels: [a]\ntitle: My: own", "in quotes: 'My: own'.", "labels: [a]\ntitle: 'My: own'"),
        ("labels: [a]\ntitle: @own", "in quotes: '@own'.", "labels: [a]\ntitle: '@own'"),
        ("labels: [a]\ntitle: 'don't'", "written twice: 'don''t'.", "labels: [a]\ntitle: 'don''t'"),
        ('labels: [a]\ntitle: "Me', "put the whole value in quotes: 'Me'.", "labels: [a]\ntitle: 'Me'"),
        ('labels: [a]\ntitle: "C:\\M"', "take single ones: 'C:\\M'.", "labels: [a]\ntitle: 'C:\\M'"),
        ("labels:[a]", "write a blank after the colon: labels: [a].", "labels: [a]"),
        ("labels [a]", "each line reads `key: value`, with a colon and a blank.", "labels: [a]"),
        ("labels:\n  - a\n - b", "begin the lines of one list in the same column", "labels:\n  - a\n  - b"),
        ("labels: [!a b]", "put a text that begins with `!` in quotes.", "labels: ['!a b']"),
    ],
)
def test_the_remedy_works(tmp_path: Path, line: str, said: str, mended: str) -> None:
    path = tmp_path / "task.yaml"
    words = told(path, f"name: mine\n{line}\n")
    for part in said.split(" .* "):
        assert part in words
    path.write_text(f"name: mine\n{mended}\n", encoding="utf-8")
    assert not read_description(path).problems


def test_a_text_without_keys_shows_two(tmp_path: Path) -> None:
    assert "such as `name: my_corpus` and `labels: [low, high]`" in told(tmp_path / "task.yaml", "")


def test_the_line_is_that_of_the_mistake() -> None:
    assert remedy("a: b\nlabels: [a, b\ntitle: c\n", [3, 2])[1] == 2
    assert remedy("", [1])[1] == 1


def test_a_list_is_quoted_where_it_must_be() -> None:
    assert flow_list(["low", "Yes", "it's", "1990", "a b"]) == "[low, 'Yes', 'it''s', '1990', a b]"
