"""A ``task.yaml``: read as it is written, with the line of everything in it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import untrusted
from ...errors import quoted
from ...written import composed
from ..base import TASK_WORDS, TRADITIONS
from ..registry import registry
from .problems import Problem, closest, refuse
from .table import encoding_problem, read_bytes, read_text

if TYPE_CHECKING:
    from yaml import Node

KEYS = (
    "name", "title", "tradition", "description", "license", "licence", "citation", "labels", "families",
    "max_track_seconds", "tracks", "encoding", "single_label",
)  # fmt: skip
_NO_TEXTS = ("labels", "families", "max_track_seconds", "single_label")
INFORMATIVE = ("source", "sample_rate")

NAME = re.compile(r"\w[\w.-]{0,63}")
"""What a task may be called: its name becomes part of file names."""

RESERVED = (*TRADITIONS, *TASK_WORDS)
"""Names that mean several tasks."""

_STATED_ENCODING = re.compile(rb"^encoding:[ \t]*['\"]?([\w.:-]+)", re.MULTILINE)

_HINT = (
    "write `key: value` with a blank after the colon, begin the lines of one list in the same column, with spaces, and "
    "put what holds one of `: # * & ! @ ' [ ]` in quotes"
)


def family_of_label(label: str) -> str:
    """Return the family of a label where none is given: what stands before ``--``, else ``tag``."""
    return label.split("--")[0] if "--" in label.strip("-") else "tag"


@dataclass(frozen=True)
class Description:
    """What a ``task.yaml`` says."""

    path: Path  # of the file
    name: str  # of the task
    labels: tuple[str, ...]  # composed (NFC), in the file's order; as they are written also where YAML means a number
    families: Mapping[str, str]  # of every label
    texts: Mapping[str, str]  # the other keys that are texts, where they are given
    max_track_seconds: float | None  # cap on every track
    single_label: bool  # whether each track has exactly one label
    problems: tuple[Problem, ...]  # what is wrong, by line


def read_description(path: Path) -> Description:
    """Read a ``task.yaml``.

    Raises:
        UsageError: it is absent, no text, no YAML, or no table of keys; the message names the line. Everything else
            that is wrong is among the problems.
    """
    what = "the description of a task"
    stated = _STATED_ENCODING.search(read_bytes(path, what)) if path.is_file() else None
    source = read_text(path, what, stated[1].decode() if stated else None)
    if source.guessed:
        problem = encoding_problem(source)
        refuse(path, problem.line, problem.text)
    reading = _Reading(path, _compose(path, source.text))
    return reading.description()


def _compose(path: Path, text: str) -> Node:
    """Return the syntax tree of a YAML text; nothing in it is constructed."""
    import yaml

    try:
        node = untrusted.compose_yaml(text, path)
    except (yaml.YAMLError, RecursionError) as error:
        # Of a bracket that is never closed, where it opens; of everything else, where the reader stumbled.
        place = "context_mark" if "flow" in (getattr(error, "context", None) or "") else "problem_mark"
        mark = getattr(error, place, None)
        said = getattr(error, "problem", None) or str(error)
        refuse(path, mark.line + 1 if mark else 1, f"not valid YAML: {said}; {_HINT}")
    if not isinstance(node, yaml.MappingNode):
        refuse(path, 1, f"it must hold lines such as `name: my_corpus` and `labels: [low, high]`; {_HINT}")
    return node


class _Reading:
    """One pass over a syntax tree, that collects what is wrong.

    What is no list and no table is a text as it is written: a label may be ``no`` or ``1990``, without quotes.
    """

    def __init__(self, path: Path, node: Any) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.values: dict[str, Node] = {}
        self.lines: dict[str, int] = {}
        known = (*KEYS, *INFORMATIVE)
        for key_node, value in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in self.lines:
                self.wrong(f"the key {quoted(key)} stands in line {self.lines[key]} already", line)
            elif key not in known:
                self.wrong(f"unknown key {quoted(key)}{closest(key, known) or '.'} Known are {', '.join(known)}", line)
            else:
                self.lines[key], self.values[key] = line, value
        if "license" in self.lines and "licence" in self.lines:
            self.wrong("`license` and `licence` are the same; keep one", self.lines["licence"])

    def wrong(self, text: str, line: int | None, kind: str = "description") -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, text, line))

    def description(self) -> Description:
        """Return what was read."""
        for key in ("name", "labels"):
            if key not in self.lines:
                self.wrong(f"the key `{key}` is missing", None)
        labels = self.labels()
        texts = {key: self.words(key) for key in KEYS if key not in _NO_TEXTS}
        families = self.families(labels)
        seconds = self.seconds()
        return Description(
            path=self.path,
            name=self.name(texts.pop("name")),
            labels=labels,
            families=families,
            texts={key: value for key, value in texts.items() if value},
            max_track_seconds=seconds,
            single_label=self.single_label(),
            problems=tuple(sorted(self.problems, key=lambda one: one.line or 0)),
        )

    def words(self, key: str) -> str:
        """Return the text under a key, or nothing."""
        node = self.values.get(key)
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return ""
        if isinstance(node.value, str):
            return node.value.strip()
        self.wrong(f"`{key}` must be text, not a list or a table", self.lines[key])
        return ""

    def name(self, name: str) -> str:
        """Check the name."""
        line = self.lines.get("name")
        if line is None or any(one.line == line for one in self.problems):
            return name
        if not NAME.fullmatch(name):
            better = re.sub(r"[^\w.-]+", "_", name).strip("_.-")[:64]
            hint = f", for example {better}" if NAME.fullmatch(better) else ""
            self.wrong(f"{quoted(name)} cannot be a task's name; use letters, digits, `_`, `-` and `.`{hint}", line)
        elif name in registry() or name in RESERVED:
            self.wrong(f"the name {quoted(name)} is taken by cmbench itself; choose another", line)
        return name

    def labels(self) -> tuple[str, ...]:
        """Return the labels."""
        if "labels" not in self.lines:
            return ()
        nodes = self.values["labels"].value
        if isinstance(nodes, str) or not nodes or isinstance(nodes[0], tuple):
            told = "`labels` must be a list with at least one label; write labels: [low, high]"
            self.wrong(told, self.lines["labels"])
            return ()
        seen: dict[str, int] = {}
        for node in nodes:
            line, written = node.start_mark.line + 1, node.value
            if not isinstance(written, str):
                self.wrong("this label is a list or a table for YAML; put it in quotes", line, "label")
                continue
            clean = composed(written)
            if not clean:
                self.wrong("this label is empty; put it in quotes if it begins with `#`", line, "label")
            elif "|" in clean or not clean.isprintable():
                why = "it has `|` or a control character in it"
                self.wrong(f"{quoted(written)} cannot be a label: {why}", line, "label")
            elif clean in seen:
                self.wrong(f"the label {quoted(clean)} is listed twice", line, "label")
            seen.setdefault(clean, line)
        return tuple(seen)

    def families(self, labels: tuple[str, ...]) -> dict[str, str]:
        """Return the family of every label: as given, else what stands before ``--``, else ``tag``."""
        default = {label: family_of_label(label) for label in labels}
        pairs = self.values["families"].value if "families" in self.values else ()
        if not all(isinstance(pair, tuple) and all(isinstance(part.value, str) for part in pair) for pair in pairs):
            told = "`families` must give each label its family, `label: family`"
            self.wrong(told, self.lines["families"])
            return default
        named = {composed(label.value): str(family.value) for label, family in pairs}
        for label, (node, _) in zip(named, pairs, strict=False):
            if label not in labels:
                hint = closest(label, labels)
                self.wrong(f"`families` names {quoted(label)}, which is no label{hint}", node.start_mark.line + 1)
        return default | {label: family for label, family in named.items() if label in labels}

    def single_label(self) -> bool:
        """Return whether each track has exactly one label."""
        written = self.words("single_label").casefold()
        if written not in ("", "true", "false"):
            self.wrong(f"`single_label` must be true or false, not {written}", self.lines["single_label"])
        return written == "true"

    def seconds(self) -> float | None:
        """Return the cap on every track."""
        written = self.words("max_track_seconds")
        if not written:
            return None
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            told = f"`max_track_seconds` must be a positive number, not {written}"
            self.wrong(told, self.lines["max_track_seconds"])
            return None
        return value
