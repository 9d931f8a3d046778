"""`FakeNode`: a node in memory whose driver is the real one, over fake pools and a fake kernel.

The pools, the mounts and the node's state outlive the driver, so that a test can `restart` it, with
or without a crash before, and look at what the new one makes of what it finds.
"""

import zlib
from collections.abc import Callable
from pathlib import Path

from csi_zfs.app.wiring import Driver, Engines, build_driver
from csi_zfs.datasets.api import Dataset, DatasetSnapshot, Features
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.sizes import GIB
from csi_zfs.rpc.services import Services
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.publishing import Publishing
from csi_zfs.services.snapshots import Snapshots
from csi_zfs.services.volumes import Volumes
from csi_zfs.settings import PoolSettings, Settings
from tests.support.clock import FakeClock
from tests.support.datasets import FakeDatasets
from tests.support.disk import FakeDisk, FakeImage, path_of
from tests.support.mounter import FakeMounter
from tests.support.pool_core import LIKE_OPENZFS, LIKE_REFLINK, FakePool, no_effects
from tests.support.pool_state import Room
from tests.support.state_store import MemoryStateStore

POOL_BYTES = 100 * GIB
FIRST_NODE = "node-1"


class FakeNode:
    """A node with a driver that serves.

    Attributes:
        kubelet_dir: below it volumes are staged and published; a real directory.
        effects: hears of each effect of every fake, as `<method>:before` and `<method>:after`; what
            it raises stops the call there (a `BaseException` stands for the end of the process).
        pools: the fake pools, `pool-1` first.
        away_pool_names: pools of the settings that the next driver cannot open.
        extents: what the driver said of the extents of what it copied.
    """

    effects: Callable[[str], None]

    def __init__(
        self,
        directory: Path,
        *,
        dependent_clones: bool = False,
        features: Features | None = None,
        pools: int = 1,
        node_id: str = FIRST_NODE,
        room: Room = Room(POOL_BYTES),  # noqa: B008 - frozen
    ) -> None:
        """Make the node and start its driver; `features` are those of `dependent_clones`."""
        self.effects = no_effects
        self.node_id = node_id
        self.kubelet_dir = directory / "kubelet"
        self.kubelet_dir.mkdir()
        self.clock = FakeClock()
        self.disk = FakeDisk()
        self.state_store = MemoryStateStore(effects=self._effect)
        self.mounter = FakeMounter(
            self.disk, root=self.kubelet_dir, clock=self.clock, effects=self._effect
        )
        features = features or (LIKE_OPENZFS if dependent_clones else LIKE_REFLINK)
        self.pools = [
            FakeDatasets(
                self.disk,
                self.clock,
                _pool(number, node_id, features, room),
                effects=self._effect,
            )
            for number in range(1, pools + 1)
        ]
        self.away_pool_names: tuple[str, ...] = ()
        self.extents: list[int] = []
        self.restart()

    def restart(self) -> None:
        """Begin a new driver on what is there, as after the end or the death of the one before."""
        settings = Settings(
            pools=tuple(PoolSettings(pool.pool_name, Path("/fake")) for pool in self.pools),
            node_id=self.node_id,
            kubelet_dir=self.kubelet_dir,
        )
        engines = Engines(
            pools=self.pools,
            away_pool_names=self.away_pool_names,
            mounter=self.mounter,
            state_store=self.state_store,
            observe_extents=self.extents.append,
        )
        self.driver: Driver = build_driver(settings, engines)
        self.driver.recovery.run()

    def _effect(self, point: str) -> None:
        self.effects(point)

    @property
    def pool(self) -> FakeDatasets:
        """The first pool."""
        return self.pools[0]

    @property
    def services(self) -> Services:
        """All services of the driver."""
        return self.driver.services

    @property
    def volumes(self) -> Volumes:
        """The driver's service of this name, as the ones below."""
        return self.driver.services.volumes

    @property
    def snapshots(self) -> Snapshots:
        """See `volumes`."""
        return self.driver.services.snapshots

    @property
    def publishing(self) -> Publishing:
        """See `volumes`."""
        return self.driver.services.publishing

    @property
    def catalogue(self) -> Catalogue:
        """See `volumes`."""
        return self.driver.catalogue

    def dataset(self, volume_id: VolumeId) -> Dataset:
        """What is on the pool of a volume."""
        return self._pool_of(volume_id).get(f"v/{volume_id.leaf}")

    def image(self, volume_id: VolumeId) -> FakeImage:
        """The disk image that holds a volume's data."""
        return self.disk.images[path_of(self._pool_of(volume_id).data_path(f"v/{volume_id.leaf}"))]

    def names(self) -> set[str]:
        """The names of all datasets and snapshots on all pools; none may be damaged."""
        found: set[str] = set()
        for pool in self.pools:
            for entry in (*pool.list(), *pool.list_snapshots()):
                assert isinstance(entry, Dataset | DatasetSnapshot)
                found.add(entry.name)
        return found

    def _pool_of(self, volume_id: VolumeId) -> FakeDatasets:
        return next(pool for pool in self.pools if pool.pool_id == volume_id.pool_id)


def _pool(number: int, node_id: str, features: Features, room: Room) -> FakePool:
    # Pools that draw the same uids would hide a mistake of one for the other.
    seed = number + (100 * zlib.crc32(node_id.encode()) if node_id != FIRST_NODE else 0)
    return FakePool(f"pool-{number}", f"{seed:016x}", features, room, uid_seed=seed)
