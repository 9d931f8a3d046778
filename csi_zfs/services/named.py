"""Whether a name is taken here: asked by the router before it makes something elsewhere.

One name must never make two things, so nothing is told while a thing of the name is being made, or
while it may be on a pool that is away.
"""

from contextlib import suppress
from dataclasses import dataclass

from csi_zfs.datasets import names
from csi_zfs.datasets.api import DatasetNotFoundError
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.services import records
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.entries import entry_of_volume
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.pools import Pools
from csi_zfs.services.sources import snapshot_key


@dataclass(frozen=True, slots=True)
class NamedThings:
    """Volumes, snapshots and groups by the names that CSI's callers gave them.  Thread-safe.

    All methods raise `LockTakenError` while the name is being worked on, `PoolAwayError` where the
    thing may be on a pool that could not be opened, and `PoolUnavailableError` where a pool does
    not answer.
    """

    pools: Pools
    catalogue: Catalogue
    locks: KeyedLocks

    def volume(self, volume_name: str) -> VolumeId | None:
        """The volume of this name; None is proved on each pool."""
        leaf = names.leaf_of(volume_name)
        dataset_name = names.dataset_of(leaf)
        with self.locks.hold(shared=[dataset_name]):
            if known := self.catalogue.read_volume_named(leaf):
                return known.volume_id
            for pool in self.pools:
                with suppress(DatasetNotFoundError):
                    dataset = pool.get(dataset_name)
                    if records.is_our_volume(dataset.user_properties):
                        return entry_of_volume(pool, dataset).volume_id
            self.pools.require_all()
            return None

    def snapshot(self, snapshot_name: str) -> SnapshotId | None:
        """The snapshot of this name, which is not of a group.

        None means that all pools answer, that none had one when it was last read as a whole, and
        that none was made since.
        """
        leaf = names.leaf_of(snapshot_name)
        with self.locks.hold(shared=[snapshot_key(leaf)]):
            if known := self.catalogue.read_snapshot_named(leaf):
                return known.snapshot_id
            self._require_pools()
            return None

    def group_snapshot(self, group_snapshot_name: str) -> GroupSnapshotId | None:
        """The group of this name; None as for a snapshot."""
        leaf = names.leaf_of(group_snapshot_name)
        with self.locks.hold(shared=[snapshot_key(leaf)]):
            if known := self.catalogue.groups_named(leaf):
                return known[0]
            self._require_pools()
            return None

    def _require_pools(self) -> None:
        self.pools.require_all()
        for pool in self.pools:
            pool.capacity()  # raises where the pool is away
