"""Taking snapshots: one, or several at one instant; naming and holding them."""

import errno
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import (
    Dataset,
    DatasetExistsError,
    DatasetNotFoundError,
    DatasetSnapshot,
    NewSnapshot,
)
from csi_zfs.datasets.names import split_snapshot
from csi_zfs.zfs.engine import Engine, new_uid
from csi_zfs.zfs.lzc import ProgramValue
from csi_zfs.zfs.outcomes import RecordChangedError, SameTransactionError
from csi_zfs.zfs.records import SNAPSHOT_PROPERTY, encode_snapshot

# Callers that take snapshots of one dataset at once are few.
_ATTEMPTS = 10


def take(
    engine: Engine, new: Sequence[NewSnapshot], quiesced: AbstractContextManager[None]
) -> list[DatasetSnapshot]:
    """See `DatasetManager.snapshot`."""
    _require_different([one.name for one in new])
    created_ns = engine.clock.now_ns()
    sources = _sources(engine, [split_snapshot(one.name)[0] for one in new])
    snapshots = [
        _planned(source, one, created_ns) for source, one in zip(sources, new, strict=True)
    ]
    if not snapshots:
        return []
    claim = sum((engine.claim_of(one) for one in snapshots), Claim())
    with engine.ledger.reserved(claim, engine.space.room):
        try:
            with quiesced:
                _take(engine, snapshots)
        except BaseException:
            for one in snapshots:
                _take_back(engine, one)
            raise
    return snapshots


def _sources(engine: Engine, names: Sequence[str]) -> list[Dataset]:
    recent = [engine.recent.take(name) for name in names]
    known = [read.entry for read in recent if read and isinstance(read.entry, Dataset)]
    return known if len(known) == len(names) else engine.objects.datasets_named(names)


def _require_different(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DatasetExistsError(f"{name} is asked for more than once")


def _planned(source: Dataset, new: NewSnapshot, created_ns: int) -> DatasetSnapshot:
    return DatasetSnapshot(
        name=new.name,
        uid=new_uid(),
        kind=source.kind,
        size_bytes=source.size_bytes,
        is_thick=source.is_thick,
        created_ns=created_ns,
        user_properties=dict(new.user_properties),
    )


def _take(engine: Engine, snapshots: Sequence[DatasetSnapshot]) -> None:
    names = [engine.home.full(one.name) for one in snapshots]
    if len(snapshots) == 1:  # one call of the library is faster than a program
        with engine.home.calling(snapshots[0].name):
            engine.home.core.snapshot(names, encode_snapshot(snapshots[0]))
    else:
        _take_in_one_group(engine, names, _records_of(engine, snapshots))


def _take_in_one_group(
    engine: Engine, names: Sequence[str], records: Mapping[str, ProgramValue]
) -> None:
    """A program ends with its transaction group, so the next attempt is in a later one."""

    def attempt() -> None:
        engine.home.change("snapshot", names=[*names], records={**records}, again=errno.EAGAIN)

    for _ in range(_ATTEMPTS - 1):
        with suppress(SameTransactionError):
            return attempt()
    return attempt()


def _records_of(engine: Engine, snapshots: Sequence[DatasetSnapshot]) -> dict[str, ProgramValue]:
    return {engine.home.full(one.name): {**encode_snapshot(one)} for one in snapshots}


def _take_back(engine: Engine, snapshot: DatasetSnapshot) -> None:
    """Destroy the snapshot if it is the one that was just taken, and no other of its name."""
    record = encode_snapshot(snapshot)[SNAPSHOT_PROPERTY]
    with suppress(DatasetNotFoundError, RecordChangedError):
        engine.home.change(
            "destroy_snapshot",
            snapshot.name,
            property=SNAPSHOT_PROPERTY,
            record=record,
            is_deferred=False,
        )
