"""What a release is made with: one version, workflows of commands that anybody can run, actions pinned by commit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cmbench.version import __version__

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def jobs(workflow: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].items()


def test_the_citation_names_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == __version__


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_actions_are_pinned_and_secrets_kept(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    used = re.findall(r"uses: *(\S+)", text)
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert "secrets." not in text
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["ci", "pages", "release"])
def test_every_step_is_a_command_of_the_checkout(name: str) -> None:
    for _, job in jobs(ROOT / ".github" / "workflows" / f"{name}.yml"):
        matrix = job.get("strategy", {}).get("matrix", {})
        targets = [one["target"] for one in matrix.get("include", ())] + matrix.get("target", [])
        for step in job["steps"]:
            if "run" not in step:
                continue
            words: list[str] = str(step["run"]).split()
            program, first = words[0], " ".join(words[1:2])
            if program == "make":
                named = targets if "$TARGET" in first else [first]
                assert named
                assert all(re.search(rf"^{target}:", MAKEFILE, re.MULTILINE) for target in named)
            else:
                assert (ROOT / program).is_file()
