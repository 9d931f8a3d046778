"""Changing a dataset that exists: its size, its native properties, its record."""

from collections.abc import Mapping
from dataclasses import replace

from csi_zfs.datasets.api import Dataset, DatasetKind
from csi_zfs.system.runner import CommandFailedError
from csi_zfs.zfs.engine import Engine, size_properties
from csi_zfs.zfs.properties import canonical_properties, require_compatible, require_mutable
from csi_zfs.zfs.records import DATASET_PROPERTY, encode_dataset


def resize(engine: Engine, name: str, size_bytes: int) -> Dataset:
    """See `DatasetManager.resize`: the volume first, the record last.

    A crash in between leaves a larger volume under the old record; repeating the call completes it.
    """
    dataset, record = engine.objects.dataset_and_record(name)
    if size_bytes <= dataset.size_bytes:
        return dataset
    larger = replace(dataset, size_bytes=size_bytes)
    claim = engine.claim_of(larger) - engine.claim_of(dataset)
    with engine.ledger.reserved(claim, engine.space.room):
        _set_size(engine, larger)
        return _rewritten(engine, larger, record)


def _set_size(engine: Engine, larger: Dataset) -> None:
    sizes = {key: str(value) for key, value in size_properties(engine, larger).items()}
    try:
        engine.native.set(larger.name, sizes)
    except CommandFailedError:
        if larger.kind is DatasetKind.ZVOL:  # the kernel opens it to change its size
            engine.keys.require_loaded(larger.name)
        raise


def set_properties(engine: Engine, name: str, properties: Mapping[str, str]) -> Dataset:
    """See `DatasetManager.set_properties`: one `zfs set` for all, then the record."""
    dataset, record = engine.objects.dataset_and_record(name)
    require_mutable(dataset.kind, properties)
    if not properties:
        return dataset
    canonical = canonical_properties(dataset.kind, properties)
    changed = replace(dataset, properties={**dataset.properties, **canonical})
    require_compatible(changed.properties)
    engine.native.set(name, canonical)
    return _rewritten(engine, changed, record)


def set_user_properties(engine: Engine, name: str, user_properties: Mapping[str, str]) -> Dataset:
    """See `DatasetManager.set_user_properties`: one transaction."""
    dataset, record = engine.objects.dataset_and_record(name)
    return _rewritten(engine, replace(dataset, user_properties=dict(user_properties)), record)


def _rewritten(engine: Engine, dataset: Dataset, record: str) -> Dataset:
    engine.home.change(
        "rewrite",
        dataset.name,
        property=DATASET_PROPERTY,
        record=record,
        properties=dict(encode_dataset(dataset)),
    )
    return dataset
