"""Reading what a stranger wrote: bounded sizes, no links, no code, no surprises in JSON, YAML or names."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from .. import untrusted
from ..errors import CmbenchError
from ..untrusted import LARGEST_TEXT as LARGEST_TEXT
from ..untrusted import LARGEST_YAML

LARGEST_CARD = LARGEST_YAML
"""Bytes of a model card."""

MOST_FILES = 200
"""Files of one entry: a record and predictions for each task, and those of a reproduction."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._+@-]{0,79}$"
"""Names of models, versions and files: ASCII, so that two that look alike are alike; no separator, no leading dot."""

_NAME = re.compile(NAME)
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of what a reader cannot see: controls, direction marks, joiners, private and unassigned ones."""


def is_name(text: str) -> bool:
    """Return whether a text is a plain name that can be a file's."""
    return _NAME.fullmatch(text) is not None and not text.endswith(("\n", "."))


def refuse_hidden(text: str, where: str, allowed: str = "") -> str:
    """Return ``text`` if all of it can be seen.

    Raises:
        CmbenchError: it has a character that cannot be seen, or is not in Unicode's composed form.
    """
    for character in text:
        if character not in allowed and unicodedata.category(character) in _HIDDEN:
            raise CmbenchError(f"{where}: it has the invisible character U+{ord(character):04X}; remove it.")
    if not unicodedata.is_normalized("NFC", text):
        raise CmbenchError(f"{where}: its letters are decomposed; write them in Unicode's composed form (NFC).")
    return text


def walk(folder: Path) -> Iterator[str]:
    """Yield the files below a folder as relative paths with ``/``, sorted; no link is followed.

    Raises:
        CmbenchError: something is neither a plain file nor a folder, has an odd name, or there is too much of it.
    """
    count = 0
    waiting = [folder]
    found = []
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as listed:
            items = list(islice(listed, 2 * MOST_FILES + 1))
        for item in items:
            count += 1
            if count > 2 * MOST_FILES:
                raise CmbenchError(f"{folder}: there are more than {MOST_FILES} files; an entry has far fewer.")
            if not is_name(item.name):
                raise CmbenchError(f"{folder}: the name {item.name!a} is not one; use letters, digits, and . _ + @ -")
            kind = item.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(kind):
                waiting.append(Path(item.path))
            elif stat.S_ISREG(kind):
                found.append(Path(item.path).relative_to(folder).as_posix())
            else:
                raise CmbenchError(f"{item.path}: it is a link or a device; an entry has plain files only.")
    yield from sorted(found)


def read_bytes(path: Path, largest: int) -> bytes:
    """Return a plain file's content.

    Raises:
        CmbenchError: it is not there, no plain file, or larger.
    """
    try:
        return untrusted.read_bytes(path, largest, links=False)
    except IsADirectoryError as error:
        raise CmbenchError(f"{path}: it is not a plain file.") from error
    except OSError as error:
        raise CmbenchError(f"{path}: it cannot be read as a plain file ({error.strerror}).") from error


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """Return a text file's content.

    Raises:
        CmbenchError: it is too large or not UTF-8.
    """
    try:
        return read_bytes(path, largest).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CmbenchError(f"{path}: it is not UTF-8 text ({error.reason} at byte {error.start}).") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file says.

    Raises:
        CmbenchError: it is not strict JSON (RFC 8259), an object has a key twice, a number is not finite, it is nested
            too deeply, or a text has characters that cannot be seen.
    """
    found = untrusted.parse_json(read_text(path), path)
    try:
        _check_strings(found)
    except CmbenchError as error:
        raise CmbenchError(f"{path}: {error}") from error
    return found


def _check_strings(value: Any) -> None:
    if isinstance(value, str):
        refuse_hidden(value, "a text", allowed="\n")
    elif isinstance(value, dict):
        for key, inner in value.items():
            refuse_hidden(key, "a key")
            _check_strings(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_strings(inner)


def read_card(path: Path) -> tuple[dict[str, Any], str]:
    """Return the front matter of a model card and its text.

    The YAML between two lines ``---`` makes texts, lists and mappings, ``True``, ``False`` and ``None``; nothing else.

    Raises:
        CmbenchError: the file is too large, or its front matter is not such YAML.
    """
    text = read_text(path, LARGEST_CARD).replace("\r\n", "\n").removeprefix("\ufeff")
    refuse_hidden_in_card(text, path)
    head = re.match(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", text, re.DOTALL | re.MULTILINE)
    if head is None:
        return {}, text
    return _front_matter(head.group(1), path), text[head.end() :]


def refuse_hidden_in_card(text: str, path: Path) -> None:
    """Raise if a card has a control or direction mark; emoji joiners and decomposed letters may be there."""
    for character in text:
        kind = unicodedata.category(character)
        if kind in {"Cc", "Cs", "Co"} and character not in "\n\t":
            raise CmbenchError(f"{path}: it has the control character U+{ord(character):04X}; remove it.")
        if unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}:
            raise CmbenchError(f"{path}: it turns the direction of writing (U+{ord(character):04X}); remove it.")


def _front_matter(text: str, path: Path) -> dict[str, Any]:
    import yaml

    try:
        untrusted.require_shallow(text, f"{path}, front matter")
        for event in yaml.parse(text, yaml.SafeLoader):
            # Aliases make bombs of a few lines.
            if isinstance(event, yaml.AliasEvent):
                raise CmbenchError(f"{path}: its front matter has YAML aliases (*name); write the values out.")
            if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
                raise CmbenchError(f"{path}: its front matter has the YAML tag {event.tag!a}; write plain values.")
        found = yaml.load(text, _loader())  # noqa: S506  (a subclass of SafeLoader)
    except yaml.YAMLError as error:
        first = str(error).splitlines()[0]
        raise CmbenchError(f"{path}: its front matter is not plain YAML ({first}).") from error
    except (RecursionError, ValueError) as error:
        raise CmbenchError(f"{path}: its front matter cannot be read ({type(error).__name__}).") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise CmbenchError(f"{path}: its front matter is not a mapping of names to values.")
    return found


def _loader() -> Any:
    import yaml

    class PlainLoader(yaml.SafeLoader):
        """A loader of texts, lists and mappings; only ``true``, ``false`` and ``null`` are more than a text.

        A number stays as it was written: YAML 1.1 reads some as dates, in base 60, or with more digits than Python will
        print. A key that is there twice is refused.
        """

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            if len(set(map(str, keys))) != len(keys):
                raise yaml.YAMLError("a key is there twice")
            return super().construct_mapping(node, deep)

    PlainLoader.yaml_implicit_resolvers = {}
    words = {"bool": ("true|True|TRUE|false|False|FALSE", "tTfF"), "null": ("~|null|Null|NULL|", ["~", "n", "N", ""])}
    for kind, (pattern, first) in words.items():
        PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{pattern})\Z"), list(first))
    return PlainLoader
