"""Forged entries: whatever a submitter may change, somebody notices."""

from __future__ import annotations

import io
import json
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from cmbench.benchmark.records.predictions import predictions_bytes
from cmbench.cli import app
from cmbench.errors import UsageError
from cmbench.leaderboards.verification import verify as verify_module
from cmbench.leaderboards.verification.findings import UNVERIFIED, VERIFIED, Verification, report_json
from cmbench.leaderboards.verification.verify import verify

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import Forge, MakeEntry


def errors(found: list[Verification]) -> list[str]:
    return [f"{f.check}: {f.message}" for one in found for f in one.findings if f.severity == "error"]


def flags(found: list[Verification]) -> list[str]:
    return [f"{f.check}: {f.message}" for one in found for f in one.findings if f.severity == "flag"]


def refused(forged: Forge, *words: str) -> None:
    """The entry is refused, and the message has the words."""
    found = verify(forged.path)
    assert [one.badge for one in found] == [None]
    said = " ".join(errors(found))
    assert all(word in said for word in words), said


def test_an_honest_entry_is_rescored(make_entry: MakeEntry) -> None:
    found = verify(make_entry().save())
    assert errors(found) == []
    assert flags(found) == []
    assert (found[0].entry, found[0].badge, found[0].tasks) == ("honest/1", "rescored", {"lyra": VERIFIED})


@pytest.mark.parametrize("amount", [0.05, 2e-9, -0.01])
def test_a_changed_score(make_entry: MakeEntry, amount: float) -> None:
    forged = make_entry()
    forged.record["metrics"]["roc_auc"]["value"] += amount
    forged.save()
    refused(forged, "metrics.roc_auc.value is", "roc_auc is not the mean over its seeds")


def test_a_score_changed_with_all_that_depends_on_it(make_entry: MakeEntry) -> None:
    forged = make_entry()
    for label in forged.record["labels"]:
        label["roc_auc"] = 0.5 + label["roc_auc"] / 2
        label["roc_auc_interval"] = {"low": 0.0, "high": 1.0}
    value = float(np.mean([label["roc_auc"] for label in forged.record["labels"]]))
    forged.record["metrics"]["roc_auc"] |= {"value": value, "per_seed": [value] * 5}
    forged.record["metrics"]["roc_auc"]["interval"] = {"low": value - 0.01, "high": min(1.0, value + 0.01)}
    forged.save()
    found = errors(verify(forged.path))
    assert not any(f.startswith("identities") for f in found)
    assert any(f.startswith("scores: metrics.roc_auc") for f in found)


def test_a_narrower_interval(make_entry: MakeEntry) -> None:
    forged = make_entry()
    interval = forged.record["metrics"]["average_precision"]["interval"]
    interval["low"] += 0.001
    forged.save()
    refused(forged, "metrics.average_precision.interval.low")


