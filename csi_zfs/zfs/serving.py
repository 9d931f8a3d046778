"""One driver for one pool: who serves it holds a snapshot for as long as its process lives.

`<parent>/v@Served` is empty and stays.  Its hold goes with the descriptor that it was taken with,
so that neither a crash nor a power cut leaves a pool that nobody can serve.  `<parent>` says who
took it last.
"""

import errno
from contextlib import suppress
from dataclasses import dataclass, replace

from csi_zfs.datasets.api import DatasetExistsError
from csi_zfs.system.clock import Clock
from csi_zfs.zfs.engine import new_uid
from csi_zfs.zfs.errors import translating
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.lzc import LzcError
from csi_zfs.zfs.outcomes import PoolServedElsewhereError

SERVED = "Served"
TAG = "io.csi-zfs:driver"

# A driver that was just killed still has it, until its helper process has ended.
_WAIT_S = 5.0
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to serve pools.

    Attributes:
        descriptor: of /dev/zfs; whoever has a copy open keeps what was taken with it.
        owner: who takes it, for people: the node and the machine.
    """

    descriptor: int
    owner: str

    def take(self, home: Home, clock: Clock) -> Home:
        """Keep other drivers off a pool; returns its home, as this driver's.

        Raises `PoolServedElsewhereError` where another one has it, after five seconds.
        """
        snapshot_name = f"{home.volumes}@{SERVED}"
        with suppress(DatasetExistsError), translating(home.parent):
            home.core.snapshot([snapshot_name])
        self._await_hold(home, snapshot_name, clock)
        # An import forgets the hold, also under a driver that has the descriptor open: so whoever
        # takes it next is known by more than its name.
        owner = f"{self.owner} ({new_uid()})"
        home.change("serve", owner=owner)
        return replace(home, served_by=owner)

    def _await_hold(self, home: Home, snapshot_name: str, clock: Clock) -> None:
        deadline_s = clock.monotonic_s() + _WAIT_S
        while not self._holds(home, snapshot_name):
            if clock.monotonic_s() >= deadline_s:
                other = home.read("served_by").get("owner", "another driver")
                words = f"{home.parent} is served by {other}, so {self.owner} does not"
                raise PoolServedElsewhereError(f"{words}: stop one of them")
            clock.wait(_PAUSE_S)

    def _holds(self, home: Home, snapshot_name: str) -> bool:
        with translating(home.parent):
            try:
                home.core.hold_while_open(snapshot_name, TAG, self.descriptor)
            except LzcError as exc:
                if exc.errno != errno.EEXIST:
                    raise
                return False
            return True
