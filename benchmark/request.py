"""What ``cmbench run`` is asked for: a YAML file, then ``key=value``, then options; each may say any part of it.

The keys are those of :func:`.run.run`, which are those of the options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_atomically
from ..written import split_list

WHAT = "a run"
"""What messages call it."""

RESOLVED = "run.resolved.yaml"
"""Name of the file beside the results that says what was asked for."""

SMALLEST_LIMIT = 3
"""Tracks that a task can be cut down to."""


@dataclass(frozen=True)
class RunRequest:
    """A run: every field is an argument of :func:`.run.run`, which says what it means, with its default."""

    model: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    edition: str | None = None
    split: str | None = None
    protocol: str = "cmbench-1"
    data_root: str | None = None
    out: str = "results"
    device: str = "auto"
    precision: str = "float32"
    seeds: int | None = None
    offline: bool = False
    force: bool = False
    workers: int | None = None
    mini_scale: float = 1.0
    mini_seed: int = 0
    limit: int | None = None

    @property
    def values(self) -> dict[str, Any]:
        """Keyword arguments of :func:`.run.run`."""
        return asdict(self)


PLANNED = ("model", "tasks", "edition", "split", "protocol", "data_root", "out", "device", "precision", "seeds",
           "mini_scale", "mini_seed")  # fmt: skip
"""Arguments that a plan takes."""


def read_request(words: Sequence[str], options: Mapping[str, Any]) -> RunRequest:
    """Put a request together; what comes later counts.

    Args:
        words: files in YAML, and ``key=value``, in their order.
        options: that were typed, by key.

    Raises:
        UsageError: a word is neither, a key is unknown, a value is impossible, or model or tasks are not said.
    """
    asked = _configured(words) if words else RunRequest()
    asked = replace(asked, **{key: _plain(value) for key, value in options.items()})
    root = asked.data_root and str(Path(asked.data_root).expanduser())
    out = str(Path(asked.out).expanduser())
    asked = replace(asked, model=parts(asked.model), tasks=parts(asked.tasks), data_root=root, out=out)
    for key, example in (("model", "chroma"), ("tasks", "all")):
        if not getattr(asked, key):
            raise UsageError(f"{key}: none is named. Say --{key} {example}, or {key}={example}, or put it into a file.")
    if asked.limit is not None and asked.limit < SMALLEST_LIMIT:
        raise UsageError(f"limit should be at least {SMALLEST_LIMIT}, not {asked.limit}; write it like limit=30")
    return asked


def _configured(words: Sequence[str]) -> RunRequest:
    from ..pretraining.configuration import built, merged, parsed, read_table

    asked: dict[str, Any] = {}
    for word in words:
        if "=" in word and not Path(word).is_file():
            content = parsed(word, WHAT)
        elif word.endswith((".yaml", ".yml")):
            if not Path(word).expanduser().is_file():
                raise UsageError(f"{word}: there is no such file. Write one with the keys {', '.join(_KEYS)}.")
            content = read_table(Path(word).expanduser(), WHAT)
        else:
            raise UsageError(f"{word!r} is neither a .yaml file nor key=value; for a model say --model {word}.")
        asked = merged(asked, content, RunRequest, word, WHAT)
    found: RunRequest = built(asked, RunRequest)
    return found


_KEYS = tuple(one.name for one in fields(RunRequest))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def parts(values: Sequence[str]) -> list[str]:
    """Return the parts of lists with commas."""
    return [part for value in values for part in split_list(value)]


def as_yaml(asked: RunRequest) -> str:
    """Return a request as a file that :func:`read_request` reads: every key, defaults too."""
    import yaml

    return yaml.safe_dump(asdict(asked), sort_keys=False, allow_unicode=True)


def keep(asked: RunRequest) -> Path:
    """Write a request beside its results, and return the file."""
    path = Path(asked.out) / RESOLVED
    write_atomically(path, f"# What `cmbench run` was asked for; it takes this file.\n{as_yaml(asked)}".encode())
    return path
