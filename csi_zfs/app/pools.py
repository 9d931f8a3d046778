"""Embedded pools for the command line: make, show, grow, export."""

from pathlib import Path

from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.model import HealthFinding, HealthStatus, PoolKind, PoolStatus
from csi_zfs.reflink import creation, pools
from csi_zfs.settings import PoolSettings


def create_pool(
    path: Path, *, name: str, size_bytes: int | None, is_preallocated: bool
) -> PoolStatus:
    """Make a pool and mount it; raises as `creation.create_pool` does."""
    creation.create_pool(path, size_bytes=size_bytes, is_preallocated=is_preallocated)
    pools.open_pool(path, name=name).close()
    return _described(path, name)


def pool_status(pool: PoolSettings) -> PoolStatus:
    """Look at a pool; one that cannot be read is described by its finding, not by an error."""
    try:
        return _described(pool.path, pool.name)
    except CsiZfsError as exc:
        finding = HealthFinding(HealthStatus.INACCESSIBLE, "PoolUnreadable", str(exc))
        kind = PoolKind.DIRECTORY if pool.size_bytes is None else PoolKind.IMAGE
        return PoolStatus(
            name=pool.name,
            path=pool.path,
            pool_id="",
            kind=kind,
            is_mounted=False,
            total_bytes=0,
            free_bytes=0,
            volumes=0,
            snapshots=0,
            findings=(finding,),
        )


def grow_pool(path: Path, *, size_bytes: int) -> PoolStatus:
    """Grow a pool's image, also while a driver serves it; raises as `pools.grow_pool` does."""
    pools.grow_pool(path, size_bytes)
    return _described(path, path.name)


def export_pool(path: Path) -> None:
    """Unmount and detach a pool; raises as `pools.export_pool` does."""
    pools.export_pool(path)


def _described(path: Path, name: str) -> PoolStatus:
    status = pools.pool_status(path)
    return PoolStatus(
        name=name,
        path=path,
        pool_id=status.pool_id,
        kind=PoolKind.IMAGE if status.has_image else PoolKind.DIRECTORY,
        is_mounted=status.is_mounted,
        total_bytes=status.total_bytes,
        free_bytes=status.free_bytes,
        volumes=status.volumes,
        snapshots=status.snapshots,
    )
