"""How a run looks: which cell of how many, how long it will take, and a line now and then where nobody looks."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from cmbench.benchmark.commands import progress
from cmbench.benchmark.commands.progress import QUIET_SECONDS, TerminalObserver
from cmbench.benchmark.records.record import Record


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Takes the place of the observer's clock."""
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def run(record: Record, clock: Clock, seconds: float, *, terminal: bool, there: int = 0) -> list[str]:
    """Thirty-six cells of which some are there, each of the others in ten steps."""
    out = io.StringIO()
    with TerminalObserver(Console(file=out, width=150, force_terminal=terminal, color_system=None)) as watch:
        watch.preparing("Rendering lyra (mini)", 1, 10)
        watch.planned(36)
        for cell in range(36):
            for step in range(0 if cell < there else 10):
                clock.now += seconds / 10
                watch.probing("mfcc", f"task {cell}", step, 10)
            watch.finished(record, was_there=cell < there)
    return out.getvalue().splitlines()


def test_a_file_gets_a_line_now_and_then_with_the_time_left(build_record: Callable[..., Record], clock: Clock) -> None:
    lines = run(build_record("mfcc"), clock, 60.0, terminal=False)
    assert lines[0].startswith("Rendering lyra (mini)")
    assert len(lines) == pytest.approx(36 * 60 / 18, abs=5), "a step takes 6 s, and 15 s are to pass"
    eighth = next(line for line in lines if line.startswith("cell 8 of 36"))
    assert eighth.startswith("cell 8 of 36, about 29 min left · mfcc · task 7 · probes: ")


def test_short_cells_share_a_line(build_record: Callable[..., Record], clock: Clock) -> None:
    lines = run(build_record("mfcc"), clock, 1.0, terminal=False)
    assert len(lines) <= 2 + 36 / QUIET_SECONDS
    assert "about 2" in lines[1]
    assert lines[1].split(", about ")[1].split(" ")[1:3] == ["s", "left"]


def test_finished_cells_are_counted_and_take_no_time(build_record: Callable[..., Record], clock: Clock) -> None:
    lines = run(build_record("mfcc"), clock, 1.0, terminal=False, there=36)
    assert [line for line in lines if line][1:] == ["36 cells finished before"]
    clock.now = 0.0
    lines = run(build_record("mfcc"), clock, 60.0, terminal=False, there=30)
    assert any(line.startswith("cell 32 of 36, about 5 min left") for line in lines)
    assert lines[-1] == "30 cells finished before"


def test_a_terminal_gets_a_line_for_each_new_cell(build_record: Callable[..., Record], clock: Clock) -> None:
    shown = "".join(run(build_record("mfcc"), clock, 60.0, terminal=True, there=30))
    assert shown.count("ROC-AUC") == 6
    assert "cell 32 of 36, about 5 min left · mfcc · task 31 · probes" in shown


def test_a_study_says_which_part_is_next_and_what_is_left(clock: Clock) -> None:
    out = io.StringIO()
    with TerminalObserver(Console(file=out, width=150, color_system=None)) as watch:
        for part in range(6):
            watch.studying(f"part {part}", part, 6)
            clock.now += 60.0
    lines = out.getvalue().splitlines()
    assert lines[0] == "cell 1 of 6 · part 0: 0 %"
    assert lines[3] == "cell 4 of 6, about 3 min left · part 3: 50 %"
