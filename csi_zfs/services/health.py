"""Health: of a volume, as the controller and as its node see it; of the pools.

Of the driver itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from csi_zfs.datasets import names
from csi_zfs.datasets.api import DatasetManager, RecordCorruptError
from csi_zfs.domain.ids import EphemeralId, VolumeId
from csi_zfs.domain.model import HealthFinding, HealthStatus, Page, VolumeHealth
from csi_zfs.mount.api import Mounter
from csi_zfs.services.catalogue import Catalogue, VolumeNotFoundError
from csi_zfs.services.listing import check_token
from csi_zfs.services.node_state import NodeState, Use
from csi_zfs.services.pools import Pools


@dataclass(frozen=True, slots=True)
class Health:
    """What the product knows about what is wrong.  Thread-safe."""

    pools: Pools
    catalogue: Catalogue
    node_state: NodeState
    mounter: Mounter

    def volume(self, volume_id: VolumeId) -> VolumeHealth:
        """The findings about a volume; raises `VolumeNotFoundError`.

        A pool that is away is a finding, not an error.
        """
        pool = self.pools.get(volume_id.pool_id)
        findings = pool.health()
        if not any(finding.status is HealthStatus.INACCESSIBLE for finding in findings):
            findings += self._own_findings(pool, volume_id)
        return VolumeHealth(str(volume_id), findings)

    def _own_findings(self, pool: DatasetManager, volume_id: VolumeId) -> tuple[HealthFinding, ...]:
        try:
            self.catalogue.volume(volume_id)
            pool.get(names.dataset_of(volume_id.leaf))
        except RecordCorruptError as exc:
            return (HealthFinding(HealthStatus.DATA_LOSS, "RecordDamaged", str(exc)),)
        return ()

    def list(self, *, max_entries: int, starting_token: str) -> Page[VolumeHealth]:
        """One page of the volumes with which something is wrong.

        Healthy ones are left out, as CSI asks.
        """
        after = check_token(starting_token, VolumeId)
        ill = {pool.pool_id: findings for pool in self.pools if (findings := pool.health())}
        entries, _ = self.catalogue.volume_page(after=after, max_entries=0)
        found = [
            VolumeHealth(str(entry.volume_id), ill[entry.volume_id.pool_id])
            for entry in entries
            if entry.volume_id.pool_id in ill
        ]
        end = max_entries or len(found)
        return Page(tuple(found[:end]), found[end - 1].volume_id if end < len(found) else "")

    def node_volume(
        self, volume_id: VolumeId | EphemeralId, volume_publish_path: Path | None
    ) -> VolumeHealth:
        """The findings of this node about a volume; raises `VolumeNotFoundError`."""
        text, found = str(volume_id), tuple[HealthFinding, ...]()
        if isinstance(volume_id, VolumeId):
            found = self.volume(volume_id).findings
        elif self.node_state.find(text) is None:
            msg = f"volume {text} is not published on this node"
            raise VolumeNotFoundError(msg)
        return VolumeHealth(text, (*found, *self._mount_findings(text, volume_publish_path)))

    def _mount_findings(
        self, volume_id: str, volume_publish_path: Path | None
    ) -> Iterator[HealthFinding]:
        state = self.node_state.find(volume_id)
        if state is not None:
            for path, use in state.staged.items():
                yield from self._findings_at(path, use, is_target=False)
            for path, use in state.published.items():
                if volume_publish_path in (None, path):
                    yield from self._findings_at(path, use, is_target=True)

    def _findings_at(self, path: Path, use: Use, *, is_target: bool) -> Iterator[HealthFinding]:
        mounted = self.mounter.mounted_at(path)
        is_writable_use = not (use.is_read_only or use.capability.access_mode.is_read_only)
        if mounted is None and is_target:
            yield HealthFinding(
                HealthStatus.INACCESSIBLE, "NotMounted", f"nothing is mounted at {path}"
            )
        elif mounted is not None and mounted.is_read_only and is_writable_use:
            yield HealthFinding(
                HealthStatus.DEGRADED,
                "FilesystemReadOnly",
                f"the file system at {path} turned read-only",
            )

    def storage(self) -> tuple[HealthFinding, ...]:
        """The findings about the pools of this node, each reason once for each pool."""
        findings = [
            HealthFinding(
                HealthStatus.INACCESSIBLE,
                "PoolNotOpened",
                f"pool {name}: it could not be opened when the driver started; its log says why",
            )
            for name in self.pools.away_names
        ]
        findings += [
            replace(finding, message=f"pool {pool.pool_name}: {finding.message}")
            for pool in self.pools
            for finding in pool.health()
        ]
        return tuple(findings)

    def is_ready(self) -> bool:
        """Whether the driver can serve: it can unless no pool can be reached."""
        return any(pool.is_reachable() for pool in self.pools)
