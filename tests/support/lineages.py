"""Images of one lineage on a real XFS: changed, cloned and deleted as a pool does it."""

import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.domain.model import ChangedRange
from csi_zfs.reflink.extents import differing_ranges
from csi_zfs.system.files import Files
from csi_zfs.system.opening import opened

BLOCK_BYTES = 4096
_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE = 0x01, 0x02, 0x10
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Lineage:
    """A live image and its snapshots, in a directory of their own.

    Attributes:
        directory: where they lie, on a file system with reflinks.
        live: the image that is written to.
        snapshots: clones of it, the oldest first.
        touched: for each snapshot the parts that were written to since the one before it.
    """

    directory: Path
    live: Path
    snapshots: list[Path] = field(default_factory=list)
    touched: list[set[int]] = field(default_factory=list)
    _made: int = 0
    _touched: set[int] = field(default_factory=set)

    @classmethod
    def begun(cls, directory: Path, size_bytes: int) -> "Lineage":
        """A lineage with an empty image."""
        directory.mkdir()
        live = directory / "live"
        Files().create_sparse(live, size_bytes)
        return cls(directory, live)

    @property
    def size_bytes(self) -> int:
        """The size of the live image."""
        return self.live.stat().st_size

    def write(self, offset: int, data: bytes) -> None:
        """Write as far as the image goes; the kernel keeps it until somebody asks for it."""
        data = data[: max(0, self.size_bytes - offset)]
        with opened(self.live, os.O_WRONLY) as descriptor:
            os.pwrite(descriptor, data, offset)
        self._touch(offset, len(data))

    def punch(self, offset: int, length: int) -> None:
        """Give a part back, as a discard does."""
        self._fallocate(_PUNCH_HOLE | _KEEP_SIZE, offset, length)

    def zero(self, offset: int, length: int) -> None:
        """Turn a part into zeros that have blocks of their own."""
        self._fallocate(_ZERO_RANGE | _KEEP_SIZE, offset, length)

    def allocate(self, offset: int, length: int) -> None:
        """Give the holes of a part blocks of their own, as a thick volume has them."""
        self._fallocate(_KEEP_SIZE, offset, length)

    def grow(self, length: int) -> None:
        """Make the image longer."""
        self._touch(self.size_bytes, length)
        Files().resize(self.live, self.size_bytes + length)

    def take(self) -> None:
        """Take a snapshot."""
        path = self.directory / f"s{self._made}"
        self._made += 1
        Files().create_clone(self.live, path, self.size_bytes)
        self.snapshots.append(path)
        self.touched.append(self._touched)
        self._touched = set()

    def go_back(self, index: int) -> None:
        """Go on with a clone of a snapshot: those that are younger than it are let go."""
        self.live.unlink()
        Files().create_clone(self.snapshots[index], self.live, 0)
        while len(self.snapshots) > index + 1:
            self.snapshots.pop().unlink()
            self.touched.pop()
        self._touched = set()

    def delete(self, index: int) -> None:
        """Delete a snapshot: the blocks that it alone had may be used again at once."""
        self.snapshots.pop(index).unlink()
        gone = self.touched.pop(index)
        if index < len(self.touched):
            self.touched[index] |= gone
        else:
            self._touched |= gone

    def _fallocate(self, mode: int, offset: int, length: int) -> None:
        length = min(length, self.size_bytes - offset)
        if length <= 0:
            return
        with opened(self.live, os.O_RDWR) as descriptor:
            result = _libc.fallocate(
                descriptor, mode, ctypes.c_longlong(offset), ctypes.c_longlong(length)
            )
        assert result == 0, os.strerror(ctypes.get_errno())
        self._touch(offset, length)

    def _touch(self, offset: int, length: int) -> None:
        if length > 0:
            self._touched |= blocks_of([(offset, length)])


def blocks_of(ranges: Iterable[tuple[int, int]]) -> set[int]:
    """The blocks that ranges touch."""
    return {
        block
        for offset, length in ranges
        for block in range(offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES))
    }


def compared(old: Path, new: Path, *, page_extents: int = 4096) -> list[ChangedRange]:
    """What is found to differ in two images, by their whole sizes."""
    with opened(old, os.O_RDONLY) as before, opened(new, os.O_RDONLY) as after:
        sizes = [os.fstat(descriptor).st_size for descriptor in (before, after)]
        found = differing_ranges(before, sizes[0], after, sizes[1], page_extents=page_extents)
        return list(found)


def require_complete(old: bytes, new: bytes, found: Iterable[ChangedRange]) -> None:
    """Outside of the ranges nothing differs, and what is said to be zeros is; they rise."""
    behind, is_zero_behind = 0, None
    old = old.ljust(len(new), b"\0")
    for one in found:
        begin, end = one.offset_bytes, one.offset_bytes + one.length_bytes
        assert behind <= begin < end <= len(new)
        assert behind < begin or is_zero_behind is not one.is_zero, "not joined"
        assert old[behind:begin] == new[behind:begin], f"missed in {behind}..{begin}"
        assert not one.is_zero or not any(new[begin:end]), f"no zeros in {begin}..{end}"
        behind, is_zero_behind = end, one.is_zero
    assert old[behind : len(new)] == new[behind:], f"missed from {behind} on"
