"""Contract of `create` and `get`."""

import re

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetKind,
    DatasetManager,
    DatasetNotFoundError,
    NewDataset,
    UnsupportedFeatureError,
)
from csi_zfs.domain.model import NativeFilesystem
from tests.contract.datasets.world import SIZE_BYTES, changes_nothing, entries, make
from tests.support.pools import PoolUnderTest

HEX16 = re.compile("[0-9a-f]{16}")


def test_create_new_name_returns_what_get_reads(manager: DatasetManager) -> None:
    new = NewDataset("v/a", SIZE_BYTES, user_properties={"io.csi-zfs:record": "{}"})
    dataset = manager.create(new)
    assert manager.get("v/a") == dataset
    assert (dataset.name, dataset.size_bytes) == ("v/a", SIZE_BYTES)
    assert dataset.user_properties == {"io.csi-zfs:record": "{}"}
    assert dataset.origin == ""
    assert HEX16.fullmatch(dataset.uid)
    assert dataset.created_ns > 0


def test_create_new_dataset_reads_as_zeros(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    assert pool.read("v/a", SIZE_BYTES) == bytes(SIZE_BYTES)


@pytest.mark.parametrize("is_thick", [False, True])
def test_create_thick_or_thin_is_kept(manager: DatasetManager, *, is_thick: bool) -> None:
    dataset = manager.create(NewDataset("v/a", SIZE_BYTES, is_thick=is_thick))
    assert dataset.is_thick is is_thick
    assert manager.get("v/a").is_thick is is_thick


def test_create_taken_name_is_exists_error(pool: PoolUnderTest) -> None:
    make(pool, "v/a", content=b"first")
    with changes_nothing(pool), pytest.raises(DatasetExistsError):
        pool.manager.create(NewDataset("v/a", 2 * SIZE_BYTES))


def test_create_after_destroy_has_another_uid(pool: PoolUnderTest) -> None:
    """A late call that names the old volume of this name meets another uid."""
    first = make(pool, "v/a", content=b"first")
    pool.manager.destroy("v/a", uid=first.uid)
    assert make(pool, "v/a").uid != first.uid
    assert pool.read("v/a", 5) == bytes(5)


def test_create_unknown_property_is_unsupported(pool: PoolUnderTest) -> None:
    new = NewDataset("v/a", SIZE_BYTES, properties={"nonesuch": "on"})
    with changes_nothing(pool), pytest.raises(UnsupportedFeatureError):
        pool.manager.create(new)


def test_create_filesystem_follows_features(manager: DatasetManager) -> None:
    new = NewDataset("v/a", SIZE_BYTES, kind=DatasetKind.FILESYSTEM)
    if manager.features.native_filesystem:
        assert manager.create(new).kind is manager.get("v/a").kind is DatasetKind.FILESYSTEM
        assert isinstance(manager.data_path("v/a"), NativeFilesystem)
    else:
        with pytest.raises(UnsupportedFeatureError):
            manager.create(new)
        assert entries(manager) == {}


def test_create_48_byte_leaves_are_told_apart(pool: PoolUnderTest) -> None:
    names = [f"v/{'a' * 47}{last}" for last in "ab"]
    datasets = [make(pool, name) for name in names]
    assert [pool.manager.get(name) for name in names] == datasets


@pytest.mark.parametrize("leaf", ["0", "a.b_c-d", "h-" + "0" * 32, "D-" + "0" * 16])
def test_create_every_leaf_of_the_grammar_works(pool: PoolUnderTest, leaf: str) -> None:
    assert make(pool, f"v/{leaf}") == pool.manager.get(f"v/{leaf}")


def test_get_missing_dataset_is_not_found(pool: PoolUnderTest) -> None:
    make(pool, "v/ab")
    with pytest.raises(DatasetNotFoundError):
        pool.manager.get("v/a")


def test_data_path_has_the_size_of_the_dataset(pool: PoolUnderTest) -> None:
    make(pool, "v/a")
    assert pool.manager.data_path("v/a").size_bytes == SIZE_BYTES


def test_pool_id_is_16_hex_digits(manager: DatasetManager) -> None:
    assert HEX16.fullmatch(manager.pool_id)
    assert manager.pool_name
