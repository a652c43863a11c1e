"""What distances are measured on: samples spread over groups, the chosen hidden state, features from the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.baselines.base import EncoderCard
from cmbench.benchmark.models import GivenEncoder
from cmbench.benchmark.protocol import get_protocol
from cmbench.benchmark.records.record import LayerScore, Record
from cmbench.benchmark.studies.similarity.samples import (
    Measured,
    Sample,
    choose_state,
    draw_samples,
    number_groups,
    read_features,
)
from cmbench.errors import MissingError, UsageError
from cmbench.tasks.base import LoadContext, Task, TaskData, Track
from cmbench.tests.conftest import store_features

MakeTask = Callable[..., Task]


def grouped(sizes: dict[str | None, int]) -> list[Track]:
    return [Track(f"{g}-{i}", Path("x.wav"), (), group=g) for g, n in sizes.items() for i in range(n)]


def task_data(make_task: MakeTask, tmp_path: Path, name: str, tracks: list[Track], edition: str = "custom") -> TaskData:
    data = make_task(name).load("custom", LoadContext(None, tmp_path))
    return replace(data, edition=edition, splits={**data.splits, "train": tuple(tracks)})


def test_samples_are_spread_over_groups(make_task: MakeTask, tmp_path: Path) -> None:
    tracks = grouped({"big": 30, "mid": 3, "one": 1, None: 2})
    data = [task_data(make_task, tmp_path, name, tracks) for name in "ab"]
    sample, other = draw_samples(data, 8, 0)
    assert sample.tracks == other.tracks == draw_samples(data, 8, 0)[0].tracks
    counts = Counter(t.group for t in sample.tracks)
    assert (counts["one"], counts[None], len(sample.tracks)) == (1, 2, 8)
    assert {counts["big"], counts["mid"]} == {2, 3}
    assert len({t.id for t in draw_samples(data, 8, 1)[0].tracks} - {t.id for t in sample.tracks})
    assert len(draw_samples(data, 1000, 0)[0].tracks) == 36


def test_editions_are_never_mixed_and_one_task_has_no_distance(make_task: MakeTask, tmp_path: Path) -> None:
    one = task_data(make_task, tmp_path, "a", grouped({"x": 3}), "mini")
    with pytest.raises(UsageError, match="two tasks"):
        draw_samples([one], 5, 0)
    with pytest.raises(UsageError, match=r"never mixed: a \(mini\), b \(custom\)"):
        draw_samples([one, task_data(make_task, tmp_path, "b", grouped({"x": 3}))], 5, 0)


def test_groups_of_two_tasks_are_never_one(make_task: MakeTask, tmp_path: Path) -> None:
    first, second = grouped({"x": 2, None: 2}), grouped({"x": 1, "y": 2})
    sample = Sample(task_data(make_task, tmp_path, "a", first), (*first, *second))
    one, other = (Measured(sample, tuple(tracks), np.zeros((len(tracks), 1))) for tracks in (first, second))
    of_tracks, of_tasks = number_groups([one, other])
    assert of_tracks.tolist() == [0, 0, 1, 2, 3, 4, 4]
    assert [g.tolist() for g in of_tasks] == [[0, 1, 2], [3, 4]]
    found = one.collection
    assert (found.task, found.tracks, found.failed, found.groups, found.groups_known) == ("a", 4, 3, 3, False)


def record_of(build: Callable[..., Record], task: str, scores: dict[str, float | None]) -> Record:
    layers = tuple(
        LayerScore(layer=n, learning_rate=0.1, roc_auc=s, average_precision=s, score=s, epochs=1)
        for n, s in scores.items()
    )
    return build("m", task, fingerprint="f" * 16).model_copy(update={"layers": layers})


def test_the_hidden_state_is_that_of_the_best_mean_over_all_tasks(build_record: Callable[..., Record]) -> None:
    card: Any = type("Card", (), {"name": "m", "layers": 3, "layer_names": ("a", "b", "c"), "fingerprint": "f" * 16})
    records = [
        record_of(build_record, "lyra", {"a": 0.9, "b": 0.7, "c": 0.1, "fused": 0.99}),
        record_of(build_record, "carnatic", {"a": 0.2, "b": 0.6, "c": 0.1, "fused": 0.99}),
    ]
    assert choose_state(card, None, records, ["lyra", "carnatic"]) == (1, "highest validation score, mean over 2 tasks")
    assert choose_state(card, None, records[:1], ["lyra"])[0] == 0
    position, why = choose_state(card, None, records[:1], ["lyra", "carnatic"])
    assert (position, why.split(":")[0]) == (2, "the last")
    unjudged = record_of(build_record, "lyra", {"a": 0.9, "b": None, "c": 0.1})
    assert choose_state(card, None, [unjudged], ["lyra"])[0] == 2
    other = [r.model_copy(update={"model": r.model.model_copy(update={"fingerprint": "0" * 16})}) for r in records]
    assert choose_state(card, None, other, ["lyra", "carnatic"])[0] == 2
    assert choose_state(card, "last", records, ["lyra"])[0] == 2
    assert choose_state(card, "a", records, ["carnatic"]) == (0, "as asked for")
    with pytest.raises(UsageError, match="no hidden state 'L9'; it has a, b, c"):
        choose_state(card, "L9", records, ["lyra"])


def test_features_are_means_over_the_stored_windows(
    make_task: MakeTask, make_encoder: type[Any], tmp_path: Path, own_cache: Path
) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"")
    task = make_task(extra=(Track("broken", broken, ()),))
    data = task.load("custom", LoadContext(None, tmp_path))
    sample = Sample(data, data.splits["train"])
    given = GivenEncoder.of(make_encoder())
    windowing = get_protocol("marble-1").windowing

    def remedy(tasks: Sequence[str]) -> str:
        return f"cmbench run --tasks {','.join(tasks)}"

    with pytest.raises(MissingError) as raised:
        read_features(given.card, 0, [sample], windowing, own_cache, remedy)
    (missing,) = raised.value.missing
    assert missing.what == "stored features of counting on tones (custom edition)"
    assert missing.command == "cmbench run --tasks tones"
    store_task(task, make_encoder(), given.card, windowing, tmp_path, own_cache)
    (found,) = read_features(given.card, 0, [sample], windowing, own_cache, remedy)
    usable = [t for t in sample.tracks if t.id != "broken"]
    assert list(found.tracks) == usable
    assert found.values.shape == (len(usable), 3)
    assert found.values.dtype == np.float64
    import soundfile

    audio, _ = soundfile.read(usable[3].path, dtype="float32")
    np.testing.assert_allclose(found.values[3], make_encoder().encode(audio[None])[0, 0], rtol=2e-3)


def store_task(task: Task, encoder: Any, card: EncoderCard, windowing: Any, tmp_path: Path, root: Path) -> None:
    from cmbench.benchmark.features.extract import Extraction
    from cmbench.benchmark.features.store import FeatureStore, store_folder

    data = task.load("custom", LoadContext(None, tmp_path))
    store = FeatureStore(store_folder(root, card, task, "custom", windowing), card.layers, card.dim)
    tracks = [t for split in data.splits.values() for t in split]
    store_features(encoder, tracks, Extraction(store, windowing, None, 1))
