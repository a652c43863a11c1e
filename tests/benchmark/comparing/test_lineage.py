"""Lineage: the base is who most descend from; what has learnt nothing is never chosen."""

from __future__ import annotations

from collections.abc import Callable

from cmbench.benchmark.comparing.lineage import Models, base_of, descendants, is_control, parents
from cmbench.benchmark.records.record import ModelPart, Record

Card = tuple[tuple[str, ...], str]
WESTERN = ("Western 1 h, mini",)


def models(build: Callable[..., Record], cards: dict[str, Card], **facts: object) -> Models:
    """Cards of models of one network, in the order in which they were named."""
    plain = {"layers": 5, "dim": 96, "sample_rate": 24_000, "parameters": 600_000, "family": "mert"} | facts
    return {
        name: build(name).model.model_copy(update={**plain, "trained_on": corpora, "description": said})
        for name, (corpora, said) in cards.items()
    }


def test_a_parent_is_named_by_the_description_or_the_corpora(build_record: Callable[..., Record]) -> None:
    found = models(
        build_record,
        {
            "MERT-v1": (("20,000 h",), "MERT."),
            "Culture-MERT-v1": (("20,000 h of music (MERT-v1)", "Lyra 50 h"), "After."),
            "told": (("not stated",), "MERT-v1 after continual pre-training."),
            "MERT-v1@bfloat16": (("20,000 h",), "MERT."),
            "other": (("not stated",), "Like MERT-v1-large, but not it."),
            "unstated": (("not stated",), "A folder."),
        },
    )
    above = parents(found)
    assert (above["Culture-MERT-v1"], above["told"]) == ("MERT-v1", "MERT-v1")
    assert not {"MERT-v1", "other", "unstated"} & above.keys()


def test_a_parent_is_who_has_the_first_corpora_and_the_same_network(build_record: Callable[..., Record]) -> None:
    cards: dict[str, Card] = {
        "second": ((*WESTERN, "Greek", "Turkish"), "A folder."),
        "base": (WESTERN, "A folder."),
        "first": ((*WESTERN, "Greek"), "A folder."),
        "apart": (("Greek", *WESTERN), "A folder."),
    }
    found = models(build_record, cards)
    assert parents(found) == {"second": "first", "first": "base"}
    assert descendants(found, "base") == ("second", "first")
    assert base_of(found) == "base", "two descend from it"
    wide = {**found, "first": found["first"].model_copy(update={"dim": 768})}
    assert parents(wide) == {"second": "base"}


def test_a_control_is_never_chosen_and_has_no_kin(build_record: Callable[..., Record]) -> None:
    twin = "MERT-nano's network with random weights."
    found = models(
        build_record, {"constant": ((), ""), "twin": ((), twin), "MERT-nano": (WESTERN, ""), "a": (WESTERN, "")}
    )
    assert [name for name, model in found.items() if is_control(model)] == ["constant", "twin"]
    assert base_of(found) == "MERT-nano", "the first as it was named, where none descends from another"
    assert parents(found) == {}
    assert base_of({"twin": found["twin"]}) == "twin"


def test_features_without_weights_are_no_control_and_random_weights_are(build_record: Callable[..., Record]) -> None:
    def card(**facts: object) -> ModelPart:
        return build_record("x").model.model_copy(update={"trained_on": (), **facts})

    assert not is_control(card(family="spectral", parameters=0))
    assert is_control(card(family="anchors", parameters=0))
    assert is_control(card(family="mert", parameters=1))
    assert not is_control(card(family="mert", parameters=1, trained_on=("not stated",)))
