"""What is stored: a sparse disk image with real data, and a second version of it."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from csi_zfs.domain.sizes import GIB, MIB

IMAGE_BYTES = 6 * GIB
DATA_BYTES = 900 * MIB
# Data in six places, with holes between them, as a disk has it that was used for a while.
_AREA_BYTES = DATA_BYTES // 6
_BLOCK_BYTES = 4096
_SEED = 1
_CHANGES = 36
_ROOTS = ("/usr/lib", "/usr/share", "/usr/bin")


@dataclass(frozen=True, slots=True)
class Material:
    """The image, its second version, and in which ranges (offset, length) that one differs."""

    image: Path
    changed: Path
    ranges: list[tuple[int, int]]


def make_material(directory: Path) -> Material:
    """Make both images of the files that this machine has: programs, libraries, texts.

    In a process of its own: what the caller's processes take counts from what the caller took.
    """
    command = [sys.executable, "-m", __name__, str(directory)]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    ranges = [(offset, length) for offset, length in json.loads(made.stdout)]
    return Material(*_images(directory), ranges)


def _images(directory: Path) -> tuple[Path, Path]:
    return directory / "image", directory / "changed"


def _make(directory: Path) -> list[tuple[int, int]]:
    image, changed = _images(directory)
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
        written = 0
        for block in _blocks():
            area, offset = divmod(written, _AREA_BYTES)
            os.pwrite(file.fileno(), block, area * GIB + offset)
            written += len(block)
    return _change(image, changed)


def _blocks() -> Iterator[bytes]:
    """The content of files, one after the other, each filled up to whole blocks, until enough."""
    left = DATA_BYTES
    while left:
        for path in _files():
            data = path.read_bytes()[:left]
            data += bytes(-len(data) % _BLOCK_BYTES)
            for at in range(0, len(data), _BLOCK_BYTES):
                block = data[at : at + _BLOCK_BYTES]
                yield block
            left -= min(len(data), left)
            if not left:
                return


def _files() -> Iterator[Path]:
    for directory, names, files in chain.from_iterable(os.walk(root) for root in _ROOTS):
        names.sort()
        for name in sorted(files):
            path = Path(directory, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _change(image: Path, changed: Path) -> list[tuple[int, int]]:
    """A copy with 1 % of the chunks changed, one block in each."""
    subprocess.run(["cp", "--sparse=always", image, changed], check=True)
    chance = random.Random(_SEED)
    ranges = []
    with changed.open("r+b") as file:
        for _ in range(_CHANGES):
            area, block = chance.randrange(6), chance.randrange(_AREA_BYTES // _BLOCK_BYTES)
            offset = area * GIB + block * _BLOCK_BYTES
            os.pwrite(file.fileno(), chance.randbytes(_BLOCK_BYTES), offset)
            ranges.append((offset, _BLOCK_BYTES))
    return sorted(ranges)


if __name__ == "__main__":
    print(json.dumps(_make(Path(sys.argv[1]))))
