"""The door for files that somebody else wrote: plain files only, with limits on bytes, depth and work; no code is run.

Everything that reads a table, a description, a card or a note comes through here, so that a device, a file without
end, a text nested without end or an array header that promises a terabyte is refused in a sentence. There is no clock:
what is done takes time in proportion to these limits, seconds at most for one file (``test_time_is_bounded_by_size``).
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import yaml
    from numpy.typing import NDArray

LARGEST_TEXT = 4 * 2**20
"""Bytes of one JSON file; the record of the largest task has about 200 kB."""

LARGEST_YAML = 512 * 2**10
"""Bytes of a description, a recipe or a model card. PyYAML takes some seconds for so many."""

LARGEST_TABLE = 512 * 2**20
"""Bytes of a list of tracks: millions of rows."""

DEEPEST = 50
"""Lists and mappings within one another."""

MOST_NODES = 100_000
"""Values of a YAML text, what an alias stands for counted each time."""

LONGEST_NUMBER = 400
"""Characters of a number in a YAML text: half a megabyte of one in base 60 (``1:30``) takes most of a minute."""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_KNOWN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")}
_BAD_NPY = (
    UserWarning,
    ValueError,
    SyntaxError,
    TokenError,
    TypeError,
    KeyError,
    EOFError,
    OverflowError,
    RecursionError,
)


@contextmanager
def open_plain(path: Path, links: bool = True) -> Iterator[IO[bytes]]:
    """Open a plain file for reading.

    Raises:
        OSError: it cannot be opened.
        UsageError: it is a pipe or a device, or its name holds a NUL.
    """
    try:
        # Without O_NONBLOCK a pipe of that name would wait for ever.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(path, flags | (0 if links else getattr(os, "O_NOFOLLOW", 0)))
    except ValueError as error:
        raise UsageError(f"{str(path)!a}: a file's name cannot hold this ({error}).") from error
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise UsageError(f"{path}: it is not a plain file.")
    with os.fdopen(handle, "rb") as file:
        yield file


def read_bytes(path: Path, largest: int = LARGEST_TEXT, links: bool = True) -> bytes:
    """Return a plain file's content.

    Raises:
        OSError: it cannot be opened.
        UsageError: it is no plain file, or larger.
    """
    with open_plain(path, links) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise UsageError(f"{path}: it is larger than {largest / 2**20:.1f} MiB.")
    return content


def read_head(path: Path, most: int) -> str:
    """Return the beginning of a plain text file, bytes that are no UTF-8 replaced.

    Raises:
        OSError: it cannot be opened.
        UsageError: it is no plain file.
    """
    with open_plain(path) as file:
        return file.read(most).decode("utf-8", errors="replace").replace("\r\n", "\n")


def read_text(path: Path, largest: int = LARGEST_TEXT, links: bool = True) -> str:
    """Return a text file's content, without a byte-order mark.

    Raises:
        OSError: it cannot be opened.
        UsageError: it is no plain file, larger, or not UTF-8.
    """
    try:
        return read_bytes(path, largest, links).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: it is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
        ) from error


def parse_json(content: str | bytes, where: object) -> Any:
    """Return what a text in strict JSON (RFC 8259) says.

    Raises:
        UsageError: it is not strict JSON, an object has a key twice, a number is not finite, or it is nested too deep.
    """
    try:
        return json.loads(
            content, object_pairs_hook=_without_doubles, parse_constant=_refuse_constant, parse_float=_finite
        )
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{where}: it is nested too deeply.") from error
    except ValueError as error:
        raise UsageError(f"{where}: it is not JSON ({error}).") from error


def read_object(path: Path, largest: int = LARGEST_TEXT) -> dict[str, Any]:
    """Return the JSON object that a file holds.

    Raises:
        OSError: it cannot be opened.
        UsageError: it is no plain file, larger, not strict JSON, or not an object.
    """
    found = parse_json(read_bytes(path, largest), path)
    if not isinstance(found, dict):
        raise UsageError(f"{path}: this is not a JSON object.")
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise UsageError(f"the key {twice[:80]!a} is there twice in one object.")
    return found


def _refuse_constant(text: str) -> None:
    raise UsageError(f"{text} is not a JSON number; what does not exist is null.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise UsageError("a number is too large.")
    return value


def parse_yaml(text: str, where: object, most: int = MOST_NODES) -> tuple[yaml.Node | None, Any]:
    """Return the nodes of a YAML text, which know their lines, and its value.

    Aliases may be there as long as what they stand for has few values.

    Raises:
        UsageError: it is not YAML, is nested too deeply, has too many values, a tag other than of plain values, or a
            value that its own type refuses (a month 13).
    """
    import yaml

    bad = (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)
    try:
        node = compose_yaml(text, where, most)
        return node, None if node is None else yaml.SafeLoader("").construct_document(node)
    except bad as error:
        # Values of a type that the words are not of: dates, numbers in base 60, empty numbers.
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = "" if mark is None else f":{mark.line + 1}"
        raise UsageError(f"{where}{line}: not valid YAML: {said}.") from error


def _yaml_loader() -> Any:
    """Return the loader of libyaml, which is ten times as fast, where PyYAML has it."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def compose_yaml(text: str, where: object, most: int = MOST_NODES) -> yaml.Node | None:
    """Return the nodes of a YAML text, which know their lines; nothing in it is constructed.

    Raises:
        UsageError: it is too large, is nested too deeply, has too many values, or a tag other than of plain values.
        yaml.YAMLError: it is not YAML.
    """
    import yaml

    if len(text) > LARGEST_YAML:
        raise UsageError(f"{where}: it is larger than {LARGEST_YAML / 2**20:.1f} MiB.")
    require_shallow(text, where, most)
    node = yaml.compose(text, _yaml_loader())
    if node is not None:
        _require_few(node, where, most)
    return node


