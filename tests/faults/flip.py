"""The byte flipper: one bit of any file below cache, results or a pre-training run, drawn by seed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cmbench.tests.faults.setting import TOLD, Contents, Figures, contents, corpus, evaluate, heard, restore


def flipped(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def flip_run(folder: Path, cases: int, seed: int) -> Figures:
    """Flip bits below cache and results; the cache is used by a run into another folder, results by the same one."""
    figures, draw = Figures("flips"), random.Random(seed)
    corpus(folder)
    expected = evaluate(folder)
    places = (folder / "cache", folder / "out")
    kept = contents(*places)
    names = [name for name, content in kept.items() if content]
    with heard() as usual:
        evaluate(folder, "again")
    for _ in range(cases):
        restore(kept, *places)
        shutil.rmtree(folder / "again", ignore_errors=True)
        name = draw.choice(names)
        Path(name).write_bytes(flipped(kept[name], draw))
        out = "out" if Path(name).is_relative_to(places[1]) else "again"
        judge(figures, Path(name), kept, lambda out=out: evaluate(folder, out) == expected, usual)  # type: ignore[misc]
    return figures


def flip_training(training: Path, use: Callable[[], object], cases: int, seed: int) -> Figures:
    """Flip bits of what an interrupted pre-training run left; ``use`` must tell, and nothing may be touched."""
    figures, draw = Figures("training"), random.Random(seed)
    kept = contents(training)
    names = [name for name, content in kept.items() if content]
    for _ in range(cases):
        name = draw.choice(names)
        spoilt = flipped(kept[name], draw)
        Path(name).write_bytes(spoilt)
        judge(figures, Path(name), kept, lambda: use() is False)
        if contents(training) != {**kept, name: spoilt}:
            figures.wrong.append(f"{name}: something was touched")
        Path(name).write_bytes(kept[name])
    return figures


def judge(figures: Figures, file: Path, kept: Contents, right: Callable[[], bool], usual: Sequence[str] = ()) -> None:
    """Use what was damaged, and count what became of it; ``usual`` is what a sound run says too."""
    figures.cases += 1
    spoilt = file.read_bytes()
    try:
        with heard() as words:
            good = right()
    except TOLD:
        figures.told += 1
        return
    except Exception as error:  # a traceback, whatever it is
        figures.tracebacks.append(f"{file}: {type(error).__name__}: {error}"[:300])
        return
    if not good:
        figures.wrong.append(
            f"{file}: {[i for i, (a, b) in enumerate(zip(spoilt, kept[str(file)], strict=True)) if a != b]}"
        )
    elif set(words) - set(usual) or not file.exists() or file.read_bytes() != spoilt:
        figures.mended += 1
    else:
        figures.unused += 1
