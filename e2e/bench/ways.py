"""Making and deleting in three ways: through gRPC, by the bare library, by the command `zfs`."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.records import DATASET_PROPERTY, SNAPSHOT_PROPERTY
from e2e.bench.stand import Stand, settle
from tests.bench import messages
from tests.bench.bare import RECORD, timed
from tests.bench.cycle import Cycle
from tests.bench.figures import Batch
from tests.support.commands import run

CREATE = "CreateVolume"
SNAPSHOT = "CreateSnapshot"
CLONE = "CreateVolume from a snapshot"
DELETE_CLONE = "DeleteVolume of such a one"
DELETE_SNAPSHOT = "DeleteSnapshot"
DELETE = "DeleteVolume"
STEPS = (CREATE, SNAPSHOT, CLONE, DELETE_CLONE, DELETE_SNAPSHOT, DELETE)

_RECORD = RECORD.decode()
_SNAPSHOT_LEAF = "s"


class Operations(Protocol):
    """What is done to zvols, by their whole names; each has at most one snapshot."""

    def create(self, name: str) -> None:
        """Make an empty one."""

    def snapshot(self, name: str) -> None:
        """Take its snapshot."""

    def clone(self, name: str, clone_name: str) -> None:
        """Make a clone of its snapshot."""

    def destroy(self, name: str) -> None:
        """Destroy it."""

    def destroy_snapshot(self, name: str) -> None:
        """Destroy its snapshot."""


class Library:
    """One call of libzfs_core each, in this process, with a record as long as the driver's."""

    def __init__(self) -> None:
        """Load the library."""
        self._core = DirectLibzfsCore()

    def create(self, name: str) -> None:
        """See `Operations`."""
        self._core.create(name, DatasetKind.ZVOL, {"volsize": MIB, DATASET_PROPERTY: _RECORD})

    def snapshot(self, name: str) -> None:
        """See `Operations`."""
        self._core.snapshot([_snapshot_of(name)], {SNAPSHOT_PROPERTY: _RECORD})

    def clone(self, name: str, clone_name: str) -> None:
        """See `Operations`."""
        self._core.clone(clone_name, _snapshot_of(name), {DATASET_PROPERTY: _RECORD})

    def destroy(self, name: str) -> None:
        """See `Operations`."""
        self._core.destroy(name)

    def destroy_snapshot(self, name: str) -> None:
        """See `Operations`."""
        self._core.destroy_snapshots([_snapshot_of(name)])


class Commands:
    """One command each, as drivers do it that call `zfs`."""

    def create(self, name: str) -> None:
        """See `Operations`."""
        run("zfs", "create", "-s", "-V", str(MIB), "-o", f"{DATASET_PROPERTY}={_RECORD}", name)

    def snapshot(self, name: str) -> None:
        """See `Operations`."""
        run("zfs", "snapshot", "-o", f"{SNAPSHOT_PROPERTY}={_RECORD}", _snapshot_of(name))

    def clone(self, name: str, clone_name: str) -> None:
        """See `Operations`."""
        settings = f"{DATASET_PROPERTY}={_RECORD}"
        run("zfs", "clone", "-o", settings, _snapshot_of(name), clone_name)

    def destroy(self, name: str) -> None:
        """See `Operations`."""
        run("zfs", "destroy", name)

    def destroy_snapshot(self, name: str) -> None:
        """See `Operations`."""
        run("zfs", "destroy", _snapshot_of(name))


class BareCycle:
    """The steps as operations in this process, on a home that no driver serves."""

    def __init__(self, stand: Stand, home: str, operations: Operations) -> None:
        """Let `operations` do it below `home`."""
        self._stand = stand
        self._home = home
        self._operations = operations

    def __call__(self) -> Cycle:
        """Run the cycle once."""
        do, volumes, clones = self._operations, self._names(), self._names()
        yield _settled(partial(do.create, name) for name in volumes)
        yield _settled(partial(do.snapshot, name) for name in volumes)
        pairs = zip(volumes, clones, strict=True)
        yield _settled(partial(do.clone, *pair) for pair in pairs)
        yield _settled(partial(do.destroy, name) for name in clones)
        yield _settled(partial(do.destroy_snapshot, name) for name in volumes)
        yield _settled(partial(do.destroy, name) for name in volumes)

    def _names(self) -> list[str]:
        return [f"{self._home}/{name}" for name in self._stand.names(self._stand.amount.batch)]


class GrpcCycle:
    """The steps as calls to a driver."""

    def __init__(self, stand: Stand, socket_path: Path) -> None:
        """Make the calls to the driver at this socket."""
        self._stand = stand
        self._socket_path = socket_path

    def __call__(self) -> Cycle:
        """Run the cycle once."""
        answers, batch = self._run(messages.CREATE_VOLUME, messages.new_volumes(self._names()))
        volume_ids = messages.volume_ids_in(answers)
        yield batch
        requests = messages.new_snapshots(volume_ids, self._names())
        answers, batch = self._run(messages.CREATE_SNAPSHOT, requests)
        snapshot_ids = messages.snapshot_ids_in(answers)
        yield batch
        requests = messages.copies_of_snapshots(snapshot_ids, self._names())
        answers, batch = self._run(messages.CREATE_VOLUME, requests)
        clone_ids = messages.volume_ids_in(answers)
        yield batch
        yield self._delete(clone_ids)
        yield self._run(messages.DELETE_SNAPSHOT, messages.snapshots_to_delete(snapshot_ids))[1]
        yield self._delete(volume_ids)

    def _names(self) -> list[str]:
        return self._stand.names(self._stand.amount.batch)

    def _delete(self, volume_ids: Sequence[str]) -> Batch:
        return self._run(messages.DELETE_VOLUME, messages.volumes_to_delete(volume_ids))[1]

    def _run(self, method: str, requests: Sequence[bytes]) -> tuple[Sequence[bytes], Batch]:
        settle()
        done = self._stand.load.run(self._socket_path, method, requests)
        return done.answers, done.batch


def _settled(steps: Iterable[Callable[[], None]]) -> Batch:
    settle()
    return timed(steps)


def _snapshot_of(name: str) -> str:
    return f"{name}@{_SNAPSHOT_LEAF}"
