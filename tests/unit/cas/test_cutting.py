"""Where large files are cut: stored trees depend on it for ever."""

from hashlib import shake_128

import pytest

from csi_zfs.cas.cutting import LARGEST_BYTES, SMALLEST_BYTES, cut

_KIB = 1024
_DATA = shake_128(b"csi-zfs cuts here").digest(4096 * _KIB)


def lengths_of(data: bytes) -> list[int]:
    return [length for _, length in cut(data, is_whole=True)]


def test_cuts_are_where_they_were_when_the_format_was_made() -> None:
    assert lengths_of(_DATA) == [
        207249,
        440515,
        511704,
        468957,
        412278,
        181783,
        578414,
        299279,
        270766,
        226249,
        301437,
        192747,
        102926,
    ]


def test_bytes_without_a_place_to_cut_are_cut_at_the_longest() -> None:
    assert lengths_of(b"\1" * (2 * LARGEST_BYTES + 5)) == [LARGEST_BYTES, LARGEST_BYTES, 5]


@pytest.mark.parametrize("size", [0, 1, SMALLEST_BYTES - 1, SMALLEST_BYTES])
def test_short_data_is_one_chunk(size: int) -> None:
    assert lengths_of(_DATA[:size]) == [size][: bool(size)]


@pytest.mark.parametrize("step", [LARGEST_BYTES, 1500 * _KIB, 4095 * _KIB])
def test_cuts_are_the_same_in_whatever_pieces_the_data_comes(step: int) -> None:
    found, rest = [], b""
    for start in range(0, len(_DATA), step):
        rest += _DATA[start : start + step]
        end = 0
        for place, length in cut(rest, is_whole=start + step >= len(_DATA)):
            found.append(length)
            end = place + length
        rest = rest[end:]
    assert found == lengths_of(_DATA)


def test_insertion_at_the_front_moves_the_first_cuts_alone() -> None:
    old = {_DATA[start : start + length] for start, length in cut(_DATA, is_whole=True)}
    inserted = b"a few bytes" + _DATA
    new = {inserted[start : start + length] for start, length in cut(inserted, is_whole=True)}
    assert len(new - old) <= 2
