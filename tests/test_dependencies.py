"""The house: arrows between modules point down and make no circle, and no folder is too full to be read."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = (("__main__",), ("cli",), ("leaderboards",), ("benchmark",), ("pretraining",), ("tasks", "baselines"))
"""From the top down; every other file of the root lies below. The rooms of one floor do not know each other."""

MOST_MODULES = 20


def modules(root: Path) -> dict[str, Path]:
    """Every module of the package by its dotted name below the root."""
    rooms = [root / room for floor in FLOORS for room in floor]
    files = [*root.glob("*.py"), *(file for room in rooms for file in room.rglob("*.py"))]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def statements(tree: ast.AST) -> Iterator[ast.ImportFrom]:
    """Every import of the package, those inside functions included; what only a type checker sees is none."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.ImportFrom) and (node.level or str(node.module).split(".")[0] == "cmbench"):
            yield node
        yield from statements(node)


def imported(name: str, known: Mapping[str, Path]) -> set[str]:
    """The modules that a module imports; ``__init__`` is the package's public face."""
    found = set()
    package = name.split(".") if known[name].name == "__init__.py" else name.split(".")[:-1]
    package = [] if name == "__init__" else package
    for node in statements(ast.parse(known[name].read_text(encoding="utf-8"))):
        place = node.module.split(".") if node.module else []
        place = [*package[: len(package) + 1 - node.level], *place] if node.level else place[1:]
        for alias in node.names:
            full = ".".join([*place, alias.name])
            found.add(full if full in known else ".".join(place) or "__init__")
    return found - {name}


def graph(root: Path) -> dict[str, set[str]]:
    """Module -> modules that it imports."""
    known = modules(root)
    return {name: imported(name, known) for name in known}


def floor(name: str) -> int:
    """How far down a module lies; the public face is above everything."""
    if name == "__init__":
        return -1
    room = name.split(".")[0]
    return next((i for i, rooms in enumerate(FLOORS) if room in rooms), len(FLOORS))


def arrows_up(arrows: Mapping[str, set[str]]) -> list[str]:
    """Imports of a floor above, or of the other room on the same floor."""
    return sorted(
        f"{source} -> {target}"
        for source, targets in arrows.items()
        for target in targets
        if floor(target) < floor(source)
        or (floor(target) == floor(source) < len(FLOORS) and target.split(".")[0] != source.split(".")[0])
    )


def circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """One circle of imports; empty if there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_arrows_point_down_and_make_no_circle() -> None:
    arrows = graph(ROOT)
    assert set().union(*arrows.values()) <= set(arrows), "an import of something that is no module"
    assert (circle(arrows), arrows_up(arrows)) == ([], [])


def test_no_folder_is_too_full() -> None:
    sizes = Counter(file.parent for file in modules(ROOT).values())
    assert {folder.name: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


@pytest.mark.parametrize(
    ("changed", "up", "in_circle"),
    [
        ({}, [], set()),
        (
            {"tasks/lyra.py": "def f():\n    from ..benchmark.run import run"},
            ["tasks.lyra -> benchmark.run"],
            {"tasks.lyra", "benchmark.run"},
        ),
        ({"tasks/lyra.py": "def f():\n    from .base import Task"}, [], {"tasks.base", "tasks.lyra"}),
        ({"tasks/lyra.py": "if TYPE_CHECKING:\n    from ..benchmark.run import run"}, [], set()),
        ({"tasks/lyra.py": "from .. import version"}, [], set()),
        (
            {"tasks/lyra.py": "from cmbench.cli import app"},
            ["tasks.lyra -> cli"],
            {"tasks.lyra", "cli", "benchmark.run"},
        ),
        ({"tasks/lyra.py": "from .. import run"}, ["tasks.lyra -> __init__"], set()),
        ({"tasks/lyra.py": "from ..baselines import mert"}, ["tasks.lyra -> baselines.mert"], set()),
        (
            {"baselines/mert/__init__.py": "from ...cli import app"},
            ["baselines.mert -> cli"],
            {"baselines.mert", "cli", "benchmark.run"},
        ),
        ({"version.py": "from .tasks.base import Task"}, ["version -> tasks.base"], set()),
    ],
)
def test_the_guard_bites(changed: dict[str, str], up: list[str], in_circle: set[str], tmp_path: Path) -> None:
    house = {
        "__init__.py": "",
        "version.py": "",
        "cli.py": "from .benchmark.run import run",
        "benchmark/__init__.py": "",
        "benchmark/run.py": "from ..tasks.lyra import TASK\nfrom ..baselines import mert",
        "tasks/__init__.py": "",
        "tasks/base.py": "def get_task():\n    from .lyra import TASK",
        "tasks/lyra.py": "TASK = 1",
        "baselines/__init__.py": "",
        "baselines/mert/__init__.py": "",
    }
    for name, text in (house | changed).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    arrows = graph(tmp_path)
    assert (arrows_up(arrows), set(circle(arrows))) == (up, in_circle)
