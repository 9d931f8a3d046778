"""Pools on OpenZFS: made, opened, shown; loaded only where there are any."""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets.api import DatasetManager, PoolUnavailableError, RecordCorruptError
from csi_zfs.datasets.names import is_deferred_snapshot, is_tombstone
from csi_zfs.domain.errors import UnavailableError
from csi_zfs.domain.model import HealthFinding, HealthStatus, PoolKind, PoolStatus
from csi_zfs.services.adoption import Adoption
from csi_zfs.settings import PoolSettings
from csi_zfs.system.clock import Clock
from csi_zfs.system.runner import Runner
from csi_zfs.zfs.adopting import LibzfsCoreAdopter
from csi_zfs.zfs.calls import Calls, zpool_name_of
from csi_zfs.zfs.command import NativeProperties
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.errors import ModuleVersionError, translating
from csi_zfs.zfs.inspection import ZfsInspection
from csi_zfs.zfs.module_version import MODULE_VERSION, SERVED_SERIES, require_served_module
from csi_zfs.zfs.pool_state import PoolState, PoolStates
from csi_zfs.zfs.pools import Doors, create_pool, home_of, open_pool
from csi_zfs.zfs.remote import RemoteLibzfsCore
from csi_zfs.zfs.serving import Lease

LIBRARY = "libzfs_core"
_SERIES = ".".join(map(str, SERVED_SERIES))


class OpenZfsMissingError(UnavailableError):
    """This machine has no OpenZFS that the driver works with; the text says what to install."""


class ZpoolNotImportedError(PoolUnavailableError):
    """The kernel knows no zpool of this name."""


class AncestorMissingError(PoolUnavailableError):
    """The dataset below which a pool is to be made does not exist."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What has to be on a machine; tests look elsewhere.

    Attributes:
        module_version: where the kernel says which module it has loaded.
        library: the Python package through which the driver calls it.
        control: the kernel's device for all of it.
    """

    module_version: Path = MODULE_VERSION
    library: str = LIBRARY
    control: Path = Path("/dev/zfs")

    def require(self) -> None:
        """Raise `OpenZfsMissingError` where something is missing."""
        try:
            require_served_module(self.module_version)
        except ModuleVersionError as exc:
            raise OpenZfsMissingError(
                f"{exc}: install OpenZFS {_SERIES} and run `modprobe zfs`"
            ) from exc
        if importlib.util.find_spec(self.library) is None:
            raise OpenZfsMissingError(
                f"Python finds no {self.library}: install it (Debian: python3-pyzfs of OpenZFS"
                f" {_SERIES}) where the driver's Python looks"
            )

    def open_control(self) -> int:
        """A descriptor of the device, the caller's to close; raises `OpenZfsMissingError`."""
        try:
            return os.open(self.control, os.O_RDWR | os.O_CLOEXEC)
        except OSError as exc:
            raise OpenZfsMissingError(f"{self.control} cannot be opened: {exc.strerror}") from exc


STATES = PoolStates()
INSTALLED = Installed()


@dataclass(frozen=True, slots=True)
class _Way:
    """The way to one zpool.

    Both this process and its helper have `control` open.  The helper lets go of it last, since that
    gives up the leases, and so never comes back from a pool that is suspended.
    """

    core: RemoteLibzfsCore
    control: int

    def close(self) -> None:
        os.close(self.control)
        self.core.close()


