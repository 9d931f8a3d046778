"""An embedded pool seen from outside, beside a driver that serves it: nothing changes."""

from collections.abc import Iterator

from csi_zfs.datasets.api import Dataset, DatasetSnapshot, RecordCorruptError
from csi_zfs.datasets.names import is_tombstone, snapshot_of
from csi_zfs.domain.keepers import SnapshotTies, Ties
from csi_zfs.domain.model import ImageFile
from csi_zfs.reflink.layout import IMAGE
from csi_zfs.reflink.objects import Objects, snapshot_leaves
from csi_zfs.reflink.root import PoolRoot
from csi_zfs.system.files import Files


class ReflinkInspection:
    """See `PoolView` in csi_zfs/services/explaining.py."""

    def __init__(self, root: PoolRoot, files: Files) -> None:
        """Look below this root."""
        self._root = root
        self._objects = Objects(root, files)

    def close(self) -> None:
        """Let go of the pool."""
        self._root.close()

    @property
    def pool_id(self) -> str:
        """See `PoolView`."""
        return self._root.pool_id

    @property
    def pool_name(self) -> str:
        """See `PoolView`."""
        return self._root.pool_name

    def get(self, name: str) -> Dataset:
        """See `PoolView`."""
        return self._objects.dataset(name)

    def get_snapshot(self, name: str) -> DatasetSnapshot:
        """See `PoolView`."""
        return self._objects.snapshot(name)

    def list_snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """See `PoolView`."""
        return self._objects.snapshots()

    def place_of(self, name: str) -> str:
        """See `PoolView`: the directory."""
        return str(self._root.layout.object(name))

    def ties(self, name: str) -> Ties:
        """See `PoolView`; clones are copies here, and need nothing."""
        dataset = self.get(name)
        image = self._root.layout.dataset(name) / IMAGE
        leaves = snapshot_leaves(self._objects.contents(name))
        snapshots = [self.get_snapshot(snapshot_of(name, leaf)) for leaf in leaves]
        snapshots.sort(key=lambda snapshot: snapshot.created_ns)
        return Ties(
            data=None if is_tombstone(name) else ImageFile(image, dataset.size_bytes),
            snapshots=tuple(map(_ties_of, snapshots)),
        )


def _ties_of(snapshot: DatasetSnapshot) -> SnapshotTies:
    holds = dict.fromkeys(sorted(snapshot.holds), 0)
    return SnapshotTies(snapshot.name, holds=holds, is_deferred=snapshot.is_deferred)
