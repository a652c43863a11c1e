"""Scores along the hidden states: a line only where one state follows another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cmbench.benchmark.records.record import Record
from cmbench.benchmark.records.sections import sections
from cmbench.benchmark.views.scores.curves import in_order, layer_curves


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (("L0", "L1", "L2"), True),
        (("layer 1", "layer 2"), True),
        (("L0",), True),
        (("penultimate", "mean pool", "max pool"), False),
        (("absolute", "tonic-free", "tonic-aligned", "progression"), False),
        (("L0", "L2", "L1"), False),
        (("L0", "fused"), False),
    ],
)
def test_what_follows_one_another(names: tuple[str, ...], ordered: bool) -> None:
    assert in_order(names) is ordered


def test_states_without_an_order_are_not_joined(build_record: Callable[..., Record]) -> None:
    record = build_record("chroma", "lyra", hidden_states=3)
    names = ("mean pool", "max pool", "penultimate")
    layers = tuple(
        state.model_copy(update={"layer": dict(zip(record.model.layer_names, names, strict=True))[state.layer]})
        for state in record.layers
        if state.layer in record.model.layer_names
    )
    apart = record.model_copy(
        update={"model": record.model.model_copy(update={"layer_names": names}), "layers": layers}
    )
    for one, joined in ((record, True), (apart, False)):
        (section,) = sections([one])
        (axes,) = layer_curves(section, section.rows).axes
        line = next(line for line in axes.lines if len(np.asarray(line.get_xdata())) == 3)
        assert (line.get_linewidth() > 0) is joined
        assert line.get_marker() not in ("", "None")
