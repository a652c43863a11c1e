"""Cross-checks: two statements that must agree, each changed alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cmbench.leaderboards.claims import SAID, SHOWN_BY_A_RUN, claims
from cmbench.leaderboards.entry import ENTRIES, Entry
from cmbench.leaderboards.listing import read_site
from cmbench.leaderboards.pages.board_json import board_json
from cmbench.leaderboards.pages.site import pages
from cmbench.leaderboards.reading import read_entry
from cmbench.leaderboards.verification.crosschecks import (
    check_identity,
    check_mini_ceiling,
    check_others,
    check_reproduced_cost,
    check_usable,
)
from cmbench.leaderboards.verification.verify import verify_entry

if TYPE_CHECKING:
    from cmbench.tests.leaderboards.conftest import Forge, MakeEntry

Change = Callable[[dict[str, Any]], object]


def found(forged: Forge, severity: str) -> list[str]:
    forged.save()
    return [f"{f.check}: {f.message}" for f in verify_entry(read_entry(forged.path)).findings if f.severity == severity]


def test_an_honest_entry_agrees_with_itself(make_entry: MakeEntry) -> None:
    assert found(make_entry(), "error") == []
    assert found(make_entry(), "flag") == []


CHANGES: dict[str, tuple[Change, str]] = {
    "weights": (lambda r: r["model"].update(weights_sha256="0" * 64), "hashes: its fingerprint is not that of"),
    "code": (lambda r: r["model"].update(code_version="77"), "hashes: its fingerprint is not that of"),
    "layer": (lambda r: r["model"].update(layer_names=["a"]), "selection: the layers listed are not"),
    "count": (lambda r: r["model"].update(layers=2), "selection: its count of layers"),
    "valid": (lambda r: r["selection"].update(valid_score=0.9), "selection: score or learning rate of the chosen"),
    "rate": (lambda r: r["layers"][0].update(learning_rate=7.0), "selection: a learning rate is not one of"),
    "epochs": (lambda r: r["selection"].update(epochs_per_seed=[1]), "selection: it does not say how many epochs"),
    "best": (
        lambda r: r["layers"].append(r["layers"][0] | {"layer": "fused", "score": 0.9}),
        "selection: the chosen layer is not the one",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_statement_is_refused(make_entry: MakeEntry, name: str) -> None:
    change, message = CHANGES[name]
    forged = make_entry()
    change(forged.record)
    assert any(one.startswith(message) for one in found(forged, "error"))


def test_a_part_that_was_edited_after_the_run(make_entry: MakeEntry) -> None:
    forged = make_entry()
    forged.save()
    (file,) = (forged.path / "records").iterdir()
    record = json.loads(file.read_text())
    record["model"]["source"] = "hf:me/mine"
    file.write_text(json.dumps(record))
    forged.seal()
    said = [f.message for f in verify_entry(read_entry(forged.path)).findings if f.severity == "error"]
    assert said == [
        "cell_sha256 is not the hash of its model, task and protocol: one of them was changed after the run."
    ]


@pytest.fixture(scope="module")
def mfcc() -> Entry:
    return read_entry(ENTRIES / "mfcc" / "1")


def altered(entry: Entry, which: int, **changes: Any) -> Entry:
    """The entry with parts of one of its records changed: part -> fields."""
    e = entry.evidence[which]
    parts = {name: getattr(e.record, name).model_copy(update=fields) for name, fields in changes.items()}
    made = list(entry.evidence)
    made[which] = replace(e, record=e.record.model_copy(update=parts))
    return replace(entry, evidence=tuple(made))


def messages(found: Any) -> list[str]:
    return [f"{f.severity}: {f.message}" for f in found]


def test_one_entry_is_one_model(mfcc: Entry) -> None:
    assert messages(check_identity(mfcc)) == []
    (said,) = messages(check_identity(altered(mfcc, 3, model={"weights_sha256": "0" * 64})))
    assert said.startswith("error: weights_sha256 of the model is another than in the record of carnatic")


@pytest.mark.parametrize(
    ("name", "level"), [("MFCC", "error"), ("MERT_nano", "flag"), ("MERT-v1-95M", "unverified"), ("mine", None)]
)
def test_names_of_others(make_entry: MakeEntry, name: str, level: str | None) -> None:
    entry = read_entry(make_entry(name).save())
    assert [f.severity for f in check_identity(entry)] == ([] if level is None else [level])


def test_weights_of_others(mfcc: Entry) -> None:
    (said,) = messages(check_identity(altered(replace(mfcc, evidence=mfcc.evidence[:1]), 0, model={"name": "mine"})))
    assert said == "flag: its weights are those of mfcc, under the name 'mine'."


def test_a_card_that_says_something_else(mfcc: Entry) -> None:
    assert messages(check_identity(replace(mfcc, card_facts={"license": "Apache-2.0"}))) == []
    (said,) = messages(check_identity(replace(mfcc, card_facts={"fingerprint": "abc"})))
    assert "its card says fingerprint 'abc'" in said


def test_tracks_that_others_used(mfcc: Entry) -> None:
    e = mfcc.evidence[0]
    failed = {"id": "t1", "split": "test", "file": "t1.wav", "reason": "damaged"}
    lost = e.record.coverage.model_copy(update={"failed": (type("Failed", (), failed)(),)})
    mini = replace(e, record=e.record.model_copy(update={"coverage": lost}))
    assert "every machine can render them" in messages(check_usable(mini, []))[0]
    task = e.record.task.model_copy(update={"edition": "full"})
    full = replace(e, record=mini.record.model_copy(update={"task": task}))
    assert messages(check_usable(full, [])) == []
    assert "that others used, the first 't1'" in messages(check_usable(full, [e]))[0]
    assert messages(check_usable(full, [full])) == []
    assert messages(check_usable(e, [e])) == []


def test_a_score_that_mini_does_not_allow(mfcc: Entry) -> None:
    e = mfcc.evidence[0]
    assert messages(check_mini_ceiling(e)) == []
    metrics = e.record.metrics | {"roc_auc": e.record.metrics["roc_auc"].model_copy(update={"value": 0.93})}
    (said,) = messages(check_mini_ceiling(replace(e, record=e.record.model_copy(update={"metrics": metrics}))))
    assert "above the plausible ceiling of mini" in said


def test_what_two_entries_say_of_one_thing(mfcc: Entry) -> None:
    chroma = read_entry(ENTRIES / "chroma" / "1")
    assert messages(check_others(mfcc, [chroma])) == []
    borrowed = chroma.submission.model_copy(update={"model_fingerprint": mfcc.submission.model_fingerprint})
    (said,) = messages(check_others(replace(chroma, submission=borrowed), [mfcc]))
    assert "it says to be the model of mfcc/1, whose predictions are others" in said
    for changes, message in (
        ({"cost": {"encode_seconds": 0.1}}, "its predictions are to the bit, and its cost is not, that of mfcc/1"),
        ({"cost": {"audio_seconds": 1.0}}, "it counts other seconds of audio than mfcc/1"),
        ({"task": {"audio_sha256": "0" * 64}}, "its audio has another hash than that of mfcc/1"),
    ):
        (said,) = messages(check_others(altered(mfcc, 0, **changes), [mfcc]))
        assert message in said


def test_a_cost_that_the_reproduction_does_not_bear_out(mfcc: Entry) -> None:
    reproduced = replace(mfcc, reproduced_evidence=mfcc.evidence)
    assert messages(check_reproduced_cost(reproduced)) == []
    assert messages(check_reproduced_cost(mfcc)) == []
    seconds = mfcc.evidence[0].record.cost.encode_seconds
    cheap = replace(altered(mfcc, 0, cost={"encode_seconds": seconds / 1000}), reproduced_evidence=mfcc.evidence)
    assert len(messages(check_reproduced_cost(cheap))) == (seconds > 1)


def test_claims_are_called_the_same_everywhere(make_entry: MakeEntry) -> None:
    root = make_entry("mine").save().parents[1]
    entry = read_entry(root / "mine" / "1")
    assert claims(entry) == (*SHOWN_BY_A_RUN, *SAID)
    site = read_site(root, resamples=20)
    said: Any = board_json(site)["entries"]
    assert said["mine/1"]["unverified"] == list(claims(entry))
    drawn = dict(pages(site))
    for page in ("entries/mine/1/index.html", f"boards/{site.boards[0].slug}/index.html"):
        text = drawn[page].split('id="unverified"')[1].replace("&#39;", "'")
        assert "; ".join(claims(entry)) in text
        assert "leaderboard reproduce" in text
    assert verify_entry(entry).unverified == claims(entry)
    assert claims(replace(entry, reproduction=object())) == SAID  # type: ignore[arg-type]
