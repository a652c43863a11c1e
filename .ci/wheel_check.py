"""What the wheel holds: run by ``.ci/run`` outside the checkout, with an interpreter that has the wheel installed.

``python wheel_check.py CHECKOUT`` imports every module, runs the program in both ways, and holds the installed files
against those of the checkout, which is not imported.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

sys.path[:] = [path for path in sys.path if "__editable__" not in path]

LEFT_OUT = (".ci", ".github", "docs", "tests", "leaderboards/entries", "leaderboards/successors.json")
"""What of the repository is not shipped: what makes and describes the package, and the entries of the board."""

EXTRAS = ("tensorboard", "nnAudio", "librosa", "pytest")
"""Hidden from the imports: what only extras and the tests ask for. Modules that want it import it when they run."""


def tracked(checkout: Path) -> Iterator[PurePosixPath]:
    """Yield every file of the package that git knows, source and data."""
    words = ["git", "ls-files", "-z"]
    listed = subprocess.run(words, cwd=checkout, check=True, capture_output=True, text=True)  # noqa: S603
    for name in filter(None, listed.stdout.split("\0")):
        file = PurePosixPath(name)
        top = len(file.parts) == 1 and file.suffix != ".py" and file.name != "py.typed"
        if not top and not any(file.is_relative_to(folder) for folder in LEFT_OUT):
            yield file


def fail(problem: str) -> None:
    """Stop with what is wrong."""
    sys.exit(f"the wheel: {problem}")


def import_all() -> int:
    """Import every module of the installed package; return how many there are."""
    import cmbench

    place = Path(cmbench.__file__).resolve()
    if not place.is_relative_to(Path(sys.prefix).resolve()):
        fail(f"imported from {place}, not from the wheel")

    def stop(name: str) -> None:
        raise ImportError(name)

    names = [found.name for found in pkgutil.walk_packages(cmbench.__path__, "cmbench.", onerror=stop)]
    for name in names:
        importlib.import_module(name)
    return len(names)


def compare_files(checkout: Path) -> int:
    """Hold the installed files against the tracked ones; return how many there are."""
    import cmbench

    root = Path(cmbench.__file__).parent
    there = {
        PurePosixPath(file.relative_to(root).as_posix())
        for file in root.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    wanted = set(tracked(checkout))
    if lacking := sorted(map(str, wanted - there)):
        fail(f"lacks {', '.join(lacking)}; see packages and package-data in pyproject.toml")
    if foreign := sorted(map(str, there - wanted)):
        fail(f"holds {', '.join(foreign)}, which git does not know")
    for file in wanted:
        if (root / file).read_bytes() != (checkout / file).read_bytes():
            fail(f"{file} is not that of the checkout")
    return len(wanted)


def run_program(version: str) -> None:
    """Run the program as a module and as a script."""
    script = Path(sys.prefix) / "bin" / "cmbench"
    for program in ([sys.executable, "-m", "cmbench"], [str(script)]):
        for words in (["--version"], ["tasks"], ["models"], ["report", "--help"], ["models", "show", "MERT-nano"]):
            out = subprocess.run([*program, *words], check=False, capture_output=True, text=True)  # noqa: S603
            if out.returncode or (words == ["--version"] and out.stdout != f"cmbench {version}\n"):
                fail(f"{' '.join([*program, *words])} gives {out.returncode}: {out.stdout}{out.stderr}")


def main() -> None:
    """Check everything."""
    checkout = Path(sys.argv[1]).resolve()
    # It loads librosa where that is installed, and cannot if it is only hidden.
    importlib.import_module("torchmetrics")
    sys.modules.update(dict.fromkeys(EXTRAS))
    modules = import_all()
    files = compare_files(checkout)
    import cmbench

    run_program(cmbench.__version__)
    named = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    print(f"cmbench {cmbench.__version__}: the wheel has {len(named)} packages, {modules} modules, {files} files")


if __name__ == "__main__":
    main()
