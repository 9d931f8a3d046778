"""Comparing extents as a kernel could tell of them: what no file here has."""

import struct

import pytest

from csi_zfs.domain.model import ChangedRange
from csi_zfs.reflink import extents
from csi_zfs.reflink.extents import differing_ranges
from csi_zfs.reflink.kernel import ExtentPage

KIB = 1024
OLD, NEW = 1, 2
Row = tuple[int, int, int, int]


def found_in(
    monkeypatch: pytest.MonkeyPatch, old: list[Row], new: list[Row], size_bytes: int = 64 * KIB
) -> list[ChangedRange]:
    rows = {OLD: old, NEW: new}

    def page(descriptor: int, begin: int, end: int, *, most: int) -> ExtentPage:
        assert most
        raw = b"".join(struct.pack("=QQQ16xL12x", *row) for row in rows[descriptor])
        return ExtentPage(raw, begin, end)

    monkeypatch.setattr(extents, "extent_page", page)
    return list(differing_ranges(OLD, size_bytes, NEW, size_bytes))


@pytest.mark.parametrize(
    "flags", [0x2, 0x4, 0x8, 0x80, 0x100, 0x200, 0x400, 0x800 | 0x4, 0x4000, 1 << 31]
)
def test_extent_whose_address_says_nothing_is_a_difference(
    monkeypatch: pytest.MonkeyPatch, flags: int
) -> None:
    """Not allocated yet, compressed, inline, or a flag that nobody knows here: and it is data."""
    rows = [(0, 1 << 20, 8 * KIB, 0), (8 * KIB, 2 << 20, 4 * KIB, flags)]
    expected = [ChangedRange(8 * KIB, 4 * KIB, is_zero=False)]
    assert found_in(monkeypatch, rows, rows) == expected


@pytest.mark.parametrize("flags", [0, 0x1, 0x1000, 0x2000, 0x3001])
def test_flag_that_changes_no_byte_is_no_difference(
    monkeypatch: pytest.MonkeyPatch, flags: int
) -> None:
    old, new = [(0, 1 << 20, 8 * KIB, 0)], [(0, 1 << 20, 8 * KIB, flags)]
    assert found_in(monkeypatch, old, new) == []


def test_same_blocks_told_in_other_pieces_are_no_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = [(0, 1 << 20, 16 * KIB, 0)]
    three = [
        (0, 1 << 20, 4 * KIB, 0),
        (4 * KIB, (1 << 20) + 4 * KIB, 8 * KIB, 0x2000),
        (12 * KIB, (1 << 20) + 12 * KIB, 4 * KIB, 0),
    ]
    assert found_in(monkeypatch, one, three) == found_in(monkeypatch, three, one) == []


def test_same_blocks_elsewhere_in_the_image_are_a_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = [(0, 1 << 20, 4 * KIB, 0)], [(4 * KIB, 1 << 20, 4 * KIB, 0)]
    assert found_in(monkeypatch, old, new) == [
        ChangedRange(0, 4 * KIB, is_zero=True),
        ChangedRange(4 * KIB, 4 * KIB, is_zero=False),
    ]


def test_unwritten_blocks_and_holes_are_equal_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    data, unwritten = (0, 1 << 20, 4 * KIB, 0), (4 * KIB, 2 << 20, 60 * KIB, 0x800)
    assert found_in(monkeypatch, [data], [data, unwritten]) == []
    assert found_in(monkeypatch, [unwritten], [data]) == [ChangedRange(0, 4 * KIB, is_zero=False)]
