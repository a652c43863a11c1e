"""What helps where a text is not YAML: told from the line that its reader stumbled over."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SIGNS = "*&!%@`|>{}],?"
"""What a value cannot begin with: for YAML it has a meaning of its own there."""

_VALUE = re.compile(r"^\s*(?:-\s+|[^\s:#][^:#]*:\s+)(?P<value>\S.*?)\s*$")
_PLAIN = re.compile(r"[^\W\d][\w -]*")
_NOT_TEXT = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}


def in_quotes(text: str) -> str:
    """Return a text in single quotes, as YAML reads it."""
    return "'" + text.replace("'", "''") + "'"


def flow_list(parts: Iterable[str]) -> str:
    """Return texts as a list on one line, in quotes where YAML would take them for something else."""
    plain = (p if _PLAIN.fullmatch(p) and p.casefold() not in _NOT_TEXT else in_quotes(p) for p in parts)
    return f"[{', '.join(plain)}]"


def remedy(text: str, lines: Iterable[int]) -> tuple[str, int]:
    """Return what helps against a syntax error, and the line that it is about, counted from 1.

    ``lines`` are those that the error may come from, the likeliest first.
    """
    written = text.splitlines()
    numbers = [line for line in dict.fromkeys(lines) if 0 < line <= len(written)]
    for line in numbers:
        if found := _of_line(written[line - 1]):
            return found, line
    advice = "begin the lines of one list in the same column, and write `key: value` with a blank after the colon"
    return advice, numbers[0] if numbers else 1


def _of_line(line: str) -> str:
    """Return what helps against what is wrong with a line by itself; nothing if it looks right."""
    if re.match(r" *\t", line):
        return "the line begins with a tab; begin it with spaces"
    if comment := re.search(r"[\[,][ \t]*(#[^\s,\]]*)", line):
        return f"`#` begins a comment: put {in_quotes(comment[1])} in quotes"
    if joined := re.match(r"\s*(\w+):([^\s:/\\].*)$", line):
        return f"write a blank after the colon: {joined[1]}: {joined[2]}"
    found = _VALUE.match(line)
    value = found["value"] if found else ""
    if value.startswith("- "):
        return "write each entry on a line of its own below the key, or all in brackets: [low, high]"
    if value[:1] in ("'", '"'):
        return _of_quoted(value)
    if value.startswith("["):
        return _of_list(value)
    if value[:1] and value[0] in _SIGNS:
        return f"a value cannot begin with `{value[0]}`; put it in quotes: {in_quotes(value)}"
    if re.search(r":(\s|$)", value):
        return f"a value with a colon in it goes in quotes: {in_quotes(value)}"
    return "" if found or not line.strip() or re.match(r"\s*([^:]+:|-.*|#.*)\s*$", line) else (
        "each line reads `key: value`, with a colon and a blank"
    )  # fmt: skip


def _of_quoted(value: str) -> str:
    mark = value[0]
    inside = value[1:].removesuffix(mark)
    if mark == '"' and "\\" in inside:
        return f"in double quotes `\\` has a meaning of its own; take single ones: {in_quotes(inside)}"
    if len(value) < 2 or value[-1] != mark:
        return f"a quotation mark is not closed; put the whole value in quotes: {in_quotes(inside)}"
    if mark in inside.replace("''", ""):
        return f"a quotation mark inside is written twice: {in_quotes(inside)}"
    return ""


def _of_list(value: str) -> str:
    parts = [part.strip() for part in value.strip("[]").split(",") if part.strip()]
    if value.count("[") != value.count("]"):
        return f"the bracket is not closed: {flow_list(parts)}"
    if not value.endswith("]"):
        return "nothing can follow the bracket that ends the list"
    if any(part[0] in _SIGNS for part in parts):
        return f"what begins with a sign goes in quotes: {flow_list(parts)}"
    return ""
