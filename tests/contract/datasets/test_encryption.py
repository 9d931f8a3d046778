"""Contract: encrypted datasets, whose key all clones of a lineage share."""

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetExistsError,
    DatasetKind,
    DatasetNotFoundError,
    NewDataset,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.keys import (
    EncryptionUnsupportedError,
    KeyNotLoadedError,
    WrappingKey,
    WrongKeyError,
)
from csi_zfs.datasets.names import split_snapshot, tombstone_of
from csi_zfs.domain.errors import InvalidRequestError
from tests.contract.datasets.deletion import delete
from tests.contract.datasets.test_deletion_orders import NAMED_ORDERS, Family, content_of
from tests.contract.datasets.world import (
    SIZE_BYTES,
    changes_nothing,
    entries,
    make,
    take,
    world,
)
from tests.support.pools import PoolUnderTest

KEY, OTHER_KEY = WrappingKey(b"k" * 32), WrappingKey(b"o" * 32)
CIPHER = {"encryption": "aes-256-gcm"}
CONTENT = b"readable with the key"


def encrypted(name: str, *, key: WrappingKey = KEY, is_thick: bool = False) -> NewDataset:
    return NewDataset(name, SIZE_BYTES, properties=CIPHER, key=key, is_thick=is_thick)


@pytest.fixture
def pool(encrypting_pool: PoolUnderTest) -> PoolUnderTest:
    """With a lineage `v/a`, `v/a@snap`, `v/c` that has content and no key loaded."""
    manager = encrypting_pool.manager
    manager.create(encrypted("v/a"))
    manager.keys.load("v/a", KEY)
    encrypting_pool.write("v/a", CONTENT)
    take(encrypting_pool, "v/a@snap")
    manager.keys.unload("v/a")
    manager.clone("v/a@snap", NewDataset("v/c", SIZE_BYTES))
    return encrypting_pool


def _read(pool: PoolUnderTest, name: str) -> bytes:
    return pool.read(name, len(CONTENT))


def test_new_encrypted_dataset_is_locked_and_says_that_it_is_encrypted(pool: PoolUnderTest) -> None:
    created = pool.manager.create(encrypted("v/new"))
    assert created.properties["encryption"] == "aes-256-gcm"
    assert pool.manager.get("v/new") == created
    assert not pool.manager.keys.is_loaded("v/new")
    with pytest.raises(KeyNotLoadedError):
        pool.manager.data_path("v/new")


def test_key_makes_the_whole_lineage_readable_until_it_is_unloaded(pool: PoolUnderTest) -> None:
    keys = pool.manager.keys
    for member in ("v/a", "v/c"):
        keys.load(member, KEY)
        assert keys.is_loaded("v/a")
        assert keys.is_loaded("v/c")
        assert _read(pool, "v/a") == _read(pool, "v/c") == CONTENT
        keys.unload(member)
        keys.unload(member)
        with pytest.raises(KeyNotLoadedError):
            pool.manager.data_path("v/c")


def test_clone_is_said_to_be_encrypted_as_its_origin(pool: PoolUnderTest) -> None:
    assert pool.manager.get("v/c").properties["encryption"] == "aes-256-gcm"


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize("member", ["v/a", "v/c"])
def test_wrong_key_is_refused_loaded_or_not(
    pool: PoolUnderTest, member: str, *, is_loaded: bool
) -> None:
    keys = pool.manager.keys
    if is_loaded:
        keys.load("v/a", KEY)
    with pytest.raises(WrongKeyError):
        keys.require(member, OTHER_KEY)
    with pytest.raises(WrongKeyError):
        keys.load(member, OTHER_KEY)
    keys.require(member, KEY)
    assert keys.is_loaded(member) is is_loaded
    if is_loaded:
        keys.load(member, KEY)
    keys.unload("v/a")


def test_key_in_use_by_any_member_stays(pool: PoolUnderTest) -> None:
    keys = pool.manager.keys
    keys.load("v/a", KEY)
    with pool.in_use("v/c"), pytest.raises(DatasetBusyError):
        keys.unload("v/a")
    assert keys.is_loaded("v/a")
    keys.unload("v/a")
    assert not keys.is_loaded("v/a")


def test_changed_key_fits_the_whole_lineage_and_the_old_one_no_more(pool: PoolUnderTest) -> None:
    keys = pool.manager.keys
    with pytest.raises(KeyNotLoadedError):
        keys.change("v/c", OTHER_KEY)
    keys.load("v/c", KEY)
    keys.change("v/c", OTHER_KEY)
    assert _read(pool, "v/a") == CONTENT
    keys.unload("v/a")
    for member in ("v/a", "v/c"):
        with pytest.raises(WrongKeyError):
            keys.require(member, KEY)
        keys.require(member, OTHER_KEY)
    keys.load("v/a", OTHER_KEY)
    assert _read(pool, "v/c") == CONTENT
    keys.unload("v/a")


