"""Print the lowest version of every requirement that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Test tools are what they are: only what a user installs is held at its lowest.
listed = [*project["dependencies"]]
for extra, requirements in project["optional-dependencies"].items():
    listed += requirements if extra != "test" else ()
lowest: dict[str, str] = {}
for requirement in listed:
    found = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?>=([\w.]+)(?:,.*)?(?:;.*)?", requirement.replace(" ", ""))
    if found is None:
        sys.exit(f"{requirement}: write NAME>=VERSION, so that the lowest version can be told")
    lowest[found[1]] = found[2]
sys.stdout.write("".join(f"{name}=={version}\n" for name, version in sorted(lowest.items())))
