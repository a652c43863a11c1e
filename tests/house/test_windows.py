"""What Windows does otherwise, done here: open files keep their names, folders cannot be opened, nothing is claimed.

The rules: a file that a process holds open or has mapped cannot be renamed, replaced or removed; ``rename`` never
replaces; a folder cannot be opened; only what was opened to be written can be synced; there is no ``fcntl``.
"""

from __future__ import annotations

import errno
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cmbench import files, run
from cmbench.files import name_on_any_disk, safe_name, whole_folder, write_atomically, write_folder_files
from cmbench.pretraining.training.checkpoints import Checkpoints, TrainingState

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="shows what a process holds on Linux only")


def held(path: Path) -> bool:
    """Whether this process has a file, or one below a folder, open or mapped."""
    where = str(path.absolute())
    handles = Path("/proc/self/fd")
    open_files = [str(one.readlink()) for one in handles.iterdir() if one.is_symlink()]
    mapped = [line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text().splitlines()]
    return any(one == where or one.startswith(where + "/") for one in (*open_files, *mapped))


def ours() -> bool:
    """Whether it is not the library of locks that asks: it has another implementation there."""
    return not any("filelock" in frame.filename for frame in traceback.extract_stack())


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Windows' rules, and what was refused by them."""
    refused: list[str] = []

    def refuse(what: str, path: Path) -> None:
        refused.append(f"{what} {path.name}")
        raise PermissionError(errno.EACCES, f"the process cannot {what} the file", str(path))

    def guarded(what: str, does: Callable[..., Any], replaces: bool = True) -> Callable[..., Any]:
        def guard(path: Any, *args: Any, **more: Any) -> Any:
            source, targets = Path(path), [Path(one) for one in args if isinstance(one, str | Path)]
            if ours() and (held(source) or any(held(one) for one in targets)):
                refuse(what, source)
            if not replaces and any(one.exists() for one in targets):
                raise FileExistsError(errno.EEXIST, "rename replaces nothing", str(targets[0]))
            return does(path, *args, **more)

        return guard

    opened, synced = os.open, os.fsync

    def open_file(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if isinstance(path, str | Path) and Path(path).is_dir() and "dir_fd" not in more and ours():
            refuse("open", Path(path))
        return opened(path, flags, *args, **more)

    def sync(handle: int) -> None:
        import fcntl as real

        if not real.fcntl(handle, real.F_GETFL) & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EBADF, "only what is written can be synced")
        synced(handle)

    import fcntl

    _ = fcntl  # loaded before it is hidden from the package
    monkeypatch.setattr(files, "POSIX", False)
    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", guarded("replace", Path.replace))
    monkeypatch.setattr(Path, "rename", guarded("rename", Path.rename, replaces=False))
    monkeypatch.setattr(Path, "unlink", guarded("remove", Path.unlink))
    # rmtree walks by handles of folders where it can; there it cannot.
    monkeypatch.setattr(shutil, "_use_fd_functions", False)
    return refused


def test_the_rules_are_those(windows: list[str], tmp_path: Path) -> None:
    file = tmp_path / "a"
    with file.open("wb") as open_file:
        open_file.write(b"1")
        with pytest.raises(PermissionError):
            file.replace(tmp_path / "b")
    (tmp_path / "b").write_text("2")
    with pytest.raises(FileExistsError):
        file.rename(tmp_path / "b")
    with pytest.raises(PermissionError):
        os.open(tmp_path, os.O_RDONLY)
    assert windows == ["replace a", f"open {tmp_path.name}"]


def test_files_and_folders_are_written_whole(windows: list[str], tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        write_atomically(tmp_path / "x.json", content)
        assert (tmp_path / "x.json").read_bytes() == content
        with whole_folder(tmp_path / "folder") as folder:
            (folder / "y").write_bytes(content)
        assert (tmp_path / "folder" / "y").read_bytes() == content
    write_folder_files(tmp_path / "new", {"a/b": b"3"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "new", "x.json"]
    assert windows == []


def test_a_run_and_the_same_again(windows: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBENCH_CACHE", str(tmp_path / "cache"))
    first = run("chroma", "lyra", edition="mini", mini_scale=0.1, out=tmp_path / "out", workers=1)
    forced = run("chroma", "lyra", edition="mini", mini_scale=0.1, out=tmp_path / "out", workers=1, force=True)
    assert [r.metrics for r in first] == [r.metrics for r in forced]
    assert windows == []


def test_checkpoints(windows: list[str], tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for step in (1, 2, 2, 3):
        kept.save(
            {"weight": torch.ones(step)}, {"step": torch.ones(1)}, TrainingState("r", "c", step=step), best=step == 1
        )
    kept.verify()
    assert kept.named() == {"last": "step-00000003", "best": "step-00000001"}
    assert windows == []


@pytest.mark.parametrize("name", ["con", "NUL.v2", "aux", "Com1", "lpt9.tar"])
def test_no_model_is_a_device(name: str) -> None:
    assert safe_name(name) == f"_{name}"
    assert safe_name(f"x{name}") == f"x{name}"


def test_names_that_some_disk_takes_for_one() -> None:
    assert name_on_any_disk("MERT-Nano") == name_on_any_disk("mert-nano")
    assert name_on_any_disk("\u015eARKI") == name_on_any_disk("\u015farki")
    assert name_on_any_disk("mert") != name_on_any_disk("mert2")
