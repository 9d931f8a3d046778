"""Contract of native properties and of user properties."""

import json

import pytest

from csi_zfs.datasets.api import (
    Dataset,
    DatasetManager,
    NewDataset,
    NewSnapshot,
    UnsupportedFeatureError,
)
from tests.contract.datasets.world import RECORD, SIZE_BYTES, changes_nothing, make
from tests.support.pools import PoolUnderTest

# What ZFS takes as the value of one user property, without its final NUL.
MAX_VALUE_BYTES = 8191
PROPERTY, VALUE, OTHER_VALUE = "compression", "lz4", "off"


def create_with(manager: DatasetManager, user_properties: dict[str, str]) -> Dataset:
    return manager.create(NewDataset("v/a", SIZE_BYTES, user_properties=user_properties))


def long_value() -> str:
    value = json.dumps({"name": 'ünï "quoted"\n\t日本', "filler": ""}, ensure_ascii=False)
    missing = MAX_VALUE_BYTES - len(value.encode())
    return value.removesuffix('"}') + "x" * missing + '"}'


def test_user_properties_of_8191_bytes_of_unicode_are_kept(pool: PoolUnderTest) -> None:
    value = long_value()
    assert len(value.encode()) == MAX_VALUE_BYTES
    create_with(pool.manager, {RECORD: value})
    pool.manager.snapshot([NewSnapshot("v/a@snap", user_properties={RECORD: value})])
    pool.reopen()
    assert pool.manager.get("v/a").user_properties == {RECORD: value}
    assert pool.manager.get_snapshot("v/a@snap").user_properties == {RECORD: value}


@pytest.mark.parametrize("value", ["", " ", "-", "none", "a=b,c@d/e%f", "\u0001"])
def test_user_property_of_any_text_is_kept(manager: DatasetManager, value: str) -> None:
    """rules.md C1: what a user names a volume is data, never syntax."""
    create_with(manager, {RECORD: value})
    assert manager.get("v/a").user_properties == {RECORD: value}


def test_set_user_properties_replaces_them_as_a_whole(pool: PoolUnderTest) -> None:
    before = create_with(pool.manager, {RECORD: "1", "io.csi-zfs:other": "2"})
    changed = pool.manager.set_user_properties("v/a", {RECORD: "3", "io.csi-zfs:new": "4"})
    assert changed == pool.manager.get("v/a")
    assert changed.user_properties == {RECORD: "3", "io.csi-zfs:new": "4"}
    assert (changed.uid, changed.created_ns) == (before.uid, before.created_ns)
    assert pool.manager.set_user_properties("v/a", {}).user_properties == {}


def test_user_properties_are_of_one_object_alone(pool: PoolUnderTest) -> None:
    """ZFS lets snapshots and clones inherit properties: ours count only where they were set."""
    create_with(pool.manager, {RECORD: "volume"})
    pool.manager.snapshot([NewSnapshot("v/a@snap")])
    pool.manager.clone("v/a@snap", NewDataset("v/clone", SIZE_BYTES))
    assert pool.manager.get_snapshot("v/a@snap").user_properties == {}
    assert pool.manager.get("v/clone").user_properties == {}
    pool.manager.set_user_properties("v/a", {RECORD: "changed"})
    assert pool.manager.get_snapshot("v/a@snap").user_properties == {}


def test_snapshots_of_one_call_have_their_own_user_properties(pool: PoolUnderTest) -> None:
    names = ("v/a@snap", "v/b@snap")
    for name in ("v/a", "v/b"):
        make(pool, name)
    pool.manager.snapshot([NewSnapshot(name, user_properties={RECORD: name}) for name in names])
    for name in names:
        assert pool.manager.get_snapshot(name).user_properties == {RECORD: name}


def test_set_properties_follows_features(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    if PROPERTY not in pool.manager.features.mutable_properties:
        with changes_nothing(pool), pytest.raises(UnsupportedFeatureError):
            pool.manager.set_properties("v/a", {PROPERTY: VALUE})
        return
    for value in (VALUE, OTHER_VALUE):
        changed = pool.manager.set_properties("v/a", {PROPERTY: value})
        assert changed == pool.manager.get("v/a")
        assert changed.properties[PROPERTY] == value


def test_set_properties_with_one_unknown_changes_none(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    known = sorted(pool.manager.features.mutable_properties & {PROPERTY})
    properties = dict.fromkeys(known, VALUE) | {"nonesuch": "on"}
    with changes_nothing(pool), pytest.raises(UnsupportedFeatureError):
        pool.manager.set_properties("v/a", properties)


def test_set_properties_with_none_changes_nothing(pool: PoolUnderTest) -> None:
    dataset = make(pool, "v/a")
    assert pool.manager.set_properties("v/a", {}) == dataset


@pytest.mark.parametrize("source_name", ["v/a", "v/a@snap"])
def test_clone_keeps_native_properties_that_it_does_not_name(
    pool: PoolUnderTest, source_name: str
) -> None:
    """rules.md A8: a restored volume is not silently another kind of volume."""
    if PROPERTY not in pool.manager.features.creation_properties:
        with pytest.raises(UnsupportedFeatureError):
            pool.manager.create(NewDataset("v/a", SIZE_BYTES, properties={PROPERTY: VALUE}))
        return
    pool.manager.create(NewDataset("v/a", SIZE_BYTES, properties={PROPERTY: VALUE}))
    pool.manager.snapshot([NewSnapshot("v/a@snap")])
    kept = pool.manager.clone(source_name, NewDataset("v/kept", SIZE_BYTES))
    assert kept.properties[PROPERTY] == VALUE
    named = NewDataset("v/named", SIZE_BYTES, properties={PROPERTY: OTHER_VALUE})
    assert pool.manager.clone(source_name, named).properties[PROPERTY] == OTHER_VALUE


def test_mutable_properties_are_creation_properties(manager: DatasetManager) -> None:
    assert manager.features.mutable_properties <= manager.features.creation_properties
