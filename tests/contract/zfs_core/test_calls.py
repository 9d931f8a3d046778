"""Contract of the calls: what each one does, and with which errno it refuses."""

import errno
import os
from functools import partial

import pytest

from csi_zfs.domain.sizes import MIB, TIB
from csi_zfs.zfs.lzc import LzcError, Properties, ZfsErrno
from tests.contract.zfs_core.world import (
    FILESYSTEM,
    VOLMODE_NONE,
    ZVOL,
    World,
    errno_of,
    errnos_of,
)

TOO_LONG = {"io.csi-zfs:long": "x" * 8192}


def test_create_refuses(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    found = errnos_of(
        {
            "again": lambda: zfs.make("z"),
            "without parent": lambda: core.create(full("no/x"), FILESYSTEM, {}),
            "below a zvol": lambda: core.create(full("z/x"), FILESYSTEM, {}),
            "no name": lambda: core.create(full("x y%"), FILESYSTEM, {}),
            "a long name": lambda: core.create(full("x" * 256), FILESYSTEM, {}),
            "no size": lambda: core.create(full("odd"), ZVOL, {}),
            "an odd size": lambda: core.create(full("odd"), ZVOL, {"volsize": 1000}),
            "too much room": lambda: zfs.make("big", refreservation=TIB),
            "a long value": lambda: zfs.make("long", **TOO_LONG),
            "another pool": lambda: core.create("nopool/x", FILESYSTEM, {}),
        }
    )
    assert found == {
        "again": errno.EEXIST,
        "without parent": errno.ENOENT,
        "below a zvol": ZfsErrno.WRONG_PARENT,
        "no name": errno.EINVAL,
        "a long name": errno.EINVAL,
        "no size": errno.EINVAL,
        "an odd size": errno.EINVAL,
        "too much room": errno.ENOSPC,
        "a long value": errno.E2BIG,
        "another pool": errno.ENOENT,
    }
    assert not any(zfs.exists(name) for name in ("odd", "big", "long"))


def test_clone_refuses(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    snapshot = zfs.take("z@s")
    found = errnos_of(
        {
            "again": lambda: core.clone(full("z"), snapshot, {}),
            "of nothing": lambda: core.clone(full("c"), full("z@no"), {}),
            "without parent": lambda: core.clone(full("no/c"), snapshot, {}),
            "another pool": lambda: core.clone("nopool/c", "nopool/x@s", {}),
        }
    )
    assert found == {
        "again": errno.EEXIST,
        "of nothing": errno.ENOENT,
        "without parent": errno.ENOENT,
        "another pool": errno.ENOENT,
    }


def test_clone_begins_as_its_origin_and_below_its_parent(zfs: World) -> None:
    zfs.make("z", **{"io.csi-zfs:of": "z"})
    zfs.core.clone(zfs.full("c"), zfs.take("z@s"), {"io.csi-zfs:own": "c", "volsize": 2 * MIB})
    assert zfs.get("c", "origin") == ["p/z@s"]
    assert zfs.get("c", "volsize") == [2 * MIB, "p/c"]
    assert zfs.get("c", "io.csi-zfs:own") == ["c", "p/c"]
    assert zfs.get("c", "io.csi-zfs:of") == ["parent", "p"]
    assert zfs.get("c", "volmode") == ["dev", "p"]


def test_clone_that_is_refused_without_a_device_is_gone(zfs: World) -> None:
    zfs.make("z")
    zfs.core.create(zfs.full("quiet"), FILESYSTEM, {"volmode": VOLMODE_NONE})
    snapshot, name = zfs.take("z@s"), "quiet/c"
    more = {"refreservation": TIB}
    assert errno_of(lambda: zfs.core.clone(zfs.full(name), snapshot, more)) == errno.ENOSPC
    assert not zfs.exists(name)


def test_clone_that_is_refused_can_be_there_with_all_else_that_was_asked_for(zfs: World) -> None:
    """The kernel destroys it, which fails without a word once udev has its device open."""
    zfs.make("z")
    snapshot = zfs.take("z@s")
    names = [f"c{number}" for number in range(8)]
    properties: Properties = {"volsize": 2 * MIB, "refreservation": TIB, "io.csi-zfs:own": "c"}
    for name in names:
        clone = partial(zfs.core.clone, zfs.full(name), snapshot, properties)
        assert errno_of(clone) == errno.ENOSPC
    there = [name for name in names if zfs.exists(name)]
    assert there
    for name in there:
        assert zfs.get(name, "volsize") == [2 * MIB, f"p/{name}"]
        assert zfs.get(name, "io.csi-zfs:own") == ["c", f"p/{name}"]
        assert zfs.get(name, "refreservation") == [0, "default"]


def test_snapshot_refuses(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    zfs.take("z@s")
    found = errnos_of(
        {
            "again": lambda: zfs.take("z@s"),
            "of nothing": lambda: zfs.take("no@s"),
            "no name": lambda: zfs.take("z@a%"),
            "a dataset": lambda: zfs.take("z"),
            "two of one dataset": lambda: core.snapshot([full("z@a"), full("z@b")]),
            "a long value": lambda: core.snapshot([full("z@long")], TOO_LONG),
            "another pool": lambda: core.snapshot(["nopool/x@s"]),
        }
    )
    assert found == {
        "again": errno.EEXIST,
        "of nothing": errno.ENOENT,
        "no name": errno.EINVAL,
        "a dataset": errno.EINVAL,
        "two of one dataset": errno.EXDEV,
        "a long value": errno.E2BIG,
        "another pool": errno.ENOENT,
    }
    assert not any(zfs.exists(name) for name in ("z@a", "z@b", "z@long"))


def test_snapshots_are_taken_all_or_none(zfs: World) -> None:
    core = zfs.core
    names = [f"{zfs.make(name)}@s" for name in "abc"]
    core.snapshot(names[:1])
    with pytest.raises(LzcError) as caught:
        core.snapshot(names)
    assert caught.value.errno_of == {names[0]: errno.EEXIST}
    with pytest.raises(LzcError) as caught:
        core.snapshot([*names, zfs.full("no@s")])
    assert caught.value.errno_of == {zfs.full("no@s"): errno.ENOENT}
    assert [core.exists(name) for name in names] == [True, False, False]
    core.snapshot(names[1:], {"io.csi-zfs:own": "both"})
    assert zfs.get("b@s", "io.csi-zfs:own") == ["both", "p/b@s"]


def test_snapshot_of_what_could_not_be_written_anew_is_refused(zfs: World) -> None:
    """What is reserved is reserved again: the pool has no room for that."""
    zfs.runner.run(["zfs", "set", f"quota={64 * MIB}", zfs.parent])
    device = zfs.make_with_device("z", volsize=40 * MIB, refreservation=40 * MIB)
    zfs.machine.write(device, os.urandom(38 * MIB))
    with pytest.raises(LzcError) as caught:
        zfs.take("z@s")
    assert caught.value.errno == errno.ENOSPC
    lua = 'return {zfs.check.snapshot(p .. "z@s"), zfs.sync.snapshot(p .. "z@s")}'
    assert zfs.act(lua) == {"1": errno.ENOSPC, "2": errno.ENOSPC}


def test_destroy_refuses(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    zfs.take("z@s")
    found = errnos_of(
        {
            "nothing": lambda: core.destroy(full("no")),
            "with children": lambda: core.destroy(zfs.parent),
            "with snapshots": lambda: core.destroy(full("z")),
            "another pool": lambda: core.destroy("nopool/x"),
        }
    )
    assert found == {
        "nothing": errno.ENOENT,
        "with children": errno.EEXIST,
        "with snapshots": errno.EBUSY,
        "another pool": errno.ENOENT,
    }


def test_destroy_of_what_is_open_is_busy_and_rename_of_it_is_not(zfs: World) -> None:
    device = zfs.make_with_device("z")
    with zfs.machine.opened(device):
        assert errno_of(lambda: zfs.core.destroy(zfs.full("z"))) == errno.EBUSY
        lua = 'return {zfs.check.destroy(p .. "z"), zfs.sync.destroy(p .. "z")}'
        assert zfs.act(lua) == {"1": errno.EBUSY, "2": errno.EBUSY}
        zfs.core.rename(zfs.full("z"), zfs.full("renamed"))
    assert zfs.devices.await_device(zfs.full("renamed")) == device
    zfs.machine.settle()
    zfs.core.destroy(zfs.full("renamed"))


def test_destroy_of_snapshots_is_all_or_none_and_silent_about_missing_ones(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    for name in ("z@held", "z@cloned", "z@both", "z@free"):
        zfs.take(name)
    for name in ("z@held", "z@both"):
        core.hold(full(name), "tag")
    for name in ("z@cloned", "z@both"):
        core.clone(full(f"of-{name[2:]}"), full(name), {"volmode": VOLMODE_NONE})
    core.destroy_snapshots([full("z@no"), full("no@s")])
    for name, number in {
        "z@held": errno.EBUSY,
        "z@cloned": errno.EEXIST,
        "z@both": errno.EBUSY,
    }.items():
        with pytest.raises(LzcError) as caught:
            core.destroy_snapshots([full("z@free"), full(name)])
        assert caught.value.errno == number
        assert caught.value.errno_of == {full(name): number}
    assert errno_of(lambda: core.destroy_snapshots(["nopool/x@s"])) == errno.ENOENT
    assert zfs.exists("z@free")
    core.destroy_snapshots([full("z@free")])
    assert not zfs.exists("z@free")


def test_deferred_destroy_waits_for_holds_and_clones(zfs: World) -> None:
    core = zfs.core
    zfs.make("z")
    snapshot = zfs.take("z@s")
    core.clone(zfs.full("c"), snapshot, {"volmode": VOLMODE_NONE})
    core.hold(snapshot, "one")
    for _ in range(2):
        core.destroy_snapshots([snapshot], is_deferred=True)
    assert zfs.get("z@s", "defer_destroy") == ["on"]
    core.hold(snapshot, "two")
    core.release(snapshot, "one")
    core.clone(zfs.full("later"), snapshot, {"volmode": VOLMODE_NONE})
    core.destroy(zfs.full("c"))
    core.release(snapshot, "two")
    assert zfs.get("z@s", "userrefs") == [0]
    core.destroy(zfs.full("later"))
    assert not zfs.exists("z@s")


def test_deferred_destroy_of_what_nobody_needs_is_immediate(zfs: World) -> None:
    zfs.make("z")
    zfs.core.destroy_snapshots([zfs.take("z@s")], is_deferred=True)
    assert not zfs.exists("z@s")


def test_hold_is_repeated_and_released_in_silence(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    snapshot = zfs.take("z@s")
    for tag in ("one", "two", "one"):
        core.hold(snapshot, tag)
    core.release(snapshot, "never")
    held = core.holds(snapshot)
    assert held.keys() == {"one", "two"}
    assert all(at_s > 1_600_000_000 for at_s in held.values())
    assert core.holds(full("z")) == {}
    assert zfs.get("z@s", "userrefs") == [2]


def test_hold_release_and_holds_refuse(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    snapshot = zfs.take("z@s")
    found = errnos_of(
        {
            "hold of nothing": lambda: core.hold(full("z@no"), "t"),
            "hold of a dataset": lambda: core.hold(full("z"), "t"),
            "hold with a long tag": lambda: core.hold(snapshot, "x" * 300),
            "hold in another pool": lambda: core.hold("nopool/x@s", "t"),
            "release of nothing": lambda: core.release(full("z@no"), "t"),
            "release of a dataset": lambda: core.release(full("z"), "t"),
            "release in another pool": lambda: core.release("nopool/x@s", "t"),
            "holds of nothing": lambda: core.holds(full("z@no")),
            "holds in another pool": lambda: core.holds("nopool/x@s"),
        }
    )
    assert found == {
        "hold of nothing": errno.ENOENT,
        "hold of a dataset": errno.EINVAL,
        "hold with a long tag": errno.E2BIG,
        "hold in another pool": errno.ENOENT,
        "release of nothing": errno.ENOENT,
        "release of a dataset": errno.EINVAL,
        "release in another pool": errno.ENOENT,
        "holds of nothing": errno.ENOENT,
        "holds in another pool": errno.ENOENT,
    }


def test_rename_carries_what_is_below_and_the_origin_of_clones(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    core.create(full("old"), FILESYSTEM, {})
    zfs.make("old/z")
    core.hold(zfs.take("old/z@s"), "tag")
    core.clone(full("c"), full("old/z@s"), {})
    core.rename(full("old"), full("new"))
    assert zfs.get("c", "origin") == ["p/new/z@s"]
    core.rename(full("new/z@s"), full("new/z@t"))
    assert zfs.get("c", "origin") == ["p/new/z@t"]
    assert core.holds(full("new/z@t")).keys() == {"tag"}
    assert not zfs.exists("old")
    assert not zfs.exists("old/z@s")


def test_rename_refuses(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    for name in ("y", "z"):
        zfs.make(name)
    for name in ("z@s", "z@t"):
        zfs.take(name)
    found = errnos_of(
        {
            "nothing": lambda: core.rename(full("no"), full("n")),
            "onto another": lambda: core.rename(full("z"), full("y")),
            "onto itself": lambda: core.rename(full("z"), full("z")),
            "below nothing": lambda: core.rename(full("z"), full("no/z")),
            "below a zvol": lambda: core.rename(full("z"), full("y/z")),
            "below itself": lambda: core.rename(zfs.parent, full("p")),
            "to another pool": lambda: core.rename(full("z"), "nopool/z"),
            "in another pool": lambda: core.rename("nopool/x", "nopool/y"),
            "a snapshot onto another": lambda: core.rename(full("z@s"), full("z@t")),
            "a snapshot of another": lambda: core.rename(full("z@s"), full("y@s")),
            "no snapshot": lambda: core.rename(full("z@no"), full("z@n")),
        }
    )
    assert found == {
        "nothing": errno.ENOENT,
        "onto another": errno.EEXIST,
        "onto itself": errno.EEXIST,
        "below nothing": errno.ENOENT,
        "below a zvol": ZfsErrno.WRONG_PARENT,
        "below itself": errno.EINVAL,
        "to another pool": errno.EXDEV,
        "in another pool": errno.ENOENT,
        "a snapshot onto another": errno.EEXIST,
        "a snapshot of another": errno.EXDEV,
        "no snapshot": errno.ENOENT,
    }


def test_promote_gives_the_clone_its_origin_and_what_is_older(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    for name in ("z@older", "z@origin", "z@later"):
        zfs.take(name)
    core.clone(full("c"), full("z@origin"), {"volmode": VOLMODE_NONE})
    zfs.take("c@own")
    core.promote(full("c"))
    assert zfs.get("z", "origin") == ["p/c@origin"]
    assert zfs.get("c", "origin") == []
    assert zfs.listed("snapshots", "c") == {"c@older", "c@origin", "c@own"}
    assert zfs.listed("snapshots", "z") == {"z@later"}
    assert zfs.listed("clones", "c@origin") == {"z"}


def test_promote_refuses(zfs: World) -> None:
    core, full = zfs.core, zfs.full
    zfs.make("z")
    core.clone(full("c"), zfs.take("z@s"), {"volmode": VOLMODE_NONE})
    zfs.take("c@t")
    core.rename(full("z@s"), full("z@t"))
    found = errnos_of(
        {
            "what is no clone": lambda: core.promote(full("z")),
            "over a snapshot of the same name": lambda: core.promote(full("c")),
            "nothing": lambda: core.promote(full("no")),
            "in another pool": lambda: core.promote("nopool/x"),
        }
    )
    assert found == {
        "what is no clone": errno.EINVAL,
        "over a snapshot of the same name": errno.EEXIST,
        "nothing": errno.ENOENT,
        "in another pool": errno.ENOENT,
    }


def test_exists_is_false_for_what_is_not_there_and_for_another_pool(zfs: World) -> None:
    zfs.make("z")
    zfs.take("z@s")
    names = [zfs.full("z"), zfs.full("z@s"), zfs.full("z@no"), zfs.full("no@s"), "nopool/z"]
    assert [zfs.core.exists(name) for name in names] == [True, True, False, False, False]
