"""Signals while a run trains: kept until the update is saved, and obeyed at once the second time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from cmbench.pretraining.training.interrupts import TERMINATED, Interrupts


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C interrupt, which a shell has taken from the tests where it runs them in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "ends"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_signal_is_kept_until_asked_for(number: int, ends: type[BaseException]) -> None:
    before = signal.getsignal(number)
    with Interrupts() as kept:
        assert not kept.asked
        signal.raise_signal(number)
        assert kept.asked == number
        with pytest.raises(ends) as left:
            kept.leave()
    assert signal.getsignal(number) == before
    if ends is SystemExit:
        assert left.value.args == (TERMINATED,) == (143,)


def test_a_second_ctrl_c_is_obeyed_at_once_and_torchruns_sigterm_is_none() -> None:
    with Interrupts() as kept:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        first: int = kept.asked
        assert first == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_job_in_the_background_goes_on_ignoring() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as kept:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            first: int = kept.asked
            assert first == signal.SIGTERM
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_is_kept() -> None:
    before = signal.getsignal(signal.SIGINT)

    def look() -> None:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) == before

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
