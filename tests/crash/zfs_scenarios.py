"""Every operation of the OpenZFS engine, as something that can be cut short and repeated."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetKind,
    DatasetManager,
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
)
from csi_zfs.datasets.keys import WrappingKey
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.sizes import MIB
from tests.crash.reflink_scenarios import done_if
from tests.support.burials import burial_on

SIZE_BYTES = 2 * MIB
TOMBSTONE = tombstone_of("0123456789abcdef")
Step = Callable[[DatasetManager], object]
LZ4 = {"compression": "lz4"}
CIPHER = {"encryption": "aes-256-gcm"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One operation.

    Attributes:
        prepare: makes the pool that the operation is done on.
        act: the operation, in a form that can be repeated after any crash, as a caller would.
        is_atomic: whether a crash leaves the state before or the one after.  Otherwise it can leave
            a part of the work, which the repeated call completes: a larger volume or a native
            property under the old record, a hidden snapshot, a volume that has no device.
    """

    name: str
    prepare: Step
    act: Step
    is_atomic: bool = True


def world(it: DatasetManager) -> None:
    """Volumes, one of them thick, with snapshots, and canaries beside them."""
    for name in ("v/a", "v/b", "v/canary"):
        it.create(NewDataset(name, SIZE_BYTES, properties=LZ4, user_properties={"of": name}))
    it.create(NewDataset("v/thick", SIZE_BYTES, is_thick=True))
    it.create(NewDataset("v/files", SIZE_BYTES, kind=DatasetKind.FILESYSTEM, is_thick=True))
    it.snapshot([NewSnapshot("v/a@canary", {"of": "a"})])


def with_snapshot(it: DatasetManager) -> None:
    world(it)
    it.snapshot([NewSnapshot("v/a@s", {"of": "s"})])


def with_dependents(it: DatasetManager) -> None:
    world(it)
    it.snapshot([NewSnapshot(f"v/{leaf}@s") for leaf in ("b", "thick", "files")])


def with_hold(it: DatasetManager) -> None:
    with_snapshot(it)
    it.hold("v/a@s", "one")


def with_deferred(it: DatasetManager) -> None:
    with_hold(it)
    it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid, is_deferred=True)


def with_clone(it: DatasetManager) -> None:
    with_snapshot(it)
    it.clone("v/a@s", NewDataset("v/clone", SIZE_BYTES))


def with_last_clone(it: DatasetManager) -> None:
    with_clone(it)
    it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid, is_deferred=True)


def with_tombstone(it: DatasetManager) -> None:
    world(it)
    it.retire("v/b", TOMBSTONE)


def with_heir(it: DatasetManager) -> None:
    """A thick tombstone whose hidden snapshot waits for its only clone."""
    world(it)
    it.clone("v/thick", NewDataset("v/heir", SIZE_BYTES, is_thick=True))
    it.retire("v/thick", TOMBSTONE)


def bury(it: DatasetManager) -> None:
    burial_on(it).bury(it, TOMBSTONE)


def creating(new: NewDataset) -> Step:
    def act(it: DatasetManager) -> None:
        with done_if(DatasetExistsError):
            it.create(new)
        if new.key is not None:  # a process that died may have left it loaded
            it.keys.unload(new.name)

    return act


def cloning(source_name: str, new: NewDataset) -> Step:
    def act(it: DatasetManager) -> None:
        with done_if(DatasetExistsError):
            it.clone(source_name, new)

    return act


def snapshotting(*names: str) -> Step:
    def act(it: DatasetManager) -> None:
        with done_if(DatasetExistsError):
            it.snapshot([NewSnapshot(name, {"of": name}) for name in names])

    return act


def rename(it: DatasetManager) -> None:
    with done_if(DatasetNotFoundError):
        it.rename("v/a", "v/renamed")


def rename_snapshot(it: DatasetManager) -> None:
    with done_if(DatasetNotFoundError):
        it.rename_snapshot("v/a@s", "v/a@renamed")


def destroying(name: str) -> Step:
    def act(it: DatasetManager) -> None:
        with done_if(DatasetNotFoundError):
            it.destroy(name, uid=it.get(name).uid)

    return act


