"""Streams of zvols made of random changes: applied by their ranges, they give the newer zvol."""

import io
import random

from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.sizes import KIB
from csi_zfs.streams.zvol_changes import zvol_changes
from tests.support.lineages import require_complete
from tests.support.send_streams import StreamWriter, increment_stream

_BLOCK = 1 * KIB
_COUNT = 64
_ZVOLS = st.dictionaries(st.integers(0, _COUNT - 1), st.binary(min_size=1, max_size=1))


def content_of(blocks: dict[int, bytes], size_bytes: int) -> bytes:
    content = bytearray(_COUNT * _BLOCK)
    for number, value in blocks.items():
        content[number * _BLOCK : (number + 1) * _BLOCK] = value * _BLOCK
    return bytes(content[:size_bytes])


def increment(old: dict[int, bytes], new: dict[int, bytes]) -> bytes:
    changed = [
        (number, number in new)
        for number in sorted(old.keys() | new.keys())
        if old.get(number) != new.get(number)
    ]
    last_block = max(new, default=0)
    return increment_stream(changed, block_bytes=_BLOCK, last_block=last_block)


@given(_ZVOLS, _ZVOLS, st.integers(1, _COUNT * _BLOCK), st.integers(0, 1 << 20))
def test_ranges_of_a_stream_hold_all_that_differs(
    old: dict[int, bytes], new: dict[int, bytes], size_bytes: int, cut: int
) -> None:
    """And of a stream that is cut off there is no last range."""
    stream = increment(old, new)
    found = list(zvol_changes(io.BytesIO(stream), size_bytes))
    require_complete(content_of(old, size_bytes), content_of(new, size_bytes), found)
    for one in found:
        first = one.offset_bytes // _BLOCK
        assert one.is_zero or all(
            old.get(number) != new.get(number)
            for number in range(first, -(-(one.offset_bytes + one.length_bytes) // _BLOCK))
        )
    assert raises(stream[: cut % len(stream)], size_bytes)


def raises(stream: bytes, size_bytes: int) -> bool:
    try:
        list(zvol_changes(io.BytesIO(stream), size_bytes))
    except CsiZfsError:
        return True
    return False


@given(st.integers(0, 1 << 32))
def test_damaged_stream_gives_ranges_or_one_of_our_errors(seed: int) -> None:
    """Without the sums a changed offset is not found; but nothing else ever comes of it."""
    choose = random.Random(seed)
    writer = StreamWriter()
    writer.begin()
    for number in range(8):
        writer.write(number * _BLOCK, _BLOCK, stored=64)
    stream = bytearray(writer.end())
    for _ in range(choose.randint(1, 4)):
        stream[choose.randrange(len(stream))] = choose.randrange(256)
    try:
        found = list(zvol_changes(io.BytesIO(stream), _COUNT * _BLOCK))
    except CsiZfsError:
        return
    ends = [one.offset_bytes + one.length_bytes for one in found]
    assert sorted(ends) == ends
    assert all(end <= _COUNT * _BLOCK for end in ends)
