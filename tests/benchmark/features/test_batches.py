from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cmbench.benchmark.features.batches import Ahead, batches


@given(st.lists(st.integers(1, 5)), st.integers(1, 12))
def test_a_batch_is_of_one_length_and_none_but_the_last_has_room(lengths: list[int], most: int) -> None:
    windows = [np.full(length, position, np.float32) for position, length in enumerate(lengths)]
    found = list(batches(windows, lambda samples: max(1, most // samples)))
    assert sorted(row for rows, _ in found for row in rows) == list(range(len(windows)))
    for rows, audio in found:
        assert audio.shape == (len(rows), lengths[rows[0]])
        assert audio[:, 0].tolist() == rows
    for length in set(lengths):
        own = [rows for rows, audio in found if audio.shape[1] == length]
        assert [row for rows in own for row in rows] == [i for i, one in enumerate(lengths) if one == length]
        assert all(len(rows) == max(1, most // length) for rows in own[:-1])
        assert len(own[-1]) <= max(1, most // length)


def test_a_batch_does_not_wait_for_what_it_does_not_hold() -> None:
    taken: list[int] = []

    def windows() -> Iterator[NDArray[np.float32]]:
        for number in range(6):
            taken.append(number)
            yield np.zeros(4, np.float32)

    next(iter(batches(windows(), lambda samples: 2)))
    assert taken == [0, 1]


def test_windows_are_taken_ahead_as_many_as_asked_for() -> None:
    taken: list[int] = []
    reached = threading.Event()

    def windows() -> Iterator[NDArray[np.float32]]:
        for number in range(20):
            taken.append(number)
            if number == 5:
                reached.set()
            yield np.full(4, number, np.float32)

    ahead = Ahead(windows(), 12)  # three windows
    seen = iter(ahead)
    assert next(seen)[0] == 0
    assert reached.wait(30), "while the first is encoded, three more are taken"
    time.sleep(0.2)
    assert len(taken) == 6
    assert [window[0] for window in seen] == list(range(1, 20))
    assert ahead.waited >= 0.0


def test_time_spent_waiting_is_told_apart() -> None:
    gate = threading.Event()

    def windows() -> Iterator[NDArray[np.float32]]:
        gate.wait(0.3)
        yield np.zeros(4, np.float32)

    ahead = Ahead(windows(), 4)
    assert len(list(ahead)) == 1
    assert 0.25 < ahead.waited < 30


def test_an_error_of_the_thread_is_raised_where_the_windows_are_asked_for() -> None:
    def windows() -> Iterator[NDArray[np.float32]]:
        yield np.zeros(4, np.float32)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(Ahead(windows(), 4))
