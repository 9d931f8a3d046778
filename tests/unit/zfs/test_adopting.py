"""Datasets made by hand: what is found out about them, what is refused, what is written."""

from collections.abc import Callable

import pytest

from csi_zfs.datasets.adoption import NotAdoptableError
from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetExistsError,
    DatasetKind,
    DatasetNotFoundError,
    NewDataset,
    PoolUnavailableError,
)
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.zfs.adopting import LibzfsCoreAdopter
from csi_zfs.zfs.command import NativeProperties
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.outcomes import RecordChangedError
from csi_zfs.zfs.pools import home_of, open_pool
from tests.support.zfs_fake_pools import PARENT, FakeZfs

ZVOL, FILESYSTEM = DatasetKind.ZVOL, DatasetKind.FILESYSTEM
FULL = f"{PARENT}/v/x"


@pytest.fixture(name="adopter")
def fixture_adopter(zfs: FakeZfs) -> LibzfsCoreAdopter:
    home = home_of(PARENT, name="tank", core=zfs.core)
    return LibzfsCoreAdopter(home, NativeProperties(home, zfs.commands), zfs.doors.devices)


@pytest.fixture(name="pool")
def fixture_pool(zfs: FakeZfs) -> LibzfsCoreDatasets:
    return open_pool(PARENT, name="tank", doors=zfs.doors)


def make_zvol(zfs: FakeZfs, **properties: int | str) -> None:
    zfs.core.create(FULL, ZVOL, {"volsize": 64 * MIB, **properties})


def make_filesystem(zfs: FakeZfs, **properties: int | str) -> None:
    zfs.core.create(FULL, FILESYSTEM, {"refquota": 64 * MIB, **properties})


def test_zvol_is_found_with_its_size_its_age_and_what_was_chosen_for_it(
    zfs: FakeZfs, adopter: LibzfsCoreAdopter
) -> None:
    """What it inherits is not its own: a copy inherits it too."""
    made_ns = zfs.clock.now_ns()
    make_zvol(zfs, volblocksize=8192, compression=15)
    zfs.clock.advance(100)
    found = adopter.look("v/x")
    assert (found.kind, found.size_bytes, found.is_thick) == (ZVOL, 64 * MIB, False)
    assert found.properties == {"compression": "lz4", "volblocksize": "8192"}
    assert found.created_ns == made_ns
    assert not adopter.home.read("read", "v/x", property="io.csi-zfs:dataset", native=[]).get(
        "record"
    )


@pytest.mark.parametrize(
    ("reserved_bytes", "is_thick", "properties"),
    [
        (0, False, {}),
        (MIB, False, {"refreservation": str(MIB)}),
        (64 * MIB, True, {}),
        (65 * MIB, True, {}),
    ],
)
def test_reservation_of_all_of_it_makes_it_thick(
    zfs: FakeZfs,
    adopter: LibzfsCoreAdopter,
    reserved_bytes: int,
    *,
    is_thick: bool,
    properties: dict[str, str],
) -> None:
    make_filesystem(zfs, **({"refreservation": reserved_bytes} if reserved_bytes else {}))
    found = adopter.look("v/x")
    assert (found.kind, found.size_bytes) == (FILESYSTEM, 64 * MIB)
    assert (found.is_thick, found.properties) == (is_thick, properties)


def test_adopted_dataset_is_one_of_the_pool_with_its_data_and_snapshots(
    zfs: FakeZfs, adopter: LibzfsCoreAdopter, pool: LibzfsCoreDatasets
) -> None:
    make_zvol(zfs)
    zfs.dataset("v/x").blocks[0] = b"somebody's"
    zfs.core.snapshot([f"{FULL}@by-hand"])
    found = adopter.look("v/x")
    adopter.adopt(found)
    assert pool.get("v/x") == found
    assert list(pool.list()) == [found]
    assert list(pool.list_snapshots()) == []
    assert zfs.dataset("v/x").blocks == {0: b"somebody's"}
    assert pool.resize("v/x", 128 * MIB).size_bytes == 128 * MIB
    clone = pool.clone("v/x", NewDataset("v/c", 128 * MIB))
    assert clone.properties == {"volblocksize": "16384"}


