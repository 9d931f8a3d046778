"""Every operation of the embedded pool, as something that can be cut short and repeated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
)
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from tests.support.reflink import write_content

SIZE_BYTES = 2 * MIB
TOMBSTONE = tombstone_of("0123456789abcdef")
Step = Callable[[ReflinkDatasets], object]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One operation.

    Attributes:
        prepare: makes the pool that the operation is done on.
        act: the operation, in a form that can be repeated after any crash, as a caller would.
        is_atomic: whether a crash leaves the state before or the one after; `retire` may also leave
            the data of what has its last name already.
        is_undone: whether an error on the way takes everything back at once.  Otherwise something
            can be left until the next start or the repeated call: what is half destroyed, or an
            image that is longer than its record says.
    """

    name: str
    prepare: Step
    act: Step
    is_atomic: bool = True
    is_undone: bool = True


def world(it: ReflinkDatasets) -> None:
    """Volumes with content, one of them thick, with snapshots, and canaries beside them."""
    for name in ("v/a", "v/b", "v/canary"):
        it.create(NewDataset(name, SIZE_BYTES, user_properties={"of": name}))
        write_content(it, name, name.encode() * 1000)
    it.create(NewDataset("v/thick", SIZE_BYTES, is_thick=True))
    it.snapshot([NewSnapshot("v/a@canary", {"of": "a"})])


def with_snapshot(it: ReflinkDatasets) -> None:
    world(it)
    it.snapshot([NewSnapshot("v/a@s", {"of": "s"})])
    write_content(it, "v/a", b"later")


def with_hold(it: ReflinkDatasets) -> None:
    with_snapshot(it)
    it.hold("v/a@s", "one")


def with_deferred(it: ReflinkDatasets) -> None:
    with_hold(it)
    it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid, is_deferred=True)


def with_tombstone(it: ReflinkDatasets) -> None:
    world(it)
    it.retire("v/b", TOMBSTONE)


@contextmanager
def done_if(*errors: type[Exception]) -> Iterator[None]:
    """What a repeated call may be told because the first one had taken effect."""
    try:
        yield
    except errors:
        return


def create(it: ReflinkDatasets) -> None:
    with done_if(DatasetExistsError):
        it.create(NewDataset("v/new", SIZE_BYTES, user_properties={"of": "new"}))


def create_thick(it: ReflinkDatasets) -> None:
    with done_if(DatasetExistsError):
        it.create(NewDataset("v/new", SIZE_BYTES, is_thick=True))


def clone_dataset(it: ReflinkDatasets) -> None:
    with done_if(DatasetExistsError):
        it.clone("v/a", NewDataset("v/new", SIZE_BYTES))


def clone_snapshot_larger(it: ReflinkDatasets) -> None:
    with done_if(DatasetExistsError):
        it.clone("v/a@s", NewDataset("v/new", 2 * SIZE_BYTES, is_thick=True))


def snapshot(it: ReflinkDatasets) -> None:
    with done_if(DatasetExistsError):
        it.snapshot([NewSnapshot("v/a@new", {"of": "new"})])


def snapshot_group(it: ReflinkDatasets) -> None:
    with done_if(DatasetExistsError):
        it.snapshot([NewSnapshot(f"v/{leaf}@group") for leaf in ("a", "b", "thick")])


def rename(it: ReflinkDatasets) -> None:
    with done_if(DatasetNotFoundError):
        it.rename("v/a", "v/renamed")


def rename_snapshot(it: ReflinkDatasets) -> None:
    with done_if(DatasetNotFoundError):
        it.rename_snapshot("v/a@s", "v/a@renamed")


def retire(it: ReflinkDatasets) -> None:
    it.retire("v/b", TOMBSTONE)


def resize(it: ReflinkDatasets) -> None:
    it.resize("v/a", 2 * SIZE_BYTES)


def resize_thick(it: ReflinkDatasets) -> None:
    it.resize("v/thick", 2 * SIZE_BYTES)


def destroy(it: ReflinkDatasets) -> None:
    with done_if(DatasetNotFoundError):
        it.destroy("v/b", uid=it.get("v/b").uid)


def destroy_tombstone(it: ReflinkDatasets) -> None:
    with done_if(DatasetNotFoundError):
        it.destroy(TOMBSTONE, uid=it.get(TOMBSTONE).uid)


def destroy_snapshot(it: ReflinkDatasets) -> None:
    with done_if(DatasetNotFoundError):
        it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid)


def defer(it: ReflinkDatasets) -> None:
    it.destroy_snapshot("v/a@s", uid=it.get_snapshot("v/a@s").uid, is_deferred=True)


def release(it: ReflinkDatasets) -> None:
    with done_if(DatasetNotFoundError):
        it.release("v/a@s", "one")


SCENARIOS = (
    Scenario("create", world, create),
    Scenario("create thick", world, create_thick),
    Scenario("clone of a dataset", world, clone_dataset),
    Scenario("thick larger clone of a snapshot", with_snapshot, clone_snapshot_larger),
    Scenario("snapshot", world, snapshot),
    Scenario("snapshots of a group", world, snapshot_group),
    Scenario("rename", world, rename),
    Scenario("rename of a snapshot", with_snapshot, rename_snapshot),
    Scenario("retire", world, retire, is_atomic=False, is_undone=False),
    Scenario("destroy", world, destroy, is_undone=False),
    Scenario("destroy of a tombstone", with_tombstone, destroy_tombstone, is_undone=False),
    Scenario("destroy of a snapshot", with_snapshot, destroy_snapshot, is_undone=False),
    Scenario("deferred destroy of a held snapshot", with_hold, defer),
    Scenario("hold", with_snapshot, lambda it: it.hold("v/a@s", "one")),
    Scenario("release", with_hold, release),
    Scenario("release of a deferred snapshot", with_deferred, release, is_undone=False),
    Scenario("resize", world, resize, is_undone=False),
    Scenario("resize thick", world, resize_thick, is_undone=False),
    Scenario(
        "set user properties", world, lambda it: it.set_user_properties("v/a", {"of": "another"})
    ),
)
