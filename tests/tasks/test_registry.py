"""Tasks by name: the registry, and what other distributions offer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmbench.tasks.base import TRADITIONS
from cmbench.tasks.choice import get_task, select_tasks
from cmbench.tasks.registry import registry

OFFICIAL = {"carnatic", "fma_medium", "hindustani", "lyra", "magnatagatune", "turkish_makam"}
SHIPPED = OFFICIAL | {"brazilian_rhythms", "carnatic_raga", "chinese_modes", "hindustani_raga"}


GUEST = (
    "from dataclasses import replace\n"
    "from cmbench.tasks import lyra\n"
    "GUEST = replace(lyra.TASK, name='guest', tradition='turkish')\n"
    "CLASH = lyra.TASK\n"
    "WORD = replace(lyra.TASK, name='ready')\n"
    "NOTHING = 3\n"
)


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    registry.cache_clear()
    yield
    registry.cache_clear()


def test_the_registry_has_every_task_under_its_name() -> None:
    tasks = registry()
    assert set(tasks) >= SHIPPED
    assert all(name == task.name for name, task in tasks.items())
    assert {tasks[name].tradition for name in OFFICIAL} == set(TRADITIONS)


def test_listing_the_tasks_imports_neither_torch_nor_pandas_nor_scipy() -> None:
    code = (
        "import sys; from cmbench.tasks import registry; registry(); "
        "print(sorted({'torch', 'pandas', 'scipy', 'sklearn', 'soundfile', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def distribution(folder: Path, value: str, source: str) -> None:
    """Install a distribution that consists of one module and one entry point."""
    (folder / "cmbench_guest.py").write_text(source, encoding="utf-8")
    info = folder / "cmbench_guest-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cmbench-guest\nVersion: 1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[cmbench.tasks]\nguest = {value}\n", encoding="utf-8")


@pytest.fixture
def guest_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_registry: None) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("cmbench_guest", None)


def test_a_task_of_another_distribution_is_found_by_its_entry_point(guest_folder: Path) -> None:
    distribution(guest_folder, "cmbench_guest:GUEST", GUEST)
    assert get_task("guest").name == "guest"
    assert [task.name for task in select_tasks("turkish")] == ["turkish_makam", "guest"]


def test_a_task_of_another_distribution_is_not_among_all(guest_folder: Path) -> None:
    distribution(guest_folder, "cmbench_guest:GUEST", GUEST)
    assert {task.name for task in select_tasks("all")} == {task.name for task in select_tasks("ready")} == OFFICIAL
    assert {task.name for task in select_tasks("world")} == SHIPPED
    assert [task.name for task in select_tasks("installed")] == list(registry())
    assert "guest" in registry()


def test_a_broken_distribution_is_named_and_left_out(guest_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    distribution(guest_folder, "cmbench_guest:GUEST", "raise ImportError('no such library')\n")
    assert {task.name for task in select_tasks("all")} == OFFICIAL
    assert set(registry()) == SHIPPED
    assert "'cmbench_guest:GUEST' of group cmbench.tasks of distribution cmbench-guest is left out" in caplog.text
    assert "ImportError: no such library. Mend or uninstall it." in caplog.text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("cmbench_guest:NOTHING", "it gives int, not Task"),
        ("cmbench_guest:CLASH", "there is a 'lyra' already"),
        ("cmbench_guest:WORD", "'ready' is a word of --tasks"),
    ],
)
def test_a_wrong_entry_point_is_named_and_left_out(
    guest_folder: Path, value: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    distribution(guest_folder, value, GUEST)
    assert set(registry()) == SHIPPED
    assert f"{value!r} of group cmbench.tasks of distribution cmbench-guest is left out: {message}" in caplog.text
