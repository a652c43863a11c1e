"""Makam, Carnatic and Hindustani as Dunya delivers them: the id lists of GitHub, pages of details, mp3 by id.

Read: MTG/pycompmusic, ``compmusic/dunya/conn.py`` (``Authorization: Token``; pages with ``results`` and an absolute
``next`` that is followed until it is null) and ``compmusic/dunya/hindustani.py`` (details by id); pxaris/ccml,
``preprocessing/dunya/get_metadata.py`` (which fields of the details become which tags, in each collection); MTG/saraga,
``dataset/carnatic/*/*/*.json`` (whole details of Carnatic recordings, their keys in order, lengths in milliseconds).
The server is that of ``tests/tasks/conftest.py``, which cites MTG/dunya.

Not read: details of a makam recording with every key; the answers of the real server to too many requests.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from typing import Any

import numpy as np
import pytest

from cmbench.tasks.base import Task
from cmbench.tasks.dunya import lists
from cmbench.tasks.dunya.recordings import COLLECTIONS
from cmbench.tasks.fetching.published import LISTS_COMMIT
from cmbench.tasks.splits.names import SPLITS
from cmbench.tests.rehearsal.corpus import Item, Sizes, items, recording_ids
from cmbench.tests.rehearsal.sound import SECONDS, file_of
from cmbench.tests.rehearsal.web import Web
from cmbench.tests.tasks.conftest import DunyaServer, Fault

FOLDERS = {"turkish_makam": "makam", "carnatic": "carnatic", "hindustani": "hindustani"}
_KEYS = {
    "turkish_makam": {"makam": "makamlist", "usul": "usullist", "players": "performers", "release": "releases"},
    "carnatic": {"raga": "raaga", "tala": "taala", "form": "form", "players": "artists", "release": "concert"},
    "hindustani": {"raga": "raags", "tala": "taals", "form": "forms", "players": "artists", "release": "release"},
}


def put(task: Task, sizes: Sizes, server: DunyaServer, web: Web, monkeypatch: pytest.MonkeyPatch) -> tuple[Item, ...]:
    """Put a collection on Dunya's double and its lists on GitHub's, and make both stumble; return the tracks."""
    tracks = items(task, sizes, recording_ids, test_faults=("corrupt", "missing"))
    collection = COLLECTIONS[task.name].path
    for one in tracks:
        server.details[collection][one.id] = details(task.name, one)
        if (content := file_of(one.id, one.labels, one.fault)) is not None:
            server.mp3[one.id] = content
    _put_lists(task, tracks, web, monkeypatch)
    good = [one.id for one in tracks if not one.fault]
    page = f"/api/{collection}/recording"
    server.faults[page] += [Fault(500), Fault(429, {"Retry-After": "7"}), Fault(cut=300)]
    server.faults[mp3(good[0])] += [Fault(cut=1000), Fault(503, {"Retry-After": "2"})]
    server.faults[mp3(good[1])] += [Fault(302, {"Location": f"{server.url}{mp3(good[1])}?from=archive"})]
    return tracks


def mp3(mbid: str) -> str:
    """Path of a recording's file."""
    return f"/document/by-id/{mbid}/mp3"


def details(task: str, one: Item) -> dict[str, Any]:
    """A recording's details as the collection spells them."""
    keys = _KEYS[task]
    tags: dict[str, list[str]] = {}
    for label in one.labels:
        family, _, name = label.partition("--")
        tags.setdefault(family, []).append(name)
    # Also a player whose instrument nobody noted as a label, so that tags and labels are not the same thing.
    instruments = [*tags.get("instrument", []), "Tanpura"]
    found: dict[str, Any] = {"mbid": one.id, "title": f"Track {one.number}"}
    if task != "turkish_makam":  # which states no lengths
        found["length"] = round(1000 * SECONDS)
    found[keys["players"]] = [
        {
            "artist": {"mbid": _uuid(f"player {name}"), "name": f"A player of {name}"},
            "instrument": {"mbid": _uuid(name), "name": name},
            "lead": place == 0,
            "attributes": "",
        }
        for place, name in enumerate(instruments)
    ]
    for family in ("makam", "usul", "raga", "tala", "form"):
        if family in keys:
            found[keys[family]] = [_entry(task, family, name) for name in tags.get(family, [])]
    found["works"] = []
    found["album_artists"] = []
    release = f"{task} {one.group}"  # on both sides of the split, as the published ones are
    found[keys["release"]] = [{"mbid": _uuid(release), "title": release}]
    return found


def _entry(task: str, family: str, name: str) -> dict[str, str]:
    """A makam, raga, tala or form: with a transliteration as its name wherever a common name stands beside it."""
    if family in ("makam", "usul") or (task, family) == ("carnatic", "form"):
        return {"uuid": _uuid(name), "name": name}
    return {"uuid": _uuid(name), "name": f"{name}ḥ", "common_name": name}


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _put_lists(task: Task, tracks: tuple[Item, ...], web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the id lists as ``.npy``, under GitHub's redirect, and have them taken for the published ones."""
    known = {}
    for split in SPLITS:
        target = io.BytesIO()
        np.save(target, np.array([one.id for one in tracks if one.split == split]))
        folder = f"{LISTS_COMMIT}/data/{FOLDERS[task.name]}/split/{split}.npy"
        raw = f"https://raw.githubusercontent.com/pxaris/ccml/{folder}"
        web.put(raw, target.getvalue())
        web.redirects[f"github.com/pxaris/ccml/raw/{folder}"] = raw
        known[split] = (len(target.getvalue()), sha256(target.getvalue()))
    monkeypatch.setitem(lists.LISTS, task.name, known)


def sha256(content: bytes) -> str:
    """Hash in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
