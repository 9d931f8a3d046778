"""Figures for the metrics page."""

from collections.abc import Sequence
from dataclasses import dataclass

from csi_zfs.datasets.api import PoolCapacity, PoolUnavailableError
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.pools import Pools


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """One pool's figures; the sizes of a pool that is away are 0."""

    pool_name: str
    total_bytes: int
    free_bytes: int
    volumes: int
    snapshots: int
    is_healthy: bool


@dataclass(frozen=True, slots=True)
class Statistics:
    """Reads the figures anew at each call."""

    pools: Pools
    catalogue: Catalogue

    def read(self) -> Sequence[PoolStatistics]:
        """The figures of all pools."""
        return [self._read_pool(pool.pool_id) for pool in self.pools]

    def _read_pool(self, pool_id: str) -> PoolStatistics:
        pool = self.pools.get(pool_id)
        try:
            capacity = pool.capacity()
        except PoolUnavailableError:
            capacity = PoolCapacity(0, 0, 0, 0)
        volumes, snapshots = self.catalogue.counts(pool_id)
        return PoolStatistics(
            pool_name=pool.pool_name,
            total_bytes=capacity.total_bytes,
            free_bytes=capacity.free_bytes,
            volumes=volumes,
            snapshots=snapshots,
            is_healthy=not pool.health(),
        )
