"""MagnaTagATune as City University delivers it: annotations, and one archive in three parts.

Read: keunwoochoi/kapre, ``kapre/datasets.py`` (names and hashes of the parts, ``cat``-ed before they are unpacked) and
excerpts of two loaders of ``annotations_final.csv`` (tab-separated, ``clip_id`` first, ``mp3_path`` last, a column of 0
and 1 for each of 188 tags between them); jordipons/musicnn-training, ``data/index/mtt`` (paths of clips, folders 0 to
f).

Not read: the file itself, so whether its cells are quoted is taken from memory (they are here), and the archive's
listing. The three clips that are empty in the published archive are here, and empty.
"""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from cmbench.tasks import magnatagatune
from cmbench.tasks.base import Task
from cmbench.tests.rehearsal.corpus import Form, Item, items, published_rows, spread
from cmbench.tests.rehearsal.sound import SECONDS, file_of
from cmbench.tests.rehearsal.web import Web
from cmbench.tests.tasks.conftest import Fault

OTHERS = tuple(f"rare tag {i}" for i in range(138))
"""With the 50 labels, as many tags as the file has."""


def ids(task: Task, split: str, size: int) -> list[str]:
    """Paths of clips: published ones if the lists are beside the checkout."""
    name = {"train": "mtat_train_paths", "valid": "mtat_valid", "test": "mtat_test"}[split]
    listed = [row["mp3_path"] for row in published_rows(f"magnatagatune/{name}.tsv.gz")]
    listed = [path for path in listed if path not in magnatagatune.CORRUPT]
    if listed:
        return spread(listed, size)
    folders = magnatagatune.FOLDERS[split]
    return [f"{folders[i % len(folders)]}/player_{i // 2}-album-{i % 90:02d}-title_{i}-0-29.mp3" for i in range(size)]


def put(task: Task, form: Form, web: Web, monkeypatch: pytest.MonkeyPatch) -> tuple[Item, ...]:
    """Serve annotations and archive, with a cut, a 429 and a 500 on the way; return the clips that are in the task."""
    clips = items(task, form.sizes(task), ids)
    content = {"annotations_final.csv": _annotations(task, clips)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in magnatagatune.CORRUPT:
            archive.writestr(path, b"")
        for one in clips:
            if (sound := file_of(one.id, one.labels, one.fault)) is not None:
                archive.writestr(one.id, sound)
    whole = packed.getvalue()
    third = len(whole) // 3 + 1
    content |= {f"mp3.zip.00{i + 1}": whole[i * third : (i + 1) * third] for i in range(3)}
    for name, data in content.items():
        web.put(f"{magnatagatune.FILES_AT}/{name}", data)
    at = magnatagatune.FILES_AT.removeprefix("https://")
    web.faults[f"{at}/mp3.zip.001"] += [Fault(500), Fault(cut=5000)]
    web.faults[f"{at}/mp3.zip.002"] += [Fault(429, {"Retry-After": "3"})]
    hashes = {name: f"md5:{hashlib.md5(content[name]).hexdigest()}" for name in magnatagatune.FILES}
    monkeypatch.setattr(magnatagatune, "FILES", hashes)
    monkeypatch.setattr(magnatagatune, "CLIP_SECONDS", SECONDS)
    # What is unpacked counts as all of it: one clip of those listed is not in the archive.
    monkeypatch.setattr(magnatagatune, "CLIPS", len(clips) + len(magnatagatune.CORRUPT) - 2)
    return clips


def _annotations(task: Task, clips: tuple[Item, ...]) -> bytes:
    """The table, its tags in another order than the labels'; among its clips the empty ones and one without a label."""
    tags = (*OTHERS[:70], *reversed(task.labels), *OTHERS[70:])
    lines = [("clip_id", *tags, "mp3_path")]
    rows = [(one.id, set(one.labels)) for one in clips]
    rows += [(path, {task.labels[0]}) for path in magnatagatune.CORRUPT]
    rows.append(("f/nobody-nothing-01-silence-0-29.mp3", {OTHERS[0]}))
    lines += [
        (str(number), *("1" if tag in has else "0" for tag in tags), path)
        for number, (path, has) in enumerate(sorted(rows, key=lambda row: hashlib.md5(row[0].encode()).digest()), 2)
    ]
    return "".join("\t".join(f'"{cell}"' for cell in line) + "\n" for line in lines).encode()
