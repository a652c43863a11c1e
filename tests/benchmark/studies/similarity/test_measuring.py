"""The whole way from tasks on disk to distances, tables and files; `cmbench study similarity` as it is typed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console
from typer.testing import CliRunner

from cmbench.baselines.base import LoadOptions
from cmbench.baselines.registry import load_encoder
from cmbench.benchmark.features.extract import Extraction
from cmbench.benchmark.features.store import FeatureStore, store_folder
from cmbench.benchmark.observer import Observer
from cmbench.benchmark.protocol import get_protocol
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.studies.similarity import STUDY
from cmbench.benchmark.studies.similarity.distance import STAND_IN_LABEL
from cmbench.benchmark.studies.similarity.file import Similarity, read_distances, similarity_json
from cmbench.benchmark.studies.similarity.maps import distance_map, relation_figure
from cmbench.benchmark.studies.similarity.measuring import STAND_IN, Request, measure
from cmbench.benchmark.views.base import write_view
from cmbench.cli import app
from cmbench.errors import CmbenchError, MissingError, UsageError
from cmbench.tasks.base import MINI_LABEL, LoadContext
from cmbench.tasks.choice import get_task
from cmbench.tests.conftest import store_features

TRADITIONS = ("turkish", "hindustani", "carnatic", "greek", "western")
CPU = LoadOptions(device="cpu", offline=True)


def write_task(folder: Path, tradition: str, brightness: float) -> str:
    """Write twelve training tracks in six groups, coloured noise of some brightness, and two tracks of either other."""
    folder.mkdir(parents=True)
    rows = ["id,path,split,group,labels"]
    draw = np.random.default_rng(len(tradition))
    for i in range(16):
        split = "train" if i < 12 else "valid" if i < 14 else "test"
        noise = draw.standard_normal(16_000)
        dull = np.convolve(noise, np.ones(9) / 9, "same")
        wave = 0.1 * (brightness * noise + (1 - brightness) * dull)
        soundfile.write(folder / f"{i}.wav", wave.astype(np.float32), 16_000, subtype="PCM_16")
        rows.append(f"{tradition}{i},{i}.wav,{split},{split}{i // 2},{'odd' if i % 2 else 'even'}")
    (folder / "tracks.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    path = folder / "task.yaml"
    path.write_text(f"name: {tradition}_noise\ntradition: {tradition}\nlabels: [odd, even]\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    root = tmp_path_factory.mktemp("tasks")
    return tuple(write_task(root / name, name, k / 4) for k, name in enumerate(TRADITIONS))


def store(tasks: tuple[str, ...], root: Path, *models: str) -> LoadContext:
    """Put features of some models into the store, as `cmbench run` does."""
    context = LoadContext(None, root)
    windowing = get_protocol("cmbench-1").windowing
    for model in models:
        encoder = load_encoder(model, CPU)
        card = encoder.card
        for name in tasks:
            data = get_task(name).load("custom", context)
            found = FeatureStore(store_folder(root, card, data.task, "custom", windowing), card.layers, card.dim)
            tracks = [t for split in data.splits.values() for t in split]
            store_features(encoder, tracks, Extraction(found, windowing, None, 1))
    return context


def evidence(
    build: Callable[..., Evidence], tasks: tuple[str, ...], context: LoadContext, models: tuple[str, ...]
) -> list[Evidence]:
    """Records of a base and of adapted models, on the tasks' own splits; nearer to the label by chance."""
    draw = np.random.default_rng(0)
    found = []
    targets = np.arange(40)[:, None] % np.array([2, 3]) == 0
    for model in models:
        for name in tasks:
            data = get_task(name).load("custom", context)
            one = build(
                model,
                targets,
                np.clip(0.5 + 0.2 * (targets - 0.5) + 0.2 * draw.standard_normal(targets.shape), 0, 1),
                [f"g{i // 4}" for i in range(40)],
                task=data.task.name,
                edition="custom",
                split_sha256=data.split_sha256,
            )
            part = one.record.task.model_copy(update={"tradition": data.task.tradition})
            found.append(replace(one, record=one.record.model_copy(update={"task": part})))
    return found