def test_lineages_have_nothing_to_do_with_each_other(pool: PoolUnderTest) -> None:
    pool.manager.create(encrypted("v/b", key=OTHER_KEY))
    pool.manager.keys.load("v/b", OTHER_KEY)
    assert not pool.manager.keys.is_loaded("v/a")
    make(pool, "v/plain", content=b"plain")
    assert pool.manager.keys.is_loaded("v/plain")
    pool.manager.keys.unload("v/b")


def test_missing_dataset_has_no_key(pool: PoolUnderTest) -> None:
    keys = pool.manager.keys
    for call in (
        lambda: keys.require("v/none", KEY),
        lambda: keys.load("v/none", KEY),
        lambda: keys.unload("v/none"),
        lambda: keys.change("v/none", KEY),
        lambda: keys.is_loaded("v/none"),
    ):
        with pytest.raises(DatasetNotFoundError):
            call()


def test_create_of_a_name_that_is_taken_leaves_it_with_its_key(pool: PoolUnderTest) -> None:
    with changes_nothing(pool), pytest.raises(DatasetExistsError):
        pool.manager.create(encrypted("v/a", key=OTHER_KEY))
    pool.manager.keys.require("v/a", KEY)


def test_only_what_is_new_and_empty_begins_to_be_encrypted(pool: PoolUnderTest) -> None:
    make(pool, "v/plain", content=b"plain")
    with pytest.raises((UnsupportedFeatureError, InvalidRequestError)):
        pool.manager.clone("v/plain", NewDataset("v/x", SIZE_BYTES, properties=CIPHER))
    with pytest.raises(DatasetNotFoundError):
        pool.manager.get("v/x")
    pool.manager.clone("v/a@snap", NewDataset("v/x", SIZE_BYTES, properties=CIPHER))


def test_clone_of_a_live_dataset_needs_no_key(pool: PoolUnderTest) -> None:
    pool.manager.clone("v/a", NewDataset("v/live", SIZE_BYTES))
    pool.manager.keys.load("v/live", KEY)
    assert _read(pool, "v/live") == CONTENT
    pool.manager.keys.unload("v/live")


def test_clone_to_a_larger_size_needs_the_key_of_a_zvol(pool: PoolUnderTest) -> None:
    larger = NewDataset("v/larger", 2 * SIZE_BYTES)
    if pool.manager.get("v/a").kind is DatasetKind.ZVOL:
        with changes_nothing(pool), pytest.raises(KeyNotLoadedError):
            pool.manager.clone("v/a@snap", larger)
    pool.manager.keys.load("v/a", KEY)
    assert pool.manager.clone("v/a@snap", larger).size_bytes == 2 * SIZE_BYTES
    pool.manager.keys.unload("v/a")


def test_resize_needs_the_key_of_a_zvol(pool: PoolUnderTest) -> None:
    if pool.manager.get("v/a").kind is DatasetKind.ZVOL:
        with changes_nothing(pool), pytest.raises(KeyNotLoadedError):
            pool.manager.resize("v/c", 2 * SIZE_BYTES)
    pool.manager.keys.load("v/a", KEY)
    assert pool.manager.resize("v/c", 2 * SIZE_BYTES).size_bytes == 2 * SIZE_BYTES
    pool.manager.keys.unload("v/a")


def test_copy_of_a_copy_is_read_with_the_key_also_after_a_restart_of_the_pool(
    pool: PoolUnderTest,
) -> None:
    """The kernel makes no device of it by itself, as it does for the first and its own clones."""
    take(pool, "v/c@later")
    pool.manager.clone("v/c@later", NewDataset("v/second", SIZE_BYTES))
    for _ in range(2):
        pool.manager.keys.load("v/second", KEY)
        assert _read(pool, "v/second") == CONTENT
        pool.manager.keys.unload("v/second")
        with pool.away():
            pass


def test_locked_dataset_is_snapshotted_renamed_and_described(pool: PoolUnderTest) -> None:
    manager = pool.manager
    take(pool, "v/c@later")
    manager.rename("v/c", "v/renamed")
    manager.set_user_properties("v/renamed", {"volume_name": "pvc-1"})
    manager.keys.load("v/renamed", KEY)
    assert _read(pool, "v/renamed") == CONTENT
    manager.keys.unload("v/renamed")


