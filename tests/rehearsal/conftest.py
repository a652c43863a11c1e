"""A stage for rehearsals: publishers' doubles, models of the released shape, and the program as a user types it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from cmbench.tasks import preparing
from cmbench.tasks.registry import registry
from cmbench.tests.rehearsal import dunya, fma_medium, lyra, magnatagatune
from cmbench.tests.rehearsal.corpus import Form, Item, support
from cmbench.tests.rehearsal.web import Web, route, serving
from cmbench.tests.tasks.conftest import DunyaServer

DUNYA_TASKS = ("turkish_makam", "carnatic", "hindustani")


@dataclass
class Stage:
    """What stands around a rehearsal.

    Attributes:
        root: the data root.
        web: the public servers.
        dunya: Dunya.
        tracks: what each double holds, by task.
        waited: seconds that the program wanted to wait; it did not have to.
    """

    root: Path
    web: Web
    dunya: DunyaServer
    tracks: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)

    def item(self, task: str, name: str) -> Item:
        """A track by its id."""
        return next(one for one in self.tracks[task] if one.id == name)

    def put_all(self, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put all six doubles up, and have their sizes taken for the published ones."""
        for name in DUNYA_TASKS:
            task = registry()[name]
            self.tracks[name] = dunya.put(task, form.sizes(task), self.dunya, self.web, monkeypatch)
        for name, module in (("lyra", lyra), ("magnatagatune", magnatagatune), ("fma_medium", fma_medium)):
            self.tracks[name] = module.put(registry()[name], form, self.web, monkeypatch)
        lyra.put_audio(self.tracks["lyra"], self.root / "lyra" / "audio")
        for name, tracks in self.tracks.items():
            expect_counts(name, tracks, monkeypatch)


def expect_counts(name: str, tracks: tuple[Item, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a task expect a double's counts and support, which it checks as it checks the published ones."""
    task = registry()[name]
    for known, found in (
        (task.counts, {split: sum(one.split == split for one in tracks) for split in task.counts}),
        (task.test_support, support(tracks, task.labels)),
    ):
        for key, number in found.items():
            monkeypatch.setitem(known, key, number)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The publishers' servers, empty; nothing else of the internet can be reached, and no wait is waited."""
    root = tmp_path / "corpora"
    monkeypatch.setenv("CMBENCH_DATA", str(root))
    monkeypatch.setenv("CMBENCH_MODELS", str(tmp_path / "models"))
    with Web() as web, serving(web), DunyaServer() as server, serving(server):
        made = Stage(root, web, server)
        server.page_size, server.next_host = 20, "https://dunya.compmusic.upf.edu"
        monkeypatch.setenv("CMBENCH_DUNYA_URL", server.url)
        monkeypatch.setattr(preparing, "PrepareContext", partial(preparing.PrepareContext, wait=made.waited.append))
        monkeypatch.setattr("cmbench.tasks.dunya.prepare.MANY", 20)
        route(monkeypatch, web)
        yield made
