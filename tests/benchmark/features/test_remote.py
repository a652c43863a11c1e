"""Features pushed and pulled: what arrives is what was made, and what is damaged or forged never arrives."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from safetensors.numpy import save

from cmbench.benchmark.features import store as store_module
from cmbench.benchmark.features.remote import Copied, RemoteError, pull, push
from cmbench.benchmark.features.store import FeatureStore, shard_name, store_folder
from cmbench.benchmark.features.stored import identify, read_piece
from cmbench.benchmark.features.upkeep import list_stores, store_folders, verify_store
from cmbench.benchmark.protocol import Windowing
from cmbench.errors import UsageError
from cmbench.files import sealed, sha256_of
from cmbench.tasks.base import Track
from cmbench.tests.conftest import Cmbench

BUCKET = "cmbench-test"


@pytest.fixture(params=["memory", "folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Somewhere else: in memory, a folder, and a bucket of moto's server where it and s3fs are installed."""
    if request.param == "memory":
        yield "memory://shared/features"
        fsspec.filesystem("memory").rm("/shared", recursive=True)
    elif request.param == "folder":
        yield str(tmp_path / "shared")
    else:
        pytest.importorskip("s3fs", reason="s3fs is not installed")
        server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer(port=0)
        server.start()
        with pytest.MonkeyPatch.context() as patch:
            host, port = server.get_host_and_port()
            patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
            patch.setenv("AWS_ACCESS_KEY_ID", "none")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "none")
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            fsspec.filesystem("s3").mkdir(BUCKET)
            yield f"s3://{BUCKET}/features"
            fsspec.filesystem("s3").clear_instance_cache()
        server.stop()


@pytest.fixture
def made(tmp_path: Path, make_task: Any, make_encoder: Any) -> tuple[FeatureStore, list[Track]]:
    """A store of two shards below ``tmp_path / "mine"``."""
    task, card = make_task(), make_encoder().card
    store = FeatureStore(store_folder(tmp_path / "mine", card, task, "custom", Windowing()), card.layers, card.dim)
    store.describe(card, task, "custom", Windowing())
    (tmp_path / "audio").mkdir()
    tracks = []
    for number in range(4):
        path = tmp_path / "audio" / f"{number}.wav"
        path.write_bytes(bytes([number]) * 100)
        tracks.append(Track(f"t{number}", path, ()))
    for part in (tracks[:2], tracks[2:]):
        stored = [replace(identify(t), rows=(2 * i, 2 * i + 2), seconds=1.0) for i, t in enumerate(part)]
        features = np.random.default_rng(len(part[0].id)).normal(size=(4, card.layers, card.dim))
        store.write(shard_name(part), features.astype(np.float16) + int(part[0].id[1]), stored, 0.5)
    return store, tracks


def features_of(store: FeatureStore, tracks: list[Track]) -> Any:
    entries = store.valid_entries(tracks)
    return store.view([entries[t.id] for t in tracks]).take(np.arange(2 * len(tracks)))


def test_what_is_pulled_is_what_was_pushed(url: str, made: Any, tmp_path: Path) -> None:
    store, tracks = made
    size = sum(p.stat().st_size for p in store.folder.glob("*.safetensors"))
    assert push(url, tmp_path / "mine") == Copied(1, 2, 0, size)
    assert push(url, tmp_path / "mine") == Copied(1, 0, 2, 0)
    assert pull(url, tmp_path / "theirs") == Copied(1, 2, 0, size)
    (folder,) = store_folders(tmp_path / "theirs")
    assert folder.relative_to(tmp_path / "theirs") == store.folder.relative_to(tmp_path / "mine")
    assert verify_store(folder) == []
    assert [s.encoder for s in list_stores(tmp_path / "theirs")] == ["counting"]
    shutil.copytree(tmp_path / "audio", tmp_path / "elsewhere")
    moved = [replace(t, path=tmp_path / "elsewhere" / t.path.name) for t in tracks]
    pulled = FeatureStore(folder, store.layers, store.dim)
    np.testing.assert_array_equal(features_of(pulled, moved), features_of(store, tracks))
    assert pull(url, tmp_path / "theirs") == Copied(1, 0, 2, 0)
    moved[0].path.write_bytes(b"x" * 100)
    assert set(pulled.valid_entries(moved)) == {"t1", "t2", "t3"}, "other audio of the same size has no features"


