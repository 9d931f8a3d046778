"""Opening the pools of the settings: those that can be opened, and the names of the others."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import open_pool
from csi_zfs.settings import PoolSettings

if TYPE_CHECKING:
    from csi_zfs.app.openzfs import OpenZfs

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Opener:
    """Opens pools of both kinds; `stack` closes them, and what they stand on.

    `openzfs` is made when the first pool needs it: a machine without one loads nothing of it.
    """

    tools: Tools
    stack: ExitStack
    openzfs: "OpenZfs | None" = field(default=None)

    def open(self, pool: PoolSettings) -> DatasetManager:
        """Open one pool; raises as the `open_pool` of its engine does."""
        if pool.path is None:
            return self._opened_openzfs().open(pool)
        opened = open_pool(
            pool.path,
            name=pool.name,
            thin_ratio=pool.thin_ratio,
            reserve_percent=pool.reserve_percent,
            tools=self.tools,
        )
        self.stack.callback(opened.close)
        return opened

    def _opened_openzfs(self) -> "OpenZfs":
        if self.openzfs is None:
            from csi_zfs.app.openzfs import OpenZfs  # noqa: PLC0415 - see the class

            self.openzfs = OpenZfs(self.tools.runner, self.tools.clock)
            self.stack.callback(self.openzfs.close)
        return self.openzfs


@dataclass(frozen=True, slots=True)
class OpenedPools:
    """The pools that could be opened, and the names of those that could not."""

    pools: Sequence[DatasetManager]
    away_names: Sequence[str]


def open_pools(
    pools: Sequence[PoolSettings], open_one: Callable[[PoolSettings], DatasetManager]
) -> OpenedPools:
    """Open the pools that can be opened; raises what the first one raised if none of them can.

    One bad disk must not keep the volumes of the others from being served and let go of.
    """
    opened: list[DatasetManager] = []
    failures: dict[str, CsiZfsError] = {}
    for pool in pools:
        try:
            opened.append(open_one(pool))
        except CsiZfsError as exc:
            failures[pool.name] = exc
    if not opened:
        raise next(iter(failures.values()))
    for name, failure in failures.items():
        log.error("pool %s is not served until the driver is restarted: %s", name, failure)
    return OpenedPools(opened, list(failures))
