"""TensorFlow checkpoints: read back from an index that the test writes by the published format."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cmbench.baselines.musicnn.checkpoint import read_checkpoint_tensors, read_index
from cmbench.errors import UsageError

MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries: list[tuple[bytes, bytes]], every: int) -> bytes:
    """A LevelDB block: shared prefixes, a restart point after every so many entries."""
    out, previous, restarts = b"", b"", []
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return out + b"".join(struct.pack("<I", r) for r in restarts) + struct.pack("<I", len(restarts))


def checkpoint(
    tensors: dict[str, NDArray[np.float32]], every: int = 16, per_block: int = 8, dtype: int = 1, shard: int = 0
) -> tuple[bytes, bytes]:
    """Index and data file of a checkpoint."""
    data, entries = b"", [(b"", field(1, 1))]
    for name in sorted(tensors):
        array = tensors[name]
        shape = b"".join(field(2, field(1, n)) for n in array.shape)
        message = field(1, dtype) + field(2, shape) + (field(3, shard) if shard else b"")
        message += field(4, len(data)) + field(5, array.nbytes) + varint(6 << 3 | 5) + b"\0\0\0\0"
        entries.append((name.encode(), message))
        data += array.astype("<f4").tobytes()
    index, handles = b"", []
    for i in range(0, len(entries), per_block):
        part = block(entries[i : i + per_block], every)
        handles.append((entries[min(i + per_block, len(entries)) - 1][0], varint(len(index)) + varint(len(part))))
        index += part + b"\0" + b"\0\0\0\0"
    meta = varint(len(index)) + varint(8)
    index += block([], 1) + b"\0" * 5
    top = block(handles, 1)
    footer = meta + varint(len(index)) + varint(len(top))
    index += top + b"\0" * 5
    return index + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC), data


names = st.text("abcdefgh/_0123456789é", min_size=1, max_size=30)
shapes = st.lists(st.integers(1, 4), max_size=4).map(tuple)


@given(st.dictionaries(names, shapes, max_size=30), st.integers(1, 20), st.integers(1, 12))
def test_a_checkpoint_reads_back(sizes: dict[str, tuple[int, ...]], every: int, per_block: int) -> None:
    draw = np.random.default_rng(0)
    tensors = {name: draw.standard_normal(size).astype(np.float32) for name, size in sizes.items()}
    read = read_checkpoint_tensors(*checkpoint(tensors, every, per_block))
    assert read.keys() == tensors.keys()
    assert all(np.array_equal(read[name], tensors[name]) and read[name].shape == sizes[name] for name in sizes)


TWO = {"a/kernel": np.ones((2, 3), np.float32), "a/step": np.zeros((), np.float32)}


def test_other_types_are_left_out() -> None:
    assert read_checkpoint_tensors(*checkpoint(TWO, dtype=9)) == {}


def test_damage_is_said() -> None:
    index, data = checkpoint(TWO)
    with pytest.raises(UsageError, match="not the index"):
        read_index(b"")
    with pytest.raises(UsageError, match="not the index"):
        read_index(index[:-1])
    with pytest.raises(UsageError, match="does not lie within"):
        read_checkpoint_tensors(index, data[:-1])
    with pytest.raises(UsageError, match="several data files"):
        read_index(checkpoint(TWO, shard=1)[0])
    size = index.index(struct.pack("<I", 1), 8) + 4
    with pytest.raises(UsageError, match="compressed"):
        read_index(index[:size] + b"\1" + index[size + 1 :])


@given(st.data())
def test_a_damaged_index_never_does_worse_than_an_error(data: st.DataObject) -> None:
    index, content = checkpoint(TWO)
    place = data.draw(st.integers(0, len(index) - 9))
    damaged = index[:place] + bytes([data.draw(st.integers(0, 255))]) + index[place + 1 :]
    try:
        tensors = read_checkpoint_tensors(damaged, content)
    except UsageError:
        return
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())
