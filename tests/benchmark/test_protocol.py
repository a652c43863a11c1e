"""Protocols: every value is in the hash, and a changed one has another name."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from cmbench.benchmark.protocol import PROTOCOLS, ProbeSettings, Protocol, Windowing, get_protocol
from cmbench.errors import UsageError


def other(value: Any) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return (*value, 7)
    return value + "x" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("field", [f.name for f in fields(ProbeSettings)])
def test_every_probe_setting_is_in_the_hash(field: str) -> None:
    protocol = get_protocol("cmbench-1")
    probe = replace(protocol.probe, **{field: other(getattr(protocol.probe, field))})
    assert replace(protocol, probe=probe).sha256 != protocol.sha256


@pytest.mark.parametrize("field", [f.name for f in fields(Windowing)])
def test_every_windowing_setting_is_in_both_hashes(field: str) -> None:
    protocol = get_protocol("cmbench-1")
    windowing = replace(protocol.windowing, **{field: other(getattr(protocol.windowing, field))})
    assert replace(protocol, windowing=windowing).sha256 != protocol.sha256
    assert windowing.sha256(None) != protocol.windowing.sha256(None)


@pytest.mark.parametrize("field", [f.name for f in fields(Protocol) if f.name not in ("windowing", "probe")])
def test_everything_but_names_and_words_is_in_the_hash(field: str) -> None:
    protocol = get_protocol("cmbench-1")
    changed = replace(protocol, **{field: other(getattr(protocol, field))}).sha256 != protocol.sha256
    assert changed == (field not in ("name", "origin"))


def test_the_cap_on_tracks_is_in_the_hash_of_the_windowing() -> None:
    assert len({Windowing().sha256(cap) for cap in (None, 30.0, 150.0)}) == 3


def test_other_seeds_make_another_protocol() -> None:
    protocol = get_protocol("cmbench-1")
    fewer = protocol.with_seeds(2)
    assert fewer.probe.seeds == (1, 2)
    assert fewer.name == "cmbench-1+seeds2"
    assert fewer.sha256 != protocol.sha256
    assert protocol.with_seeds(5) is protocol
    with pytest.raises(UsageError, match="at least 1"):
        protocol.with_seeds(0)


def test_protocols_know_their_names_and_differ() -> None:
    assert all(name == p.name for name, p in PROTOCOLS.items())
    assert len({p.sha256 for p in PROTOCOLS.values()}) == len(PROTOCOLS)
    with pytest.raises(UsageError, match="choose cmbench-1 or marble-1 or"):
        get_protocol("cmbench1")


def test_shipped_protocols_are_frozen() -> None:
    """A change of any value needs a new name: these hashes change only together with the names."""
    assert {name: p.sha256[:12] for name, p in PROTOCOLS.items()} == FROZEN


FROZEN = {
    "cmbench-1": "c02a68a61543",
    "marble-1": "d689e73aa215",
    "cmbench-2": "967fd5e1ff89",
    "marble-1.1": "48c550ddfcb7",
    "marble-2": "5eb95be443f1",
}


def test_a_later_choice_enters_the_hash_only_where_it_is_made() -> None:
    old = PROTOCOLS["cmbench-1"]
    changed = [
        replace(old, unknown="masked"),
        replace(old, intervals=2),
        replace(old, probe=replace(old.probe, batch_of="tracks")),
        replace(old, windowing=replace(old.windowing, limits="model")),
    ]
    assert len({p.sha256 for p in [old, *changed]}) == 5
    assert "unknown" not in old.settings
    assert changed[0].settings["unknown"] == "masked"
    assert old.windowing.sha256(None) != changed[3].windowing.sha256(None)


def test_windows_follow_a_model_where_the_protocol_says_so() -> None:
    same, model, longest = (Windowing(limits=limits) for limits in ("none", "model", "longest"))
    for windowing in (same, model, longest):
        assert windowing.of(None) == Windowing()
        assert windowing.of(30.0) == Windowing()
        # The features are those of the protocols before, and are read from their store.
        assert windowing.of(None).sha256(150.0) == Windowing().sha256(150.0)
    assert same.of(360.0) == model.of(360.0) == Windowing()
    assert longest.of(360.0) == Windowing(seconds=360.0, hop_seconds=360.0)
    assert model.of(5.0) == longest.of(5.0) == Windowing(seconds=5.0, hop_seconds=5.0)
    half = Windowing(hop_seconds=15.0, limits="model").of(5.0)
    assert (half.seconds, half.hop_seconds) == (5.0, 2.5)
    with pytest.raises(UsageError, match=r"at most 5 s, and the protocol gives 30 s to every model.*cmbench-2"):
        same.of(5.0)
    with pytest.raises(UsageError, match="not 'some'"):
        Windowing(limits="some").of(5.0)
