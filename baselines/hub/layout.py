"""What lies in a model's folder: which files are its weights, its front end, and what a folder is that is no model."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ...errors import UsageError
from ...files import is_git_lfs_pointer, read_json

HEADS = "heads.safetensors"
"""The file of the tensors that only training uses, beside the weights; transformers does not read it."""

_FRONT_ENDS = ("feature_extractor", "audio_processor")
_PREPROCESSOR, _PROCESSOR = "preprocessor_config.json", "processor_config.json"
_DECISIVE = ("sampling_rate", "do_normalize")
_OF_A_FRONT_END = (*_DECISIVE, "feature_extractor_type", "feature_size")
_CACHED, _SNAPSHOTS = "models--", "snapshots"


@dataclass(frozen=True)
class ModelPlace:
    """Where a model's files are, and how it is called."""

    folder: Path  # with ``config.json``
    name: str  # for results
    source: str  # ``hf:owner/name@commit`` in the hub's cache, else ``a local folder``


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a folder's weights, in the order in which transformers looks for them.

    The whole file under its usual name first, then the shards that an index names, then whatever has the right ending
    (variants such as ``model.fp16.safetensors``, shards without an index); ``.safetensors`` before ``.bin``. Names that
    begin with a dot are notes of other systems (macOS's ``._model.safetensors``). Files that an index names may be
    absent. :data:`HEADS` comes last where it is there.
    """
    heads = [folder / HEADS] if (folder / HEADS).is_file() else []
    for whole, ending in (("model.safetensors", "[!.]*.safetensors"), ("pytorch_model.bin", "pytorch_model*.bin")):
        if (folder / whole).is_file():
            return [folder / whole, *heads]
        index = folder / f"{whole}.index.json"
        if index.is_file():
            return [*_shards(index), *heads]
        if found := [file for file in sorted(folder.glob(ending)) if file.name != HEADS]:
            return [*found, *heads]
    return []


def _shards(index: Path) -> list[Path]:
    named = read_json(index).get("weight_map")
    names = sorted(set(named.values())) if isinstance(named, dict) else []
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise UsageError(f"{index}: weight_map should name a file of this folder for each tensor.")
    return [index.parent / name for name in names]


def require_content(files: list[Path]) -> None:
    """Check that files are there and are themselves.

    Raises:
        UsageError: one is absent, or is a pointer of Git LFS.
    """
    for file in files:
        if not file.is_file():
            raise UsageError(f"{file}: an index names this file, but it is not there. Fetch it again.")
        if is_git_lfs_pointer(file):
            raise UsageError(
                f"{file}: this is a pointer of Git LFS, not the weights. Run `git lfs install` and `git lfs pull` in "
                f"{file.parent}, or fetch the model with `hf download`."
            )


def front_end(folder: Path) -> tuple[dict[str, object], Path] | None:
    """Return the settings of a model's front end, and the file that they stand in; ``None`` if there are none.

    transformers 5 writes them into ``processor_config.json`` as a table of their own, earlier releases into
    ``preprocessor_config.json``; either layout counts in either file. A processor's file may say nothing of audio.

    Raises:
        UsageError: a file is damaged, or the two contradict each other.
    """
    found: list[tuple[dict[str, object], Path]] = []
    last: list[tuple[dict[str, object], Path]] = []
    for file in (folder / _PROCESSOR, folder / _PREPROCESSOR):
        if not file.is_file():
            continue
        whole = read_json(file)
        # As in transformers, a table that is null is none.
        nested = next((whole[key] for key in _FRONT_ENDS if key in whole), None)
        if isinstance(nested, dict):
            found.append((nested, file))
        elif nested is not None:
            raise UsageError(f"{file}: {' or '.join(_FRONT_ENDS)} should be a table of settings.")
        elif file.name == _PREPROCESSOR:
            found.append((whole, file))
        elif any(key in whole for key in _OF_A_FRONT_END):
            last.append((whole, file))
    found += last
    if len(found) == 2:
        (one, file), (other, second) = found
        for key in _DECISIVE:
            if key in one and key in other and one[key] != other[key]:
                raise UsageError(
                    f"{file}: {key} is {one[key]!r}, but {other[key]!r} in {second.name}. Keep the file that the model "
                    "was trained with, and remove the other."
                )
    return found[0] if found else None


def find_model(folder: Path) -> ModelPlace:
    """Return where the model is that a folder stands for.

    Raises:
        UsageError: the folder holds no model; the message says what it holds and what to name instead.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: this is a file. Name the folder that it is in, with its config.json.")
    given = folder.resolve()
    here = _in_cache(given)
    folder = folder if here == given else here
    cache = here.parent.parent if here.parent.name == _SNAPSHOTS else None
    repository = _repository(cache) if cache and cache.name.startswith(_CACHED) else None
    absent = [
        name
        for name, there in (("config.json", (folder / "config.json").is_file()), ("weights", weight_files(folder)))
        if not there
    ]
    if repository and absent:
        raise UsageError(
            f"{here}: the hub's cache holds this model in part, without {' and '.join(absent)}. With a network "
            f"the rest is fetched: --model hf:{repository}@{here.name}"
        )
    if absent:
        _refuse_what_it_is(folder)
    if repository:
        return ModelPlace(folder, repository, f"hf:{repository}@{here.name}")
    return ModelPlace(folder, cache.name if cache and here != given else here.name, "a local folder")


def _in_cache(here: Path) -> Path:
    """Return the snapshot that a folder of the hub's cache stands for; other folders are themselves.

    The whole cache stands for its model, if it holds one; with ``HF_HOME`` it is the folder ``hub`` in that.
    """
    if (here / "config.json").is_file():
        return here
    for cache in (here, here / "hub"):
        models = [one for one in sorted(cache.glob(f"{_CACHED}*")) if (one / _SNAPSHOTS).is_dir()]
        if len(models) > 1:
            listed = ", ".join(_repository(one) for one in models)
            raise UsageError(
                f"{here}: this is the hub's cache, with {len(models)} models: {listed}. "
                f"Name one: --model {shlex.quote(str(models[0]))}"
            )
        if models:
            return _snapshot(models[0])
    if here.name == _SNAPSHOTS:
        here = here.parent
    is_cache = here.name.startswith(_CACHED) or any((here / other).is_dir() for other in ("refs", "blobs"))
    return _snapshot(here) if is_cache and (here / _SNAPSHOTS).is_dir() else here


def _repository(cache: Path) -> str:
    return cache.name.removeprefix(_CACHED).replace("--", "/", 1)


def _snapshot(cache: Path) -> Path:
    found = sorted(one for one in (cache / _SNAPSHOTS).iterdir() if one.is_dir() and not one.name.startswith("."))
    main = cache / "refs" / "main"
    if main.is_file():
        commit = main.read_text(encoding="utf-8", errors="replace").strip()
        named = [one for one in found if one.name == commit]
        if named:
            return named[0]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"{cache}: the hub's cache has no snapshot of this model; fetch it again.")
    listed = " or ".join(f"--model {shlex.quote(str(one))}" for one in found)
    raise UsageError(f"{cache}: the hub's cache has several snapshots of this model; name one: {listed}")


