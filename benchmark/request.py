"""What ``cmbench run`` is asked for: a YAML file, then ``key=value``, then options; each may say any part of it.

The keys are those of :func:`.run.run`: all options but those that say what is shown (``--plan``, ``--title`` …).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..files import write_atomically
from ..written import split_list
from .protocol import DEFAULT_PROTOCOL

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
    protocol: str = DEFAULT_PROTOCOL
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
    executor: str = "local"
    ray_address: str | None = None
    cpus_per_worker: int | None = None
    gpus_per_worker: float | None = None
    batch_seconds: float | None = None

    @property
    def values(self) -> dict[str, Any]:
        """Keyword arguments of :func:`.run.run`."""
        return asdict(self)


_LEAST = (("limit", SMALLEST_LIMIT, "30"), ("workers", 1, "2"), ("seeds", 1, "5"), ("cpus_per_worker", 1, "4"),
          ("gpus_per_worker", 0, "0.5"), ("batch_seconds", 1, "120"))  # fmt: skip
"""Keys, the least that each may be, and an example."""


def read_request(words: Sequence[str], options: Mapping[str, Any]) -> RunRequest:
    """Put a request together; what comes later counts.

    ``words`` are files in YAML and ``key=value``, in their order; ``options`` were typed.

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
    for key, least, example in _LEAST:
        value = getattr(asked, key)
        if value is not None and value < least:
            raise UsageError(f"{key} should be at least {least}, not {value}; write it like {key}={example}")
    if not 0 < asked.mini_scale < math.inf:
        raise UsageError(f"mini_scale should be above 0, not {asked.mini_scale:g}; write it like mini_scale=0.5")
    return asked


def _configured(words: Sequence[str]) -> RunRequest:
    from ..pretraining.configuration import built, merged, parsed, read_table

    asked: dict[str, Any] = {}
    for word in words:
        if "=" in word and not Path(word).is_file():
            content = parsed(word, WHAT)
        elif word.endswith((".yaml", ".yml")):
            file = Path(word).expanduser()
            if not file.exists():
                raise UsageError(f"{word}: there is no such file. Write one with the keys {', '.join(_KEYS)}.")
            if not file.is_file():
                raise UsageError(f"{word}: this is no file but {'a folder' if file.is_dir() else 'a device'}.")
            content = read_table(file, WHAT)
        else:
            raise UsageError(f"{word!r} is neither a .yaml file nor key=value; for a model say --model {word}.")
        content = {key.replace("-", "_"): value for key, value in content.items()}
        if named := [key for key in ("plan", "title", "details", "json") if key in content]:
            raise UsageError(f"{word}: {named[0]} is an option of the command line only: --{named[0]}.")
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
