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
from .yaml_remedies import flow_list, in_quotes, remedy

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

_TEXT, _NOTHING = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def family_of_label(label: str) -> str:
    """Return the family of a label where none is given: what stands before ``--``, else ``tag``."""
    return label.split("--")[0] if "--" in label.strip("-") else "tag"


@dataclass(frozen=True)
class Description:
    """What a ``task.yaml`` says."""

    path: Path  # of the file
    name: str  # of the task
    labels: tuple[str, ...]  # composed (NFC), in the file's order; those that are no text for YAML as they are written
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
    reading = _Reading(path, source.text, _compose(path, source.text))
    return reading.description()


def _compose(path: Path, text: str) -> Node:
    """Return the syntax tree of a YAML text; nothing in it is constructed."""
    import yaml

    try:
        node = untrusted.compose_yaml(text, path)
    except (yaml.YAMLError, RecursionError) as error:
        marks = [getattr(error, name, None) for name in ("problem_mark", "context_mark")]
        lines = [mark.line + 1 for mark in marks if mark is not None]
        hint, line = remedy(text, [*lines, *(line - 1 for line in lines)])
        said = getattr(error, "problem", None) or str(error)
        refuse(path, line, f"not valid YAML: {said}; {hint}")
    if not isinstance(node, yaml.MappingNode):
        hint, line = remedy(text, [1])
        refuse(path, line, f"it must hold lines such as `name: my_corpus` and `labels: [low, high]`; {hint}")
    return node


class _Reading:
    """One pass over a syntax tree, that collects what is wrong."""

    def __init__(self, path: Path, text: str, node: Any) -> None:
        self.path, self.text = path, text
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

    def written(self, node: Any) -> str:
        """Return a value as it stands in the file; of nothing, the comment that hides it."""
        text = self.text[node.start_mark.index : node.end_mark.index].strip()
        if text or node.tag != _NOTHING:
            return text
        rest = self.text[node.start_mark.index :].split("\n", 1)[0].strip()
        return rest if rest.startswith("#") else ""

    def words(self, key: str) -> str:
        """Return the text under a key, or nothing."""
        node: Any = self.values.get(key)
        if node is None or node.tag == _NOTHING:
            return ""
        if node.tag != _TEXT:
            self.wrong(f"`{key}` must be text, not {self.written(node)}; put it in quotes", self.lines[key])
            return ""
        return str(node.value).strip()

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
        """Return the labels, those that YAML takes for something else as they are written."""
        if "labels" not in self.lines:
            return ()
        node: Any = self.values["labels"]
        if not isinstance(node.value, list) or not node.value or node.tag != "tag:yaml.org,2002:seq":
            parts = [part.strip() for part in re.split(r"[,;|\n]", self.written(node).strip("{}[]'\""))]
            listed = flow_list([part for part in parts if part] or ["low", "high"])
            self.wrong(f"`labels` must be a list with at least one label; write labels: {listed}", self.lines["labels"])
            return ()
        seen: dict[str, int] = {}
        for one in node.value:
            line = one.start_mark.line + 1
            written = self.written(one)
            if one.tag != _TEXT:
                self.not_text(one, written, line)
                seen.setdefault(composed(written), line)
                continue
            clean = composed(one.value)
            if not clean or "|" in clean or not clean.isprintable():
                why = "it is empty, or has `|` or a control character in it"
                self.wrong(f"{quoted(one.value)} cannot be a label: {why}", line, "label")
            elif clean in seen:
                self.wrong(f"the label {quoted(clean)} is listed twice", line, "label")
            seen.setdefault(clean, line)
        return tuple(seen)

    def not_text(self, node: Any, written: str, line: int) -> None:
        """Say what YAML takes a label for."""
        kind = str(node.tag).rpartition(":")[2]
        quoted = in_quotes(written)
        if kind == "null" and not written:
            self.wrong("this label is empty; write it, or remove its line", line, "label")
        elif kind == "null" and written.startswith("#"):
            hint = f"for YAML `{written}` is a comment, and this label is empty; put it in quotes: {quoted}"
            self.wrong(hint, line, "label")
        else:
            taken = {"bool": "yes or no", "null": "nothing", "int": "a number", "float": "a number", "map": "a table"}
            what = taken.get(kind, "a list" if kind == "seq" else f"a {kind}")
            self.wrong(
                f"the label {written} is not text for YAML but {what}; put it in quotes: {quoted}", line, "label"
            )

    def families(self, labels: tuple[str, ...]) -> dict[str, str]:
        """Return the family of every label: as given, else what stands before ``--``, else ``tag``."""
        default = {label: family_of_label(label) for label in labels}
        node: Any = self.values.get("families")
        if node is None or node.tag == _NOTHING:
            return default
        pairs = node.value if node.tag == "tag:yaml.org,2002:map" else None
        if pairs is None or not all(part.tag == _TEXT for pair in pairs for part in pair):
            bad = next((part for pair in pairs or () for part in pair if part.tag != _TEXT), None)
            line = self.lines["families"] if bad is None else bad.start_mark.line + 1
            hint = "" if bad is None else f"; {self.written(bad)} is not text for YAML, put it in quotes"
            self.wrong(f"`families` must give each label its family, `label: family`{hint}", line)
            return default
        named = {composed(label.value): str(family.value) for label, family in pairs}
        for label, (node, _) in zip(named, pairs, strict=False):
            if label not in labels:
                hint = closest(label, labels)
                self.wrong(f"`families` names {quoted(label)}, which is no label{hint}", node.start_mark.line + 1)
        return default | {label: family for label, family in named.items() if label in labels}

    def single_label(self) -> bool:
        """Return whether each track has exactly one label."""
        node: Any = self.values.get("single_label")
        written = "" if node is None else self.written(node).casefold()
        if written not in ("", "true", "false"):
            self.wrong(f"`single_label` must be true or false, not {written}", self.lines["single_label"])
        return written == "true"

    def seconds(self) -> float | None:
        """Return the cap on every track."""
        node: Any = self.values.get("max_track_seconds")
        if node is None or node.tag == _NOTHING:
            return None
        value = _number(node) if node.tag in _NUMBERS else math.nan
        if not 0 < value < math.inf:
            told = f"`max_track_seconds` must be a positive number, not {self.written(node)}"
            self.wrong(told, self.lines["max_track_seconds"])
            return None
        return value


def _number(node: Any) -> float:
    """Return what a number is as written, or NaN: YAML takes some signs for one, like ``0b_``, that none is."""
    from yaml.constructor import ConstructorError, SafeConstructor

    try:
        return float(SafeConstructor().construct_object(node))
    except (ValueError, IndexError, OverflowError, ConstructorError):
        return math.nan
