"""How much room a pool has, counting the file system that its image lies on."""

import os
from pathlib import Path

from csi_zfs.datasets.admission import Room

BLOCK_BYTES = 512


class Space:
    """Reads the room of a pool.  Every call asks the kernel; plain `OSError`s pass."""

    def __init__(self, root: Path, *, image: Path | None) -> None:
        """Look at the file system of `root`, and at the pool's image file where it has one."""
        self._root = root
        self._image = image

    def room(self) -> Room:
        """The room of the pool now."""
        found = os.statvfs(self._root)
        used_bytes = (found.f_blocks - found.f_bfree) * found.f_frsize
        free_bytes = self._backed_bytes(found.f_bavail * found.f_frsize)
        return Room(total_bytes=used_bytes + free_bytes, free_bytes=free_bytes)

    def is_read_only(self) -> bool:
        """Whether the file system of the pool takes no writes."""
        return bool(os.statvfs(self._root).f_flag & os.ST_RDONLY)

    def _backed_bytes(self, free_bytes: int) -> int:
        """So much of what is free that the file system below can surely give blocks for.

        The pool's file system may take unbacked blocks first; so where the holes of the image do
        not all fit below, what is free below is the bound.
        """
        if self._image is None:
            return free_bytes
        image = self._image.stat()
        below = os.statvfs(self._image)
        below_bytes = below.f_bavail * below.f_frsize
        holes_bytes = image.st_size - image.st_blocks * BLOCK_BYTES
        return free_bytes if holes_bytes <= below_bytes else min(free_bytes, below_bytes)
