"""What a plan says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cmbench.tasks.fetching.carry_out import pending
from cmbench.tasks.preparing import Download, Plan, Step


def test_a_plan_tells_its_size_and_whether_it_is_empty(tmp_path: Path) -> None:
    download = Download("a", tmp_path / "a", "CC0-1.0", 10)
    step = Step("unpack", lambda context: None, size=5)
    plan = Plan((download, replace(download, size=None)), (step, replace(step, size=None)))
    assert (plan.known_bytes, plan.nothing_to_do, Plan().nothing_to_do) == (15, False, True)
    assert replace(plan, estimate=40).known_bytes == 45
    assert replace(plan, estimate=4).known_bytes == 15, "less than what is stated"
    assert replace(plan, downloads=(download,), estimate=40).known_bytes == 15, "nothing is unknown"
    assert pending([download]) == (download,)
