"""Making tombstones: deleted datasets that stay for their snapshots and clones.

Nobody opens one again: a zvol loses its device; a file system, which the kernel would rename below
its users, must be mounted nowhere, and is then hidden and read-only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.datasets.api import Dataset, DatasetBusyError, DatasetKind, DatasetNotFoundError
from csi_zfs.zfs.closing import when_closed
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.making import require_free
from csi_zfs.zfs.names import require_tombstone_name

_HIDDEN = {"mountpoint": "none", "readonly": "on"}


def retire(engine: Engine, name: str, new_name: str) -> Dataset:
    """See `DatasetManager.retire`: its users go, then the name, then what was reserved."""
    require_tombstone_name(new_name)
    try:
        dataset = engine.objects.dataset(name)
    except DatasetNotFoundError:
        return empty(engine, engine.objects.dataset(new_name))
    require_free(engine, new_name)
    with _closed(engine, dataset), engine.home.calling(name):
        engine.home.core.rename(engine.home.full(name), engine.home.full(new_name))
    empty(engine, engine.objects.dataset(new_name))
    engine.ledger.give_back(engine.claim_of(dataset))
    return engine.objects.dataset(new_name)


def is_retired(engine: Engine, tombstone: Dataset) -> bool:
    """Whether nobody can open it any more."""
    zfs_property = "readonly" if tombstone.kind is DatasetKind.FILESYSTEM else "volmode"
    return engine.native.read(tombstone.name, zfs_property)[zfs_property] in {"on", "none"}


def empty(engine: Engine, tombstone: Dataset) -> Dataset:
    """Give back what no dependent needs, and hide a file system; safe to repeat."""
    if engine.native.read(tombstone.name, "refreservation")["refreservation"]:
        engine.native.set(tombstone.name, {"refreservation": "none"})
    if tombstone.kind is DatasetKind.FILESYSTEM and not is_retired(engine, tombstone):
        engine.native.set(tombstone.name, _HIDDEN)
    return tombstone


@contextmanager
def _closed(engine: Engine, dataset: Dataset) -> Iterator[None]:
    """Nobody has the dataset open in the block; raises `DatasetBusyError`."""
    if dataset.kind is DatasetKind.FILESYSTEM:
        # In any mount namespace: the kernel itself is asked, in a transaction.
        engine.home.change("require_unmounted", dataset.name)
        yield
        return
    with _device_taken_away(engine, dataset.name):
        yield


@contextmanager
def _device_taken_away(engine: Engine, name: str) -> Iterator[None]:
    """Nobody opens a deleted volume again.  If it is open, or the block fails, it has its device.

    Raises `DatasetBusyError`: the kernel leaves the device of a zvol that is open.
    """
    device = engine.devices.find(engine.home.full(name))
    engine.native.set(name, {"volmode": "none"})
    try:
        if device is not None:
            _await_end(engine, device, name)
        yield
    except BaseException:
        engine.native.inherit(name, "volmode")
        raise


def _await_end(engine: Engine, device: Path, name: str) -> None:
    def require_gone() -> None:
        if not engine.devices.is_gone(device, engine.home.full(name)):
            raise DatasetBusyError(f"{name} is open: {device} is in use")

    when_closed(engine.clock, require_gone)
