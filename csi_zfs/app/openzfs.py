"""Pools on OpenZFS: made, opened, shown; loaded only where there are any."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets.api import DatasetManager, PoolUnavailableError, RecordCorruptError
from csi_zfs.datasets.names import is_deferred_snapshot, is_tombstone
from csi_zfs.domain.errors import UnavailableError
from csi_zfs.domain.model import HealthFinding, HealthStatus, PoolKind, PoolStatus
from csi_zfs.settings import PoolSettings
from csi_zfs.system.clock import Clock
from csi_zfs.system.runner import Runner
from csi_zfs.zfs.calls import Calls, zpool_name_of
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.errors import ModuleVersionError, translating
from csi_zfs.zfs.module_version import MODULE_VERSION, SERVED_SERIES, require_served_module
from csi_zfs.zfs.pool_state import PoolState, PoolStates
from csi_zfs.zfs.pools import Doors, create_pool, open_pool
from csi_zfs.zfs.remote import RemoteLibzfsCore

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
    """

    module_version: Path = MODULE_VERSION
    library: str = LIBRARY

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


STATES = PoolStates()
INSTALLED = Installed()


class OpenZfs:
    """The zpools of this machine, each through a helper process of its own.  Not thread-safe."""

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        *,
        states: PoolStates = STATES,
        installed: Installed = INSTALLED,
    ) -> None:
        """Start nothing yet."""
        self._runner = runner
        self._clock = clock
        self._states = states
        self._installed = installed
        self._cores: dict[str, RemoteLibzfsCore] = {}

    def close(self) -> None:
        """End the helper processes."""
        for core in self._cores.values():
            core.close()

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
        """Open a pool; raises as `create`, and where there is none below its dataset."""
        return open_pool(
            pool.dataset,
            name=pool.name,
            doors=self._doors_to(pool.dataset),
            thin_ratio=pool.thin_ratio,
            reserve_percent=pool.reserve_percent,
        )

    def status(self, pool: PoolSettings) -> PoolStatus:
        """Look at a pool, also while a driver serves it; raises as `open` does."""
        return described(pool, self.open(pool), self.state(pool.dataset))

    def state(self, dataset: str) -> PoolState:
        """What the kernel says of the zpool of a dataset; never waits."""
        return self._states.read(zpool_name_of(dataset))

    def _doors_to(self, dataset: str) -> Doors:
        self._installed.require()
        zpool_name = zpool_name_of(dataset)
        if self._states.read(zpool_name) is PoolState.NOT_IMPORTED:
            raise ZpoolNotImportedError(
                f"zpool {zpool_name} is not imported: run `zpool import {zpool_name}`, or make it"
                " with `zpool create`"
            )
        if zpool_name not in self._cores:
            calls = Calls(states=self._states, clock=self._clock)
            self._cores[zpool_name] = RemoteLibzfsCore(calls)
        return Doors(self._cores[zpool_name], self._runner, self._clock)


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
