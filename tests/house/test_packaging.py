"""What is shipped: the list of packages and their data, as they are in the folders."""

from __future__ import annotations

import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOT_SHIPPED = ("tests", "docs", ".ci", ".github", "leaderboards/entries", "leaderboards/successors.json")


def _tracked() -> list[PurePosixPath]:
    """Files of the package that git knows, those of the repository's own aside."""
    out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if out.returncode:
        pytest.skip("not a git checkout")
    files = [PurePosixPath(name) for name in out.stdout.split("\0") if name and (ROOT / name).exists()]
    kept = [file for file in files if not any(file.is_relative_to(folder) for folder in NOT_SHIPPED)]
    return [file for file in kept if len(file.parts) > 1 or file.suffix == ".py" or file.name == "py.typed"]


def _setuptools() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return found


def _package(folder: PurePosixPath) -> str:
    return ".".join(("cmbench", *folder.parts))


def test_every_folder_of_code_is_a_listed_package() -> None:
    folders = {file.parent for file in _tracked() if file.suffix == ".py"}
    assert [str(one) for one in sorted(folders) if not (ROOT / one / "__init__.py").is_file()] == []
    assert sorted(map(_package, folders)) == sorted(_setuptools()["packages"])


def test_every_data_file_belongs_to_a_package() -> None:
    data = _setuptools()["package-data"]
    patterns = {(package, pattern): 0 for package, some in data.items() for pattern in some}
    for file in _tracked():
        if file.suffix == ".py":
            continue
        found = False
        for package, pattern in patterns:
            folder = PurePosixPath(*package.split(".")[1:])
            # As in a shell: a star ends at a slash.
            inside = file.is_relative_to(folder) and file.relative_to(folder).parts
            parts = pattern.split("/")
            if inside and len(inside) == len(parts) and all(map(fnmatch, inside, parts)):
                patterns[package, pattern] += 1
                found = True
        assert found, f"{file} is not shipped: add it to package-data"
    assert [pair for pair, files in patterns.items() if not files] == []
    assert set(data) <= set(_setuptools()["packages"])