class OpenZfs:
    """The zpools of this machine, each through a helper process of its own.  Not thread-safe.

    `owner` is who serves pools: the node and the machine.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        *,
        owner: str = "",
        states: PoolStates = STATES,
        installed: Installed = INSTALLED,
    ) -> None:
        """Start nothing yet."""
        self._runner = runner
        self._clock = clock
        self._states = states
        self._installed = installed
        self._owner = owner
        self._ways: dict[str, _Way] = {}

    def close(self) -> None:
        """End the helper processes, and serve no pool any more."""
        for way in self._ways.values():
            way.close()

    def create(self, dataset: str) -> str:
        """Make a pool below a dataset, which is made where it is missing; returns the pool's id.

        Safe to repeat.

        Raises:
            OpenZfsMissingError, ZpoolNotImportedError, AncestorMissingError: see them.
            PoolUnavailableError: the zpool cannot be used.
        """
        doors, above = self._doors_to(dataset), dataset.rpartition("/")[0]
        with translating(above):
            is_there = doors.core.exists(above)
        if not is_there:
            raise AncestorMissingError(f"there is no {above}: make it with `zfs create {above}`")
        return create_pool(dataset, doors)

    def open(self, pool: PoolSettings) -> LibzfsCoreDatasets:
        """Open a pool to look at it, also while a driver serves it.

        Raises as `create`, and where there is none below its dataset.
        """
        return self._open(pool)

    def serve(self, pool: PoolSettings) -> LibzfsCoreDatasets:
        """Open a pool, and keep other drivers off it until `close` or the end of the process.

        Raises as `open`, and `PoolServedElsewhereError`.
        """
        control = self._way_to(zpool_name_of(pool.dataset)).control
        return self._open(pool, Lease(control, self._owner))

    def inspect(self, pool: PoolSettings) -> ZfsInspection:
        """Look into a pool, also while a driver serves it; raises as `open` does."""
        doors = self._doors_to(pool.dataset)
        home = home_of(pool.dataset, name=pool.name, core=doors.core)
        return ZfsInspection(home, doors.devices)

    def adoption(self, pool: PoolSettings) -> Adoption:
        """What makes volumes of datasets made by hand in a pool; raises as `open` does."""
        doors = self._doors_to(pool.dataset)
        home = home_of(pool.dataset, name=pool.name, core=doors.core)
        native = NativeProperties(home, doors.runner)
        return Adoption(self.open(pool), LibzfsCoreAdopter(home, native, doors.devices))

    def status(self, pool: PoolSettings) -> PoolStatus:
        """Look at a pool, also while a driver serves it; raises as `open` does."""
        return described(pool, self.open(pool), self.state(pool.dataset))

    def state(self, dataset: str) -> PoolState:
        """What the kernel says of the zpool of a dataset; never waits."""
        return self._states.read(zpool_name_of(dataset))

    def _open(self, pool: PoolSettings, lease: Lease | None = None) -> LibzfsCoreDatasets:
        return open_pool(
            pool.dataset,
            name=pool.name,
            doors=self._doors_to(pool.dataset),
            thin_ratio=pool.thin_ratio,
            reserve_percent=pool.reserve_percent,
            lease=lease,
        )

    def _doors_to(self, dataset: str) -> Doors:
        return Doors(self._way_to(zpool_name_of(dataset)).core, self._runner, self._clock)

    def _way_to(self, zpool_name: str) -> _Way:
        self._installed.require()
        if self._states.read(zpool_name) is PoolState.NOT_IMPORTED:
            raise ZpoolNotImportedError(
                f"zpool {zpool_name} is not imported: run `zpool import {zpool_name}`, or make it"
                " with `zpool create`"
            )
        if zpool_name not in self._ways:
            control = self._installed.open_control()
            calls = Calls(states=self._states, clock=self._clock, kept=[control])
            self._ways[zpool_name] = _Way(RemoteLibzfsCore(calls), control)
        return self._ways[zpool_name]


def described(pool: PoolSettings, manager: DatasetManager, state: PoolState) -> PoolStatus:
    """What an open pool is and holds; what is deleted and waits for others is not counted."""
    room = manager.capacity()
    datasets, snapshots = list(manager.list()), list(manager.list_snapshots())
    damaged = [one for one in (*datasets, *snapshots) if isinstance(one, RecordCorruptError)]
    return PoolStatus(
        name=pool.name,
        path=None,
        dataset=pool.dataset,
        pool_id=manager.pool_id,
        kind=PoolKind.OPENZFS,
        state=state,
        total_bytes=room.total_bytes,
        free_bytes=room.free_bytes,
        volumes=sum(not is_tombstone(dataset.name) for dataset in datasets),
        snapshots=sum(not is_deferred_snapshot(snapshot.name) for snapshot in snapshots),
        findings=(*manager.health(), *map(_finding, damaged)),
    )


def _finding(damaged: RecordCorruptError) -> HealthFinding:
    return HealthFinding(HealthStatus.DATA_LOSS, "RecordDamaged", str(damaged))
