"""Every command that the README and the documentation show exists, with the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cmbench.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@cache
def options(*path: str) -> frozenset[str]:
    """What a command's help says that it takes; some hand on to others, so that help alone knows."""
    said = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).output
    return frozenset(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", said))


def shown(text: str) -> Iterator[str]:
    """The commands of a page: lines of its blocks, and what stands in the running text between backticks."""
    blocks = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    yield from (line.strip().lstrip("!$ ") for line in lines)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (re.sub(r"\s+", " ", found) for found in re.findall(r"`((?:cmbench|make) [^`]+)`", prose))


def check(line: str) -> None:
    """Fail where a command is none, or has an option that it does not take."""
    for part in re.split(r"&&|\|", line.replace("…", "").replace("[", "").replace("]", "")):
        words = shlex.split(part, comments=True)
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", MAKEFILE, re.MULTILINE), line
        if words[:1] != ["cmbench"]:
            continue
        command: Any = get_command(app)
        words = words[1 : words.index(">")] if ">" in words else words[1:]
        path: list[str] = []
        while (below := getattr(command, "commands", {})) and words and not words[0].startswith("-"):
            if words[0].isupper():  # NAME, and other words for what the reader puts there
                return
            assert words[0] in below, f"{line}: there is no {words[0]}"
            path.append(words[0])
            command, words = below[words[0]], words[1:]
        used = [word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)]
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        if unknown := [option for option in used if option not in known]:
            assert [option for option in unknown if option not in options(*path)] == [], line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_one(page: Path) -> None:
    for line in shown(page.read_text(encoding="utf-8")):
        if re.match(r"(cmbench|make) ", line):
            check(line)


@pytest.mark.parametrize("line", ["cmbench runs --model mfcc", "cmbench run --modell mfcc", "make everything"])
def test_one_that_is_none_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        check(line)


def test_commands_are_found_in_blocks_and_in_the_text() -> None:
    text = "Type `cmbench models` or\n```\n$ cmbench run \\\n    --model mfcc  # words\n```\n"
    assert [line.split("  #")[0].split() for line in shown(text)] == [
        ["cmbench", "run", "--model", "mfcc"],
        ["cmbench", "models"],
    ]
