"""The package as it is imported: light, complete, typed."""

from __future__ import annotations

import json
import pydoc
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import cmbench
from cmbench.errors import MissingError, unknown_name
from cmbench.paths import cache_root, data_root, models_root

HEAVY = {
    *("torch", "torchmetrics", "transformers", "pandas", "scipy", "sklearn", "matplotlib", "soundfile", "pydantic"),
    *("numpy", "rich", "omegaconf", "yaml"),
}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport sys, json\nprint('\\n' + json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(out.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import cmbench",
        "import cmbench.tasks, cmbench.baselines",
        "import sys; sys.argv = ['cmbench', '--help']\n"
        "from cmbench.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass",
        "from cmbench.tasks import registry; registry()",
        "from cmbench.baselines import registry; registry()",
    ],
)
def test_names_and_help_load_nothing_heavy(code: str) -> None:
    assert loaded_after(code) & HEAVY == set()


def test_every_public_name_is_there() -> None:
    for name in cmbench._HOMES:
        assert getattr(cmbench, name) is not None
        assert name == "__version__" or name in str(cmbench.__doc__)
    assert set(cmbench.__all__) <= set(dir(cmbench)) <= set(cmbench._HOMES)


def test_help_shows_functions_first() -> None:
    text = pydoc.plain(pydoc.render_doc(cmbench))
    shown = [text.index(f"\n        {name}(") for name in ("run", "compare", "transfer")]
    assert max(shown) < text.index("PACKAGE CONTENTS")
    assert "\nCLASSES\n" not in text
    assert "\nFUNCTIONS\n" in text


def test_help_and_names_load_no_torchmetrics() -> None:
    code = "import pydoc, cmbench; pydoc.render_doc(cmbench)"
    assert loaded_after(code) & {"torchmetrics", "transformers", "sklearn", "torch"} == set()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cmbench.nothing  # noqa: B018


def test_the_package_is_marked_as_typed() -> None:
    assert (files("cmbench") / "py.typed").is_file()


def test_the_module_runs_as_a_program() -> None:
    out = subprocess.run([sys.executable, "-m", "cmbench", "--version"], capture_output=True, text=True, check=True)
    assert out.stdout == f"cmbench {cmbench.__version__}\n"


def test_folders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "c"))
    assert cache_root() == tmp_path / "c"
    assert models_root() == tmp_path / "c" / "models"
    assert data_root() is None
    monkeypatch.setenv("CMBENCH_DATA", str(tmp_path / "d"))
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path / "m"))
    assert (data_root(), data_root("x"), models_root()) == (tmp_path / "d", Path("x"), tmp_path / "m")
    monkeypatch.delenv("CMBENCH_CACHE")
    assert cache_root().name == "cmbench"


def test_a_wrong_name_brings_the_closest_ones() -> None:
    error: Any = unknown_name("task", "Lira", ["lyra", "carnatic"], "cmbench tasks")
    assert "Did you mean lyra?" in str(error)
    assert "Did you mean" not in str(unknown_name("task", "zzzz", ["lyra"], "cmbench tasks"))
    assert MissingError([]).exit_code == error.exit_code == 2
