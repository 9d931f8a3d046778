"""Making datasets: whole in `t/` first, then under their names."""

from contextlib import AbstractContextManager
from pathlib import Path

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import (
    CloneTooSmallError,
    Dataset,
    DatasetKind,
    NewDataset,
    UnsupportedFeatureError,
)
from csi_zfs.domain.sizes import format_size
from csi_zfs.reflink.engine import Engine, new_uid
from csi_zfs.reflink.layout import IMAGE
from csi_zfs.reflink.records import encode_dataset


def create(engine: Engine, new: NewDataset) -> Dataset:
    """See `DatasetManager.create`."""
    _require_makeable(engine, new)
    dataset = _dataset_for(new, created_ns=engine.clock.now_ns())
    with (
        engine.root.working(),
        engine.ledger.reserved(Claim.of(dataset), engine.space.room),
        engine.workshop.made(dataset.uid) as directory,
    ):
        engine.files.create_sparse(directory / IMAGE, dataset.size_bytes)
        _complete(engine, dataset, directory)
    return dataset


def clone(
    engine: Engine, source_name: str, new: NewDataset, quiesced: AbstractContextManager[None]
) -> Dataset:
    """See `DatasetManager.clone`."""
    _require_makeable(engine, new)
    _require_large_enough(engine, source_name, new)
    dataset = _dataset_for(new, created_ns=engine.clock.now_ns())
    with (
        engine.root.working(source_name),
        engine.ledger.reserved(Claim.of(dataset), engine.space.room),
        engine.workshop.made(dataset.uid) as directory,
    ):
        image = engine.image_of(source_name)
        with quiesced:
            engine.files.create_clone(image, directory / IMAGE, dataset.size_bytes)
        _complete(engine, dataset, directory)
    return dataset


def _complete(engine: Engine, dataset: Dataset, directory: Path) -> None:
    if dataset.is_thick:
        engine.files.allocate(directory / IMAGE, dataset.size_bytes)
    engine.workshop.finish(directory, encode_dataset(dataset))
    engine.namespace.publish(dataset.uid, dataset.name)


def _require_makeable(engine: Engine, new: NewDataset) -> None:
    if new.kind != DatasetKind.ZVOL:
        raise UnsupportedFeatureError(f"a reflink pool has no datasets of kind {new.kind}")
    if new.properties:
        words = ", ".join(sorted(new.properties))
        raise UnsupportedFeatureError(f"a reflink pool has no properties such as {words}")
    engine.root.require_present()
    # Before the admission: whoever repeats a call on a full pool is told that it was done.
    engine.namespace.require_free(new.name)


def _require_large_enough(engine: Engine, source_name: str, new: NewDataset) -> None:
    source = engine.objects.entry(source_name)
    if new.size_bytes < source.size_bytes:
        wanted, needed = format_size(new.size_bytes), format_size(source.size_bytes)
        raise CloneTooSmallError(f"{new.name} of {wanted} cannot hold {source_name}, {needed}")


def _dataset_for(new: NewDataset, *, created_ns: int) -> Dataset:
    return Dataset(
        name=new.name,
        uid=new_uid(),
        kind=new.kind,
        size_bytes=new.size_bytes,
        is_thick=new.is_thick,
        created_ns=created_ns,
        user_properties=dict(new.user_properties),
    )
