"""Images for tests: sparse files of random content, and what they hold."""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.system.opening import opened

Extent = tuple[int, int]


def write_image(path: Path, size_bytes: int, extents: Sequence[Extent], seed: int = 0) -> bytes:
    """Make a sparse file with random data at these offsets; returns what it holds."""
    make_image(path, size_bytes, extents, seed)
    return path.read_bytes()


def make_image(path: Path, size_bytes: int, extents: Sequence[Extent], seed: int = 0) -> None:
    """Make a sparse file with random data at these offsets and lengths."""
    chance = random.Random(seed)
    with open_image(path) as descriptor:
        os.ftruncate(descriptor, 0)
        os.ftruncate(descriptor, size_bytes)
        change_image(descriptor, extents, chance)


def change_image(descriptor: int, extents: Sequence[Extent], chance: random.Random) -> None:
    """Write random data at these offsets and lengths, as far as the file goes."""
    size_bytes = os.fstat(descriptor).st_size
    for offset, length in extents:
        here = max(min(length, size_bytes - offset), 0)
        os.pwrite(descriptor, chance.randbytes(here), offset)


@contextmanager
def open_image(path: Path) -> Iterator[int]:
    """A descriptor for reading and writing; the file is made where it is missing."""
    with opened(path, os.O_RDWR | os.O_CREAT) as descriptor:
        yield descriptor
