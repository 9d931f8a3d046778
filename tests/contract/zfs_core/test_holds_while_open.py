"""Contract of a hold that goes with a descriptor: who has a pool while it runs relies on it."""

import errno
import os
from functools import partial

from tests.contract.zfs_core.world import World, errno_of, errnos_of

TAG = "tag"


def test_hold_is_there_until_the_last_copy_of_its_descriptor_is_closed(zfs: World) -> None:
    zfs.make("z")
    snapshot = zfs.take("z@s")
    first, other = zfs.machine.open_control(), zfs.machine.open_control()
    zfs.core.hold_while_open(snapshot, TAG, first)
    copy = os.dup(first)
    os.close(first)
    os.close(other)
    assert zfs.core.holds(snapshot).keys() == {TAG}
    os.close(copy)
    assert zfs.core.holds(snapshot) == {}


def test_hold_of_the_same_tag_is_refused_whoever_asks(zfs: World) -> None:
    zfs.make("z")
    snapshot = zfs.take("z@s")
    first, other = zfs.machine.open_control(), zfs.machine.open_control()
    zfs.core.hold_while_open(snapshot, TAG, first)
    for descriptor in (first, other):
        again = partial(zfs.core.hold_while_open, snapshot, TAG, descriptor)
        assert errno_of(again) == errno.EEXIST
    os.close(first)
    zfs.core.hold_while_open(snapshot, TAG, other)
    assert zfs.core.holds(snapshot).keys() == {TAG}
    os.close(other)


def test_snapshot_whose_destroy_waits_goes_with_its_descriptor(zfs: World) -> None:
    zfs.make("z")
    snapshot = zfs.take("z@s")
    descriptor = zfs.machine.open_control()
    zfs.core.hold_while_open(snapshot, TAG, descriptor)
    zfs.core.destroy_snapshots([snapshot], is_deferred=True)
    assert errno_of(lambda: zfs.core.destroy_snapshots([snapshot])) == errno.EBUSY
    os.close(descriptor)
    assert not zfs.exists("z@s")


def test_pool_can_be_exported_and_its_import_remembers_no_such_hold(zfs: World) -> None:
    """The descriptor is open all the time, and its end takes away nobody else's hold."""
    zfs.make("z")
    gone, kept = zfs.take("z@gone"), zfs.take("z@kept")
    first, other = zfs.machine.open_control(), zfs.machine.open_control()
    for snapshot in (gone, kept):
        zfs.core.hold_while_open(snapshot, TAG, first)
    zfs.core.destroy_snapshots([gone], is_deferred=True)
    zfs.machine.import_again(zfs.zpool_name)
    assert not zfs.exists("z@gone")
    assert zfs.core.holds(kept) == {}
    zfs.core.hold_while_open(kept, TAG, other)
    os.close(first)
    assert zfs.core.holds(kept).keys() == {TAG}
    os.close(other)


def test_hold_while_open_refuses(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    snapshot, descriptor = zfs.take("z@s"), zfs.machine.open_control()
    pipe, end = os.pipe()
    found = errnos_of(
        {
            "nothing": lambda: core.hold_while_open(full("z@no"), TAG, descriptor),
            "another pool": lambda: core.hold_while_open("nopool/x@s", TAG, descriptor),
            "no such file": lambda: core.hold_while_open(snapshot, TAG, pipe),
        }
    )
    assert found == {
        "nothing": errno.ENOENT,
        "another pool": errno.ENOENT,
        "no such file": errno.EBADF,
    }
    for number in (descriptor, pipe, end):
        os.close(number)
