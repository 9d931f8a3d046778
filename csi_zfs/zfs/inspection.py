"""A pool seen from outside, beside a driver that serves it: it is read, and nothing changes."""

from collections.abc import Iterator

from csi_zfs.datasets.api import (
    Dataset,
    DatasetKind,
    DatasetSnapshot,
    PoolUnavailableError,
    RecordCorruptError,
)
from csi_zfs.datasets.names import VOLUMES
from csi_zfs.domain.keepers import SnapshotTies, Ties
from csi_zfs.domain.model import DataPath, DeviceNode, NativeFilesystem
from csi_zfs.zfs.devices import ZvolDevices
from csi_zfs.zfs.errors import translating
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.objects import Objects
from csi_zfs.zfs.outcomes import Found
from csi_zfs.zfs.records import SNAPSHOT_PROPERTY

_NS_PER_S = 1_000_000_000


class ZfsInspection:
    """See `PoolView` in csi_zfs/services/explaining.py."""

    def __init__(self, home: Home, devices: ZvolDevices) -> None:
        """Look below this home."""
        self._home = home
        self._devices = devices
        self._objects = Objects(home)

    @property
    def pool_id(self) -> str:
        """See `PoolView`."""
        return self._home.pool_id

    @property
    def pool_name(self) -> str:
        """See `PoolView`."""
        return self._home.pool_name

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
        """See `PoolView`: the whole name."""
        is_whole = not name.startswith(f"{VOLUMES}/")  # it lies below no pool of ours
        return name if is_whole else f"{self._home.parent}/{name}"

    def ties(self, name: str) -> Ties:
        """See `PoolView`."""
        dataset = self.get(name)
        found = self._home.read("ties", name, property=SNAPSHOT_PROPERTY)
        snapshots = sorted(found["snapshots"].items(), key=lambda item: item[1]["txg"])
        return Ties(
            data=self._data_of(dataset),
            snapshots=tuple(self._ties_of(full_name, one) for full_name, one in snapshots),
            children=tuple(sorted(map(self._home.relative, found["children"]))),
        )

    def _data_of(self, dataset: Dataset) -> DataPath | None:
        full_name = self._home.full(dataset.name)
        if dataset.kind is DatasetKind.FILESYSTEM:
            return NativeFilesystem(full_name, dataset.size_bytes)
        device = self._devices.find(full_name)
        return None if device is None else DeviceNode(device, dataset.size_bytes)

    def _ties_of(self, full_name: str, found: Found) -> SnapshotTies:
        return SnapshotTies(
            name=self._home.relative(full_name),
            clones=tuple(sorted(map(self._home.relative, found["clones"]))),
            holds=self._holds(full_name) if found["is_held"] else {},
            is_deferred=found["is_deferred"],
            is_ours=found["is_ours"],
        )

    def _holds(self, full_name: str) -> dict[str, int]:
        try:
            with translating(full_name):
                found = self._home.core.holds(full_name)
        except PoolUnavailableError:  # it went after it was read
            return {}
        return {tag: since_s * _NS_PER_S for tag, since_s in sorted(found.items())}
