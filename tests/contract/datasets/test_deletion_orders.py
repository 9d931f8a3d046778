"""Contract: volumes, snapshots and clones can be deleted in every order, and nothing is left."""

import itertools
import os
from dataclasses import dataclass

import pytest

from csi_zfs.datasets.api import DatasetSnapshot, NewDataset
from csi_zfs.datasets.names import is_deferred_snapshot, is_tombstone
from csi_zfs.domain.sizes import MIB
from tests.contract.datasets.deletion import delete
from tests.contract.datasets.world import SIZE_BYTES, World, entries, make, take, world
from tests.support.pools import PoolUnderTest

PARTS = ("volume", "snapshot", "clone", "clone's snapshot", "clone of the clone")
# A fifth of them: each part is deleted at each place several times, before and after each other.
MUCH = os.urandom(2 * MIB)
SOME_ORDERS = list(itertools.permutations(PARTS))[::5]
# And a few of those, for where each takes long: their names say so.
NAMED_ORDERS = [
    pytest.param(order, id=("brief: " if place % 4 == 0 else "") + ", ".join(order))
    for place, order in enumerate(SOME_ORDERS)
]


@dataclass(frozen=True)
class Family:
    """A volume with all that descends from it: the uid and the content of each part."""

    uids: dict[str, str]
    contents: dict[str, bytes]


def make_family(pool: PoolUnderTest) -> Family:
    uids = {"volume": make(pool, "v/vol", content=b"snapshotted").uid}
    uids["snapshot"] = take(pool, "v/vol@snap").uid
    uids["clone"] = pool.manager.clone("v/vol@snap", NewDataset("v/clone", SIZE_BYTES)).uid
    for name, data in (("v/vol", b"vol changed"), ("v/clone", b"of clone   ")):
        pool.write(name, data)
        pool.write(name, MUCH, offset_bytes=MIB)  # so that it is worth a promote
    uids["clone's snapshot"] = take(pool, "v/clone@own").uid
    second = pool.manager.clone("v/clone@own", NewDataset("v/second", SIZE_BYTES))
    uids["clone of the clone"] = second.uid
    pool.write("v/clone", b"clone later")
    pool.write("v/second", b"second one ")
    contents = {
        "volume": b"vol changed",
        "snapshot": b"snapshotted",
        "clone": b"clone later",
        "clone's snapshot": b"of clone   ",
        "clone of the clone": b"second one ",
    }
    return Family(uids, contents)


def content_of(pool: PoolUnderTest, uid: str) -> bytes:
    """What a part holds; a snapshot is restored for it."""
    [entry] = [entry for entry in entries(pool.manager).values() if entry.uid == uid]
    if not isinstance(entry, DatasetSnapshot):
        return pool.read(entry.name, 11)
    restored = pool.manager.clone(entry.name, NewDataset("v/restored", SIZE_BYTES))
    content = pool.read("v/restored", 11)
    pool.manager.destroy("v/restored", uid=restored.uid)
    return content


def callers_view(pool: PoolUnderTest) -> World:
    """What a caller may see: no tombstones, no snapshots that only wait."""
    return {
        name: seen
        for name, seen in world(pool).items()
        if not is_tombstone(name.partition("@")[0]) and not is_deferred_snapshot(name)
    }


@pytest.mark.parametrize("order", NAMED_ORDERS)
def test_deletion_order_leaves_survivors_whole_and_nothing_at_the_end(
    pool: PoolUnderTest, order: tuple[str, ...]
) -> None:
    """rules.md A3; A2: the canary stays."""
    assert_order_is_clean(pool, order)


@pytest.mark.parametrize("first", PARTS)
def test_all_other_deletion_orders_leave_survivors_whole_and_nothing_at_the_end(
    pool: PoolUnderTest, first: str
) -> None:
    """rules.md A3; too many for a pool in an emulated machine."""
    for order in itertools.permutations(PARTS):
        if order[0] == first and order not in SOME_ORDERS:
            assert_order_is_clean(pool, order)


def assert_order_is_clean(pool: PoolUnderTest, order: tuple[str, ...]) -> None:
    if "v/canary" not in entries(pool.manager):
        make(pool, "v/canary", content=b"canary")
        take(pool, "v/canary@snap")
    before = world(pool)
    family = make_family(pool)
    for deleted, part in enumerate(order, start=1):
        delete(pool.manager, family.uids[part])
        for survivor in order[deleted:]:
            content = content_of(pool, family.uids[survivor])
            assert content == family.contents[survivor], f"{survivor} in {order}"
    assert world(pool) == before, f"left by {order}"


@pytest.mark.parametrize("order", list(itertools.permutations(["volume", "live clone", "second"])))
def test_every_deletion_order_of_live_clones_leaves_nothing(
    pool: PoolUnderTest, order: tuple[str, ...]
) -> None:
    """rules.md A3: also the hidden snapshots of clones from volumes go."""
    uids = {"volume": make(pool, "v/vol", content=b"kept").uid}
    uids["live clone"] = pool.manager.clone("v/vol", NewDataset("v/clone", SIZE_BYTES)).uid
    uids["second"] = pool.manager.clone("v/clone", NewDataset("v/second", SIZE_BYTES)).uid
    for deleted, part in enumerate(order, start=1):
        delete(pool.manager, uids[part])
        for survivor in order[deleted:]:
            assert content_of(pool, uids[survivor])[:4] == b"kept"
    assert world(pool) == {}


def test_deleted_part_vanishes_from_the_callers_view_at_once(pool: PoolUnderTest) -> None:
    """rules.md B7: its name is free again, whatever still depends on it."""
    family = make_family(pool)
    delete(pool.manager, family.uids["volume"])
    delete(pool.manager, family.uids["clone's snapshot"])
    # The volume's snapshot lives on, with whom it is needed by.
    assert callers_view(pool).keys() - {"v/clone@snap"} == {"v/clone", "v/second"}
    assert make(pool, "v/vol").uid != family.uids["volume"]
    assert take(pool, "v/clone@own").uid != family.uids["clone's snapshot"]


def test_promises_return_when_a_thick_family_is_gone(pool: PoolUnderTest) -> None:
    """rules.md A13: admission forgets nothing and keeps nothing.

    Told by the thin bytes: those follow the promises, while the thick ones are also bounded by what
    is free, and engines free in the background.
    """
    before = pool.manager.capacity().admissible_thin_bytes
    uids = [pool.manager.create(NewDataset("v/vol", SIZE_BYTES, is_thick=True)).uid]
    uids.append(take(pool, "v/vol@snap").uid)
    new = NewDataset("v/clone", SIZE_BYTES, is_thick=True)
    uids.append(pool.manager.clone("v/vol@snap", new).uid)
    for uid in uids:
        delete(pool.manager, uid)
    assert pool.manager.capacity().admissible_thin_bytes == before
