"""From id lists to a task that loads, against a server that fails; what is kept, what is said, and what never is."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmbench.errors import CmbenchError, UsageError
from cmbench.tasks.base import LoadContext
from cmbench.tasks.choice import get_task
from cmbench.tasks.dunya.answers import DunyaUnavailableError, TokenRefusedError
from cmbench.tasks.dunya.client import DunyaClient, Patience
from cmbench.tasks.dunya.prepare import fetch_collection
from cmbench.tasks.dunya.recordings import read_rows
from cmbench.tasks.preparing import PrepareContext
from cmbench.tasks.splits.names import SPLITS

Server = Any
Faults = Any
Details = Callable[..., dict[str, Any]]
TASK = get_task("turkish_makam")
IDS = {"train": ["a1", "a2"], "valid": ["b1"], "test": ["c1", "c2"]}
LISTED = [mbid for ids in IDS.values() for mbid in ids]
MAKAMS = dict(zip(LISTED, ("Hicaz", "Rast", "Hicaz", "Segah", "Unheard of"), strict=True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The task's folder with id lists and nothing else."""
    made = tmp_path / "data" / "turkish_makam"
    (made / "split").mkdir(parents=True)
    for name, ids in IDS.items():
        np.save(made / "split" / f"{name}.npy", np.array(ids))
    return made


@pytest.fixture
def server(dunya_server: Server, makam: Details) -> Server:
    """A server that knows the listed recordings and another one."""
    for name in (*LISTED, "other"):
        dunya_server.details["makam"][name] = makam(name, MAKAMS.get(name, "Rast"), release=f"r{name[0]}")
        dunya_server.mp3[name] = name.encode() * 20_000
    return dunya_server


@pytest.fixture
def client(server: Server) -> Iterator[DunyaClient]:
    """A client that does not sleep."""
    with DunyaClient(server.token, server.url, Patience(attempts=3, between=0.0, read=5.0), lambda _: None) as made:
        yield made


