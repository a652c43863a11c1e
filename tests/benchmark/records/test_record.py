"""Records: strict JSON, canonical, written whole or not at all."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cmbench.benchmark.records.predictions import predictions_bytes
from cmbench.benchmark.records.record import Interval, Metric, Record, read_record, write_record
from cmbench.errors import CmbenchError
from cmbench.files import sealed

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    told = "write it again with `python -m cmbench schema > docs/record.schema.json`"
    assert committed == Record.model_json_schema(), told


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_score_is_a_number_between_0_and_1(value: float) -> None:
    with pytest.raises(ValidationError):
        Metric(value=value, interval=None, per_seed=())
    with pytest.raises(ValidationError):
        Interval(low=0.0, high=value)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError):
        Interval.model_validate({"low": 0.1, "high": 0.2, "middle": 0.15})


def test_what_is_stable_leaves_out_moment_machine_and_cost_alone(build_record: Callable[..., Record]) -> None:
    record = build_record()
    elsewhere = record.environment.model_copy(update={"device_name": "another", "created": "2025-02-02T03:04:05+00:00"})
    dearer = record.cost.model_copy(update={"probe_seconds": 99.0})
    assert record.model_copy(update={"environment": elsewhere, "cost": dearer}).stable_json() == record.stable_json()
    whole = record.model_dump()
    assert json.loads(record.stable_json()).keys() == whole.keys() - {"environment", "cost", "content_sha256"}


def test_predictions_are_the_same_bytes_and_need_no_pickle() -> None:
    rng = np.random.default_rng(0)
    targets, probabilities = rng.random((3, 2)) > 0.5, rng.random((5, 3, 2)).astype(np.float32)

    def content() -> bytes:
        return predictions_bytes(["a", "b", "şarkı"], ["g", None, "h"], ["x", "y"], targets, probabilities)

    assert content() == content()
    with np.load(io.BytesIO(content()), allow_pickle=False) as read:
        assert read["track_ids"].tolist() == ["a", "b", "şarkı"]
        assert read["groups"].tolist() == ["g", "", "h"]
        assert np.array_equal(read["targets"], targets)
        assert np.array_equal(read["probabilities"], probabilities)
    assert {i.date_time for i in zipfile.ZipFile(io.BytesIO(content())).infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("content", ["{}", "[1]", "not json", '{"schema_version": "0.1"}'])
def test_what_is_no_record_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(CmbenchError, match=r"bad\.json is not a cmbench record"):
        read_record(path)


@pytest.mark.parametrize("changes", [{}, {"new_field": 1}])
def test_a_record_of_another_schema_version_is_named_by_it(
    build_record: Callable[..., Record], tmp_path: Path, changes: dict[str, object]
) -> None:
    content = json.loads(build_record().model_dump_json()) | {"schema_version": "2.0"} | changes
    (tmp_path / "new.json").write_text(json.dumps(content))
    with pytest.raises(CmbenchError, match=r"new.json is not a cmbench record of schema 1.0 or .*: it says '2.0'"):
        read_record(tmp_path / "new.json")


def test_the_schema_names_every_part_of_a_record() -> None:
    assert set(Record.model_json_schema()["properties"]) == set(Record.model_fields)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_changed_value_is_found_and_another_layout_is_not(
    build_record: Callable[..., Record], tmp_path: Path, data: st.DataObject
) -> None:
    path = write_record(build_record("mfcc", "hindustani"), tmp_path)
    written = json.loads(path.read_bytes())
    path.write_text(json.dumps(dict(reversed(written.items())), indent=8), encoding="utf-8")
    assert read_record(path).content_sha256 == written["content_sha256"]
    place: Any = written
    key: Any = data.draw(st.sampled_from(sorted(written)))
    while isinstance(place[key], dict | list) and place[key]:
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    old = place[key]
    place[key] = old + "x" if isinstance(old, str) else old / 2 + 0.25 if isinstance(old, float) else "other"
    path.write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(CmbenchError, match=re.escape(str(path))):
        read_record(path)


def test_a_record_without_its_seal_is_not_taken_for_an_old_one(
    build_record: Callable[..., Record], tmp_path: Path
) -> None:
    path = tmp_path / "bare.json"
    path.write_text(build_record().model_dump_json(), encoding="utf-8")
    with pytest.raises(CmbenchError, match=r"content_sha256 is missing.*cmbench run.*computes it again"):
        read_record(path)


@pytest.mark.parametrize(
    "part",
    [
        *("metrics", "labels", "families", "layers", "task.labels", "task.families", "task.tracks", "task.name"),
        *("coverage.asked", "coverage.used", "model.layer_names", "model.name", "metrics.f1_macro.per_seed"),
    ],
)
def test_a_part_that_may_be_empty_by_its_type_is_refused_in_a_sentence(
    part: str, build_record: Callable[..., Record], tmp_path: Path
) -> None:
    document = build_record("mfcc", "lyra").model_dump(mode="json")
    *places, last = part.split(".")
    inside = document
    for place in places:
        inside = inside[place]
    inside[last] = type(inside[last])()
    path = tmp_path / "r.json"
    path.write_text(json.dumps(sealed(document)), encoding="utf-8")
    with pytest.raises(CmbenchError, match=r"r\.json is no whole record: .*computes it again; or delete it"):
        read_record(path)


def test_a_record_of_the_first_schema_is_read(build_record: Callable[..., Record], tmp_path: Path) -> None:
    content = build_record("mfcc", "lyra").model_dump(mode="json")
    content["schema_version"] = "1.0"
    for layer in content["layers"]:
        del layer["families"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    record = read_record(path)
    assert record.schema_version == "1.0"
    assert {layer.families for layer in record.layers} == {None}