def destroy_snapshot(it: DatasetManager) -> None:
    with done_if(DatasetNotFoundError):
        it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid)


def defer(it: DatasetManager) -> None:
    with done_if(DatasetNotFoundError):
        it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid, is_deferred=True)


def release(it: DatasetManager) -> None:
    with done_if(DatasetNotFoundError):
        it.release("v/a@s", "one")


NEW = NewDataset("v/new", SIZE_BYTES, properties=LZ4, user_properties={"of": "new"})
THICK = NewDataset("v/new", SIZE_BYTES, is_thick=True)
FILES = NewDataset("v/new", SIZE_BYTES, kind=DatasetKind.FILESYSTEM, is_thick=True)
LOCKED = NewDataset("v/new", SIZE_BYTES, properties=CIPHER, key=WrappingKey(b"k" * 32))
LOCKED_FILES = replace(LOCKED, kind=DatasetKind.FILESYSTEM, is_thick=True)
LARGER = NewDataset("v/new", 2 * SIZE_BYTES, is_thick=True, properties={"compression": "off"})

SCENARIOS = (
    Scenario("create", world, creating(NEW)),
    Scenario("create thick", world, creating(THICK)),
    Scenario("create a file system", world, creating(FILES)),
    Scenario("create encrypted", world, creating(LOCKED), is_atomic=False),
    Scenario("create encrypted files", world, creating(LOCKED_FILES), is_atomic=False),
    Scenario("clone of a snapshot", with_snapshot, cloning("v/a@s", NEW)),
    Scenario("thick larger clone of a snapshot", with_snapshot, cloning("v/a@s", LARGER)),
    Scenario("clone of a live volume", world, cloning("v/a", NEW), is_atomic=False),
    Scenario("clone of a live thick volume", world, cloning("v/thick", LARGER), is_atomic=False),
    Scenario("clone of live files", world, cloning("v/files", FILES), is_atomic=False),
    Scenario("snapshot", world, snapshotting("v/a@new")),
    Scenario("snapshots of a group", world, snapshotting("v/a@g", "v/b@g", "v/thick@g")),
    Scenario("rename", world, rename),
    Scenario("rename of a snapshot", with_snapshot, rename_snapshot),
    Scenario("resize", world, lambda it: it.resize("v/a", 2 * SIZE_BYTES), is_atomic=False),
    Scenario(
        "resize thick", world, lambda it: it.resize("v/thick", 2 * SIZE_BYTES), is_atomic=False
    ),
    Scenario(
        "resize files", world, lambda it: it.resize("v/files", 2 * SIZE_BYTES), is_atomic=False
    ),
    Scenario(
        "set properties",
        world,
        lambda it: it.set_properties("v/a", {"compression": "off", "sync": "always"}),
        is_atomic=False,
    ),
    Scenario(
        "set user properties", world, lambda it: it.set_user_properties("v/a", {"of": "another"})
    ),
    Scenario("retire", with_dependents, lambda it: it.retire("v/b", TOMBSTONE), is_atomic=False),
    Scenario(
        "retire thick",
        with_dependents,
        lambda it: it.retire("v/thick", TOMBSTONE),
        is_atomic=False,
    ),
    Scenario(
        "retire files",
        with_dependents,
        lambda it: it.retire("v/files", TOMBSTONE),
        is_atomic=False,
    ),
    Scenario("destroy", world, destroying("v/b")),
    Scenario("destroy of a thick one", world, destroying("v/thick")),
    Scenario("destroy of a tombstone", with_tombstone, destroying(TOMBSTONE)),
    Scenario("burial by a promote", with_heir, bury, is_atomic=False),
    Scenario("destroy of the last clone", with_last_clone, destroying("v/clone")),
    Scenario("destroy of a snapshot", with_snapshot, destroy_snapshot),
    Scenario("deferred destroy of a free snapshot", with_snapshot, defer),
    Scenario("deferred destroy of a held snapshot", with_hold, defer),
    Scenario("deferred destroy of a cloned snapshot", with_clone, defer),
    Scenario("hold", with_snapshot, lambda it: it.hold("v/a@s", "one")),
    Scenario("release", with_hold, release),
    Scenario("release of a deferred snapshot", with_deferred, release),
)
