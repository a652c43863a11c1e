"""Ratios of what `make bench` measured side by side: held against the committed ones, written into the docs.

    python -m cmbench.tests.benchmarks.ratios build/bench.json [--write]

Seconds drift with the machine and its other work; a ratio of two things measured in one run does so far less. What got
slower beside its alternative than ``baseline.json`` says is printed. ``--write`` makes the run the new baseline and
writes the table of docs/performance.md anew; whoever does so says in the commit why.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
PAGE = HERE.parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- written by `make bench WRITE=--write` -->\n", "<!-- end of what is written -->\n"

SLOWER = 0.55
"""Share of the committed ratio under which something counts as slower: runs on two shared cores differ by up to 0.6."""


@dataclass(frozen=True)
class Row:
    """Attributes: what is done; the name of ours among the seconds; name -> title of what stands beside it."""

    what: str
    ours: str
    beside: Mapping[str, str]


ROWS = (
    Row(
        "MERT-95M shape, one 30 s window, all 13 hidden states pooled",
        "95m, cmbench",
        {"95m, eager": "`transformers`, eager", "95m, matrix product": "its operations as one matrix product"},
    ),
    Row(
        "70 probes (13 hidden states and their sum x 5 rates), one epoch, 2,000 windows of 768",
        "test_one_epoch_of_the_search[bank]",
        {"test_one_epoch_of_the_search[one by one]": "one by one"},
    ),
    Row(
        "24 bootstrap replicates, ROC-AUC and AP, 5,329 x 50",
        "test_replicates_sorted_once",
        {
            "test_replicates_ranked_anew": "ranked anew",
            "test_replicates_midranks": "scipy's mid-ranks (ROC-AUC only)",
        },
    ),
    Row(
        "ROC-AUC and AP once, 5,329 x 50",
        "test_once_cmbench",
        {"test_once_scikit_learn": "scikit-learn, label by label", "test_once_torchmetrics": "torchmetrics"},
    ),
    Row("the CQT of an update at nano size", "nano, cqt", {"nano, step": "the whole update"}),
    Row(
        "3 clips of 30 s (mp3) to stored features of the shape of MERT-95M",
        "ways, features",
        {"ways, marble v1": "as MARBLE v1: `librosa.load`, eager, clip by clip"},
    ),
    Row(
        "120 clips of 6 s to the best of 30 probes on a nano network",
        "ways, whole",
        {"ways, marble v2": "as MARBLE v2, one probe: the encoder at every epoch"},
    ),
    Row(
        "18 probes (5 hidden states of 256 and their sum x 3 rates), 400 clips, until they stop",
        "ways, bank",
        {
            "ways, scikit-learn": "a loop of scikit-learn's perceptrons (without the sum: 15)",
            "ways, DataLoader": "a loop with torch's `DataLoader`",
        },
    ),
)


def seconds_of(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return the fastest seconds of everything that a JSON of pytest-benchmark holds, by name."""
    found: dict[str, float] = {}
    for one in measured["benchmarks"]:
        found |= one["extra_info"].get("seconds", {one["name"]: one["stats"]["min"]})
    return found


def ratios_of(seconds: Mapping[str, float]) -> dict[str, dict[str, dict[str, float]]]:
    """Return, for each row that was measured, our seconds and of each alternative the seconds and the ratio."""
    found = {}
    for row in ROWS:
        here = [name for name in row.beside if name in seconds]
        if row.ours in seconds and here:
            ours = seconds[row.ours]
            pairs = {row.beside[name]: {"seconds": seconds[name], "ratio": seconds[name] / ours} for name in here}
            found[row.what] = {"cmbench": {"seconds": ours, "ratio": 1.0}, **pairs}
    return found


Ratios = Mapping[str, Mapping[str, Mapping[str, float]]]


def slower(now: Ratios, baseline: Ratios) -> Iterator[str]:
    """Say what got slower beside its alternative, and what the baseline has and nothing was measured of."""
    for what, titles in baseline.items():
        for title, was in titles.items():
            found = now.get(what, {}).get(title)
            if found is None:
                yield f"not measured: {what}, beside {title}"
            elif found["ratio"] < SLOWER * was["ratio"]:
                yield f"slower: {what}: {found['ratio']:.3g} times {title}, it was {was['ratio']:.3g}"


def table(ratios: Ratios) -> str:
    """Return the table of the page."""
    lines = ["| what | cmbench | beside it | ratio |", "|---|---|---|---|"]
    for what, titles in ratios.items():
        others = {title: one for title, one in titles.items() if title != "cmbench"}
        beside = "; ".join(f"{title}: {_seconds(one['seconds'])}" for title, one in others.items())
        times = "; ".join(
            f"{one['ratio']:.2g}" if one["ratio"] < 10 else f"{one['ratio']:.0f}" for one in others.values()
        )
        lines.append(f"| {what} | {_seconds(titles['cmbench']['seconds'])} | {beside} | {times} |")
    return "\n".join([*lines, ""])


def _seconds(value: float) -> str:
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def written_into(page: str, ratios: Ratios) -> str:
    """Return the page with its table written anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"the page lacks {BEGIN!r}"
    assert end, f"the page lacks {END!r}"
    return f"{before}{BEGIN}\n{table(ratios)}\n{END}{after}"


def main() -> None:
    """Print what got slower; with ``--write`` keep the run."""
    now = ratios_of(seconds_of(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    baseline = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    told = list(slower(now, baseline))
    print("\n".join([table(now), *(told or ["Nothing got slower than tests/benchmarks/baseline.json."])]))
    if "--write" in sys.argv[2:]:
        whole = {**baseline, **now}
        ordered = {row.what: whole[row.what] for row in ROWS if row.what in whole}
        BASELINE.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        PAGE.write_text(written_into(PAGE.read_text(encoding="utf-8"), ordered), encoding="utf-8")


if __name__ == "__main__":
    main()
