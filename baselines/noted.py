"""Cards of models that are on this machine, noted in the cache: a run that finds all done loads no network for them.

A card follows from the bytes of a model's files and from code alone. A note has the hash of both for its name, worked
out anew by every process, so that one of other weights or of other code is not found; and it states its own.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..files import SEAL, code_sha256, current_sha256, seal_is_broken, sealed, sha256_of, write_atomically
from ..paths import cache_root
from ..version import __version__
from ..written import find_path, is_there
from .base import EncoderCard, LoadOptions
from .hub.about import require_stated_files
from .hub.layout import find_model
from .registry import registry

logger = logging.getLogger(__name__)


def note_path(name: str, options: LoadOptions) -> Path | None:
    """Return where the card of a model is noted; ``None`` if it is not known of what it is made, or not of that alone.

    Raises:
        UsageError: the model's folder is none, or not as it was written; as :func:`.registry.load_encoder` says it.
    """
    # Whether bfloat16 will do is measured on the device.
    if options.precision != "float32":
        return None
    entry, place = registry().get(name), ("", "")
    if entry is not None:
        if entry.made_of is None:
            return None
        found = entry.made_of
    elif not is_there(name):
        return None
    elif (file := find_path(name)).is_file():
        found = (file,)
    else:
        where = find_model(file)
        found, place = (where.folder,), (where.name, where.source)
    try:
        made_of = [_content(one) for one in found]
    except OSError:  # it cannot be read: loading it says so
        return None
    facts = [name, place, made_of, _code()]
    return cache_root() / "cards" / f"{sha256_of(json.dumps(facts).encode())}.json"


def _content(place: Path) -> list[tuple[str, str]]:
    """Names and hashes of a file, or of the files in a folder.

    Of what lies further down only what a folder states hashes of is ever read, and only to compare it.
    """
    if place.is_dir():
        require_stated_files(place)
        files: Iterable[Path] = sorted(file for file in place.iterdir() if file.is_file())
    else:
        files = (place,)
    return [(file.name, current_sha256(file)) for file in files]


@cache
def _code() -> str:
    own = code_sha256(Path(__file__).parent)
    return sha256_of(json.dumps([own, __version__, [_installed(p) for p in _PACKAGES]]).encode())


_PACKAGES = ("numpy", "torch", "transformers", "safetensors")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_note(path: Path) -> EncoderCard | None:
    """Return a card that was noted; ``None`` if there is none, or one that is damaged, which a warning names."""
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict) or SEAL not in content or seal_is_broken(content):
            raise ValueError("it has changed since it was written")
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        logger.warning("%s is not a whole card (%s); the model is loaded and it is written again", path, error)
        return None
    content.pop(SEAL)
    facts: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return EncoderCard(**facts)


def write_note(path: Path, card: EncoderCard) -> None:
    """Note a card, unless the cache is for reading only.

    Raises:
        OSError: it cannot be written for another reason, such as a full disk.
    """
    try:
        write_atomically(path, (json.dumps(sealed(asdict(card)), ensure_ascii=False, indent=1) + "\n").encode())
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