@pytest.mark.parametrize("mountpoint", ["/data", "none", "legacy"])
def test_adopted_file_system_is_mounted_by_nobody_else_from_then_on(
    zfs: FakeZfs, adopter: LibzfsCoreAdopter, pool: LibzfsCoreDatasets, mountpoint: str
) -> None:
    make_filesystem(zfs, mountpoint=mountpoint)
    adopter.look("v/x")
    assert zfs.dataset("v/x").properties["mountpoint"] == mountpoint
    adopter.adopt(adopter.look("v/x"))
    assert zfs.dataset("v/x").properties["mountpoint"] == "legacy"
    assert pool.resize("v/x", GIB // 4).kind is FILESYSTEM


def clone_of_a_snapshot(zfs: FakeZfs) -> None:
    zfs.core.create(f"{PARENT}/v/o", ZVOL, {"volsize": MIB})
    zfs.core.snapshot([f"{PARENT}/v/o@s"])
    zfs.core.clone(FULL, f"{PARENT}/v/o@s", {})


def with_a_child(zfs: FakeZfs) -> None:
    make_filesystem(zfs)
    zfs.core.create(f"{FULL}/below", FILESYSTEM, {})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda zfs: zfs.core.create(FULL, FILESYSTEM, {}), f"`zfs set refquota=SIZE {FULL}`"),
        (clone_of_a_snapshot, f"is a clone of {PARENT}/v/o@s: run `zfs promote {FULL}`"),
        (with_a_child, "has datasets below it"),
        (lambda zfs: make_zvol(zfs, volmode=1), f"run `zfs inherit volmode {FULL}`"),
        (lambda zfs: make_zvol(zfs, volmode=3), f"run `zfs inherit volmode {FULL}`"),
        (lambda zfs: make_zvol(zfs, snapdev=1), f"run `zfs inherit snapdev {FULL}`"),
    ],
)
def test_dataset_that_is_no_good_as_a_volume_is_refused_with_what_to_do(
    zfs: FakeZfs, adopter: LibzfsCoreAdopter, make: Callable[[FakeZfs], None], words: str
) -> None:
    make(zfs)
    with pytest.raises(NotAdoptableError, match=f"(?s){FULL} .*") as refused:
        adopter.look("v/x")
    assert words in str(refused.value)


def test_file_system_that_is_mounted_is_refused(zfs: FakeZfs, adopter: LibzfsCoreAdopter) -> None:
    """Also between the look and the adoption."""
    make_filesystem(zfs)
    found = adopter.look("v/x")
    with zfs.opened(zfs.dataset("v/x")):
        with pytest.raises(DatasetBusyError, match=f"is mounted: run `zfs unmount {FULL}`"):
            adopter.look("v/x")
        with pytest.raises(DatasetBusyError):
            adopter.adopt(found)
    assert "mountpoint" not in zfs.dataset("v/x").properties


def test_missing_dataset_is_proved_absent(zfs: FakeZfs, adopter: LibzfsCoreAdopter) -> None:
    """rules.md A5."""
    with pytest.raises(DatasetNotFoundError):
        adopter.look("v/x")
    zfs.export()
    with pytest.raises(PoolUnavailableError):
        adopter.look("v/x")


def test_dataset_that_got_a_record_meanwhile_keeps_it(
    zfs: FakeZfs, adopter: LibzfsCoreAdopter, pool: LibzfsCoreDatasets
) -> None:
    """Of two that adopt it at once, one does."""
    make_zvol(zfs)
    first, second = adopter.look("v/x"), adopter.look("v/x")
    adopter.adopt(first)
    with pytest.raises(DatasetExistsError):
        adopter.adopt(second)
    assert pool.get("v/x").uid == first.uid


def grow(zfs: FakeZfs) -> None:
    zfs.commands.run(["zfs", "set", f"volsize={128 * MIB}", FULL])


def replace_by_another(zfs: FakeZfs) -> None:
    zfs.core.destroy(FULL)
    make_filesystem(zfs)


@pytest.mark.parametrize("change", [grow, replace_by_another])
def test_dataset_that_changed_meanwhile_is_left_alone(
    zfs: FakeZfs,
    adopter: LibzfsCoreAdopter,
    pool: LibzfsCoreDatasets,
    change: Callable[[FakeZfs], None],
) -> None:
    make_zvol(zfs)
    found = adopter.look("v/x")
    change(zfs)
    with pytest.raises((RecordChangedError, PoolUnavailableError)):
        adopter.adopt(found)
    assert list(pool.list()) == []