def require_shallow(text: str, where: object, most: int = MOST_NODES) -> None:
    """Refuse depth, number and tags of a YAML text as they come: nothing of it is built before.

    Raises:
        UsageError: it is nested too deeply, has too many values, or a tag that is not of plain values.
        yaml.YAMLError: it is not YAML.
    """
    import yaml

    depth = 0
    for count, event in enumerate(yaml.parse(text, _yaml_loader())):
        place = where if event.start_mark is None else f"{where}:{event.start_mark.line + 1}"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise UsageError(f"{place}: not valid YAML: more than {DEEPEST} lists and mappings within one another.")
        if count > 2 * most:
            raise UsageError(f"{place}: not valid YAML: more than {most} values.")
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _KNOWN_TAGS:
            raise UsageError(
                f"{place}: not valid YAML: the YAML tag {tag[:80]!a} is not of a plain value; put a text that begins "
                "with `!` in quotes."
            )


def _require_few(root: yaml.Node, where: object, most: int) -> None:
    """Refuse a text whose aliases stand for more values than a reader could print, or for what they stand in."""
    import yaml

    sizes: dict[int, int | None] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node), 0)
        place = f"{where}:{node.start_mark.line + 1}"
        if known is None:
            raise UsageError(f"{place}: not valid YAML: an alias stands for what it is in; write it out.")
        if not known:
            sizes[id(node)] = None
            if node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER:
                raise UsageError(f"{place}: not valid YAML: a number of more than {LONGEST_NUMBER} characters.")
            parts = node.value if isinstance(node, yaml.CollectionNode) else ()
            flat = (part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,)))
            known = sizes[id(node)] = 1 + sum(map(size, flat))
        if known > most:
            raise UsageError(f"{place}: not valid YAML: with its aliases written out it has more than {most} values.")
        return known

    size(root)


def parse_npy(content: bytes) -> NDArray[np.generic]:
    """Return the array of an ``.npy`` file; memory is taken only after its header was found to fit what follows it.

    Objects are never unpickled.

    Raises:
        ValueError: it is not such a file, or has values that do not exist.
    """
    import io

    import numpy as np

    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError("an array is not of npy format 1.0 or 2.0")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            # Headers that Python 2 wrote are parsed by another way; nobody has such files of ids or predictions.
            warnings.simplefilter("error", UserWarning)
            # Python's own word on a doubtful literal would stand on the screen, without a file.
            warnings.simplefilter("error", SyntaxWarning)
            shape, fortran, dtype = header(file)
    except _BAD_NPY as error:
        raise ValueError(f"an array without a header that can be read: {str(error).splitlines()[0][:200]}") from error
    if dtype.kind not in "biufUS" or not dtype.isnative:
        raise ValueError(f"an array of type {str(dtype)[:80]}")
    if any(length < 0 for length in shape) or dtype.itemsize == 0:
        raise ValueError(f"an array of shape {str(shape)[:80]}")
    if math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array header of shape {str(shape)[:80]} before {len(content) - file.tell()} bytes")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    array: NDArray[np.generic] = flat.reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "b" and flat.size and flat.view(np.uint8).max() > 1:
        raise ValueError("a truth value that is neither true nor false")
    if dtype.kind == "U" and flat.size:
        code = flat.view(np.uint32)
        if code.max() > sys.maxunicode or ((code >= 0xD800) & (code <= 0xDFFF)).any():
            raise ValueError("a text with a character that does not exist")
    return array
