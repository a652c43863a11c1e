"""Models from the hub, which is a double that speaks its interface; ``HF_ENDPOINT`` leads there.

The hub's client reads its address when it is imported, so every command is a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cmbench.baselines.mert.encoder import RELEASED
from cmbench.baselines.mert.network import HubertShape
from cmbench.tests.rehearsal import models
from cmbench.tests.rehearsal.corpus import Form
from cmbench.tests.rehearsal.hub import Hub
from cmbench.tests.rehearsal.web import serving

THIN = Form("thin", {}, 0.0, layers=2, hidden=48)
THICK = Form("thick", {}, 0.0, layers=4, hidden=384)
"""More bytes than the 10 MiB that the hub's client takes at a time: what it has is kept in such pieces."""

FILE = "model.safetensors"
Load = Callable[..., list[str]]

PROGRAM = """
import logging, sys
from cmbench.baselines import LoadOptions, load_encoder
from cmbench.baselines.mert import encoder
from cmbench.errors import MissingError

logging.basicConfig(stream=sys.stderr, format="%(message)s")
encoder._check_shape = lambda *_: None  # the doubles are shallow
for name in sys.argv[1:]:
    wanted, _, offline = name.partition(" ")
    try:
        print(load_encoder(wanted, LoadOptions(device="cpu", offline=bool(offline))).card.source)
    except MissingError as error:
        print(error.missing[0].where)
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    """An empty hub that answers."""
    with Hub() as made, serving(made):
        yield made


@pytest.fixture
def load(hub: Hub, tmp_path: Path) -> Load:
    """Loads models in a new process; gives where each came from, or why it did not, and what was logged."""
    home = tmp_path / "home"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGINGFACE_"))}
    environment = kept | {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "CMBENCH_MODELS": str(tmp_path / "models"),
    }

    def run(*names: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, timeout=200, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [*done.stdout.splitlines(), " ".join(done.stderr.split())]

    return run


def pinned(name: str) -> str:
    """The commit that cmbench asks for."""
    (found,) = (one.hub.revision for one in RELEASED if one.hub.name == name)
    assert found is not None
    return found


def test_the_pinned_commit_comes_whole_after_a_cut_and_is_then_there_offline(
    hub: Hub, load: Load, tmp_path: Path
) -> None:
    folder = models.save(tmp_path / "released", THICK, "MERT-v1-95M")
    (folder / "modeling_MERT.py").write_text("raise SystemExit('code of a repository was run')", encoding="utf-8")
    newest = hub.add("m-a-p/MERT-v1-95M", models.save(tmp_path / "newest", THIN, "CultureMERT-95M"), "main")
    commit = pinned("MERT-v1-95M")
    hub.folders[commit] = folder
    hub.repositories["m-a-p/MERT-v1-95M"][commit] = commit
    hub.cuts[FILE] = [12 * 2**20]
    assert commit != newest
    source = f"hf:m-a-p/MERT-v1-95M@{commit}"
    assert load("MERT-v1-95M")[0] == source
    ranges = [wanted for how, path, wanted in hub.asked if how == "GET" and path.endswith(FILE)]
    assert ranges == [None, f"bytes={10 * 2**20}-"]
    assert not any(path.endswith(".py") for _, path, _ in hub.asked)
    assert not any(newest in path or "/main/" in path for _, path, _ in hub.asked)
    hub.asked.clear()
    assert load("MERT-v1-95M offline", "MERT-v1-95M")[:2] == [source, source]
    assert hub.asked == []


def test_open_closed_absent_and_offline_are_told_apart(hub: Hub, load: Load, tmp_path: Path) -> None:
    commit = hub.add("ntua-slp/CultureMERT-95M", models.save(tmp_path / "it", THIN, "CultureMERT-95M"), "main")
    hub.add("ntua-slp/CultureMERT-TA-95M", tmp_path / "it", "main")
    hub.gated.add("ntua-slp/CultureMERT-TA-95M")
    cases = {
        "CultureMERT-95M offline": "offline mode forbids to fetch it",
        "CultureMERT-TA-95M": "is gated: accept its terms on its page",
        "hf:nobody/nothing": "the hub has no repository 'nobody/nothing' that you may see",
        "hf:ntua-slp/CultureMERT-95M@v9": "no revision 'v9' of it",
        "CultureMERT-95M": f"hf:ntua-slp/CultureMERT-95M@{commit}",
    }
    *said, logged = load(*cases)
    for line, expected in zip(said, cases.values(), strict=True):
        assert expected in line
    assert f"commit {commit} was taken" in logged  # no commit of it is pinned, so the one that came is named


def test_the_shallow_doubles_have_the_released_keys() -> None:
    """But for the number of layers: every name of a shallow double is one of the deep network's."""
    deep = {name.split(".layers.")[0] for name in HubertShape().tensors()}
    assert {name.split(".layers.")[0] for name in models.shape(THIN).tensors()} == deep
    names = set(models.weights(THIN, "MERT-v1-95M"))
    assert {"masked_spec_embed", "encoder.pos_conv_embed.conv.weight_g"} <= names
