"""What is wrong with a pool, as findings; looked at now, never remembered (rules.md A12)."""

from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.model import HealthFinding, HealthStatus
from csi_zfs.zfs.engine import Engine


def findings(engine: Engine) -> tuple[HealthFinding, ...]:
    """What is wrong with a pool; never raises for one that is ill or away."""
    try:
        engine.space.room()
    except CsiZfsError as exc:
        return (HealthFinding(HealthStatus.INACCESSIBLE, "PoolUnavailable", str(exc)),)
    return ()
