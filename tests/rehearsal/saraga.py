"""Saraga 1.5 as Zenodo has it: one archive for a tradition, a folder for each recording.

Read: mir-dataset-loaders/mirdata, ``mirdata/datasets/saraga_carnatic.py`` (the archive's address and name, what a
recording's details hold) and ``tests/resources/mir_datasets/saraga_carnatic`` (folders ``saraga1.5_carnatic/CONCERT by
ARTIST/TITLE/``, the mix as ``TITLE.mp3.mp3``, channels as ``TITLE.multitrack-vocal.mp3``, annotations as
``TITLE.sama-manual.txt``); MTG/saraga, ``dataset/carnatic/*/*/*.json`` (the details themselves).

Not read: the archive's own listing, so which recordings lack a mix there is invented.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable

import pytest

from cmbench.tasks.base import Task
from cmbench.tasks.dunya import saraga
from cmbench.tests.rehearsal.corpus import Item
from cmbench.tests.rehearsal.dunya import details
from cmbench.tests.rehearsal.sound import encoded
from cmbench.tests.rehearsal.web import Web


def put(task: Task, tracks: Iterable[Item], web: Web, monkeypatch: pytest.MonkeyPatch) -> tuple[Item, ...]:
    """Serve every third of a task's recordings as Saraga; return them. The last one has no mix."""
    covered = tuple(tracks)[::3]
    name = f"saraga1.5_{task.name}"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for one in covered:
            title = f"Śrī {one.number} {one.split}"
            base = f"{name}/Concert {one.group} at Arkay by A Singer/{title}/{title}"
            archive.writestr(f"{base}.json", json.dumps(details(task.name, one)))
            archive.writestr(f"{base}.sama-manual.txt", "0.5\n1.0\n")
            archive.writestr(f"{base}.multitrack-vocal.mp3", b"one channel")
            if one is not covered[-1]:
                archive.writestr(f"{base}.mp3.mp3", encoded(one.id, one.labels))
        archive.writestr(f"__MACOSX/{name}/._notes.json", b"\0\5\x16\7")
    content = packed.getvalue()
    file = saraga.ARCHIVES[task.name][0]
    web.put(f"https://zenodo.org/records/4301737/files/{file}", content)
    web.redirects[f"zenodo.org/record/4301737/files/{file}"] = f"https://zenodo.org/records/4301737/files/{file}"
    monkeypatch.setitem(saraga.ARCHIVES, task.name, (file, hashlib.md5(content).hexdigest()))
    return covered
