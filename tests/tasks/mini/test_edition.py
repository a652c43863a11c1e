"""The rendered edition: what is on disk, that it is always the same, and that it can be interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from cmbench.errors import CmbenchError, UsageError
from cmbench.tasks.base import MINI_VERSION, LoadContext, Track
from cmbench.tasks.mini import edition, melody, mini_edition, stage, turkish
from cmbench.tasks.mini.corpus import FORMER, SECONDS, counts, plan
from cmbench.tasks.mini.labels import mini_labels

SCALE = 0.05
RENDERED = Path(__file__).with_name("rendered.json")
"""Version of the renderer -> task -> mean of the absolute samples of each third of two tracks."""
Splits = Mapping[str, Sequence[Track]]


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def load(task: str, root: Path, workers: int = 1, **more: object) -> Splits:
    context = LoadContext(None, root, workers=workers, mini_scale=SCALE, **more)  # type: ignore[arg-type]
    return edition.load_mini(task, context)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("cache")
    load("turkish_makam", folder)
    return folder


def folder_of(root: Path, task: str = "turkish_makam", seed: int = 0) -> Path:
    return edition.edition_folder(task, LoadContext(None, root, mini_scale=SCALE, mini_seed=seed))


def test_files_are_sound(root: Path) -> None:
    splits = load("turkish_makam", root)
    assert {name: len(tracks) for name, tracks in splits.items()} == counts(SCALE)
    for track in (t for tracks in splits.values() for t in tracks):
        info = soundfile.info(track.path)
        assert (info.samplerate, info.channels, info.subtype) == (24000, 1, "PCM_16")
        assert info.frames / 24000 in SECONDS
        samples, _ = soundfile.read(track.path)
        assert np.abs(samples).max() < 0.98
        assert np.sqrt(np.mean(samples**2)) > 0.003
        assert set(track.labels) <= set(mini_labels("turkish_makam"))


def test_a_finished_cache_is_only_read(root: Path) -> None:
    def never(what: str, done: int, total: int) -> None:
        raise AssertionError(what)

    before = {p.name: p.stat().st_mtime_ns for p in folder_of(root).iterdir()}
    load("turkish_makam", root, progress=never)
    assert {p.name: p.stat().st_mtime_ns for p in folder_of(root).iterdir()} == before


def test_a_missing_file_is_rendered_again_and_nothing_else(root: Path) -> None:
    folder = folder_of(root)
    before = digests(folder)
    kept = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.flac")}
    lost = sorted(kept)[3]
    (folder / lost).unlink()
    told: list[tuple[str, int, int]] = []
    load("turkish_makam", root, progress=lambda *report: told.append(report))
    assert digests(folder) == before
    assert {n for n, t in kept.items() if (folder / n).stat().st_mtime_ns != t} == {lost}
    total = sum(counts(SCALE).values())
    assert [(done, of) for _, done, of in told] == [(total - 1, total), (total, total)]


@pytest.mark.parametrize("name", ["train-000-1.flac", edition.MANIFEST])
def test_a_flipped_byte_is_named_and_mended(root: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_of(root)
    before, tracks = digests(folder), load("turkish_makam", root)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    assert load("turkish_makam", root) == tracks
    assert f"{folder / name} " in caplog.text
    assert digests(folder) == before


def test_an_edition_of_an_earlier_version_is_adopted(root: Path) -> None:
    """In 0.1.0 the manifest was ``tracks.csv`` and had no hashes."""
    folder = folder_of(root)
    before, tracks = digests(folder), load("turkish_makam", root)
    (folder / edition.MANIFEST).unlink()
    assert load("turkish_makam", root) == tracks
    assert digests(folder) == before


def test_music_without_labels_is_mended_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    context = LoadContext(None, tmp_path)
    tracks = edition.load_unlabelled("lyra", context, 12.0)
    first = tracks[0].path
    before = first.read_bytes()
    first.write_bytes(before[:-1] + b"x")
    assert edition.load_unlabelled("lyra", context, 1.0) == tracks[:1]
    assert first.read_bytes() == before
    assert f"{first} has changed" in caplog.text


def test_another_telling_has_the_same_melody_in_another_key_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked, staged = [], []

    def walk(*given: Any) -> Any:
        walked.append(melody.walk(*given))
        return walked[-1]

    def open_stage(*given: Any, **named: Any) -> Any:
        staged.append(stage.open_stage(*given, **named))
        return staged[-1]

    monkeypatch.setattr(turkish, "walk", walk)
    monkeypatch.setattr(turkish, "open_stage", open_stage)
    context = LoadContext(None, tmp_path)
    first, other = (edition.load_unlabelled("turkish_makam", context, 7.0, telling)[:1] for telling in (0, 1))
    assert [(t.id, t.group, t.seconds) for t in first] == [(t.id, t.group, t.seconds) for t in other]
    assert first[0].path != other[0].path
    assert len(walked) == 2
    assert walked[0] == walked[1]
    once, again = staged
    assert abs(np.log2(once.tonic / again.tonic)) > 0.01
    assert once.room != again.room
    named = ("oud", "ney", "kanun", "violin")
    assert [once.timbre(name) for name in named] != [again.timbre(name) for name in named]
    assert once.timbre("tambura") == again.timbre("tambura")
    assert soundfile.read(first[0].path)[0].shape == soundfile.read(other[0].path)[0].shape


def test_an_interruption_leaves_whole_files_and_goes_on(root: Path, tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load("turkish_makam", tmp_path, progress=stop)
    folder = folder_of(tmp_path)
    assert len(list(folder.iterdir())) == 3
    assert all(p.suffix == ".flac" for p in folder.iterdir())
    load("turkish_makam", tmp_path)
    assert digests(folder) == digests(folder_of(root))


def test_a_failed_track_leaves_no_part_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CmbenchError, match=r"No space left on device.*\.flac.*CMBENCH_CACHE"):
        load("turkish_makam", tmp_path)
    assert list(folder_of(tmp_path).iterdir()) == []


def test_another_seed_gives_other_audio(root: Path) -> None:
    one, other = (plan("turkish_makam", edition.tradition("turkish_makam"), seed, {"train": 4})[0] for seed in (0, 1))
    n = 6 * 24000
    assert not np.array_equal(edition.render_track(one)[:n], edition.render_track(other)[:n])


@pytest.mark.parametrize("version", [MINI_VERSION, FORMER])
@pytest.mark.parametrize("task", edition._MODULES)
def test_audio_changes_with_the_version_only(task: str, version: str) -> None:
    """What every third of two tracks sounds like, to five digits: floats differ by less between processors.

    After a change that is meant to be heard, raise ``MINI_VERSION``, let music without labels have a version of its own
    again (it has that of :data:`FORMER`) and run with ``CMBENCH_WRITE_GOLDEN=1``.
    """
    specs = plan(task, edition.tradition(task), 0, {"train": 4}, version)[:2]
    heard = [
        [float(f"{np.abs(third).mean(dtype=np.float64):.6g}") for third in np.array_split(edition.render_track(s), 3)]
        for s in specs
    ]
    known = json.loads(RENDERED.read_text(encoding="utf-8"))
    if os.environ.get("CMBENCH_WRITE_GOLDEN"):
        assert known.setdefault(version, {}).setdefault(task, heard) == heard, "raise MINI_VERSION first"
        RENDERED.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    np.testing.assert_allclose(heard, known[version][task], rtol=2e-5)


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(UsageError, match="Did you mean carnatic"):
        mini_edition("carnatik", ())


def test_naming_the_edition_imports_nothing_heavy() -> None:
    code = (
        "import sys; from cmbench.tasks.mini import mini_edition; mini_edition('lyra', ());"
        "print([m for m in ('numpy', 'scipy', 'soundfile', 'torch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_rendering_never_imports_torch() -> None:
    code = (
        "import sys; from cmbench.tasks.mini.edition import *; from cmbench.tasks.mini.corpus import plan;"
        "render_track(plan('carnatic', tradition('carnatic'), 0, {'train': 4})[0]);"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_two_workers_of_a_script_without_a_main_guard_write_the_same_bytes_as_one(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from cmbench.tasks import LoadContext, get_task\n"
        "print('once')\n"
        f"context = LoadContext(None, Path({str(tmp_path)!r}), workers=2, mini_scale={SCALE})\n"
        "get_task('turkish_makam').load('mini', context)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "once\n"
    once, again = digests(folder_of(root)), digests(folder_of(tmp_path))
    assert once == again
    assert len(once) == sum(counts(SCALE).values()) + 1
