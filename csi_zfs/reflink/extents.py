"""In what two images of a pool differ, by the blocks that they lie on.

No data is read: a clone shares the blocks of its source, and XFS writes to shared blocks by taking
others.  So where two images have the same block at the same offset, they have the same bytes, if:

- *Both are open for the whole comparison.*  Their blocks are then not freed, and so not used again
  by the other one between two looks, whatever is deleted meanwhile.
- *Nobody writes to either of them.*  Snapshots are never written to.  The volume that they were
  taken of lives on: it has lost its right to write to the shared blocks in place.
- *Nobody moves their blocks.*  A defragmenter (xfs_fsr, or a balance of btrfs) keeps the bytes and
  changes the blocks; one that runs at the same time could bring one image onto blocks that the
  other was seen on before.
- *They lie on one device.*  An address says nothing about the device.  What was cloned from one
  another always does; a file on the realtime device of an XFS and one beside it do not.

Every doubt is a difference: blocks that cannot be told, or were moved, or hold the same bytes by
chance.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

from csi_zfs.domain.model import ChangedRange
from csi_zfs.reflink.kernel import ExtentPage, extent_page

# 56 bytes each: 450 KiB for both images, whatever their size.
PAGE_EXTENTS = 4096

_LAST, _MERGED, _SHARED = 0x0001, 0x1000, 0x2000
_UNWRITTEN = 0x0800
# With any other flag the address is none, or is one of something else than these very bytes: of
# unknown place, not allocated yet, encoded, encrypted, inline, packed with others, or a flag that
# is younger than this.
_PLAIN = _LAST | _MERGED | _SHARED | _UNWRITTEN

# What is at an offset: zeros, what cannot be told, or how far its block lies from there.
_Place = int | Literal["zeros", "anything"]
_Piece = tuple[int, int, bool]


def differing_ranges(
    old: int, old_bytes: int, new: int, new_bytes: int, *, page_extents: int = PAGE_EXTENTS
) -> Iterator[ChangedRange]:
    """Where the second of two open images may differ from the first, within the second's size.

    They rise, and those that touch differ in whether they are zeros; behind its end the first image
    counts as zeros.  The time goes with the number of extents, the memory does not.  What the
    caller has to see to is said above.  Raises `OSError`: then these were not all.
    """
    shared_bytes = min(old_bytes, new_bytes)
    pieces = _pieces(old, new, shared_bytes, page_extents)
    yield from _joined(pieces, _pieces_beyond(new, shared_bytes, new_bytes, page_extents))


def _pieces(old: int, new: int, end: int, most: int) -> Iterator[_Piece]:
    at = 0
    while at < end:
        # Both from the same offset: so pages without a difference are equal byte by byte, also
        # behind one that made the numbers of extents unequal.
        before = extent_page(old, at, end, most=most)
        after = extent_page(new, at, end, most=most)
        upto = min(before.end, after.end)
        if before.raw != after.raw or any(flags & ~_PLAIN for flags in after.flags()):
            yield from _compared(_places(before, upto), _places(after, upto), at, upto)
        at = upto


def _pieces_beyond(new: int, begin: int, end: int, most: int) -> Iterator[_Piece]:
    at = begin
    while at < end:
        after = extent_page(new, at, end, most=most)
        yield from _compared(iter([(after.end, "zeros")]), _places(after, after.end), at, after.end)
        at = after.end


def _places(page: ExtentPage, end: int) -> Iterator[tuple[int, _Place]]:
    """What is where, without a gap from the page's begin to `end`: as the end of each part."""
    at = page.begin
    for logical, physical, length, flags in page.rows():
        begin, upto = max(logical, at), min(logical + length, end)
        if begin >= upto:
            continue
        if begin > at:
            yield begin, "zeros"
        yield upto, _place_of(physical - logical, flags)
        at = upto
    if at < end:
        yield end, "zeros"


def _place_of(shift: int, flags: int) -> _Place:
    if flags & ~_PLAIN:
        return "anything"
    return "zeros" if flags & _UNWRITTEN else shift


def _compared(
    before: Iterator[tuple[int, _Place]], after: Iterator[tuple[int, _Place]], begin: int, end: int
) -> Iterator[_Piece]:
    at, (old_end, old_place), (new_end, new_place) = begin, next(before), next(after)
    while True:
        upto = min(old_end, new_end)
        if old_place != new_place or new_place == "anything":
            yield at, upto, new_place == "zeros"
        if upto == end:
            return
        at = upto
        if old_end == at:
            old_end, old_place = next(before)
        if new_end == at:
            new_end, new_place = next(after)


def _joined(*parts: Iterable[_Piece]) -> Iterator[ChangedRange]:
    begin, end, is_zero = 0, 0, False
    for piece in chain.from_iterable(parts):
        if piece[0] == end and piece[2] == is_zero:
            end = piece[1]
            continue
        if begin < end:
            yield ChangedRange(begin, end - begin, is_zero)
        begin, end, is_zero = piece
    if begin < end:
        yield ChangedRange(begin, end - begin, is_zero)