def test_an_interval_beside_its_score(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.record["metrics"]["average_precision"]["interval"] = {"low": 0.0, "high": 0.01}
    forged.save()
    refused(forged, "the interval of average_precision does not contain it")


def test_swapped_labels(make_entry: MakeEntry) -> None:
    forged = make_entry()
    labels = forged.arrays["labels"]
    labels[0], labels[1] = labels[1], labels[0]
    forged.record["task"]["labels"] = labels
    forged.save()
    refused(forged, "its labels, or their order, are not the task's")


def test_swapped_columns_of_targets_scored_again(make_entry: MakeEntry) -> None:
    forged = make_entry()
    order = [1, 0, *range(2, len(forged.arrays["labels"]))]
    for name in ("targets", "probabilities"):
        forged.arrays[name] = forged.arrays[name][..., order]
    forged.score_again()
    forged.save()
    refused(forged, "its targets, or which are known, are not the task's labels")


def test_targets_bent_to_the_predictions(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.arrays["targets"] = forged.arrays["probabilities"].mean(axis=0) > 0.6
    forged.score_again()
    forged.save()
    refused(forged, "its targets, or which are known, are not the task's labels")


def test_invented_groups_make_no_narrower_intervals(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.arrays["groups"] = [f"g{i}" for i in range(len(forged.arrays["groups"]))]
    forged.score_again()
    forged.save()
    refused(forged, "its groups")


def _keep(forged: Forge, rows: list[int]) -> None:
    for name in ("track_ids", "groups"):
        forged.arrays[name] = [forged.arrays[name][i] for i in rows]
    forged.arrays["targets"] = forged.arrays["targets"][rows]
    forged.arrays["probabilities"] = forged.arrays["probabilities"][:, rows]
    forged.score_again()


def _count(forged: Forge, tracks: int) -> None:
    coverage = forged.record["coverage"]
    for counts in (coverage["asked"], coverage["used"], forged.record["task"]["tracks"]):
        counts["test"] = tracks


def test_a_missing_track(make_entry: MakeEntry) -> None:
    forged = make_entry()
    _keep(forged, list(range(1, len(forged.arrays["track_ids"]))))
    forged.save()
    refused(forged, "79 test tracks are predicted, but 80 were used")


def test_a_missing_track_hidden_in_the_counts(make_entry: MakeEntry) -> None:
    forged = make_entry()
    _keep(forged, list(range(1, len(forged.arrays["track_ids"]))))
    for counts in (
        forged.record["coverage"]["asked"],
        forged.record["coverage"]["used"],
        forged.record["task"]["tracks"],
    ):
        counts["test"] = 79
    forged.save()
    refused(forged, "1 test tracks are missing")


def test_an_added_track(make_entry: MakeEntry) -> None:
    forged = make_entry()
    rows = list(range(len(forged.arrays["track_ids"])))
    _keep(forged, [*rows, 0])
    forged.arrays["track_ids"][-1] = "easy"
    for counts in (
        forged.record["coverage"]["asked"],
        forged.record["coverage"]["used"],
        forged.record["task"]["tracks"],
    ):
        counts["test"] = 81
    forged.save()
    refused(forged, "1 tracks are not of the test split, the first 'easy'")


def test_tracks_in_another_order(make_entry: MakeEntry) -> None:
    forged = make_entry()
    _keep(forged, [1, 0, *range(2, len(forged.arrays["track_ids"]))])
    forged.save()
    refused(forged, "not in the split's order")


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_probability(make_entry: MakeEntry, value: float) -> None:
    forged = make_entry()
    forged.arrays["probabilities"][2, 3, 4] = value
    forged.save()
    refused(forged, "a probability is not in [0, 1]")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_a_score_that_is_no_number(make_entry: MakeEntry, text: str) -> None:
    forged = make_entry()
    path = forged.save() / "records"
    file = next(path.iterdir())
    value = json.dumps(forged.record["cost"]["audio_seconds"])
    file.write_text(file.read_text().replace(f'"audio_seconds": {value}', f'"audio_seconds": {text}'))
    forged.seal()
    refused(forged, "number")


def test_another_models_predictions_without_its_record(make_entry: MakeEntry) -> None:
    other, forged = make_entry("other", seed=1), make_entry()
    forged.predictions = predictions_bytes(**other.arrays)
    forged.save()
    refused(forged, "scores: metrics.roc_auc")


@pytest.mark.parametrize("disguise", ["none", "noise", "monotone"])
def test_another_models_predictions(make_entry: MakeEntry, disguise: str) -> None:
    make_entry("original", seed=3).save()
    forged = make_entry("copy", seed=3)
    values = forged.arrays["probabilities"]
    if disguise == "noise":
        values = np.clip(values + np.random.default_rng(0).normal(0, 1e-6, values.shape), 0, 1).astype(np.float32)
    elif disguise == "monotone":
        values = (values * 0.5).astype(np.float32)
    forged.arrays["probabilities"] = values
    forged.score_again()
    forged.save()
    found = verify(forged.path)
    assert errors(found) == []
    assert any("the predictions are those of original/1" in f for f in flags(found))


def test_different_models_are_not_taken_for_copies(make_entry: MakeEntry) -> None:
    make_entry("original", seed=3).save()
    assert flags(verify(make_entry("own", seed=4).save())) == []


def test_a_file_of_another_hash(make_entry: MakeEntry) -> None:
    forged = make_entry()
    file = forged.save() / "card.md"
    file.write_bytes(file.read_bytes().replace(b"model", b"MODEL"))
    refused(forged, "card.md: it is not the file of the manifest")


def _npz(header: bytes, body: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("track_ids", "groups", "labels", "targets", "probabilities"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1073741824,)}\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 4294967296, 4294967296)}\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}\n",
        b"__import__('os').system('true')\n",
        b"{" * 5000 + b"\n",
    ],
)
def test_a_header_that_promises_what_does_not_follow(make_entry: MakeEntry, header: bytes) -> None:
    forged = make_entry()
    forged.predictions = _npz(header, b"1234")
    forged.save()
    refused(forged, "not a predictions file")