def test_no_path_of_a_machine_is_pushed(made: Any, tmp_path: Path) -> None:
    push(str(tmp_path / "shared"), tmp_path / "mine")
    texts = [path.read_text() for path in (tmp_path / "shared").rglob("*.json")]
    assert len(texts) == 3
    assert not any(str(tmp_path) in text or "audio/" in text for text in texts)
    assert sum('"path": "0.wav"' in text for text in texts) == 1


def test_a_broken_shard_is_not_pushed(made: Any, tmp_path: Path) -> None:
    store, _ = made
    shard = next(store.folder.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert push(str(tmp_path / "shared"), tmp_path / "mine").shards == 1


def test_what_was_cut_short_there_is_pushed_again(made: Any, tmp_path: Path) -> None:
    push(str(tmp_path / "shared"), tmp_path / "mine")
    shard = next((tmp_path / "shared" / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(RemoteError):
        pull(str(tmp_path / "shared"), tmp_path / "theirs")
    assert push(str(tmp_path / "shared"), tmp_path / "mine").shards == 1
    pull(str(tmp_path / "shared"), tmp_path / "theirs")


def test_what_is_here_and_sound_stays_and_what_is_broken_is_mended(made: Any, tmp_path: Path) -> None:
    store, tracks = made
    push(str(tmp_path / "shared"), tmp_path / "mine")
    expected = features_of(store, tracks)
    pieces = {path: path.read_bytes() for path in store.folder.glob("*.index.json")}
    first, second = sorted(store.folder.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.unlink()
    (store.folder / "about.json").unlink()
    store_module._open_shard.cache_clear()  # as in a process of its own
    assert pull(str(tmp_path / "shared"), tmp_path / "mine").shards == 2
    np.testing.assert_array_equal(features_of(store, tracks), expected)
    next(iter(pieces)).write_bytes(b"garbage")
    assert pull(str(tmp_path / "shared"), tmp_path / "mine").shards == 1
    assert verify_store(store.folder) == []


def forge_piece(shared: Path, **facts: Any) -> None:
    (path,) = (p for p in shared.glob("stores/*/*/*.index.json") if '"t0"' in p.read_text())
    path.write_text(json.dumps(sealed(json.loads(path.read_bytes()) | facts)))


def forge_shard(shared: Path, features: Any, name: str = "features") -> None:
    content = save({name: features})
    digest = sha256_of(content)
    (path,) = (p for p in shared.glob("stores/*/*/*.index.json") if '"t0"' in p.read_text())
    stem = path.name.removesuffix(".index.json")
    (shared / "shards" / f"{digest}.safetensors").write_bytes(content)
    forge_piece(shared, sha256=digest, bytes=len(content), shard=f"{stem}-{digest[:12]}.safetensors")


def forge_hash(shared: Path, sha256: str) -> None:
    """As in a piece of an earlier version, whose shard has no hash in its name."""
    (path,) = (p for p in shared.glob("stores/*/*/*.index.json") if '"t0"' in p.read_text())
    forge_piece(shared, sha256=sha256, shard=path.name.replace(".index.json", ".safetensors"))


def each_shard(shared: Path, change: Any) -> None:
    for shard in (shared / "shards").iterdir():
        content = change(shard.read_bytes())
        shard.unlink() if content is None else shard.write_bytes(content)


def forge_about(shared: Path, **encoder: Any) -> None:
    (path,) = shared.glob("stores/*/*/about.json")
    facts = json.loads(path.read_bytes())
    path.write_text(json.dumps(sealed(facts | {"encoder": facts["encoder"] | encoder})))


FORGED: dict[str, tuple[Any, str]] = {
    "cut short": (lambda s: each_shard(s, lambda c: c[:-1]), "safetensors was cut short: it has"),
    "longer": (lambda s: each_shard(s, lambda c: c + b"x"), "has more than the"),
    "flipped": (lambda s: each_shard(s, lambda c: c[:-1] + bytes([c[-1] ^ 1])), "is damaged or forged"),
    "gone": (lambda s: each_shard(s, lambda c: None), "is not there, but an index names it"),
    "encoder": (lambda s: forge_about(s, weights_sha256="1" * 64), "another encoder than its folder says"),
    "layers": (lambda s: forge_about(s, layers=3), "another encoder than its folder says"),
    "no encoder": (lambda s: forge_about(s, nonsense=3), "about.json cannot be used"),
    "shape": (lambda s: forge_shard(s, np.zeros((4, 2, 4), np.float16)), "not the rows that its index names"),
    "rows": (lambda s: forge_shard(s, np.zeros((3, 2, 3), np.float16)), "not the rows that its index names"),
    "precision": (lambda s: forge_shard(s, np.zeros((4, 2, 3), np.float32)), "holds F32"),
    "no features": (lambda s: forge_shard(s, np.zeros((4, 2, 3), np.float16), "x"), "holds no features"),
    "hash": (lambda s: forge_hash(s, "../../../../etc/passwd"), "index.json cannot be used"),
    "bytes": (lambda s: forge_piece(s, bytes="many"), "its numbers are no numbers"),
    "other shard": (lambda s: forge_piece(s, shard="../x.safetensors"), "it is that of another shard"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_damaged_or_forged_is_refused(what: str, made: Any, tmp_path: Path) -> None:
    push(str(tmp_path / "shared"), tmp_path / "mine")
    forge, words = FORGED[what]
    forge(tmp_path / "shared")
    with pytest.raises(RemoteError) as caught:
        pull(str(tmp_path / "shared"), tmp_path / "theirs")
    message = str(caught.value)
    assert words in message
    assert str(tmp_path / "shared") in message
    assert "push it again from where it was made, or let `cmbench run` compute it here." in message
    for folder in store_folders(tmp_path / "theirs"):
        assert verify_store(folder) == []
        assert not [p for p in folder.iterdir() if p.name.startswith(".")]
        held = {t.id for path in folder.glob("*.index.json") for t in read_piece(path).tracks}
        assert "t0" not in held


@pytest.mark.parametrize("ending", ["index.json", "about.json"])
def test_a_description_without_its_seal_is_refused(made: Any, tmp_path: Path, ending: str) -> None:
    push(str(tmp_path / "shared"), tmp_path / "mine")
    for path in (tmp_path / "shared").rglob(f"*{ending}"):
        facts = json.loads(path.read_bytes())
        path.write_text(json.dumps({key: value for key, value in facts.items() if key != "content_sha256"}))
    with pytest.raises(RemoteError, match=r"json cannot be used"):
        pull(str(tmp_path / "shared"), tmp_path / "theirs")


def test_a_place_without_features_and_an_unknown_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no features; `cmbench cache push"):
        pull(str(tmp_path), tmp_path / "theirs")
    with pytest.raises(UsageError, match="nowhere://x cannot be reached"):
        push("nowhere://x", tmp_path)


def test_the_commands_say_what_was_copied(cmbench: Cmbench, made: Any, tmp_path: Path, own_cache: Path) -> None:
    shutil.copytree(tmp_path / "mine", own_cache)
    assert "1 stores: 2 shards copied, 0.0 MB; 0 were there." in cmbench("cache", "push", str(tmp_path / "shared")).out
    shutil.rmtree(own_cache)
    assert "1 stores: 2 shards copied, 0.0 MB; 0 were here." in cmbench("cache", "pull", str(tmp_path / "shared")).out
    (tmp_path / "shared" / "shards").rename(tmp_path / "gone")
    shutil.rmtree(own_cache)
    assert "is not there" in cmbench("cache", "pull", str(tmp_path / "shared"), code=1).err
