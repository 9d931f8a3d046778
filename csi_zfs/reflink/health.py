"""What is wrong with a pool, as findings; looked at now, never remembered (rules.md A12)."""

from collections.abc import Iterator

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.model import HealthFinding, HealthStatus
from csi_zfs.domain.sizes import format_size
from csi_zfs.reflink.engine import Engine
from csi_zfs.reflink.kernel import read_small
from csi_zfs.reflink.records import parse_pool_id


def findings(engine: Engine) -> tuple[HealthFinding, ...]:
    """What is wrong with a pool; never raises for one that is ill or away."""
    try:
        with engine.root.working():
            _read_back(engine)
            return tuple(_found(engine))
    except (CsiZfsError, OSError) as exc:
        return (HealthFinding(HealthStatus.INACCESSIBLE, "PoolUnavailable", str(exc)),)


def is_reachable(engine: Engine) -> bool:
    """See `DatasetManager.is_reachable`."""
    try:
        with engine.root.working():
            _read_back(engine)
            return not engine.space.is_read_only()
    except (CsiZfsError, OSError):
        return False


def _read_back(engine: Engine) -> None:
    anchor = engine.layout.anchor
    pool_id = parse_pool_id(read_small(anchor.parent, anchor.name), path=anchor)
    if pool_id != engine.root.pool_id:
        raise PoolUnavailableError(f"{anchor} names another pool, {pool_id}")


def _found(engine: Engine) -> Iterator[HealthFinding]:
    if engine.space.is_read_only():
        message = f"the file system of {engine.layout.root} is read-only"
        yield HealthFinding(HealthStatus.INACCESSIBLE, "PoolReadOnly", message)
    room = engine.space.room()
    if engine.policy.is_nearly_full(room):
        free, reserve = room.free_bytes, engine.policy.reserve_bytes(room)
        message = f"{format_size(free)} are free, less than the reserve of {format_size(reserve)}"
        yield HealthFinding(HealthStatus.DEGRADED, "PoolNearlyFull", message)
    for error in engine.lost_journals:
        yield HealthFinding(HealthStatus.DATA_LOSS, "JournalDamaged", str(error))
    for error in engine.objects.damaged():
        yield HealthFinding(HealthStatus.DATA_LOSS, "RecordDamaged", str(error))
