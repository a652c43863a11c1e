"""The sentences: what the numbers say, no more, and that nothing can be told where that is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from cmbench.benchmark.comparing.headline import headline
from cmbench.benchmark.comparing.paired import Level
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.headline.sentences import few, listed, sentences
from cmbench.tests.benchmark.comparing.test_headline import (
    BASE,
    CONTROL,
    HEIR,
    KNOWS,
    PLAIN,
    TASKS,
    judged,
    measured,
    permuted,
)

Build = Callable[..., Evidence]


def test_each_sentence_says_what_the_numbers_say(build_evidence: Build) -> None:
    leads, changes, gap, untold, controls = sentences(found := judged(measured(build_evidence)))
    assert f"Turkish {HEIR} (" in leads
    assert f"Western {BASE} (" in leads
    turkish, _, western = found.contests
    assert f"({100 * (turkish.scores[HEIR].value or 0):.1f})" in leads
    gained, lost = (100 * (one.changes[HEIR].change or 0) for one in (turkish, western))
    assert changes == (
        f"Adapting {BASE} to {HEIR} gained Turkish ({gained:+.1f}), forgot Western ({lost:+.1f}) and kept Greek within "
        "a point (test sample only)."
    )
    assert "can be told for" in gap
    assert f"({BASE})" in gap
    assert re.match(rf"Of 8 differences from {BASE} by task \d cannot be told from zero", untold)
    assert CONTROL in controls


def test_equal_models_make_every_sentence_say_that_nothing_can_be_told(build_evidence: Build) -> None:
    same = {name: dict.fromkeys(TASKS, 1.0) for name in (BASE, HEIR, PLAIN)}
    leads, changes, *_, untold = sentences(judged(measured(build_evidence, same)))
    assert leads == "No best model can be told on any tradition: all 3 are level."
    assert (
        changes
        == f"What adapting {BASE} to {HEIR} gained or forgot cannot be told on any tradition (test sample only)."
    )
    assert untold.startswith(f"None of the 8 differences from {BASE} by task can be told from zero")


def test_permuted_predictions_change_the_sentences(build_evidence: Build) -> None:
    whole = measured(build_evidence)
    before, after = (sentences(judged(found)) for found in (whole, permuted(whole)))
    assert f"Turkish {HEIR}" in before[0]
    assert f"Turkish {HEIR}" not in after[0]
    assert "forgot Turkish" in after[1]


def test_many_models_are_counted_and_the_extremes_named(build_evidence: Build) -> None:
    knows = {BASE: KNOWS[BASE], **{f"m{i}": KNOWS[HEIR if i else BASE] for i in range(5)}}
    told = sentences(judged(measured(build_evidence, knows)))
    assert told[1].startswith(f"Of 5 models compared with {BASE} 4 gained on some tradition (most: m1 on Turkish +")
    assert "and 4 lost on some tradition (most: m1 on Western -" in told[1]
    assert all(len(sentence.split()) < 70 for sentence in told)


def test_one_model_is_compared_with_nothing(build_evidence: Build) -> None:
    told = sentences(judged(measured(build_evidence, {PLAIN: KNOWS[PLAIN]}), PLAIN))
    assert told[0].startswith("By tradition (0 is chance, 100 a perfect ranking): Turkish mfcc (")
    assert not any("differences" in sentence for sentence in told)


def test_a_sample_has_no_leader_and_records_alone_tell_nothing(build_evidence: Build) -> None:
    sample = judged(measured(build_evidence, split="official-limit-40"))
    assert sentences(sample)[0] == "On a sample of the tracks no model is said to lead."
    (section,) = sections(e.record for e in measured(build_evidence))
    (only,) = sentences(headline(section, (), ""))
    assert "nothing can be told" in only
    assert sentences(replace(sample, contests=())) == (only,)


def test_words_are_listed() -> None:
    assert [listed("a"), listed("ab"), listed("abc")] == ["a", "a and b", "a, b and c"]


def test_it_is_said_where_there_is_no_interval_and_what_would_give_one() -> None:
    contests = [
        SimpleNamespace(tradition="turkish", scores={"a": Level(0.5)}),
        SimpleNamespace(tradition="greek", scores={"a": Level(0.5, 0.4, 0.6)}),
    ]
    found: Any = SimpleNamespace(section=SimpleNamespace(split="official"), contests=contests)
    assert few(found) == "No interval on Turkish: 5 groups of test tracks (albums, artists) are needed."
    found.contests = contests[1:]
    assert few(found) == ""


def test_of_each_control_it_is_said_who_cannot_be_told_from_it(build_evidence: Build) -> None:
    found, both = judged(measured(build_evidence)), frozenset({CONTROL, PLAIN})
    contests = [replace(one, controls=both, told=frozenset((n, CONTROL) for n in one.scores)) for one in found.contests]
    first = contests[0]
    contests[0] = replace(first, told=first.told | {(HEIR, PLAIN)})
    said = sentences(replace(found, controls=both, contests=tuple(contests)))[-1]
    assert CONTROL not in said
    where = listed([one.tradition.capitalize() for one in contests[1:]])
    assert said == f"Not told from {PLAIN}, which learnt nothing: {BASE} on every tradition; {HEIR} on {where}."
