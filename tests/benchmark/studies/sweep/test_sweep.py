"""A sweep: which scales, evaluated once, chosen on validation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmbench.baselines import LoadOptions, load_encoder
from cmbench.baselines.mert.checkpoint import Preprocessor
from cmbench.baselines.mert.folder import write_folder
from cmbench.baselines.mert.network import HubertShape, random_weights
from cmbench.benchmark.comparing.transfer import cultures_of
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.records.record import Record, write_record
from cmbench.benchmark.studies.sweep.sweep import Request, Sweep, SweptModel, merge_name, parse_scales, sweep_scales
from cmbench.errors import CmbenchError, UsageError

TINY = HubertShape(
    conv_dim=(8,) * 7, hidden=16, layers=1, heads=2, intermediate=16, position_kernel=4, position_groups=4
)


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """A base and two models that were moved away from it."""
    names = []
    for seed, (name, corpus) in enumerate((("base", "Music4All"), ("greek", "Lyra"), ("turkish", "Turkish-makam"))):
        draw = torch.Generator().manual_seed(seed)
        weights = {
            n: t + (0.01 if seed else 0) * torch.randn(t.shape, generator=draw)
            for n, t in random_weights(TINY, 3).items()
        }
        card = {"README.md": f"---\nlicense: mit\ntrained_on: [{corpus}]\n---\n"}
        write_folder(tmp_path / name, TINY, weights, Preprocessor(24_000, False, "none"), None, card)
        names.append(str(tmp_path / name))
    return names


class Runs:
    """Stands in for a run: a record from the model's card, with a validation score by name; counts what it is given."""

    def __init__(self, build_record: Callable[..., Record], valid: dict[str, float] | None = None) -> None:
        self.build, self.valid = build_record, valid or {}
        self.seen: list[str] = []
        self.broken: str | None = None

    def __call__(self, evaluation: Request, models: list[str], out: Path, observer: Observer) -> list[Record]:
        (model,) = models
        card = load_encoder(model, LoadOptions(device="cpu", offline=True)).card
        if card.name == self.broken:
            raise CmbenchError("broken")
        self.seen.append(card.name)
        records = []
        for task in evaluation.tasks:
            record = self.build(card.name, task, edition=evaluation.edition or "full")
            part = record.model.model_copy(
                update={"weights_sha256": card.weights_sha256, "trained_on": card.trained_on}
            )
            score = self.valid.get(card.name, 0.5)
            selection = record.selection.model_copy(update={"valid_score": score})
            record = record.model_copy(update={"model": part, "selection": selection})
            write_record(record, out)
            records.append(record)
        return records


@pytest.fixture
def runs(build_record: Callable[..., Record], monkeypatch: pytest.MonkeyPatch) -> Runs:
    one = Runs(build_record)
    monkeypatch.setattr(Request, "run", lambda self, models, out, observer: one(self, models, out, observer))
    return one


def go(models: list[str], out: Path, scales: tuple[float, ...] = (0.1, 0.2), **options: Any) -> Sweep:
    base, *add = models
    asked: dict[str, Any] = {"tasks": ["lyra", "turkish_makam"], "edition": "mini", **options}
    return sweep_scales(Request(base=base, add=add, scales=",".join(map(str, scales)), out=out, **asked), Observer())


ALL = ["base", "greek", "turkish", "s-scale-0.1", "s-scale-0.2"]


def test_the_base_what_is_added_and_every_scale_are_evaluated(models: list[str], runs: Runs, tmp_path: Path) -> None:
    found = go([models[0], *models[:0:-1]], tmp_path / "s")
    assert [level.name for level in found.levels] == runs.seen == ["base", "turkish", "greek", *ALL[3:]]
    assert [level.scale for level in found.merged] == [0.1, 0.2]
    other = go(models, tmp_path / "s")
    weights = [
        [{r.model.weights_sha256 for r in level.records.values()} for level in one.merged] for one in (found, other)
    ]
    assert weights[0] == weights[1]
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["records"]


