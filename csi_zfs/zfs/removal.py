"""Destroying datasets and snapshots: exactly one, by name and uid, never below or beside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import (
    Dataset,
    DatasetBusyError,
    DatasetNotFoundError,
    DatasetSnapshot,
    HasDependentsError,
)
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.making import require_free
from csi_zfs.zfs.names import InvalidNameError
from csi_zfs.zfs.records import DATASET_PROPERTY, SNAPSHOT_PROPERTY

# udev opens a new zvol for a moment; a pod or a mount keeps it open.
_ATTEMPTS = 20
_PAUSE_S = 0.1


def destroy(engine: Engine, name: str, *, uid: str) -> None:
    """See `DatasetManager.destroy`."""
    dataset, record = engine.objects.dataset_and_record(name)
    _require_same(dataset, record, uid)

    def attempt() -> None:
        engine.home.change("destroy", name, property=DATASET_PROPERTY, record=record)

    try:
        with _giving_back_with(engine, dataset.origin):
            _when_closed(engine, attempt)
    except HasDependentsError:
        if is_tombstone(name):
            _emptied(engine, dataset)
        raise
    engine.ledger.give_back(engine.claim_of(dataset))


def destroy_snapshot(engine: Engine, name: str, *, uid: str, is_deferred: bool) -> None:
    """See `DatasetManager.destroy_snapshot`."""
    snapshot, record = engine.objects.snapshot_and_record(name)
    _require_same(snapshot, record, uid)
    with _giving_back_with(engine, name):
        engine.home.change(
            "destroy_snapshot",
            name,
            property=SNAPSHOT_PROPERTY,
            record=record,
            is_deferred=is_deferred,
        )


def hold(engine: Engine, name: str, tag: str) -> None:
    """See `DatasetManager.hold`."""
    if tag not in engine.objects.snapshot(name).holds:
        with engine.home.calling(name):
            engine.home.core.hold(engine.home.full(name), tag)


def release(engine: Engine, name: str, tag: str) -> None:
    """See `DatasetManager.release`; the last release of a deferred snapshot destroys it."""
    if tag in engine.objects.snapshot(name).holds:
        with _giving_back_with(engine, name), engine.home.calling(name):
            engine.home.core.release(engine.home.full(name), tag)


def retire(engine: Engine, name: str, new_name: str) -> Dataset:
    """See `DatasetManager.retire`: the device goes, then the name, then what was reserved."""
    if not is_tombstone(new_name):
        raise InvalidNameError(f"{new_name[:128]!r} is not the name of a tombstone")
    try:
        dataset = engine.objects.dataset(name)
    except DatasetNotFoundError:
        return _emptied(engine, engine.objects.dataset(new_name))
    require_free(engine, new_name)
    with _device_taken_away(engine, name), engine.home.calling(name):
        engine.home.core.rename(engine.home.full(name), engine.home.full(new_name))
    _emptied(engine, engine.objects.dataset(new_name))
    engine.ledger.give_back(engine.claim_of(dataset))
    return engine.objects.dataset(new_name)


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
    for _ in range(_ATTEMPTS):
        if engine.devices.is_gone(device, engine.home.full(name)):
            return
        engine.clock.wait(_PAUSE_S)
    raise DatasetBusyError(f"{name} is open: {device} is in use")


def _emptied(engine: Engine, tombstone: Dataset) -> Dataset:
    if engine.native.read(tombstone.name, "refreservation")["refreservation"]:
        engine.native.set(tombstone.name, {"refreservation": "none"})
    return tombstone


def _when_closed(engine: Engine, attempt: Callable[[], None]) -> None:
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except DatasetBusyError:
            engine.clock.wait(_PAUSE_S)
    return attempt()


@contextmanager
def _giving_back_with(engine: Engine, snapshot_name: str) -> Iterator[None]:
    """Give back what was promised to a snapshot if it goes in the block, which may be deferred."""
    claim = _claim_of_snapshot(engine, snapshot_name)
    yield
    if claim != Claim() and _claim_of_snapshot(engine, snapshot_name) == Claim():
        engine.ledger.give_back(claim)


def _claim_of_snapshot(engine: Engine, name: str) -> Claim:
    if not name:
        return Claim()
    try:
        return engine.claim_of(engine.objects.snapshot(name))
    except DatasetNotFoundError:
        return Claim()


def _require_same(entry: Dataset | DatasetSnapshot, record: str, uid: str) -> None:
    if not record or entry.uid != uid:
        raise DatasetNotFoundError(f"{entry.name} is not {uid}: it is another one, {entry.uid}")
