"""The fuzzer: texts and files of every kind that a stranger may hand in, mutated by seed: read, or refused."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from cmbench.benchmark.records.predictions import predictions_bytes, read_predictions
from cmbench.benchmark.records.record import parse_record
from cmbench.leaderboards.untrusted import read_card
from cmbench.tasks.custom import load_task
from cmbench.tests.faults.setting import TOLD, Figures
from cmbench.untrusted import parse_json, parse_npy, parse_yaml

SNIPPETS = (
    b"", b"[", b"{", b"&a ", b"*a", b"!!int ", b"!!timestamp ", b"- ", b": ", b"? ", b"\0", b"\xff", b"\xed\xa0\x80",
    b"null", b"true", b"1e999", b"NaN", b"-", b"9" * 5000, b"[" * 3000, b'{"a":' * 2000, b"'", b'"', b"\n",
    b"2020-13-45", b"0b_", b"|", b"<<: ", b"\x1b[2J", "\u202e".encode(), b"=1+1", b"{}", b"[]", b"\r", b"%", b"@", b"`",
)  # fmt: skip
TASK = b"name: tones\nlabels: [low, high]\nfamilies: {low: a}\nmax_track_seconds: 3\n"
ROWS = (
    b"id,path,split,group,labels\na,a.wav,train,g,low\nb,b.wav,valid,h,high|low\n"
    b"c,c.wav,test,i,high\nd,d.wav,test,,low\n"
)
ALLOWED: Mapping[str, tuple[type[Exception], ...]] = {"npy": (ValueError,)}
"""What a door raises for its callers, which say where."""

CARD = b"---\nlicense: mit\ndatasets: [a, b]\n---\n# A model\n"


def mutated(content: bytes, draw: random.Random) -> bytes:
    for _ in range(draw.randint(1, 3)):
        at, end = sorted(draw.randint(0, len(content)) for _ in range(2))
        way = draw.randrange(4)
        if way == 0:
            content = content[:at] + draw.choice(SNIPPETS) + content[at:]
        elif way == 1:
            content = content[:at] + draw.choice(SNIPPETS) + content[end:]
        elif way == 2 and content:
            changed = bytearray(content)
            changed[min(at, len(changed) - 1)] ^= 1 << draw.randrange(8)
            content = bytes(changed)
        else:
            content = content[:at] + content[at:end] * 2 + content[end:]
    return content[:20_000]


def doors(folder: Path, record: bytes) -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """Kind -> a sound example, and what reads it."""
    array = io.BytesIO()
    np.save(array, np.array(["a", "bc"]))
    votes = predictions_bytes("ab", "ab", ["low"], np.array([[True], [False]]), np.zeros((1, 2, 1), np.float32))

    def task(description: bytes, rows: bytes) -> object:
        (folder / "task.yaml").write_bytes(description)
        (folder / "tracks.csv").write_bytes(rows)
        return load_task(folder / "task.yaml")

    def card(content: bytes) -> object:
        (folder / "card.md").write_bytes(content)
        return read_card(folder / "card.md")

    return {
        "yaml": (TASK, lambda content: parse_yaml(content.decode("utf-8", "replace"), "here")),
        "json": (record[:3000] or b"{}", lambda content: parse_json(content, "here")),
        "npy": (array.getvalue(), parse_npy),
        "predictions": (votes, lambda content: read_predictions(content, folder, 2**20)),
        "record": (record, lambda content: parse_record(content, folder)),
        "task.yaml": (TASK, lambda content: task(content, ROWS)),
        "tracks.csv": (ROWS, lambda content: task(TASK, content)),
        "card": (CARD, card),
    }


def fuzz(
    folder: Path, record: bytes, cases: int, seed: int, allowed: Mapping[str, type[Exception]] | None = None
) -> Figures:
    """Hand in mutated files of every kind in turn."""
    figures, draw = Figures("fuzz"), random.Random(seed)
    kinds = doors(folder, record)
    slowest = (0.0, "")
    for number in range(cases):
        kind = list(kinds)[number % len(kinds)]
        sound, read = kinds[kind]
        content = mutated(sound, draw)
        refusals: tuple[type[Exception], ...] = TOLD + ALLOWED.get(kind, ())
        began = time.process_time()
        figures.cases += 1
        try:
            read(content)
            figures.unused += 1
        except refusals as error:
            figures.told += 1
            if len(str(error)) > 25_000:
                figures.wrong.append(f"{kind}: a flood of {len(str(error))} characters")
        except Exception as error:  # a traceback, whatever it is
            figures.tracebacks.append(f"{kind}, {content[:200]!r}: {type(error).__name__}: {error}"[:500])
        slowest = max(slowest, (time.process_time() - began, kind))
    figures.more = f", slowest {slowest[0]:.2f} s ({slowest[1]})"
    return figures
