"""A run is asked for by a file, by key=value and by options: the same keys, and what comes later counts."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml

import cmbench
from cmbench.benchmark import run as run_module
from cmbench.benchmark.commands import run as command_module
from cmbench.benchmark.commands.run import run as run_command
from cmbench.benchmark.request import RESOLVED, RunRequest, as_yaml, read_request
from cmbench.errors import UsageError
from cmbench.tests.conftest import Cmbench

FILE = "model: mfcc,chroma\ntasks: [lyra]\nedition: mini\nseeds: 2\nout: ~/there\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Type in a folder that has a run file only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    Path("run.yaml").write_text(FILE, encoding="utf-8")


def test_keys_are_those_of_the_options_and_of_the_function() -> None:
    ours = {one.name: one for one in fields(RunRequest)}
    options = signature(run_command).parameters
    arguments = signature(cmbench.run).parameters
    assert (
        set(ours)
        == set(options) - {"context", "words", "plan", "as_json", "title", "details"}
        == set(arguments) - {"observer"}
    )
    plain = RunRequest()
    for key in set(ours) - {"model", "tasks"}:
        default = options[key].default
        assert getattr(plain, key) == (str(default) if isinstance(default, Path) else default)
        assert getattr(plain, key) == arguments[key].default


def test_later_words_and_options_count() -> None:
    asked = read_request(["run.yaml", "model=[constant]", "mini_scale=0.5"], {"seeds": 3, "data_root": Path("~/data")})
    assert (asked.model, asked.tasks, asked.edition, asked.seeds) == (["constant"], ["lyra"], "mini", 3)
    assert (asked.mini_scale, asked.out, asked.data_root) == (0.5, "/home/me/there", "/home/me/data")
    assert read_request(["run.yaml"], {}).model == ["mfcc", "chroma"]
    assert read_request([], {"model": ["a,b"], "tasks": ["all"]}) == RunRequest(["a", "b"], ["all"])


def test_what_was_asked_for_is_a_run_file() -> None:
    asked = read_request(["run.yaml", "limit=30"], {})
    Path("again.yaml").write_text(as_yaml(asked), encoding="utf-8")
    assert read_request(["again.yaml"], {}) == asked


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["modle=mfcc"], "a run has no key 'modle'; the closest is 'model'"),
        (["run.yaml", "seeds=few"], "seeds should be a whole number, not 'few'; write it like seeds=3"),
        (["model=mfcc"], "tasks: none is named. Say --tasks all, or tasks=all"),
        (["tasks=all"], "model: none is named"),
        (["nowhere.yaml"], "there is no such file. Write one with the keys model, tasks"),
        (["mfcc"], "neither a .yaml file nor key=value; for a model say --model mfcc"),
        (["run.yaml", "limit=2"], "limit should be at least 3, not 2"),
        (["run.yaml", "edition=[mini]"], r"edition should be a text, not \['mini'\]"),
        (["model=a", "tasks=b", "workers=0"], "workers should be at least 1, not 0; write it like workers=2"),
        (["model=a", "tasks=b", "seeds=-1"], "seeds should be at least 1"),
        (["model=a", "tasks=b", "mini-scale=-1"], "mini_scale should be above 0, not -1"),
        (["model=a", "tasks=no"], 'tasks should be a text, not False; write it like tasks: "False"'),
        (["plan=true"], "plan is an option of the command line only: --plan"),
    ],
)
def test_errors_speak_of_the_key(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_request(words, {})


def test_the_command_hands_all_of_it_on(cmbench: Cmbench, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def stand_in(**arguments: Any) -> None:
        given.update(arguments)
        raise UsageError("far enough")

    monkeypatch.setattr(run_module, "run", stand_in)
    said = cmbench("run", "run.yaml", "tasks=carnatic", "--model", "chroma", "--offline", "--out", "x", code=2)
    assert (given["model"], given["tasks"], given["offline"], given["out"]) == (["chroma"], ["carnatic"], True, "x")
    assert (given["edition"], given["seeds"], given["protocol"]) == ("mini", 2, "cmbench-2")
    assert yaml.safe_load(said.err.partition("Error:")[0]) == {k: v for k, v in given.items() if k != "observer"}
    cmbench("run", "--model", "chroma", "--tasks", "lyra", code=2)
    assert (given["edition"], given["out"], given["offline"]) == (None, "results", False)


def test_it_is_kept_beside_the_results(cmbench: Cmbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "run", lambda **arguments: [])
    monkeypatch.setattr(command_module, "_show", lambda *given: None)
    words = ("model=constant", "tasks=hindustani", "edition=mini", "mini_scale=0.05", "out=x")
    cmbench("run", *words, "--plan")
    cmbench("run", "--model", "constant", "--tasks", "hindustani", "--out", "x")
    assert not Path("x").exists()
    cmbench("run", *words)
    assert read_request([f"x/{RESOLVED}"], {}) == read_request(words, {})