class Ear:
    """Hears what is told and how far it is."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def tell(self, text: str) -> None:
        self.told.append(text)

    def progress(self, what: str, done: int, total: int) -> None:
        self.steps.append((what, done, total))


@pytest.fixture
def ear() -> Ear:
    return Ear()


def fetch(folder: Path, client: DunyaClient, ear: Ear) -> dict[str, Any]:
    """Fetch what is absent and return the report."""
    fetch_collection(TASK, folder, client, ear.tell, ear.progress)
    return report(folder)


def report(folder: Path) -> dict[str, Any]:
    """What is written down of the last start."""
    found: dict[str, Any] = json.loads((folder / "dunya.json").read_text(encoding="utf-8"))
    return found


def test_from_lists_to_a_task_that_loads(folder: Path, client: DunyaClient, ear: Ear, server: Server) -> None:
    found = fetch(folder, client, ear)
    assert found["splits"] == {name: dict.fromkeys(("listed", "tags", "audio"), len(IDS[name])) for name in SPLITS}
    assert found["not_fetched"] == []
    assert found["source"] == server.url
    assert {path.name: path.read_bytes() for path in (folder / "audio").iterdir()} == {
        f"{name}.mp3": name.encode() * 20_000 for name in LISTED
    }
    data = TASK.load("full", LoadContext(data_root=folder.parent, cache_root=folder.parent / "cache"))
    tracks = {track.id: track for name in SPLITS for track in data.splits[name]}
    assert tracks["a1"].labels == ("instrument--Ney", "makam--Hicaz", "usul--Düyek")
    assert tracks["c2"].labels == ("instrument--Ney", "usul--Düyek")
    assert {track.group for track in tracks.values()} == {"ra", "rb", "rc"}
    assert ear.told[0].startswith("labels by the published rule from 2 of 2 training recordings: ")
    assert ear.steps[-1] == ("turkish_makam: mp3", 5, 5)
    assert [step for step in ear.steps if "tags" in step[0]][-1] == ("turkish_makam: tags", 5, 5)


def test_a_second_start_asks_only_for_what_is_absent(
    folder: Path, client: DunyaClient, ear: Ear, server: Server
) -> None:
    del server.details["makam"]["b1"], server.mp3["c2"]
    found = fetch(folder, client, ear)
    assert [(entry["what"], entry["id"], entry["state"]) for entry in found["not_fetched"]] == [
        ("tags", "b1", "missing"),
        ("audio", "c2", "missing"),
    ]
    assert found["splits"]["valid"] == {"listed": 1, "tags": 0, "audio": 0}
    assert ear.told[-1] == f"turkish_makam: tags or mp3 that Dunya does not have: 2; see {folder / 'dunya.json'}."
    server.asked.clear()
    fetch(folder, client, ear)
    assert server.paths() == ["/api/makam/recording/b1", "/document/by-id/c2/mp3"]
    (folder / "audio" / "a1.mp3").rename(folder / "audio" / "a1.wav")
    (folder / "audio" / "a2.mp3").unlink()
    server.asked.clear()
    fetch(folder, client, ear)
    assert server.paths() == ["/api/makam/recording/b1", "/document/by-id/a2/mp3", "/document/by-id/c2/mp3"]


def test_many_recordings_are_read_from_pages(
    folder: Path, client: DunyaClient, ear: Ear, server: Server, makam: Details
) -> None:
    many = [f"m{i}" for i in range(150)]
    for name in many:
        server.details["makam"][name] = makam(name, "Rast")
    del server.details["makam"]["m7"]
    server.details["makam"]["m9"]["usullist"] = "not a list"
    np.save(folder / "split" / "train.npy", np.array(many))
    server.page_size = 60
    server.mp3 = dict.fromkeys([*many, *LISTED], b"mp3")
    with pytest.raises(DunyaUnavailableError, match=r"could not be fetched: 1 .*'usullist' does not list"):
        fetch(folder, client, ear)
    assert [path for path in server.paths() if path.startswith("/api")] == [
        *(f"/api/makam/recording?detail=1{page}" for page in ("", "&page=2", "&page=3")),
        "/api/makam/recording/m7",
        "/api/makam/recording/m9",
    ]
    assert report(folder)["splits"]["train"] == {"listed": 150, "tags": 148, "audio": 148}
    assert [(entry["id"], entry["state"]) for entry in report(folder)["not_fetched"]] == [
        ("m7", "missing"),
        ("m9", "failed"),
    ]


def test_a_list_that_was_broken_off_goes_on_behind_its_last_page(
    folder: Path, client: DunyaClient, ear: Ear, server: Server, fault: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmbench.tasks.dunya.prepare.MANY", 2)
    pages = "/api/makam/recording"
    server.faults[pages] = [fault(), *[fault(500)] * 3]
    with pytest.raises(DunyaUnavailableError):
        fetch_collection(TASK, folder, client, ear.tell, ear.progress)
    assert json.loads((folder / "tag-pages.json").read_bytes())["next"] == "detail=1&page=2"
    assert set(read_rows(folder / "metadata.tsv")) == {"a1", "a2"}
    server.asked.clear()
    fetch_collection(TASK, folder, client, ear.tell, ear.progress)
    assert next(path for path in server.paths() if path.startswith(pages)) == f"{pages}?detail=1&page=2"
    assert f"{pages}?detail=1" not in server.paths()
    assert not (folder / "tag-pages.json").exists()
    assert set(read_rows(folder / "metadata.tsv")) == set(LISTED)


@pytest.mark.parametrize("kept", [b"", b"[]", b'{"next": "page=2"}', b'{"url": "https://elsewhere", "next": "page=2"}'])
def test_a_place_in_a_list_that_is_none_begins_it_anew(
    folder: Path, client: DunyaClient, ear: Ear, server: Server, monkeypatch: pytest.MonkeyPatch, kept: bytes
) -> None:
    monkeypatch.setattr("cmbench.tasks.dunya.prepare.MANY", 2)
    (folder / "tag-pages.json").write_bytes(kept)
    fetch_collection(TASK, folder, client, ear.tell, ear.progress)
    assert server.paths()[0] == "/api/makam/recording?detail=1"


def test_lists_without_details_are_made_up_for_one_by_one(
    folder: Path, client: DunyaClient, ear: Ear, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmbench.tasks.dunya.prepare.MANY", 3)
    server.detail_in_lists = False
    assert fetch(folder, client, ear)["not_fetched"] == []
    assert sum("/recording/" in path for path in server.paths()) == 5


def test_what_fails_for_good_is_named_and_the_rest_is_fetched(
    folder: Path, client: DunyaClient, ear: Ear, server: Server, fault: Faults
) -> None:
    server.faults["/api/makam/recording/a2"] = [fault(500)] * 3
    server.faults["/document/by-id/b1/mp3"] = [fault(cut=7)] * 3
    with pytest.raises(DunyaUnavailableError, match=r"could not be fetched: 2 .*the same command tries these"):
        fetch(folder, client, ear)
    found = report(folder)
    assert [(entry["what"], entry["id"], entry["state"]) for entry in found["not_fetched"]] == [
        ("tags", "a2", "failed"),
        ("audio", "b1", "failed"),
    ]
    assert found["splits"]["test"] == {"listed": 2, "tags": 2, "audio": 2}
    assert found["labels"]["train_known"] == 1
    assert fetch(folder, client, ear)["not_fetched"] == []
    assert (folder / "audio" / "b1.mp3").read_bytes() == b"b1" * 20_000


def test_a_server_that_breaks_down_ends_it_and_nothing_is_lost(
    folder: Path, client: DunyaClient, ear: Ear, server: Server, fault: Faults
) -> None:
    for name in ("b1", "c1", "c2"):
        server.faults[f"/api/makam/recording/{name}"] = [fault(503)] * 3
    with pytest.raises(DunyaUnavailableError, match=r"HTTP 503 .*Stopped after 3 failures in a row"):
        fetch(folder, client, ear)
    assert report(folder)["splits"]["train"] == {"listed": 2, "tags": 2, "audio": 0}
    server.asked.clear()
    fetch(folder, client, ear)
    assert [path for path in server.paths() if "/api/" in path] == [
        f"/api/makam/recording/{name}" for name in ("b1", "c1", "c2")
    ]


def test_answers_of_another_form_end_it_too(folder: Path, client: DunyaClient, ear: Ear, server: Server) -> None:
    for details in server.details["makam"].values():
        del details["makamlist"]
    with pytest.raises(DunyaUnavailableError, match=r"answers have an unknown form: the field 'makamlist' is absent"):
        fetch(folder, client, ear)


def test_interrupted_it_keeps_what_it_has(folder: Path, client: DunyaClient, ear: Ear) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_collection(TASK, folder, client, ear.tell, stop)
    assert sum(part["tags"] for part in report(folder)["splits"].values()) == 3


def test_audio_that_the_token_may_not_have(
    folder: Path, client: DunyaClient, ear: Ear, server: Server, fault: Faults
) -> None:
    server.faults["/document/by-id/a2/mp3"] = [fault(401)]
    found = fetch(folder, client, ear)
    assert [(entry["id"], entry["reason"]) for entry in found["not_fetched"]] == [("a2", "refused for this token")]
    for path in (folder / "audio").iterdir():
        path.unlink()
    for name in LISTED:
        server.faults[f"/document/by-id/{name}/mp3"] = [fault(401)]
    with pytest.raises(TokenRefusedError, match="Ask Dunya for access to this collection's audio"):
        fetch(folder, client, ear)
    assert sum(part["audio"] for part in report(folder)["splits"].values()) == 0


def test_an_id_that_leads_elsewhere_is_refused(folder: Path, client: DunyaClient, ear: Ear, server: Server) -> None:
    np.save(folder / "split" / "train.npy", np.array(["../../x", "a1"]))
    with pytest.raises(UsageError, match=r"'\.\./\.\./x' in the lists is no recording id"):
        fetch(folder, client, ear)
    assert server.asked == []


def test_rows_of_the_user_are_not_asked_for(folder: Path, client: DunyaClient, ear: Ear, server: Server) -> None:
    rows = "".join(f"{name}\tmakam--Rast\n" for name in LISTED)
    (folder / "metadata.tsv").write_text("mbid\ttags\n" + rows, encoding="utf-8")
    before = (folder / "metadata.tsv").read_bytes()
    fetch(folder, client, ear)
    assert not any("/api/" in path for path in server.paths())
    assert (folder / "metadata.tsv").read_bytes() == before


@pytest.fixture
def context(folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch, ear: Ear) -> PrepareContext:
    """What a preparation is given; nobody is there to answer, and the token is in the environment."""

    def ask(prompt: str) -> str:
        raise UsageError(f"nobody to answer: {prompt}")

    monkeypatch.setenv("CMBENCH_DUNYA_TOKEN", server.token)
    monkeypatch.setenv("CMBENCH_DUNYA_URL", server.url)
    return PrepareContext(folder.parent, ask, ear.tell, ear.progress, wait=lambda _: None)


def plan(context: PrepareContext) -> Any:
    """The plan of the makam task."""
    assert TASK.prepare is not None
    return TASK.prepare(TASK, context)


def test_a_plan_says_what_is_absent_and_touches_nothing(
    context: PrepareContext, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(folder.rglob("*"))
    made = plan(context)
    assert made.downloads == ()
    (step,) = made.steps
    assert step.what == "fetch from Dunya the tags of 5 recordings and the mp3 of 5"
    assert step.fetches
    assert "not redistributable" in step.licence
    assert made.notes[0] == "Whole recordings are fetched, of which the first 150 s are used."
    monkeypatch.delenv("CMBENCH_DUNYA_TOKEN")
    assert "You will be asked for your Dunya token" in plan(context).notes[-1]
    assert step.asks == ""
    assert "set CMBENCH_DUNYA_TOKEN" in plan(context).steps[0].asks
    assert server.asked == []
    assert sorted(folder.rglob("*")) == before
    assert not (context.data_root / "nowhere").exists()
    assert len(plan(replace(context, data_root=context.data_root / "nowhere")).downloads) == 3
    assert not (context.data_root / "nowhere").exists()


def test_a_plan_is_carried_out_and_then_there_is_nothing_to_do(context: PrepareContext, server: Server) -> None:
    plan(context).steps[0].run(context)
    assert plan(context).nothing_to_do
    assert plan(replace(context, source="dunya")).nothing_to_do


def test_what_dunya_does_not_have_is_missing_only_once_it_was_asked(
    context: PrepareContext, server: Server, folder: Path, fault: Faults
) -> None:
    del server.details["makam"]["b1"]
    server.faults["/api/makam/recording/a1"] = [fault(401)]
    with pytest.raises(TokenRefusedError):
        plan(context).steps[0].run(context)
    assert plan(context).missing == ()
    plan(context).steps[0].run(context)
    (missing,) = plan(context).missing
    assert missing.what.startswith("tags of 1 listed recordings of turkish_makam that Dunya does not have")
    assert "take their ids out of the lists" in missing.command
    np.save(folder / "split" / "valid.npy", np.array(["a9"]))
    assert plan(context).missing == ()
    (folder / "dunya.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UsageError, match=r"dunya\.json is not the report .*; remove it"):
        plan(context)


def test_the_token_is_asked_for_where_the_environment_has_none(
    context: PrepareContext, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CMBENCH_DUNYA_TOKEN", "")
    with pytest.raises(UsageError, match=r"nobody to answer: Dunya token: .*/user/profile/.*TOKEN"):
        plan(context).steps[0].run(context)
    plan(context).steps[0].run(replace(context, ask=lambda prompt: f" {server.token}\n"))
    assert plan(context).nothing_to_do


def test_offline_nothing_is_asked_for(context: PrepareContext, server: Server) -> None:
    with pytest.raises(UsageError, match="cannot be reached offline"):
        plan(context).steps[0].run(replace(context, offline=True))
    assert server.asked == []


def test_unknown_sources_are_refused(context: PrepareContext) -> None:
    with pytest.raises(UsageError, match="turkish_makam has no source 'zenodo'; it has dunya"):
        plan(replace(context, source="zenodo"))
    with pytest.raises(UsageError, match="Saraga has no recordings of turkish_makam"):
        plan(replace(context, source="saraga"))


def test_the_token_is_nowhere(
    context: PrepareContext,
    server: Server,
    fault: Faults,
    ear: Ear,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in a file, a log, a line, a progress or an error, whether all goes well or everything fails."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []

    def run() -> None:
        try:
            plan(context).steps[0].run(context)
        except CmbenchError as error:
            texts.extend([str(error), repr(error), "".join(traceback.format_exception(error))])

    server.faults["/api/makam/recording/a1"] = [fault(401)]
    run()
    server.faults["/api/makam/recording/a1"] = [fault(500)] * 6
    server.faults["/document/by-id/b1/mp3"] = [fault(cut=9)] * 6
    run()
    server.faults["/document/by-id/b1/mp3"] = [fault(403)]
    run()
    run()
    assert len(texts) >= 6
    assert plan(context).nothing_to_do
    texts += [*ear.told, *(step[0] for step in ear.steps), caplog.text, *capfd.readouterr(), repr(plan(context))]
    texts += [
        str(path) + path.read_bytes().decode("latin-1") for path in context.data_root.rglob("*") if path.is_file()
    ]
    assert not any(server.token in text for text in texts)
    assert any(server.token in headers["Authorization"] for _, headers in server.asked)


def test_the_plan_announces_files_and_bytes_of_what_is_not_here(tmp_path: Path, folder: Path) -> None:
    def steps(root: Path) -> tuple[int, int | None, str]:
        assert TASK.prepare is not None
        plan = TASK.prepare(TASK, PrepareContext(root, str))
        (step,) = plan.steps
        return step.files, step.estimate, " ".join((step.what, *plan.notes))

    files, size, words = steps(tmp_path / "nothing")
    assert files == 5297
    assert size == 5297 * 223 * 16_000
    assert "the tags of 5297 recordings and the mp3 of 5297" in words
    assert "about 18.9 GB is 5297 mp3 of 3.7 min in the mean" in words
    assert "at 320 kbit/s it would be 47.2 GB" in words
    audio = tmp_path / "nothing" / "turkish_makam" / "audio"
    audio.mkdir(parents=True)
    (audio / "a1.mp3").write_bytes(b"x")
    assert steps(tmp_path / "nothing")[0] == 5296, "what is here is not announced, lists or no lists"
    (folder / "audio").mkdir()
    (folder / "audio" / "a1.mp3").write_bytes(b"x")
    assert steps(folder.parent)[:2] == (4, 4 * 223 * 16_000)
    for mbid in LISTED:
        (folder / "audio" / f"{mbid}.mp3").write_bytes(b"x")
    files, size, words = steps(folder.parent)
    assert (files, size) == (0, None), "tags alone take next to nothing, and nobody says how much"
    assert "Dunya states no sizes" not in words
