"""How much a thick zvol reserves: its data on this pool's layout, and the blocks that find it.

The arithmetic is that of OpenZFS's own `zfs create -V` (zvol_volsize_to_reservation and
volsize_from_vdevs in lib/libzfs/libzfs_dataset.c, with vdev_raidz_asize and vdev_draid_asize), but
for `copies`: there it finds only texts, gets a number, and so always reserves for one copy.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from csi_zfs.domain.sizes import KIB

DEFAULT_VOLBLOCKSIZE_BYTES = 16 * KIB

_TYPICAL_BLOCK_BYTES = 128 * KIB  # SPA_OLD_MAXBLOCKSIZE: such a block is charged its own size
_SECTOR_BYTES = 512  # SPA_MINBLOCKSIZE
_INDIRECT_BLOCK_BYTES = 128 * KIB  # 1 << DN_MAX_INDBLKSHIFT
_POINTERS_OF_BLOCK = 1024  # DNODES_PER_LEVEL: of 128 bytes each
_METADNODE_BLOCKS = 7  # its levels 0 to 6
_MAX_COPIES_OF_BLOCK = 3  # SPA_DVAS_PER_BP

_RAIDZ = re.compile(r"raidz(?P<parity>[1-3])-[0-9]+", re.ASCII)
_DRAID = re.compile(r"draid(?P<parity>[1-3]):(?P<data>[0-9]+)d:[0-9]+c:[0-9]+s-[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParityVdev:
    """A top-level raidz or dRAID vdev: what a block occupies there, with parity and padding.

    `data_count` disks of a stripe hold data, `parity_count` parity; dRAID fills whole stripes.
    """

    data_count: int
    parity_count: int
    ashift: int
    is_draid: bool = False

    def occupied_bytes(self, block_bytes: int) -> int:
        """What a block of this size takes on disk."""
        sectors = _divided_up(block_bytes, 1 << self.ashift)
        stripes = _divided_up(sectors, self.data_count)
        if self.is_draid:
            return stripes * (self.data_count + self.parity_count) << self.ashift
        granule = self.parity_count + 1
        return _divided_up(sectors + stripes * self.parity_count, granule) * granule << self.ashift

    def charged_bytes(self, block_count: int, block_bytes: int) -> int:
        """What blocks are charged, where a typical block is charged its own size."""
        scale = self.occupied_bytes(_TYPICAL_BLOCK_BYTES) // _SECTOR_BYTES
        units = block_count * self.occupied_bytes(block_bytes) // scale
        return units * (_TYPICAL_BLOCK_BYTES // _SECTOR_BYTES)


def parity_vdev(name: str, *, ashift: int, child_count: int) -> ParityVdev | None:
    """The vdev of this name (`raidz1-0`, `draid2:4d:8c:1s-0`); None where it has no parity.

    `child_count` is the number of its children; a disk and what replaces it are one.
    """
    if (raidz := _RAIDZ.fullmatch(name)) is not None:
        parity_count = int(raidz["parity"])
        return ParityVdev(child_count - parity_count, parity_count, ashift)
    if (draid := _DRAID.fullmatch(name)) is not None:
        return ParityVdev(int(draid["data"]), int(draid["parity"]), ashift, is_draid=True)
    return None


def refreservation_bytes(
    volsize_bytes: int,
    *,
    volblocksize_bytes: int = DEFAULT_VOLBLOCKSIZE_BYTES,
    copies: int = 1,
    vdevs: Iterable[ParityVdev] = (),
) -> int:
    """The refreservation with which a zvol can always be written in full.

    `volsize_bytes` is a multiple of `volblocksize_bytes`; of `vdevs` the most wasteful one counts.
    """
    block_count = volsize_bytes // volblocksize_bytes
    charged = [vdev.charged_bytes(block_count, volblocksize_bytes) for vdev in vdevs]
    data_bytes = max(charged, default=0) or block_count * volblocksize_bytes
    metadata_blocks = _metadata_blocks(block_count) * min(_MAX_COPIES_OF_BLOCK, copies + 1)
    return data_bytes * copies + metadata_blocks * _INDIRECT_BLOCK_BYTES


def _metadata_blocks(block_count: int) -> int:
    total = _METADNODE_BLOCKS
    while block_count > 1:
        block_count = _divided_up(block_count, _POINTERS_OF_BLOCK)
        total += block_count
    return total


def _divided_up(number: int, divisor: int) -> int:
    return -(-number // divisor)
