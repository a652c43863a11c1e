"""Reading the tensors of a TensorFlow checkpoint (format 2) with numpy alone; nothing in it can be executed.

A checkpoint is a data file, in which the tensors lie one after the other as raw little-endian numbers, and an index
that says where. The index is a LevelDB table (LevelDB: ``doc/table_format.md``) whose values are protocol buffers
(TensorFlow: ``core/protobuf/tensor_bundle.proto``). Checksums inside are not compared: who reads a file that must be
the right one compares the hash of the whole file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FOOTER = 48
_MAGIC = 0xDB4775248B80FB57
_UNCOMPRESSED = 0
_TRAILER = 5
"""Bytes after each block: kind of compression, checksum."""

_FLOAT32 = 1
"""``DT_FLOAT`` of TensorFlow's ``types.proto``."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor lies."""

    dtype: int  # number of TensorFlow's type
    shape: tuple[int, ...]  # of the tensor
    offset: int  # of its first byte in the data file
    size: int  # in bytes


def read_checkpoint_tensors(index: bytes, data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return the float32 tensors of a checkpoint by name; tensors of other types are left out.

    Raises:
        UsageError: the files are not a whole, uncompressed checkpoint in one part.
    """
    import numpy as np

    tensors: dict[str, NDArray[np.float32]] = {}
    for name, entry in read_index(index).items():
        if entry.dtype != _FLOAT32:
            continue
        if entry.size != 4 * math.prod(entry.shape) or entry.offset + entry.size > len(data):
            raise UsageError(f"The checkpoint's tensor {name!r} does not lie within its data file; fetch it again.")
        values = np.frombuffer(data, "<f4", entry.size // 4, entry.offset)
        tensors[name] = values.reshape(entry.shape).astype(np.float32)
    return tensors


def read_index(index: bytes) -> dict[str, TensorPlace]:
    """Return where each tensor lies, by name.

    Raises:
        UsageError: it is not the index of a checkpoint, or it is compressed or damaged.
    """
    try:
        if int.from_bytes(index[-8:], "little") != _MAGIC or len(index) < _FOOTER:
            raise UsageError("This is not the index of a TensorFlow checkpoint, or its end is missing.")
        footer = index[-_FOOTER:]
        _, place = _handle(footer, 0)
        (offset, size), _ = _handle(footer, place)
        found: dict[str, TensorPlace] = {}
        for _, handle in _block(index, offset, size):
            (start, length), _ = _handle(handle, 0)
            for key, value in _block(index, start, length):
                if key:
                    found[key.decode()] = _entry(value)
    except (IndexError, UnicodeDecodeError) as error:
        raise UsageError("The index of the TensorFlow checkpoint is damaged; fetch it again.") from error
    return found


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _handle(content: bytes, place: int) -> tuple[tuple[int, int], int]:
    offset, place = _varint(content, place)
    size, place = _varint(content, place)
    return (offset, size), place


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of one block: each key shares a prefix with the one before."""
    if offset + size + _TRAILER > len(content):
        raise UsageError("The index of the TensorFlow checkpoint is cut short; fetch it again.")
    if content[offset + size] != _UNCOMPRESSED:
        raise UsageError("The index of the TensorFlow checkpoint is compressed, which is not read.")
    block = content[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 * (restarts + 1)
    place, key = 0, b""
    while place < end:
        shared, place = _varint(block, place)
        fresh, place = _varint(block, place)
        length, place = _varint(block, place)
        key = key[:shared] + block[place : place + fresh]
        place += fresh
        yield key, block[place : place + length]
        place += length


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a protocol buffer."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire = tag & 7
        if wire == _VARINT:
            number, place = _varint(message, place)
            yield tag >> 3, number
            continue
        if wire == _BYTES:
            length, place = _varint(message, place)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise UsageError("The index of the TensorFlow checkpoint is damaged; fetch it again.")
        yield tag >> 3, message[place : place + length]
        place += length


def _entry(message: bytes) -> TensorPlace:
    """Read a ``BundleEntryProto``: 1 type, 2 shape, 3 shard, 4 offset, 5 size."""
    numbers: dict[int, int] = {}
    shape: list[int] = []
    for field, value in _fields(message):
        if isinstance(value, int):
            numbers[field] = value
        elif field == 2:
            # A ``TensorShapeProto`` holds one field 2 per dimension, whose field 1 is its size.
            for inner, dimension in _fields(value):
                if inner == 2 and isinstance(dimension, bytes):
                    sizes = dict(_fields(dimension))
                    size = sizes.get(1, 0)
                    shape.append(size if isinstance(size, int) else 0)
    if numbers.get(3, 0):
        raise UsageError("The TensorFlow checkpoint lies in several data files, which is not read.")
    return TensorPlace(numbers.get(1, 0), tuple(shape), numbers.get(4, 0), numbers.get(5, 0))
