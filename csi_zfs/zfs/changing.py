"""Changing a dataset that exists: its size, its native properties, its record."""

from collections.abc import Mapping
from dataclasses import replace

from csi_zfs.datasets.api import Dataset
from csi_zfs.zfs.engine import Engine, size_properties
from csi_zfs.zfs.properties import canonical_properties, require_mutable
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
        sizes = size_properties(engine, larger)
        engine.native.set(name, {key: str(value) for key, value in sizes.items()})
        return _rewritten(engine, larger, record)


def set_properties(engine: Engine, name: str, properties: Mapping[str, str]) -> Dataset:
    """See `DatasetManager.set_properties`: one `zfs set` for all, then the record."""
    dataset, record = engine.objects.dataset_and_record(name)
    require_mutable(dataset.kind, properties)
    if not properties:
        return dataset
    canonical = canonical_properties(dataset.kind, properties)
    engine.native.set(name, canonical)
    changed = replace(dataset, properties={**dataset.properties, **canonical})
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
