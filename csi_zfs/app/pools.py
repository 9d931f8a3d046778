"""Pools for the command line: make, show, grow, export."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.model import HealthFinding, HealthStatus, PoolKind, PoolStatus
from csi_zfs.reflink import creation, pools
from csi_zfs.settings import PoolSettings
from csi_zfs.system.clock import SystemClock
from csi_zfs.system.runner import SystemRunner

if TYPE_CHECKING:
    from csi_zfs.app.openzfs import OpenZfs

_UNKNOWN = "unknown"


def create_pool(
    path: Path, *, name: str, size_bytes: int | None, is_preallocated: bool
) -> PoolStatus:
    """Make an embedded pool and mount it; raises as `creation.create_pool` does."""
    creation.create_pool(path, size_bytes=size_bytes, is_preallocated=is_preallocated)
    pools.open_pool(path, name=name).close()
    return _described(path, name)


def create_openzfs_pool(dataset: str, *, name: str) -> PoolStatus:
    """Make a pool below a dataset of an imported zpool; safe to repeat.

    Raises as `OpenZfs.create` does.
    """
    with closing(_openzfs()) as openzfs:
        openzfs.create(dataset)
        return openzfs.status(PoolSettings(name, dataset=dataset))


def pool_status(pool: PoolSettings) -> PoolStatus:
    """Look at a pool; one that cannot be read is described by its finding, not by an error."""
    return _status_openzfs(pool) if pool.path is None else _status(pool, pool.path)


def grow_pool(path: Path, *, size_bytes: int) -> PoolStatus:
    """Grow a pool's image, also while a driver serves it; raises as `pools.grow_pool` does."""
    pools.grow_pool(path, size_bytes)
    return _described(path, path.name)


def export_pool(path: Path) -> None:
    """Unmount and detach a pool; raises as `pools.export_pool` does."""
    pools.export_pool(path)


def _status(pool: PoolSettings, path: Path) -> PoolStatus:
    try:
        return _described(path, pool.name)
    except CsiZfsError as exc:
        kind = PoolKind.DIRECTORY if pool.size_bytes is None else PoolKind.IMAGE
        return _unreadable(pool, kind, _UNKNOWN, exc)


def _status_openzfs(pool: PoolSettings) -> PoolStatus:
    with closing(_openzfs()) as openzfs:
        try:
            return openzfs.status(pool)
        except CsiZfsError as exc:
            return _unreadable(pool, PoolKind.OPENZFS, openzfs.state(pool.dataset), exc)


def _unreadable(pool: PoolSettings, kind: PoolKind, state: str, why: CsiZfsError) -> PoolStatus:
    return PoolStatus(
        name=pool.name,
        path=pool.path,
        dataset=pool.dataset,
        pool_id="",
        kind=kind,
        state=state,
        total_bytes=0,
        free_bytes=0,
        volumes=0,
        snapshots=0,
        findings=(HealthFinding(HealthStatus.INACCESSIBLE, "PoolUnreadable", str(why)),),
    )


def _described(path: Path, name: str) -> PoolStatus:
    status = pools.pool_status(path)
    return PoolStatus(
        name=name,
        path=path,
        dataset="",
        pool_id=status.pool_id,
        kind=PoolKind.IMAGE if status.has_image else PoolKind.DIRECTORY,
        state="mounted" if status.is_mounted else "unmounted",
        total_bytes=status.total_bytes,
        free_bytes=status.free_bytes,
        volumes=status.volumes,
        snapshots=status.snapshots,
    )


def _openzfs() -> "OpenZfs":
    # Loaded for such pools alone: it takes a fifth of a command's time.
    from csi_zfs.app.openzfs import OpenZfs  # noqa: PLC0415

    return OpenZfs(SystemRunner(), SystemClock())
