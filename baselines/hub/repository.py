"""Finding a model's files: the models folder, the hub's cache, then the hub itself."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import Missing, MissingError
from ...paths import models_root
from ..base import LoadOptions
from .about import has_weights
from .layout import front_end, weight_files

# The model card (README.md) is fetched for its licence. Nothing executable is ever fetched.
# The indices say which shards there are.
_SMALL_FILES = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "README.md",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)
_TIMEOUT_SECONDS = 10.0
_PREPROCESSOR = "preprocessor_config.json"
_COMMIT = re.compile("[0-9a-f]{40}")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Repository:
    """A model on the hub."""

    name: str  # how cmbench calls it, and its folder under the models folder
    repository: str  # ``owner/name`` on the hub
    revision: str | None = None  # commit, branch or tag; ``None`` is the main branch
    licence: str = "see the model card"  # of the weights, as far as it is known before they are here
    files: tuple[str, ...] = ()  # configuration and weights, of one that does not have them at its root

    @property
    def source(self) -> str:
        """``hf:owner/name@revision``."""
        return f"hf:{self.repository}" + (f"@{self.revision}" if self.revision else "")

    @property
    def pinning(self) -> str:
        """Which commit is taken, and how to have another, in words."""
        if self.revision:
            other = "" if self.files else f"; another one: --model hf:{self.repository}@COMMIT"
            return f"pinned to {self.revision}{other}"
        return (
            "not pinned: the newest commit is taken where none is here, and the record names it. "
            f"To pin one: --model hf:{self.repository}@COMMIT"
        )

    @property
    def command(self) -> str:
        """What fetches the files into the models folder by hand."""
        revision = f" --revision {self.revision}" if self.revision else ""
        which = revision + " --exclude '*.pt'" if not self.files else f" {' '.join(self.files)}{revision}"
        return f"hf download {self.repository}{which} --local-dir {models_root() / self.name}"

    def is_whole(self, folder: Path) -> bool:
        """Whether configuration and weights are in the folder."""
        return all((folder / name).is_file() for name in self.files) if self.files else has_weights(folder)


@dataclass(frozen=True)
class Located:
    """A model that is on this machine."""

    folder: Path  # with its files
    source: str  # ``hf:owner/name@commit``; without the commit where a folder does not tell it


def locate(wanted: Repository, options: LoadOptions) -> Located:
    """Return the folder of a model; fetch it if it is not here and the network may be used.

    Looked at in turn: ``<models folder>/<name>`` (unless it is known to be another commit than the wanted one), the
    hub's cache (at the wanted revision), the hub.

    Raises:
        MissingError: it is not here and cannot be fetched; the message says which of offline mode, no network, no
            such repository or revision, closed access, or no weights in it, is the reason.
    """
    own = models_root() / wanted.name
    if wanted.is_whole(own):
        commit = _commit_of_copy(own, wanted)
        if commit is None:
            return Located(own, f"hf:{wanted.repository} (a copy of unknown revision)")
        if wanted.revision in (None, commit) or not _COMMIT.fullmatch(wanted.revision or ""):
            return Located(own, f"hf:{wanted.repository}@{commit}")
        _LOG.warning("%s holds commit %s, not %s: it is left aside.", own, commit[:8], wanted.revision)
    cached = _cached(wanted)
    if cached is not None and (options.offline or wanted.files or front_end(cached.folder) is not None):
        return cached
    if options.offline:
        raise _missing(wanted, "not on this machine, and offline mode forbids to fetch it")
    if cached is None:
        return _fetch(wanted)
    # Programs that load the network alone leave its preprocessor on the hub; without it features would differ.
    try:
        return _fetch(replace(wanted, revision=cached.folder.name))
    except MissingError:
        _LOG.warning("The hub cannot be asked whether %s has a %s.", wanted.repository, _PREPROCESSOR)
        return cached


def _commit_of_copy(folder: Path, wanted: Repository) -> str | None:
    """``hf download --local-dir`` notes the commit in the first line of a file beside the copy."""
    configuration = wanted.files[0] if wanted.files else "config.json"
    note = folder / ".cache" / "huggingface" / "download" / f"{configuration}.metadata"
    return note.read_text(encoding="utf-8").split("\n", 1)[0].strip() or None if note.is_file() else None


def _cached(wanted: Repository) -> Located | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        patterns = [*wanted.files] or ["config.json"]
        folder = Path(
            snapshot_download(
                wanted.repository, revision=wanted.revision, allow_patterns=patterns, local_files_only=True
            )
        )
    except LocalEntryNotFoundError:
        return None
    # A fetch may have been cut off between shards.
    whole = wanted.is_whole(folder) and all(file.is_file() for file in weight_files(folder))
    # A snapshot's folder is named after its commit.
    return Located(folder, f"hf:{wanted.repository}@{folder.name}") if whole else None


def _fetch(wanted: Repository) -> Located:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        # Asking for the description first fails at once without a network; a download would retry for half a minute.
        info = HfApi().model_info(wanted.repository, revision=wanted.revision, timeout=_TIMEOUT_SECONDS)
        names = [file.rfilename for file in info.siblings or ()]
        kind = "*.safetensors" if any(name.endswith(".safetensors") for name in names) else "pytorch_model*.bin"
        patterns = [*wanted.files] or [*_SMALL_FILES, kind]
        folder = Path(snapshot_download(wanted.repository, revision=info.sha, allow_patterns=patterns))
    except GatedRepoError as error:
        reason = "its repository is gated: accept its terms on its page, then `hf auth login`"
        raise _missing(wanted, reason) from error
    except RevisionNotFoundError as error:
        raise _missing(wanted, f"the hub has {wanted.repository}, but no revision {wanted.revision!r} of it") from error
    except RepositoryNotFoundError as error:
        reason = f"the hub has no repository {wanted.repository!r} that you may see; if it is private, `hf auth login`"
        raise _missing(wanted, reason) from error
    except Exception as error:
        if not is_network_failure(error):
            raise
        reason = f"not on this machine, and the hub cannot be reached ({type(error).__name__}: {_first_line(error)})"
        raise _missing(wanted, reason) from error
    if wanted.revision is None:
        _LOG.warning(
            "%s is not pinned: commit %s was taken. The same again: --model hf:%s@%s",
            wanted.name,
            info.sha,
            wanted.repository,
            info.sha,
        )
    if not wanted.is_whole(folder):
        raise _missing(wanted, "its repository holds no config.json with .safetensors or pytorch_model.bin beside it")
    return Located(folder, f"hf:{wanted.repository}@{info.sha}")


def is_network_failure(error: Exception) -> bool:
    """Whether the hub's client failed on the way: not there, no connection, broken off."""
    # The hub's client has changed its HTTP library twice; each raises exceptions of its own.
    library = type(error).__module__.split(".")[0]
    return isinstance(error, OSError) or library in ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


def _missing(wanted: Repository, reason: str) -> MissingError:
    return MissingError(
        [
            Missing(
                what=f"model {wanted.name}",
                where=f"{reason}; looked at {models_root() / wanted.name} and at the hub's cache",
                source=wanted.source,
                licence=wanted.licence,
                command=wanted.command,
            )
        ]
    )
