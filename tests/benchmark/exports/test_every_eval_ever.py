"""Every Eval Ever: the parts of schema 0.3.0 that are used, written down here as a strict model of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from cmbench.benchmark.exports.every_eval_ever import eee_files
from cmbench.benchmark.records.record import Metric, Record
from cmbench.benchmark.records.sections import sections
from cmbench.errors import CmbenchError
from cmbench.tasks.base import MINI_LABEL

Build = Callable[..., Record]
Texts = dict[str, str]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Source(Strict):
    source_name: str
    source_type: Literal["documentation", "evaluation_run"]
    source_organization_name: str
    evaluator_relationship: Literal["first_party", "third_party", "collaborative", "other"]
    additional_details: Texts


class Library(Strict):
    name: str
    version: str


class Model(Strict):
    name: str
    id: str
    developer: str
    additional_details: Texts


class Data(Strict):
    dataset_name: str
    source_type: Literal["other"]
    additional_details: Texts


class MetricConfig(Strict):
    metric_id: str
    metric_name: str
    metric_kind: str
    metric_unit: str
    metric_parameters: dict[str, str]
    lower_is_better: bool
    score_type: Literal["binary", "continuous", "levels"]
    min_score: float
    max_score: float


class Confidence(Strict):
    lower: float
    upper: float
    confidence_level: Annotated[float, Field(ge=0, le=1)]
    method: str


class Uncertainty(Strict):
    confidence_interval: Confidence | None = None
    num_samples: int
    num_bootstrap_samples: int | None = None


class Score(Strict):
    score: float
    details: Texts
    uncertainty: Uncertainty


class Result(Strict):
    evaluation_result_id: str
    evaluation_name: str
    source_data: Data
    evaluation_timestamp: str
    metric_config: MetricConfig
    score_details: Score


class Evaluation(Strict):
    schema_version: Literal["0.3.0"]
    evaluation_id: str
    evaluation_timestamp: str
    retrieved_timestamp: Annotated[str, Field(pattern=r"^\d+$")]
    source_metadata: Source
    eval_library: Library
    model_info: Model
    evaluation_results: list[Result]


PATH = re.compile(r"data/[^/]+/[^/]+/[^/]+/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.json")


def read(records: list[Record]) -> dict[str, Evaluation]:
    files = eee_files(sections(records), "Our lab", "third_party")
    texts = {path: json.dumps(content, allow_nan=False) for path, content in files.items()}
    return {path: Evaluation.model_validate_json(text) for path, text in texts.items()}


def test_every_score_is_there_with_its_interval(build_record: Build) -> None:
    records = [build_record("mfcc", "lyra"), build_record("mfcc", "hindustani"), build_record("chroma", "lyra")]
    found = read(records)
    assert len(found) == 2
    assert all(PATH.fullmatch(path) for path in found)
    scores = {}
    for evaluation in found.values():
        assert set(evaluation.model_info.additional_details) >= {"deployment_type", "model_availability"}
        for result in evaluation.evaluation_results:
            scores[evaluation.model_info.name, result.evaluation_result_id] = result.score_details
    for record in records:
        for name, metric in record.metrics.items():
            detail = scores.pop((record.model.name, f"{record.stem}.{name}"))
            assert detail.score == metric.value
            assert metric.interval is not None
            assert detail.uncertainty.confidence_interval is not None
            assert detail.uncertainty.confidence_interval.lower == metric.interval.low
            assert detail.uncertainty.num_samples == record.coverage.used["test"]
            if record.task.name == "hindustani":
                assert detail.details["labels_without_score"] == "instrument--Bansuri"
    assert scores == {}


def test_the_same_records_give_the_same_files_and_others_do_not(build_record: Build) -> None:
    one = [build_record("mfcc", "lyra")]
    assert read(one) == read(list(one))
    assert not set(read(one)) & set(read([build_record("mfcc", "lyra", skill=0.4)]))


def test_mini_is_labelled_and_never_shares_a_file(build_record: Build) -> None:
    found = read([build_record("mfcc", "lyra"), build_record("mfcc", "lyra", edition="mini")])
    assert [path.split("/")[1] for path in found] == ["cmbench", "cmbench-mini"]
    for path, evaluation in found.items():
        mini = "cmbench-mini" in path
        (name,) = {result.evaluation_name for result in evaluation.evaluation_results}
        assert ("(mini, synthetic)" in name) == mini
        assert (evaluation.source_metadata.additional_details.get("warning") == MINI_LABEL) == mini


def test_models_of_the_hub_keep_their_name_there(build_record: Build) -> None:
    record = build_record("MERT", "lyra")
    source = record.model.model_copy(update={"source": "hf:m-a-p/MERT-v1-95M@abc"})
    ((path, evaluation),) = read([record.model_copy(update={"model": source})]).items()
    assert path.startswith("data/cmbench/m-a-p/MERT/")
    assert evaluation.model_info.id == "m-a-p/MERT-v1-95M"
    assert evaluation.model_info.additional_details["model_availability"] == "open_weights"


def test_what_has_no_score_is_left_out_and_a_bad_moment_is_named(build_record: Build) -> None:
    record = build_record("mfcc", "lyra")
    nothing = Metric(value=None, interval=None, per_seed=(None,), reason="no label is defined")
    assert read([record.model_copy(update={"metrics": dict.fromkeys(record.metrics, nothing)})]) == {}
    late = record.environment.model_copy(update={"created": "yesterday"})
    with pytest.raises(CmbenchError, match="'yesterday', which is no ISO 8601 time"):
        read([record.model_copy(update={"environment": late})])
    naive = record.environment.model_copy(update={"created": "1970-01-02T00:00:00"})
    (evaluation,) = read([record.model_copy(update={"environment": naive})]).values()
    assert evaluation.retrieved_timestamp == "86400"
