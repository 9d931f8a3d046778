"""Promoting a clone over a tombstone: the tombstone's snapshots become the clone's.

A tombstone that stays for its snapshots keeps all that its head had written after the youngest of
them.  Once a clone of that one owns them all, nobody needs the head, and it can be destroyed.
"""

from csi_zfs.datasets.names import is_tombstone
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.names import require_tombstone_name
from csi_zfs.zfs.records import DATASET_PROPERTY

# Measured on OpenZFS 2.3: a head that nobody wrote to has written nothing, one that was mounted and
# read 12 KiB, ext4 64 KiB by its mount and unmount.
_TRIFLE_BYTES = MIB


def heir_of(engine: Engine, tombstone_name: str) -> str:
    """See `DatasetManager.heir_of`."""
    require_tombstone_name(tombstone_name)
    found = engine.home.read(
        "heirs", tombstone_name, property=DATASET_PROPERTY, trifle_bytes=_TRIFLE_BYTES
    )
    below = f"{engine.home.volumes}/"
    heirs = [engine.home.relative(name) for name in found["heirs"] if name.startswith(below)]
    return min(heirs, key=lambda name: (is_tombstone(name), name), default="")


def promote(engine: Engine, name: str, *, over: str) -> None:
    """See `DatasetManager.promote`; `RecordChangedError` where it is no clone of `over`."""
    require_tombstone_name(over)
    engine.home.change("promote", name, over=engine.home.full(over))
