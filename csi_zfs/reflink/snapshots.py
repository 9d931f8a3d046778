"""Taking snapshots: one, or several at one instant."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import Dataset, DatasetExistsError, DatasetSnapshot, NewSnapshot
from csi_zfs.datasets.names import split_snapshot
from csi_zfs.reflink.engine import Engine, new_uid
from csi_zfs.reflink.layout import IMAGE
from csi_zfs.reflink.records import Move, encode_snapshot


@dataclass(frozen=True, slots=True)
class _Plan:
    """A snapshot to take."""

    new: NewSnapshot
    source: Dataset
    uid: str

    def taken(self, created_ns: int) -> DatasetSnapshot:
        """The snapshot, as taken at this instant."""
        return DatasetSnapshot(
            name=self.new.name,
            uid=self.uid,
            kind=self.source.kind,
            size_bytes=self.source.size_bytes,
            is_thick=self.source.is_thick,
            created_ns=created_ns,
            user_properties=dict(self.new.user_properties),
        )


def take(
    engine: Engine, new: Sequence[NewSnapshot], quiesced: AbstractContextManager[None]
) -> list[DatasetSnapshot]:
    """See `DatasetManager.snapshot`."""
    plans = _planned(engine, new)
    if not plans:
        return []
    claim = sum((Claim.of(plan.taken(0)) for plan in plans), Claim())
    with (
        engine.root.working(*(plan.source.name for plan in plans)),
        engine.ledger.reserved(claim, engine.space.room),
        ExitStack() as stack,
    ):
        directories = [stack.enter_context(engine.workshop.made(plan.uid)) for plan in plans]
        with quiesced:
            _copy(engine, plans, directories)
            created_ns = engine.clock.now_ns()
        snapshots = [plan.taken(created_ns) for plan in plans]
        for snapshot, directory in zip(snapshots, directories, strict=True):
            engine.workshop.finish(directory, encode_snapshot(snapshot))
        _publish(engine, snapshots)
    return snapshots


def _planned(engine: Engine, new: Sequence[NewSnapshot]) -> list[_Plan]:
    """Check all before anything is done: the sources are there, the names are free and differ."""
    names = [one.name for one in new]
    for name in names:
        if names.count(name) > 1:
            raise DatasetExistsError(f"{name} is asked for more than once")
    plans = [
        _Plan(one, engine.objects.dataset(split_snapshot(one.name)[0]), new_uid()) for one in new
    ]
    for name in names:
        engine.namespace.require_free(name)
    return plans


def _copy(engine: Engine, plans: Sequence[_Plan], directories: Sequence[Path]) -> None:
    for plan, directory in zip(plans, directories, strict=True):
        image = engine.image_of(plan.source.name)
        engine.files.create_clone(image, directory / IMAGE, plan.source.size_bytes)


def _publish(engine: Engine, snapshots: Sequence[DatasetSnapshot]) -> None:
    if len(snapshots) == 1:
        engine.namespace.publish(snapshots[0].uid, snapshots[0].name)
    else:
        engine.namespace.publish_all([Move(one.uid, one.name) for one in snapshots])
