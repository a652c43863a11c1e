"""Processes beside this one: they work, and what they do not need is left alone."""

from __future__ import annotations

import os
import sys

import pytest

from cmbench.processes import no_main_module, peak_memory_mib, processes


def test_work_is_done_elsewhere_and_the_main_module_comes_back() -> None:
    main = sys.modules["__main__"]
    with processes(1) as pool:
        with no_main_module():
            assert sys.modules["__main__"] is not main
            future = pool.submit(os.getpid)
        assert sys.modules["__main__"] is main
        assert future.result() != os.getpid()


def test_an_error_comes_back_and_the_main_module_too() -> None:
    main = sys.modules["__main__"]
    with pytest.raises(RuntimeError), no_main_module():
        raise RuntimeError
    assert sys.modules["__main__"] is main
    with processes(1) as pool, no_main_module():
        future = pool.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            future.result()


def test_peak_memory_is_plausible() -> None:
    assert 20 < peak_memory_mib() < 100_000
