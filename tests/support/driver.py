"""A driver that only notes what the command line asks of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from csi_zfs.app import Adopted, AdoptionRequest
from csi_zfs.domain.keepers import Explanation, Keeper, KeeperKind, Process
from csi_zfs.domain.model import HealthFinding, HealthStatus, PoolKind, PoolStatus
from csi_zfs.domain.sizes import GIB
from csi_zfs.settings import PoolSettings, Settings

HEALTHY = PoolStatus(
    name="fast",
    path=Path("/srv/fast"),
    dataset="",
    pool_id="0123456789abcdef",
    kind=PoolKind.IMAGE,
    state="mounted",
    total_bytes=100 * GIB,
    free_bytes=25 * GIB,
    volumes=3,
    snapshots=1,
)
ON_OPENZFS = replace(
    HEALTHY,
    name="tank",
    path=None,
    dataset="tank/csi",
    kind=PoolKind.OPENZFS,
    state="DEGRADED",
    findings=(HealthFinding(HealthStatus.DEGRADED, "PoolDegraded", "a disk of tank is away"),),
)
AWAY = PoolStatus(
    name="slow",
    path=Path("/srv/slow"),
    dataset="",
    pool_id="",
    kind=PoolKind.DIRECTORY,
    state="unknown",
    total_bytes=0,
    free_bytes=0,
    volumes=0,
    snapshots=0,
    findings=(HealthFinding(HealthStatus.INACCESSIBLE, "PoolMissing", "no pool [is] here"),),
)


KEPT = Explanation(
    id="zfs1:0123456789abcdef:v:pvc-1:1111111111111111",
    title="deleted volume",
    name="tank/csi/v/D-1111111111111111",
    pool_name="tank",
    keepers=(
        Keeper(
            KeeperKind.HOLD,
            "tank/csi/v/D-1111111111111111@s",
            "held with the tag [backup]",
            "`zfs release [backup] tank/csi/v/D-1111111111111111@s`",
            since_ns=1_700_000_000_000_000_000,
        ),
        Keeper(KeeperKind.OPEN, "tank/csi/v/a", "open", "end it", (Process(17, "dd", "pod-1"),)),
    ),
)


class FakeDriver:
    """Stands in for the functions of csi_zfs.app; raises `failure` where there is one."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.exit_status = 0
        self.adopted = Adopted([], [])
        self.failure: BaseException | None = None

    def serve_node(self, settings: Settings) -> int:
        self._note("serve_node", settings)
        return self.exit_status

    def create_pool(
        self, path: Path, *, name: str, size_bytes: int | None, is_preallocated: bool
    ) -> PoolStatus:
        self._note("create_pool", path, name, size_bytes, is_preallocated)
        return replace(HEALTHY, name=name, path=path)

    def create_openzfs_pool(self, dataset: str, *, name: str) -> PoolStatus:
        self._note("create_openzfs_pool", dataset, name)
        return replace(ON_OPENZFS, name=name, dataset=dataset)

    def pool_status(self, pool: PoolSettings) -> PoolStatus:
        self._note("pool_status", pool)
        return {AWAY.name: AWAY, ON_OPENZFS.name: ON_OPENZFS}.get(pool.name, HEALTHY)

    def grow_pool(self, path: Path, *, size_bytes: int) -> PoolStatus:
        self._note("grow_pool", path, size_bytes)
        return replace(HEALTHY, path=path, total_bytes=size_bytes)

    def export_pool(self, path: Path) -> None:
        self._note("export_pool", path)

    def explain(self, settings: Settings, text: str) -> Explanation:
        self._note("explain", settings, text)
        return KEPT if text == "kept" else replace(KEPT, keepers=())

    def adopt(
        self, settings: Settings, pools: Sequence[PoolSettings], request: AdoptionRequest
    ) -> Adopted:
        self._note("adopt", settings.node_id, tuple(pools), request)
        return self.adopted

    def _note(self, *call: object) -> None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure
