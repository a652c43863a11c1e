"""Finding a model's files: the models folder, the hub's cache, the hub; and the words for each way to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cmbench.baselines import LoadOptions, load_encoder
from cmbench.baselines.mert import encoder
from cmbench.baselines.mert.checkpoint import NORMALISED
from cmbench.baselines.mert.network import random_weights
from cmbench.baselines.mert.shape import read_shape
from cmbench.baselines.registry import load_folder
from cmbench.cli import app
from cmbench.errors import MissingError, UsageError

CPU = LoadOptions(device="cpu", offline=True)


def save_tiny(folder: Path, **changes: Any) -> Path:
    """Write a small random model; every key that is not written has the default of HuBERT base."""
    from safetensors.torch import save_file

    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    config = {"model_type": "mert_model", "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16} | small | changes
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_weights(read_shape(config, folder), 0), folder / "model.safetensors")
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder and a hub cache that are both empty, and a hub that must not be asked."""
    import huggingface_hub.constants
    from huggingface_hub import HfApi

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(HfApi, "model_info", forbidden)
    return tmp_path / "models"


def test_named_model_in_the_models_folder(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoder._tell_licence.cache_clear()  # it is told once a process, and other tests load the model too
    save_tiny(models / "CultureMERT-95M", hidden_size=768, num_hidden_layers=12)
    card = load_encoder("CultureMERT-95M", CPU).card
    assert (card.name, card.licence, card.layers) == ("CultureMERT-95M", "CC BY-NC 4.0", 13)
    assert "CC BY-NC 4.0" in caplog.text
    forced = load_encoder("CultureMERT-95M@marble-norm", CPU).card
    assert forced.preprocessing == NORMALISED
    assert forced.fingerprint != card.fingerprint
    save_tiny(models / "MERT-v1-330M")
    with pytest.raises(UsageError, match="not MERT-v1-330M, which has 24 layers"):
        load_encoder("MERT-v1-330M", CPU)


def test_hub_cache_is_used_without_network(models: Path) -> None:
    commit = "12af15fef9d0ac838c3f475bfbbf26d2060dd4f5"
    for repository, revision in (("someone--something", "main"), ("someone--other", "refs/pr/3")):
        stored = models.parent / "hub" / f"models--{repository}"
        snapshot = save_tiny(stored / "snapshots" / commit)
        (snapshot / "preprocessor_config.json").write_text('{"sampling_rate": 24000}')
        (stored / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
        (stored / "refs" / revision).write_text(commit)
    card = load_encoder("hf:someone/something", LoadOptions(device="cpu")).card
    assert (card.name, card.source) == ("someone/something", f"hf:someone/something@{commit}")
    card = load_encoder("hf:someone/other@refs/pr/3", CPU).card
    assert card.source == f"hf:someone/other@{commit}"
    assert load_encoder(f"hf:someone/something@{commit}", CPU).card.source.endswith(commit)
    with pytest.raises(MissingError):
        load_encoder("hf:someone/something@v2", CPU)


def test_a_cache_without_preprocessor_is_completed(
    models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a program left that loads the network alone: whether there is a preprocessor is not known."""
    import huggingface_hub
    from huggingface_hub import HfApi

    commit = "c" * 40
    stored = models.parent / "hub" / "models--a--b"
    snapshot = save_tiny(stored / "snapshots" / commit)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(commit)
    assert load_encoder("hf:a/b", CPU).card.preprocessing.startswith("none")

    class Info:
        sha = commit
        siblings = ()

    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(HfApi, "model_info", unreachable)
    assert load_encoder("hf:a/b", LoadOptions(device="cpu")).card.preprocessing.startswith("none")
    assert "cannot be asked whether a/b has a preprocessor_config.json" in caplog.text

    look_up = huggingface_hub.snapshot_download

    def download(repository: str, **how: Any) -> str:
        if not how.get("local_files_only"):
            assert how["revision"] == commit
            (snapshot / "preprocessor_config.json").write_text('{"sampling_rate": 24000, "do_normalize": true}')
            return str(snapshot)
        return str(look_up(repository, **how))

    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: Info())
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load_encoder("hf:a/b", LoadOptions(device="cpu")).card.preprocessing == NORMALISED


def test_what_is_not_pinned_is_named_with_the_commit_that_came(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import huggingface_hub
    from huggingface_hub import HfApi

    commit, look_up, came = "c" * 40, huggingface_hub.snapshot_download, save_tiny(tmp_path / "came")

    class Info:
        sha = commit
        siblings = ()

    def download(repository: str, **how: Any) -> str:
        return str(look_up(repository, **how) if how.get("local_files_only") else came)

    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: Info())
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load_encoder("hf:a/b@" + commit, LoadOptions(device="cpu")).card.source == f"hf:a/b@{commit}"
    assert "not pinned" not in caplog.text
    assert load_encoder("hf:a/b", LoadOptions(device="cpu")).card.source == f"hf:a/b@{commit}"
    assert f"not pinned: commit {commit} was taken. The same again: --model hf:a/b@{commit}" in caplog.text


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("MERT-v1-95M", "pinned to 12af15fef9d0ac838c3f475bfbbf26d2060dd4f5"),
        ("MERT-v1-330M", "not pinned: the newest commit is taken"),
        ("CultureMERT-95M", "--model hf:ntua-slp/CultureMERT-95M@COMMIT"),
    ],
)
def test_a_model_that_is_not_here_says_which_commit_would_come(models: Path, name: str, says: str) -> None:
    shown = CliRunner().invoke(app, ["models", "show", name, "--offline"])
    assert isinstance(shown.exception, MissingError)
    assert says in shown.output


def test_a_snapshot_that_lacks_a_shard_is_not_taken_for_the_model(models: Path) -> None:
    commit = "c" * 40
    stored = models.parent / "hub" / "models--a--b"
    snapshot = save_tiny(stored / "snapshots" / commit)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(commit)
    shards = {"one": "model-00001-of-00002.safetensors", "two": "model-00002-of-00002.safetensors"}
    (snapshot / "model.safetensors").rename(snapshot / shards["one"])
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(MissingError, match="offline"):
        load_encoder("hf:a/b", CPU)


def test_a_copy_of_another_commit_is_left_aside(models: Path) -> None:
    folder = save_tiny(models / "a--b")
    note = folder / ".cache" / "huggingface" / "download" / "config.json.metadata"
    note.parent.mkdir(parents=True)
    note.write_text("a" * 40 + "\netag\n")
    assert load_encoder("hf:a/b@" + "a" * 40, CPU).card.source == "hf:a/b@" + "a" * 40
    assert load_encoder("hf:a/b", CPU).card.source == "hf:a/b@" + "a" * 40
    with pytest.raises(MissingError):
        load_encoder("hf:a/b@" + "b" * 40, CPU)


def test_offline_says_so_without_asking(models: Path) -> None:
    with pytest.raises(MissingError) as caught:
        load_encoder("MERT-v1-95M", CPU)
    (missing,) = caught.value.missing
    assert "offline" in missing.where
    assert str(models / "MERT-v1-95M") in missing.where
    assert missing.licence == "CC BY-NC 4.0"
    assert missing.command.startswith("hf download m-a-p/MERT-v1-95M --revision 12af15f")
    assert missing.source.startswith("hf:m-a-p/MERT-v1-95M@12af15f")
    assert str(models / "MERT-v1-95M") in missing.command


def _failures() -> dict[str, tuple[type[Exception], str]]:
    from huggingface_hub import errors

    # The client's HTTP library has its own exceptions, which are not OSErrors; which library depends on the release.
    connect = type("ConnectError", (Exception,), {"__module__": "httpx"})

    return {
        "gated": (errors.GatedRepoError, "gated"),
        "absent": (errors.RepositoryNotFoundError, "no repository 'a/b'"),
        "revision": (errors.RevisionNotFoundError, "no revision 'v9'"),
        "network": (connect, "cannot be reached"),
        "refused": (ConnectionError, "cannot be reached"),
        "forced offline": (errors.OfflineModeIsEnabled, "cannot be reached"),
    }


@pytest.mark.parametrize("case", ["gated", "absent", "revision", "network", "refused", "forced offline"])
def test_hub_failures_have_their_own_words(case: str, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    kind, words = _failures()[case]

    def fail(*_: object, **__: object) -> None:
        error = kind.__new__(kind)
        error.args = ("as the client says it",)
        raise error

    monkeypatch.setattr(HfApi, "model_info", fail)
    with pytest.raises(MissingError, match=words):
        load_encoder("hf:a/b@v9", LoadOptions(device="cpu"))


def test_programming_errors_are_not_taken_for_network_failures(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfApi

    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load_encoder("hf:a/b", LoadOptions(device="cpu"))


def test_fetching_pins_the_commit_and_takes_no_code(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub import HfApi

    class File:
        def __init__(self, name: str) -> None:
            self.rfilename = name

    class Info:
        sha = "c" * 40
        siblings = tuple(File(n) for n in ("config.json", "modeling_MERT.py", "pytorch_model.bin", "model.safetensors"))

    asked: dict[str, Any] = {}
    folder = save_tiny(models.parent / "fetched")

    def download(repository: str, **how: Any) -> str:
        if how.get("local_files_only"):
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        asked.update(how, repository=repository)
        return str(folder)

    monkeypatch.setattr(HfApi, "model_info", lambda *_, **__: Info())
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    card = load_encoder("hf:a/b", LoadOptions(device="cpu")).card
    assert card.source == "hf:a/b@" + "c" * 40
    assert asked["revision"] == "c" * 40
    assert {"config.json", "preprocessor_config.json", "README.md"} < set(asked["allow_patterns"])
    assert {"model.safetensors.index.json", "*.safetensors"} < set(asked["allow_patterns"])
    assert not [
        pattern for pattern in asked["allow_patterns"] if not pattern.endswith((".json", ".md", ".safetensors"))
    ]
    (folder / "model.safetensors").unlink()
    with pytest.raises(MissingError, match="holds no config"):
        load_encoder("hf:a/b", LoadOptions(device="cpu"))


def test_malformed_hub_names(models: Path) -> None:
    names = (
        "MERT",
        "a/b/c",
        "a/b c",
        "../..",
        "./b",
        "a/..",
        "a--b/c",
        "a/b.git",
        "é/b",
        "a/b@../../x",
        "a/b@-x",
        "-a/b",
    )
    for name in map("hf:{}".format, names):
        with pytest.raises(UsageError, match="hf:owner/name"):
            load_folder(name, CPU)