def printed(report: Similarity) -> str:
    out = io.StringIO()
    STUDY.print(report, Console(file=out, width=160))
    return out.getvalue()


@pytest.fixture(scope="module")
def report(
    tasks: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory, build_evidence: Callable[..., Evidence]
) -> Similarity:
    root = tmp_path_factory.mktemp("cache")
    context = store(tasks, root, "mfcc", "chroma")
    found = evidence(build_evidence, tasks, context, ("base", "m-turkish", "m-greek", "m-all"))
    request = Request(
        model=["mfcc", "chroma"],
        tokens=STAND_IN,
        tasks=list(tasks),
        seconds=1.0,
        codebook_size=8,
        resamples=100,
        base="base",
        in_culture=["m-turkish=turkish", "m-greek=greek", "m-all=greek,turkish"],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMBENCH_CACHE", str(root))
        return measure(request, Observer(), found)


def test_everything_that_is_asked_for_is_measured(report: Similarity, tmp_path: Path) -> None:
    measured = [(d.measure, d.stand_in) for d in report.distances]
    assert measured == [("mmd2", False), ("mmd2", False), ("jensen_shannon", True)]
    for found in report.distances:
        assert found.tasks == tuple(f"{t}_noise" for t in TRADITIONS)
        assert all((c.tracks, c.groups, c.failed) == (12, 6, 0) for c in found.collections)
        near, far = found.pair("carnatic_noise", "greek_noise"), found.pair("turkish_noise", "western_noise")
        assert near is not None
        assert far is not None
        if found.slug != "mmd2-chroma":
            assert far.corrected > near.corrected
        assert found.matrix().shape == (5, 5)
    tokens = report.distances[2]
    for pair in tokens.pairs:
        assert len(pair.by_codebook) == 8
        assert np.mean(pair.by_codebook) == pytest.approx(pair.value)
    assert ": the only one)" in report.distances[0].definition
    assert "the last: no records tell" in report.distances[1].definition
    assert report.settings["codebook_size"] == 8
    for relation in report.relations:
        assert len(relation.cells) == 8
        assert relation.rho is not None
        assert relation.permutations == 120
        assert relation.left_out == ("m-all: adapted to greek and turkish",)


def test_tables_and_files_say_the_same_and_what_they_are(report: Similarity, tmp_path: Path) -> None:
    text = printed(report)
    for words in ("Squared maximum mean discrepancy", "Spearman's rho", STAND_IN_LABEL, "as sampled", "12, 6"):
        assert words in text.replace("n=12", "12")
    whole = json.loads(similarity_json(report))
    short = replace(report, distances=report.distances[2:3], relations=report.relations[2:3])
    write_view(STUDY, replace(report, relations=()), tmp_path / "rows")
    rows = list(csv.DictReader((tmp_path / "rows" / "similarity-custom.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 3 * 10 + 10 * 8
    first = whole["distances"][2]["pairs"][0]
    row = next(r for r in rows if r["measure"] == "jensen_shannon" and r["codebook"] == "mean")
    assert float(row["distance"]) == first["corrected"]
    assert float(row["q_value"]) == first["q_value"]
    assert STAND_IN_LABEL in whole["distances"][2]["labels"]
    paths = write_view(STUDY, short, tmp_path / "out")
    again = {p.name: p.read_bytes() for p in paths}
    assert {p.suffix for p in paths} == {".csv", ".json", ".md", ".tex", ".svg", ".png"}
    assert len(paths) == 4 + 2 * (1 + 1)
    assert {p.name: p.read_bytes() for p in write_view(STUDY, short, tmp_path / "out")} == again


def test_mini_says_so_everywhere(report: Similarity) -> None:
    distances = tuple(replace(d, edition="mini") for d in report.distances)
    relations = (replace(r, distances=d) for r, d in zip(report.relations, distances, strict=True))
    mini = replace(report, edition="mini", distances=distances, relations=tuple(relations))
    assert printed(mini).count(MINI_LABEL) == len(mini.distances) + len(mini.relations)
    assert json.loads(similarity_json(mini))["labels"] == [MINI_LABEL]
    assert {row["edition"] for rows in STUDY.rows(mini).values() for row in rows} == {"mini"}
    for figure in (*map(distance_map, mini.distances), *map(relation_figure, mini.relations)):
        assert MINI_LABEL in "".join(text.get_text() for text in figure.texts)


def test_distances_are_read_back_and_a_measure_of_an_earlier_version_is_left_out(
    report: Similarity, tmp_path: Path
) -> None:
    whole = json.loads(similarity_json(report))
    earlier = {**whole["distances"][2], "measure": "cosine", "by_codebook": [["a", "b", [0.1]]]}
    file = tmp_path / "similarity-custom.json"
    file.write_text(json.dumps({**whole, "distances": [*whole["distances"], earlier], "agreements": []}))
    assert read_distances(tmp_path) == list(report.distances)
    file.write_text(json.dumps({"distances": [{"measure": "mmd2"}]}))
    with pytest.raises(CmbenchError, match="is not a report"):
        read_distances(file)


def test_absent_features_are_named_with_the_command_that_makes_them(tasks: tuple[str, ...], own_cache: Path) -> None:
    store(tasks[:1], own_cache, "mfcc")
    with pytest.raises(MissingError) as raised:
        measure(Request(model=["mfcc"], tasks=list(tasks[:2])), Observer(), [])
    (missing,) = raised.value.missing
    assert missing.what == "stored features of mfcc on hindustani_noise (custom edition)"
    assert missing.command == f"cmbench run --model mfcc --tasks {tasks[1]}"


def test_records_of_other_tracks_are_refused(
    tasks: tuple[str, ...], own_cache: Path, build_evidence: Callable[..., Evidence]
) -> None:
    context = store(tasks[:2], own_cache, "mfcc")
    found = evidence(build_evidence, tasks[:2], context, ("base",))
    other = found[0].record.task.model_copy(update={"split_sha256": "0" * 64})
    wrong = [replace(found[0], record=found[0].record.model_copy(update={"task": other})), found[1]]
    with pytest.raises(UsageError, match="of other tracks"):
        measure(Request(model=["mfcc"], tasks=list(tasks[:2])), Observer(), wrong)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(), "Say what to measure"),
        (Request(model=["mfcc"], hidden_state=["chroma=last"]), "names 'chroma', which is not among"),
        (Request(model=["mfcc"], hidden_state=["L7"]), "no hidden state 'L7'"),
        (Request(model=["mfcc"], protocol="cmbench-9"), "no protocol named 'cmbench-9'"),
        (Request(tokens="./nowhere"), "no model folder"),
    ],
)
def test_what_means_nothing_is_said(request_: Request, message: str, tasks: tuple[str, ...], own_cache: Path) -> None:
    with pytest.raises(UsageError, match=message):
        measure(replace(request_, tasks=list(tasks[:2])), Observer(), [])


def test_as_typed(tasks: tuple[str, ...], own_cache: Path, tmp_path: Path) -> None:
    store(tasks[:3], own_cache, "mfcc")
    words = ["study", "similarity", "--model", "mfcc", "--tasks", ",".join(tasks[:3]), "--resamples", "100"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "turkish_noise" in done.output
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == [
        *("similarity-custom-mmd2-mfcc.png", "similarity-custom-mmd2-mfcc.svg"),
        *(f"similarity-custom.{ending}" for ending in ("csv", "json", "md", "tex")),
    ]
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.touch()
    for more, message in (
        (["--hidden-state", "mfcc="], "should read MODEL=VALUE"),
        (["--in-culture", "turkish"], "should read MODEL=VALUE"),
        (["--out", str(file)], "is a file, where a folder is needed"),
        ([str(empty)], "no record of protocol cmbench-2"),
        ([str(empty), "--edition", "mini"], "no record of edition mini and protocol cmbench-2"),
    ):
        with pytest.raises(UsageError, match=message):
            CliRunner().invoke(app, [*words, *more], catch_exceptions=False)
