"""Exports: read back by the libraries whose formats they are; nothing undefined, nothing unlabelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import yaml
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from cmbench.benchmark.exports.cards import dataset_name, eval_results, evaluated, scores_table
from cmbench.benchmark.records.record import Metric, Record


def undefined(record: Record) -> Record:
    nothing = Metric(value=None, interval=None, per_seed=(None,), reason="no label is defined")
    return record.model_copy(update={"metrics": dict.fromkeys(record.metrics, nothing)})


def test_model_index_reads_back(build_record: Callable[..., Record]) -> None:
    records = [build_record("MERT-v1-95M", "lyra"), build_record("MERT-v1-95M", "carnatic")]
    content = yaml.safe_load(yaml.safe_dump(eval_results_to_model_index("MERT-v1-95M", evaluated(records))))
    name, results = model_index_to_eval_results(content)
    assert name == "MERT-v1-95M"
    found = {(r.dataset_name, r.metric_type): r.metric_value for r in results}
    assert found == {(r.task.title, name): m.value for r in records for name, m in r.metrics.items()}


def test_synthetic_data_says_so_and_undefined_metrics_are_left_out(
    build_record: Callable[..., Record],
) -> None:
    records = [build_record("MERT-v1-95M", "lyra", edition="mini")]
    assert "mini, synthetic" in str(evaluated(records))
    assert "mini, synthetic" in scores_table(records)
    gone = [undefined(record) for record in records]
    assert eval_results(gone, "a/b") == []
    assert "–" in scores_table(gone)


def test_what_was_measured_differently_is_never_the_same_result(build_record: Callable[..., Record]) -> None:
    kinds = [{}, {"edition": "mini"}, {"split": "group-safe"}, {"split": "marble"}, {"protocol": "marble-1"}]
    records = [build_record("MERT-v1-95M", "lyra", **kind) for kind in kinds]
    ids = [str(entry["dataset"]) for record in records for entry in eval_results([record], "a/b")]
    assert len(set(ids)) == len(ids) == len(kinds) * len(records[0].metrics)
    assert [dataset_name(record) for record in records] == [
        "Lyra",
        "Lyra (mini, synthetic)",
        "Lyra (group-safe split)",
        "Lyra (marble split)",
        "Lyra",
    ]
    results = evaluated(records)
    found = {(r.dataset_type, r.dataset_split, str((r.metric_args or {})["protocol"])) for r in results}
    assert len(found) == len(kinds), "the protocol is an argument of the metric"


def test_eval_results_read_back(build_record: Callable[..., Record]) -> None:
    hub = pytest.importorskip("huggingface_hub")
    if not hasattr(hub, "parse_eval_result_entries"):
        pytest.skip("this huggingface_hub does not read .eval_results yet")
    records = [build_record("MERT-v1-95M", "lyra")]
    written: Sequence[dict[str, object]] = yaml.safe_load(yaml.safe_dump(eval_results(records, "owner/bench")))
    entries = hub.parse_eval_result_entries(written)
    assert {e.task_id: e.value for e in entries} == {
        f"lyra.full.official.cmbench-1.{name}": metric.value for name, metric in records[0].metrics.items()
    }
    assert {e.dataset_id for e in entries} == {"owner/bench"}
