"""Opening the pools of the settings: those that can be opened, and the names of the others."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.reflink.creation import PoolExistsError, create_pool
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import open_pool
from csi_zfs.services.pools import SamePoolError
from csi_zfs.settings import PoolSettings

if TYPE_CHECKING:
    from csi_zfs.app.openzfs import OpenZfs

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Opener:
    """Opens pools of both kinds, each for one driver; `stack` closes them, and what they stand on.

    `owner` is who serves them: the node and the machine.  `openzfs` is made when the first pool
    needs it: a machine without one loads nothing of it.
    """

    tools: Tools
    stack: ExitStack
    owner: str = ""
    openzfs: "OpenZfs | None" = field(default=None)

    def open(self, pool: PoolSettings) -> DatasetManager:
        """Open one pool to serve it; raises as the `open_pool` of its engine does."""
        if pool.path is None:
            openzfs = self.made_openzfs()
            if pool.create:
                openzfs.create(pool.dataset)
            return openzfs.serve(pool)
        return self._embedded(pool, pool.path)

    def open_beside(self, pool: PoolSettings) -> DatasetManager:
        """Open one pool on OpenZFS beside a driver that serves it; an embedded one as `open`."""
        if pool.path is None:
            return self.made_openzfs().open(pool)
        return self._embedded(pool, pool.path)

    def made_openzfs(self) -> "OpenZfs":
        """The way to the zpools."""
        if self.openzfs is None:
            from csi_zfs.app.openzfs import OpenZfs  # noqa: PLC0415 - see the class

            self.openzfs = OpenZfs(self.tools.runner, self.tools.clock, owner=self.owner)
            self.stack.callback(self.openzfs.close)
        return self.openzfs

    def _embedded(self, pool: PoolSettings, path: Path) -> DatasetManager:
        if pool.create:
            with suppress(PoolExistsError):
                create_pool(path, size_bytes=pool.size_bytes, tools=self.tools)
                log.info("pool %s was made at %s", pool.name, path)
        opened = open_pool(
            path,
            name=pool.name,
            thin_ratio=pool.thin_ratio,
            reserve_percent=pool.reserve_percent,
            tools=self.tools,
        )
        self.stack.callback(opened.close)
        return opened


@dataclass(frozen=True, slots=True)
class OpenedPools:
    """The pools that could be opened, and the names of those that could not."""

    pools: Sequence[DatasetManager]
    away_names: Sequence[str]


def open_pools(
    pools: Sequence[PoolSettings], open_one: Callable[[PoolSettings], DatasetManager]
) -> OpenedPools:
    """Open the pools that can be opened; raises what the first one raised if none of them can.

    One bad disk, or a copy of one, must not keep the volumes of the others from being served and
    let go of.
    """
    opened: dict[str, DatasetManager] = {}
    failures: dict[str, CsiZfsError] = {}
    for pool in pools:
        try:
            opened[pool.name] = open_one(pool)
        except CsiZfsError as exc:
            failures[pool.name] = exc
    for name, same in _copies_in(opened).items():
        failures[name] = same
        del opened[name]
    if not opened:
        raise next(iter(failures.values()))
    for name, failure in failures.items():
        log.error("pool %s is not served until the driver is restarted: %s", name, failure)
    return OpenedPools(list(opened.values()), list(failures))


def _copies_in(opened: Mapping[str, DatasetManager]) -> dict[str, SamePoolError]:
    """Pools with one id, each with why it is not served."""
    names_of = defaultdict(list)
    for name, pool in opened.items():
        names_of[pool.pool_id].append(name)
    return {
        name: SamePoolError(names, pool_id)
        for pool_id, names in names_of.items()
        if len(names) > 1
        for name in names
    }
