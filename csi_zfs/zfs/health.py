"""What is wrong with a pool, as findings; looked at now, never remembered (rules.md A12)."""

from collections.abc import Iterator

from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.model import HealthFinding, HealthStatus
from csi_zfs.domain.sizes import format_size
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.pool_state import PoolState
from csi_zfs.zfs.pool_status import PoolStatus, VdevStatus, read_status

_WELL = (PoolState.ONLINE, PoolState.UNKNOWN)


def findings(engine: Engine) -> tuple[HealthFinding, ...]:
    """What is wrong with a pool; never raises for one that is ill or away."""
    try:
        return (*_of_room(engine), *_of_status(read_status(engine.runner, engine.home.zpool_name)))
    except CsiZfsError as exc:
        return (HealthFinding(HealthStatus.INACCESSIBLE, "PoolUnavailable", str(exc)),)


def is_reachable(engine: Engine) -> bool:
    """See `DatasetManager.is_reachable`."""
    try:
        engine.space.room()
    except CsiZfsError:
        return False
    return True


def _of_room(engine: Engine) -> Iterator[HealthFinding]:
    room, policy = engine.space.room(), engine.policy
    if policy.is_nearly_full(room):
        free, reserve = format_size(room.free_bytes), format_size(policy.reserve_bytes(room))
        words = f"{free} are free, less than the reserve of {reserve}"
        yield HealthFinding(HealthStatus.DEGRADED, "PoolNearlyFull", words)


def _of_status(status: PoolStatus) -> Iterator[HealthFinding]:
    if status.state not in _WELL:
        words = f"the pool is {status.state}: {status.advice or 'see `zpool status`'}"
        yield HealthFinding(HealthStatus.DEGRADED, "PoolDegraded", words)
    if status.data_errors:
        words = f"{status.data_errors} blocks of data are lost: see `zpool status -v`"
        yield HealthFinding(HealthStatus.DATA_LOSS, "DataLost", words)
    for vdev in status.vdevs:
        if vdev.has_errors or vdev.state not in _WELL:
            yield HealthFinding(HealthStatus.DEGRADED, "DeviceErrors", _words_of(vdev))
    if status.scan is not None and status.scan.errors:
        words = f"the last {status.scan.function.lower()} found {status.scan.errors} errors"
        yield HealthFinding(HealthStatus.DEGRADED, "ScanErrors", words)


def _words_of(vdev: VdevStatus) -> str:
    return (
        f"{vdev.name} is {vdev.state}, with {vdev.read_errors} read, {vdev.write_errors} write"
        f" and {vdev.checksum_errors} checksum errors"
    )
