"""What is measured: drivers as processes on one zpool, and the room beside them for bare calls."""

import itertools
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from csi_zfs.datasets.names import VOLUMES
from tests.bench import messages
from tests.bench.load import Load
from tests.support.commands import run
from tests.support.process import DriverPaths, run_command, running_driver, write_settings

POOL_NAME = "tank"
_DISK = "/dev/disk/by-id/virtio-spare-3"
_CLIENTS = 8
# Thin volumes may promise more than there is; none of them is ever written.
_THIN_RATIO = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured: rounds, calls of a kind in each, and volumes beside them."""

    rounds: int
    batch: int
    few: int
    some: int
    many: int


FULL = Amount(rounds=6, batch=4, few=10, some=100, many=1_000)
QUICK = Amount(rounds=3, batch=3, few=10, some=50, many=200)


class Stand:
    """One zpool for everything, so that all ways share its disk and its transaction groups."""

    def __init__(self, zpool: str, root: Path, amount: Amount) -> None:
        """Keep what is no dataset below `root`, a directory with a short path."""
        self.zpool = zpool
        self.amount = amount
        self._root = root
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        self.load = self._stack.enter_context(Load())
        self.driver_with = cache(self._driver_with)

    def close(self) -> None:
        """End the drivers and the process that makes the calls."""
        self._stack.close()

    def names(self, count: int) -> list[str]:
        """So many names that nothing has had yet, as a provisioner makes them."""
        return [f"pvc-{number:032x}" for number in itertools.islice(self._numbers, count)]

    def parent_with(self, volumes: int) -> str:
        """The dataset of the pool that has so many volumes."""
        return f"{self.zpool}/with-{volumes}"

    def new_home(self, name: str) -> str:
        """A pool of the driver's that no driver serves; returns where its volumes would be."""
        dataset = f"{self.zpool}/{name}"
        run_command("pool", "create", POOL_NAME, "--dataset", dataset)
        return f"{dataset}/{VOLUMES}"

    def _driver_with(self, volumes: int) -> Path:
        """The socket of a driver on a pool of its own that has so many volumes."""
        paths = DriverPaths(self._root / f"d{volumes}")
        paths.root.mkdir()
        dataset = self.parent_with(volumes)
        run_command("pool", "create", POOL_NAME, "--dataset", dataset)
        pool = {"name": POOL_NAME, "dataset": dataset, "thin_ratio": _THIN_RATIO}
        write_settings(paths, pool_size="", more={"pools": [pool]})
        self._stack.enter_context(running_driver(paths))
        requests = messages.new_volumes(self.names(volumes))
        self.load.run(paths.socket, messages.CREATE_VOLUME, requests, clients=_CLIENTS)
        settle()
        return paths.socket


def settle() -> None:
    """Wait until nobody opens the devices of what was just made: it keeps them from going."""
    run("udevadm", "settle")


@contextmanager
def built_stand(root: Path, amount: Amount) -> Iterator[Stand]:
    """A stand on an empty disk of the guest, for a `with` block."""
    zpool = f"bench-{uuid.uuid4().hex[:8]}"
    run("zpool", "create", "-O", "mountpoint=none", zpool, _DISK)
    try:
        stand = Stand(zpool, root, amount)
        try:
            yield stand
        finally:
            stand.close()
    finally:
        settle()
        run("zpool", "destroy", "-f", zpool)