def test_a_bomb(make_entry: MakeEntry) -> None:
    forged = make_entry()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("targets.npy", bytes(70 * 2**20))
    forged.predictions = buffer.getvalue()
    forged.save()
    refused(forged, "its arrays would take 0.07 GiB")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_that_claims_to_be_small(make_entry: MakeEntry, method: int) -> None:
    forged = make_entry()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("track_ids.npy", bytes(80 * 2**20))
    bomb = bytearray(buffer.getvalue())
    # The size in the local header and in the directory: offsets 22 and 24 of APPNOTE.TXT, 4.3.7 and 4.3.12.
    for start in (22, bomb.rfind(b"PK\x01\x02") + 24):
        bomb[start : start + 4] = struct.pack("<I", 1000)
    forged.predictions = bytes(bomb)
    forged.save()
    tracemalloc.start()
    try:
        refused(forged, "not a predictions file")
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()


def test_one_that_poses_as_a_version_hides_nobody(make_entry: MakeEntry, entries: Path) -> None:
    poses = make_entry("entries", "posing", seed=1)
    poses.path = entries / "posing"
    poses.save()
    forged = make_entry("forged", seed=2)
    forged.record["metrics"]["f1_micro"]["value"] = 0.99
    forged.save()
    found = verify(entries)
    assert not any(one.sound for one in found)
    assert any("'card.md' is not the folder of an entry" in f for f in errors(found)), errors(found)


@pytest.mark.parametrize(
    ("part", "name", "value", "word"),
    [
        ("cost", "encode_seconds", 1e308, "its cost"),
        ("cost", "audio_seconds", -1.0, "its cost"),
        ("environment", "device_name", "x" * 10**6, "the device is longer"),
        ("model", "source", "a\nb", "the model's source is longer"),
    ],
)
def test_what_would_spoil_a_page(make_entry: MakeEntry, part: str, name: str, value: object, word: str) -> None:
    forged = make_entry()
    forged.record[part][name] = value
    forged.save()
    refused(forged, word)


@pytest.mark.parametrize("name", ["../outside.json", "/etc/hostname", "records/../../x", "records\\x", "a\u202eb"])
def test_a_manifest_cannot_lead_outside(make_entry: MakeEntry, name: str) -> None:
    forged = make_entry()
    manifest = forged.save() / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    manifest.write_text(json.dumps(content))
    (forged.path.parent / "outside.json").write_text("x")
    refused(forged)


@pytest.mark.parametrize("where", ["card.md", "records", "submission.json"])
def test_links_are_not_followed(make_entry: MakeEntry, tmp_path: Path, where: str) -> None:
    forged = make_entry()
    original = forged.save() / where
    moved = tmp_path / "elsewhere"
    shutil.move(original, moved)
    original.symlink_to(moved)
    refused(forged, "it is a link or a device")


