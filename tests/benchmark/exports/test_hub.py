"""``export hf``: from a name to a folder that loads, with a card that says what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from cmbench import load_model
from cmbench.baselines import LoadOptions
from cmbench.baselines.hub.about import weights_sha256
from cmbench.baselines.network import Network, open_network
from cmbench.benchmark.exports.hub import export_hf
from cmbench.benchmark.records.record import Record
from cmbench.errors import MissingError, UsageError

CPU = LoadOptions(device="cpu", offline=True)


def front_matter(folder: Path) -> dict[str, object]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    content: dict[str, object] = yaml.safe_load(text.split("---\n")[1])
    return content


def test_an_exported_model_computes_the_same(tmp_path: Path) -> None:
    once = export_hf(open_network("random-mert-nano", CPU), tmp_path / "once")
    twice = export_hf(open_network(str(once), CPU), tmp_path / "twice")
    audio = np.random.default_rng(0).standard_normal((1, 24_000)).astype(np.float32)
    features = [load_model(m).encode(audio) for m in ("random-mert-nano", str(once), str(twice))]
    assert np.array_equal(features[0], features[1])
    assert np.array_equal(features[0], features[2])
    assert front_matter(once)["license"] == "apache-2.0"
    assert "model-index" not in front_matter(once)


def of_model(record: Record, model: Network) -> Record:
    who = {"name": model.name, "weights_sha256": weights_sha256(model.checkpoint.weights)}
    return record.model_copy(update={"model": record.model.model_copy(update=who)})


def test_scores_go_into_the_card_and_mini_never_beside_real(
    tmp_path: Path, build_record: Callable[..., Record]
) -> None:
    model = open_network("random-mert-nano", CPU)
    real = [of_model(build_record("MERT-v1-95M", "lyra"), model)]
    mini = [of_model(build_record("MERT-v1-95M", "lyra", edition="mini"), model)]
    both = export_hf(model, tmp_path / "both", [*real, *mini], eval_dataset="owner/bench")
    assert "model-index" in front_matter(both)
    assert "mini" not in (both / "README.md").read_text()
    assert "mini" not in (both / ".eval_results" / "cmbench.yaml").read_text()
    ours = [of_model(build_record("MERT-v1-95M", "carnatic", edition="custom"), model)]
    mixed = export_hf(model, tmp_path / "mixed", [*real, *ours, *mini])
    assert "Measured by cmbench, full and custom edition" in (mixed / "README.md").read_text()
    assert "(custom)" in (mixed / "README.md").read_text()
    only = export_hf(model, tmp_path / "only", mini)
    assert "mini (synthetic) edition" in (only / "README.md").read_text()
    assert not (only / ".eval_results").exists()
    with pytest.raises(UsageError, match="None of the records is of random-mert-nano"):
        export_hf(model, tmp_path / "none", [build_record("MERT-v1-95M", "lyra")])
    other = real[0].model_copy(update={"model": real[0].model.model_copy(update={"weights_sha256": "0" * 64})})
    with pytest.raises(UsageError, match="random-mert-nano on lyra was made with other weights"):
        export_hf(model, tmp_path / "other", [*mini, other])
    assert not (tmp_path / "other").exists()


def test_what_cannot_be_exported_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UsageError, match="mfcc is not a MERT-shaped network"):
        open_network("mfcc", CPU)
    with pytest.raises(MissingError):
        open_network("CultureMERT-95M", CPU)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UsageError, match="only mert_model and hubert can be exported"):
        open_network(str(tmp_path), CPU)
