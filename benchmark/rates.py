"""How fast models were on which device: what the doctor measured, and what records say. Nothing is assumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CmbenchError
from ..files import write_atomically
from .records.environment import describe_environment, device_words
from .records.folder import record_files
from .records.record import Record, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..baselines.base import EncoderCard
    from .checks.machine import Speed
    from .protocol import Protocol

FILE = "doctor.json"
"""In the cache: the last speeds that ``cmbench doctor --benchmark`` measured, by device and precision."""

SCHEMA = 1
MEASURED_SHAPE = (13, 768)
"""Hidden states and their length of the network that the doctor runs."""

WINDOW_SECONDS = 30.0


@dataclass(frozen=True)
class Rate:
    """How fast a model is on a device."""

    device: str  # in words, as :func:`.records.environment.device_words` has it
    measured_by: str  # ``doctor``, or how many records
    encode: float | None  # seconds for a second of audio; ``None`` if not measured
    probe: float | None  # seconds for a window of a task, all splits together; ``None`` if not measured


def keep_speeds(speeds: Iterable[Speed], cache: Path) -> Path:
    """Write measured speeds beside those of other devices, and return the file.

    Raises:
        CmbenchError: the file that is there cannot be read.
    """
    path = cache / FILE
    devices = _read(path)
    for speed in speeds:
        environment = describe_environment(speed.device)
        about = {
            "cmbench": environment.cmbench,
            "torch": environment.packages["torch"],
            "measured": environment.created,
        }
        found = about | {"seconds_per_second": 1 / speed.times_real_time, "windows": speed.windows}
        devices.setdefault(device_words(environment), {})[speed.precision] = found
    content = {"schema": SCHEMA, "devices": devices}
    write_atomically(path, json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode())
    return path


def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
        devices = content["devices"]
        _ = [float(found["seconds_per_second"]) for kinds in devices.values() for found in kinds.values()]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CmbenchError(f"{path} is not what `cmbench doctor --benchmark` writes; remove it.") from error
    if content.get("schema") != SCHEMA:
        raise CmbenchError(f"{path}: schema {content.get('schema')!r} is not {SCHEMA}; remove it.")
    return dict(devices)


def read_rates(
    out: Path, cache: Path, cards: Mapping[str, EncoderCard | None], protocol: Protocol, precision: str
) -> tuple[dict[str, tuple[Rate, ...]], list[str]]:
    """Return the rates of some models by name, and what could not be read.

    The records below ``out`` come before the doctor's figures in ``cache``: they are of the model itself, on real
    files. A model's card is ``None`` where it is not here.
    """
    records, problems = _records(out)
    doctor = _read(cache / FILE)
    rates = {}
    for name, card in cards.items():
        own = [r for r in records if (r.model.fingerprint == card.fingerprint if card else r.model.name == name)]
        found = {}
        for device, kinds in doctor.items():
            if precision in kinds and _of_measured_shape(name, card):
                found[device] = Rate(device, "doctor", float(kinds[precision]["seconds_per_second"]), None)
        for device in dict.fromkeys(device_words(r.environment) for r in own):
            found[device] = _rate_of(device, [r for r in own if device_words(r.environment) == device], protocol)
        rates[name] = tuple(found.values())
    return rates, problems


def _records(out: Path) -> tuple[list[Record], list[str]]:
    found, problems = [], []
    for path in record_files(out) if out.is_dir() else ():
        try:
            found.append(read_record(path))
        except CmbenchError as error:
            problems.append(str(error))
    return found, problems


def _of_measured_shape(name: str, card: EncoderCard | None) -> bool:
    """Whether a model is the network that the doctor runs; of one that is not here, by its published size."""
    if card is not None:
        return card.family in ("mert", "anchors") and (card.layers, card.dim) == MEASURED_SHAPE
    from ..baselines.mert.encoder import FORCED, RELEASED

    sizes = {model.hub.name: (model.layers + 1, model.hidden) for model in RELEASED}
    return sizes.get(name.removesuffix(FORCED)) == MEASURED_SHAPE


def _rate_of(device: str, records: list[Record], protocol: Protocol) -> Rate:
    audio = sum(r.cost.audio_seconds for r in records)
    encode = sum(r.cost.encode_seconds for r in records)
    judged = [r for r in records if r.protocol.sha256 == protocol.sha256]
    windows = sum(window_count(sum(r.coverage.used.values()), r.cost.audio_seconds) for r in judged)
    probe = sum(r.cost.probe_seconds for r in judged)
    count = f"{len(records)} record{'s' * (len(records) != 1)}"
    return Rate(device, count, encode / audio if audio and encode else None, probe / windows if windows else None)


def window_count(tracks: int, seconds: float) -> float:
    """Windows of a task, about: one for each track at least."""
    return max(float(tracks), seconds / WINDOW_SECONDS)
