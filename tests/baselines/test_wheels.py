"""Files of a Python package: found in the wheel and in its folders, and only if they are the right ones."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from cmbench.baselines.wheels import Wheel
from cmbench.errors import CmbenchError, UsageError

WHEEL = Wheel("some-package", "1.2", "some_package-1.2-py3-none-any.whl", "cmbench models prepare some", "MIT")
CONTENT = b"weights"
FACTS = ("some_package/data/w.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / WHEEL.file
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(FACTS[0], CONTENT)
    return path


def test_a_file_is_read_from_the_wheel_and_from_its_folders(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    for source in (wheel, tmp_path / "site", tmp_path / "site" / "some_package"):
        assert WHEEL.content(source, *FACTS) == CONTENT


@pytest.mark.parametrize("content", [b"weighty", b"weights and more"])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / WHEEL.file
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(FACTS[0], content)
    with pytest.raises(CmbenchError, match=r"data/w.bin is not that of some-package 1\.2 \(its hash differs\)"):
        WHEEL.content(path, *FACTS)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "site")
    with pytest.raises(CmbenchError, match="its hash differs"):
        WHEEL.content(tmp_path / "site", *FACTS)


def test_what_is_no_such_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no data/w\.bin; name the folder of the package some-package"):
        WHEEL.content(tmp_path, *FACTS)
    (tmp_path / "text.whl").write_text("no wheel")
    with pytest.raises(UsageError, match=r"not the wheel of some-package 1\.2"):
        WHEEL.content(tmp_path / "text.whl", *FACTS)


def test_pip_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        CmbenchError, match=f"Fetch the wheel {WHEEL.file} elsewhere, then: {WHEEL.command} --from FILE"
    ):
        WHEEL.fetched(lambda path: path)