def test_retired_member_keeps_the_key_for_the_others(pool: PoolUnderTest) -> None:
    """The first of a lineage holds its key for as long as clones of it live."""
    first = pool.manager.get("v/a")
    tombstone = tombstone_of(first.uid)
    pool.manager.retire("v/a", tombstone)
    pool.reopen()
    keys = pool.manager.keys
    keys.load("v/c", KEY)
    assert _read(pool, "v/c") == CONTENT
    keys.change("v/c", OTHER_KEY)
    keys.unload("v/c")
    keys.require(tombstone, OTHER_KEY)


def test_nobody_is_promoted_while_the_key_is_loaded(pool: PoolUnderTest) -> None:
    """The kernel would keep the key with a dataset that is no root any more."""
    manager = pool.manager
    tombstone = tombstone_of(manager.get("v/a").uid)
    manager.retire("v/a", tombstone)
    manager.keys.load("v/c", KEY)
    with pytest.raises(DatasetBusyError):
        manager.promote("v/c", over=tombstone)
    assert _read(pool, "v/c") == CONTENT
    manager.keys.unload("v/c")
    manager.promote("v/c", over=tombstone)
    manager.keys.load("v/c", KEY)
    assert _read(pool, "v/c") == CONTENT
    manager.keys.unload("v/c")
    manager.keys.require(tombstone, KEY)


def test_reopened_pool_knows_the_key_again(pool: PoolUnderTest) -> None:
    pool.reopen()
    pool.manager.keys.load("v/c", KEY)
    assert _read(pool, "v/c") == CONTENT
    pool.manager.keys.unload("v/c")


@pytest.mark.parametrize("order", NAMED_ORDERS)
def test_encrypted_deletion_order_leaves_survivors_readable_and_nothing_at_the_end(
    encrypting_pool: PoolUnderTest, order: tuple[str, ...]
) -> None:
    """rules.md A3, A2: without any key loaded; what is left is read with the one of its lineage."""
    pool = encrypting_pool
    make(pool, "v/canary", content=b"canary")
    pool.manager.create(encrypted("v/locked-canary", key=OTHER_KEY))
    before = world(pool)
    family = make_encrypted_family(pool)
    for deleted, part in enumerate(order, start=1):
        delete(pool.manager, family.uids[part])
        left = {one: family.contents[one] for one in order[deleted:]}
        if left:
            assert contents_with_key(pool, family, list(left)) == left
    assert world(pool) == before


def make_encrypted_family(pool: PoolUnderTest) -> Family:
    """As `make_family`; its key is not loaded."""
    manager = pool.manager
    uids = {"volume": manager.create(encrypted("v/vol")).uid}
    manager.keys.load("v/vol", KEY)
    pool.write("v/vol", b"snapshotted")
    uids["snapshot"] = take(pool, "v/vol@snap").uid
    uids["clone"] = manager.clone("v/vol@snap", NewDataset("v/clone", SIZE_BYTES)).uid
    pool.write("v/vol", b"vol changed")
    uids["clone's snapshot"] = take(pool, "v/clone@own").uid
    second = manager.clone("v/clone@own", NewDataset("v/second", SIZE_BYTES))
    uids["clone of the clone"] = second.uid
    pool.write("v/clone", b"clone later")
    manager.keys.unload("v/vol")
    contents = {
        "volume": b"vol changed",
        "snapshot": b"snapshotted",
        "clone": b"clone later",
        "clone's snapshot": b"snapshotted",
        "clone of the clone": b"snapshotted",
    }
    return Family(uids, contents)


def contents_with_key(pool: PoolUnderTest, family: Family, parts: list[str]) -> dict[str, bytes]:
    """What these parts hold; the key is loaded for that alone."""
    uids = {family.uids[part] for part in parts}
    member = next(name for name, entry in entries(pool.manager).items() if entry.uid in uids)
    dataset_name = split_snapshot(member)[0]
    pool.manager.keys.load(dataset_name, KEY)
    contents = {part: content_of(pool, family.uids[part]) for part in parts}
    pool.manager.keys.unload(dataset_name)
    return contents


def test_thick_encrypted_dataset_is_made(pool: PoolUnderTest) -> None:
    assert pool.manager.create(encrypted("v/thick", is_thick=True)).is_thick


def test_pool_without_encryption_refuses_it(plain_pool: PoolUnderTest) -> None:
    manager = plain_pool.manager
    assert not manager.features.encryption
    with pytest.raises(UnsupportedFeatureError):
        manager.create(encrypted("v/a"))
    make(plain_pool, "v/plain", content=b"plain")
    keys = manager.keys
    for call in (
        lambda: keys.require("v/plain", KEY),
        lambda: keys.load("v/plain", KEY),
        lambda: keys.unload("v/plain"),
        lambda: keys.change("v/plain", KEY),
        lambda: keys.is_loaded("v/plain"),
    ):
        with pytest.raises(EncryptionUnsupportedError):
            call()
