"""A record shows itself in a notebook: its scores, and what was measured on what."""

from __future__ import annotations

from collections.abc import Callable

from cmbench.benchmark.records.record import Metric, Record


def test_scores_in_percent_with_their_intervals(build_record: Callable[..., Record]) -> None:
    record = build_record("a<b>", "lyra", edition="mini")
    metric = record.metrics["roc_auc"]
    assert metric.value is not None
    assert metric.interval is not None
    html = record._repr_html_()
    assert f"<td>{100 * metric.value:.1f}</td><td>[{100 * metric.interval.low:.1f}, " in html
    assert "a&lt;b&gt;" in html
    assert "synthetic audio, not comparable with real data" in html
    assert html.count("<tr>") == 1 + len(record.metrics)


def test_a_score_that_does_not_exist_says_why(build_record: Callable[..., Record]) -> None:
    nothing = Metric(value=None, interval=None, per_seed=(None,), reason="no label is defined")
    record = build_record().model_copy(update={"metrics": {"roc_auc": nothing}})
    assert "<td>no label is defined</td><td>–</td>" in record._repr_html_()