def _refuse_what_it_is(folder: Path) -> None:
    """Raise the error of a folder that is no model by itself, where what it is can be told."""
    steps = _numbered(folder, r"checkpoint-(\d+)")
    if steps:
        names = ", ".join(one.name for one in steps)
        raise UsageError(
            f"{folder}: this is the output of a Trainer, with {names}; the model is in these. "
            f"Name one: --model {shlex.quote(str(steps[-1]))}"
        )
    # The files of `cmbench pretrain` while it is not finished.
    run = next((one for one in (folder, *folder.parents[:3]) if (one / "training" / "start.json").is_file()), None)
    if run is not None and not (run / "config.json").is_file():
        last = _numbered(run / "training" / "checkpoints", r"step-(\d+)")
        far = f", now at {last[-1].name}" if last else ""
        raise UsageError(
            f"{run}: this pre-training run is not finished{far}; the model is written at its end. Go on with "
            f"`cmbench pretrain RECIPE --out {shlex.quote(str(run))} --resume`."
        )
    if (folder / "adapter_config.json").is_file():
        raise UsageError(f"{folder}: adapter_config.json says that this is an adapter; merge it into its model first.")
    if (folder / "config.json").is_file():
        return
    inside = sorted(one.parent.name for one in folder.glob("[!.]*/config.json"))
    if inside:
        raise UsageError(
            f"{folder}: there is no config.json, but in {', '.join(inside)}; name one: "
            f"--model {shlex.quote(str(folder / inside[0]))}"
        )
    if weight_files(folder):
        raise UsageError(
            f"{folder}: there are weights, but no config.json. Put the config.json (and preprocessor_config.json) of "
            "the model that was trained beside them."
        )


def _numbered(folder: Path, pattern: str) -> list[Path]:
    """Return folders whose whole name has a number, by that number."""
    found = [(int(m[1]), one) for one in folder.glob("*/") if (m := re.fullmatch(pattern, one.name))]
    return [one for _, one in sorted(found)]