def test_a_yaml_tag_is_not_executed(make_entry: MakeEntry, tmp_path: Path) -> None:
    forged = make_entry()
    witness = tmp_path / "witness"
    forged.card = f"---\nlicense: !!python/object/apply:os.mkdir ['{witness}']\n---\n".encode()
    forged.save()
    refused(forged, "the YAML tag 'tag:yaml.org,2002:python/object/apply:os.mkdir'")
    assert not witness.exists()


@pytest.mark.parametrize("version", ["0.9", "1.4", "2.0", ""])
def test_a_stale_schema(make_entry: MakeEntry, version: str) -> None:
    forged = make_entry()
    forged.record["schema_version"] = version
    forged.save()
    refused(forged, "is not a cmbench record of schema 1.0 or 1.1")


@pytest.mark.parametrize("name", ["ＭＥＲＴ", "MЕRT", "mert\u200b", "mert\u202etrem", "..", "a b", "-rf", "é"])
def test_names_that_look_like_others(make_entry: MakeEntry, name: str) -> None:
    forged = make_entry()
    forged.submission["name"] = name
    forged.save()
    refused(forged)


@pytest.mark.parametrize("other", ["mert-NANO", "MERT_nano", "MERTnano", "MERT--nano"])
def test_names_that_are_one_to_a_reader(make_entry: MakeEntry, entries: Path, other: str) -> None:
    make_entry("MERT-nano", seed=1).save()
    make_entry(other, seed=2).save()
    assert any("are called the same but for case" in f for f in errors(verify(entries)))


def test_invisible_text_in_a_submission(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.submission["contact"] = "me\u202e@example.org"
    forged.save()
    refused(forged, "invisible character U+202E")


def test_a_protocol_of_ones_own(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.record["protocol"]["settings"]["resamples"] = 10
    forged.save()
    refused(forged, "its settings are not those of the protocol cmbench-1")


def test_a_model_trained_on_the_tasks_source_is_flagged(make_entry: MakeEntry) -> None:
    found = verify(make_entry(corpora=["Lyra, all of it"]).save())
    assert any("trained on 'Lyra, all of it'" in f for f in flags(found))


def test_without_labels_it_says_so(make_entry: MakeEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, forged = make_entry("first", seed=1), make_entry("second", seed=2)
    honest.save()
    monkeypatch.setattr(verify_module, "own_data", lambda *_: None)
    found = verify(honest.path)
    assert found[0].sound
    assert found[0].tasks == {"lyra": UNVERIFIED}
    forged.arrays["targets"] = ~forged.arrays["targets"]
    forged.score_again()
    forged.save()
    refused(forged, "its targets or groups are not those of 'first' on the same split")


def test_a_folder_of_entries_and_its_report(make_entry: MakeEntry, entries: Path, tmp_path: Path) -> None:
    make_entry("one", seed=1).save()
    bad = make_entry("two", seed=2)
    bad.record["metrics"]["f1_micro"]["value"] = 0.99
    bad.save()
    report = tmp_path / "report.json"
    done = CliRunner().invoke(app, ["leaderboard", "verify", str(entries), "--json", str(report)])
    assert done.exit_code == 1
    assert "one/1: rescored" in done.output
    assert "two/1: refused" in done.output
    said = json.loads(report.read_text())
    assert said["sound"] is False
    assert [(one["entry"], one["sound"]) for one in said["entries"]] == [("one/1", True), ("two/1", False)]
    assert said == json.loads(json.dumps(report_json(verify(entries))))
    assert CliRunner().invoke(app, ["leaderboard", "verify", str(entries / "one" / "1")]).exit_code == 0


def test_all_versions_of_one_name(make_entry: MakeEntry, entries: Path) -> None:
    make_entry("one", "1", seed=1).save()
    make_entry("one", "2", seed=2).save()
    make_entry("two", seed=3).save()
    assert [one.entry for one in verify(entries / "one")] == ["one/1", "one/2"]


def test_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        verify(tmp_path / "nowhere")
