"""Small corpora as people keep them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

Sound = Callable[[Path], Path]


@pytest.fixture
def sound() -> Sound:
    """Writes a tenth of a second of noise, with the folders above it."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(path.name)).uniform(-0.5, 0.5, 800)
        soundfile.write(path, noise, 8000, format="WAV")
        return path

    return write


@pytest.fixture
def corpus(tmp_path: Path, sound: Sound) -> Callable[..., Path]:
    """Writes recordings, and a table of them in ``songs.csv`` with any separator and encoding; returns the folder."""

    def write(
        rows: Iterable[Mapping[str, str]], files: Iterable[str], separator: str = ",", encoding: str = "utf-8"
    ) -> Path:
        folder = tmp_path / "corpus"
        for file in files:
            sound(folder / file)
        listed = list(rows)
        lines = [list(listed[0]), *([*row.values()] for row in listed)]
        text = "\n".join(separator.join(f'"{cell}"' if separator in cell else cell for cell in line) for line in lines)
        (folder / "songs.csv").write_bytes(f"{text}\n".encode(encoding))
        return folder

    return write