def test_a_stopped_sweep_leaves_nothing_but_records_and_can_be_given_again(
    models: list[str], runs: Runs, tmp_path: Path
) -> None:
    runs.broken = "s-scale-0.2"
    with pytest.raises(CmbenchError, match="broken"):
        go(models, tmp_path / "s")
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["records"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base", "greek", "s", "turkish"]
    runs.broken = None
    assert len(go(models, tmp_path / "s").levels) == 5


def test_merges_are_kept_only_if_asked(models: list[str], runs: Runs, tmp_path: Path) -> None:
    go(models, tmp_path / "s", (0.1,))
    assert not (tmp_path / "s" / "models").exists()
    for _ in range(2):
        sweep = go(models, tmp_path / "s", (0.1,), keep=True)
        kept = load_encoder(str(tmp_path / "s" / "models" / "s-scale-0.1"), LoadOptions(device="cpu")).card
        (record, _) = sweep.merged[0].records.values()
        assert kept.weights_sha256 == record.model.weights_sha256


def test_a_merge_is_of_the_cultures_of_its_sources(models: list[str], runs: Runs, tmp_path: Path) -> None:
    sweep = go(models, tmp_path / "s", (0.1,))
    assert cultures_of(sweep.merged[0].records["lyra"]) == {"greek", "turkish"}
    assert cultures_of(sweep.added[0].records["lyra"]) == {"greek"}


def test_validation_chooses_and_the_test_does_not(build_record: Callable[..., Record]) -> None:
    def level(name: str, scale: float | None, valid: float, skill: float) -> SweptModel:
        record = build_record(name, "lyra", skill=skill)
        chosen = record.selection.model_copy(update={"valid_score": valid})
        return SweptModel(name, scale, {"lyra": record.model_copy(update={"selection": chosen})})

    base = level("b", None, 0.9, 0.1)
    merged = (level("x", 0.1, 0.5, 0.9), level("y", 0.2, 0.7, 0.1), level("z", 0.3, 0.7, 0.5))
    sweep = Sweep(base, (), merged)
    assert sweep.chosen.scale == 0.2
    assert not sweep.at_the_edge
    assert Sweep(base, (), merged[:2]).at_the_edge
    assert not Sweep(base, (), merged[:1]).at_the_edge
    assert Sweep(base, (), (level("n", -0.4, 0.7, 0.1), *merged)).chosen.scale == 0.2


def test_folders_that_are_no_sweeps_and_names_that_clash(models: list[str], runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="something that is not a sweep"):
        go(models, tmp_path / "base")
    clash = tmp_path / "s-scale-0.1"
    Path(models[1]).rename(clash)
    with pytest.raises(UsageError, match=r"Two models of the sweep are named s-scale-0\.1"):
        go([models[0], str(clash)], tmp_path / "s")
    assert runs.seen == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.05:0.5:0.05", (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)),
        ("0.1:0.25:0.1", (0.1, 0.2)),
        ("1:1:0.1", (1.0,)),
        ("-0.1:0.1:0.1", (-0.1, 0.0, 0.1)),
        (" 0.5, 0.1,0.5 ", (0.1, 0.5)),
        ("0.2", (0.2,)),
    ],
)
def test_scales_are_read(text: str, expected: tuple[float, ...]) -> None:
    assert parse_scales(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "1:2", "0:1:0", "0:1:-1", "1:0:0.1", "0:1:0.1:2", "nan", "0:inf:1", "1e999", "1,,2"]
)
def test_scales_that_mean_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="should read START:STOP:STEP"):
        parse_scales(text)


def test_endless_sweeps_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 200 scales"):
        parse_scales("0:1:0.000000001")


@given(st.integers(-40, 40), st.integers(0, 60), st.integers(1, 9))
def test_every_scale_is_the_nearest_float_of_its_decimal(start: int, length: int, step: int) -> None:
    text = f"{start / 100}:{(start + length) / 100}:{step / 100}"
    assert parse_scales(text) == tuple(n / 100 for n in range(start, start + length + 1, step))


def test_names_tell_scales_apart(tmp_path: Path) -> None:
    assert merge_name(tmp_path / "s", 0.1) == "s-scale-0.1"
    assert merge_name(tmp_path / "s", 0.1 + 1e-9) != "s-scale-0.1"
