"""Carrying out a plan: downloads first, all of them, then the steps; one preparation at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from cmbench.errors import CmbenchError, Missing, MissingError, UsageError
from cmbench.tasks.choice import get_task
from cmbench.tasks.fetching import carry_out as carry_out_module
from cmbench.tasks.fetching import download as download_module
from cmbench.tasks.fetching.carry_out import LOCK, carry_out
from cmbench.tasks.fetching.unreachable import UnreachableError
from cmbench.tasks.preparing import Download, Plan, PrepareContext, Step


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "task"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in order; a download whose url names a fault fails."""
    names: list[str] = []

    def fetch(download: Download, context: PrepareContext) -> None:
        names.append(download.path.name)
        if download.url == "offline":
            raise MissingError([Missing(download.path.name, "", "", "", "")])
        if download.url == "full":
            raise UsageError("no room")
        if download.url.startswith("https://off"):
            raise UnreachableError(download.url, "no name")
        if download.url == "gone":
            raise CmbenchError(f"{download.path.name} is gone")

    monkeypatch.setattr(download_module, "fetch", fetch)
    return names


@pytest.fixture
def context(tmp_path: Path) -> PrepareContext:
    return PrepareContext(tmp_path, lambda prompt: "")


def plan_of(folder: Path, done: list[str], *urls: str) -> Plan:
    downloads = tuple(Download(url, folder / f"{i}", "CC0-1.0") for i, url in enumerate(urls))
    return Plan(downloads, (Step("unpack", lambda context: done.append("step")),))


def test_steps_come_after_all_downloads(folder: Path, done: list[str], context: PrepareContext) -> None:
    carry_out(plan_of(folder, done, "a", "b"), context, folder)
    assert done == ["0", "1", "step"]


def test_a_failed_download_lets_the_others_come_but_no_step(
    folder: Path, done: list[str], context: PrepareContext
) -> None:
    with pytest.raises(CmbenchError, match="2 of 3 downloads failed:\n0 is gone\n2 is gone"):
        carry_out(plan_of(folder, done, "gone", "a", "gone"), context, folder)
    assert done == ["0", "1", "2"]


def test_a_server_that_is_not_reached_is_not_asked_for_the_next_file(
    folder: Path, done: list[str], context: PrepareContext
) -> None:
    with pytest.raises(
        CmbenchError, match="2 of 3 downloads failed:\nhttps://off/a cannot be reached: no name"
    ) as error:
        carry_out(plan_of(folder, done, "https://off/a", "https://off/b", "https://other/c"), context, folder)
    assert done == ["0", "2"]
    assert "HTTPS_PROXY" in str(error.value)


def test_all_that_cannot_come_offline_is_named_at_once(folder: Path, done: list[str], context: PrepareContext) -> None:
    with pytest.raises(MissingError) as caught:
        carry_out(plan_of(folder, done, "offline", "a", "offline"), context, folder)
    assert [missing.what for missing in caught.value.missing] == ["0", "2"]


def test_a_full_disk_ends_it(folder: Path, done: list[str], context: PrepareContext) -> None:
    with pytest.raises(UsageError, match="no room"):
        carry_out(plan_of(folder, done, "full", "a"), context, folder)
    assert done == ["0"]


def test_room_is_asked_for_before_anything_but_not_for_what_is_there(
    folder: Path, done: list[str], context: PrepareContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(carry_out_module, "require_room", lambda where, size: asked.append(size))
    plan = plan_of(folder, done, "a", "b", "c")
    sized = tuple(replace(one, size=100) for one in plan.downloads)
    folder.mkdir()
    sized[0].path.write_bytes(b"x" * 100)
    sized[1].path.with_name("1.part").write_bytes(b"x" * 30)
    carry_out(replace(plan, downloads=sized, steps=(replace(plan.steps[0], size=7),)), context, folder)
    assert asked == [177]


def test_two_preparations_of_one_folder_are_refused(folder: Path, done: list[str], context: PrepareContext) -> None:
    folder.mkdir()
    with (
        FileLock(folder / LOCK),
        pytest.raises(UsageError, match="Another preparation is at work"),
    ):
        carry_out(plan_of(folder, done, "a"), context, folder)
    assert done == []


@pytest.mark.parametrize("name", ["lyra", "fma_medium", "magnatagatune"])
def test_a_source_that_a_task_does_not_know_is_refused(context: PrepareContext, name: str) -> None:
    task = get_task(name)
    assert task.prepare is not None
    with pytest.raises(UsageError, match=f"{name} has no source 'saraga'"):
        task.prepare(task, replace(context, source="saraga"))
