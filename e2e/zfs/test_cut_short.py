"""What a power cut leaves between the making of a dataset and its properties."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetExistsError, DatasetKind, NewDataset, NewSnapshot
from csi_zfs.datasets.keys import WrappingKey
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.lzc import Properties
from csi_zfs.zfs.pools import Doors, create_pool, open_pool
from tests.support.commands import run

NEW = NewDataset("v/a", 8 * MIB, is_thick=True, properties={"compression": "zstd"})


@pytest.fixture(name="parent")
def fixture_parent(zpool: str, request: pytest.FixtureRequest) -> str:
    return f"{zpool}/{abs(hash(request.node.name)):x}"


@pytest.fixture(name="manager")
def fixture_manager(parent: str) -> Iterator[LibzfsCoreDatasets]:
    doors = Doors(DirectLibzfsCore())
    create_pool(parent, doors)
    yield open_pool(parent, name="tank", doors=doors)
    run("udevadm", "settle")


def cut_short(parent: str, size_bytes: int = NEW.size_bytes) -> None:
    """Make what `create` makes, without any property."""
    DirectLibzfsCore().create(f"{parent}/v/a", DatasetKind.ZVOL, {"volsize": size_bytes})


@pytest.mark.expected_logs("is finished now")
def test_creation_that_was_cut_short_is_finished_by_its_repetition(
    manager: LibzfsCoreDatasets, parent: str
) -> None:
    """rules.md B1: also after a power cut between two transactions."""
    cut_short(parent)
    assert list(manager.list()) == []
    made = manager.create(NEW)
    assert list(manager.list()) == [made]
    columns = ("zfs", "get", "-Hp", "-o", "value", "compression,refreservation", f"{parent}/v/a")
    compression, refreservation = run(*columns).split()
    assert (compression, int(refreservation) > NEW.size_bytes) == ("zstd", True)


def write(parent: str) -> None:
    run("udevadm", "settle")
    with Path(f"/dev/zvol/{parent}/v/a").open("r+b", buffering=0) as device:
        device.write(b"x" * 512)
    run("zpool", "sync")


def snapshot(parent: str) -> None:
    run("zfs", "snapshot", f"{parent}/v/a@mine")


def grow(parent: str) -> None:
    run("zfs", "set", f"volsize={2 * NEW.size_bytes}", f"{parent}/v/a")


def grow_encrypted(parent: str) -> None:
    core = DirectLibzfsCore()
    core.load_key(f"{parent}/v/a", OTHER_KEY)
    grow(parent)
    run("udevadm", "settle")
    core.unload_key(f"{parent}/v/a")


@pytest.mark.parametrize("touch", [write, snapshot, grow])
def test_zvol_that_was_made_by_hand_stays_as_it_is(
    manager: LibzfsCoreDatasets, parent: str, touch: Callable[[str], None]
) -> None:
    """rules.md A2: one that holds data, has a snapshot or another size is somebody's."""
    cut_short(parent)
    touch(parent)
    with pytest.raises(DatasetExistsError):
        manager.create(NEW)
    assert list(manager.list()) == []
    source = run("zfs", "get", "-Hp", "-o", "source", "compression", f"{parent}/v/a").strip()
    assert source != "local"


@pytest.mark.expected_logs("is cloned anew")
@pytest.mark.parametrize("kind", DatasetKind)
def test_clone_that_was_cut_short_is_made_anew(
    manager: LibzfsCoreDatasets, parent: str, kind: DatasetKind
) -> None:
    """rules.md B1: of a snapshot, and of a live dataset, through another hidden snapshot."""
    source = manager.create(NewDataset("v/source", 8 * MIB, kind=kind))
    manager.snapshot([NewSnapshot("v/source@s")])
    for origin in ("v/source@s", "v/source"):
        DirectLibzfsCore().clone(f"{parent}/v/a", f"{parent}/v/source@s", {})
        run("udevadm", "settle")
        made = manager.clone(origin, NewDataset("v/a", 16 * MIB, kind=kind))
        assert {one.name for one in manager.list()} == {"v/a", "v/source"}
        run("udevadm", "settle")
        manager.destroy("v/a", uid=made.uid)
    assert manager.get("v/source") == source


LOCKED = NewDataset(
    "v/a", 8 * MIB, properties={"encryption": "aes-256-gcm"}, key=WrappingKey(b"k" * 32)
)
OTHER_KEY = b"o" * 32
ROOT: Properties = {"encryption": 8, "keyformat": 1, "keylocation": "prompt"}


def cut_short_encrypted(parent: str, kind: DatasetKind) -> None:
    """As above, with a key that nobody knows any more."""
    sizes = {"volsize": LOCKED.size_bytes} if kind is DatasetKind.ZVOL else {}
    core = DirectLibzfsCore()
    core.create(f"{parent}/v/a", kind, {**ROOT, **sizes}, key=OTHER_KEY)
    run("udevadm", "settle")
    core.unload_key(f"{parent}/v/a")


@pytest.mark.expected_logs("is made anew")
@pytest.mark.parametrize("kind", DatasetKind)
def test_encrypted_creation_that_was_cut_short_is_made_anew(
    manager: LibzfsCoreDatasets, parent: str, kind: DatasetKind
) -> None:
    """rules.md B1: the salt was to be in the record, so nobody can open what is there."""
    cut_short_encrypted(parent, kind)
    made = manager.create(replace(LOCKED, kind=kind))
    assert list(manager.list()) == [made]
    manager.keys.require("v/a", WrappingKey(b"k" * 32))


@pytest.mark.parametrize("touch", [snapshot, grow_encrypted])
def test_encrypted_zvol_that_was_made_by_hand_stays_as_it_is(
    manager: LibzfsCoreDatasets, parent: str, touch: Callable[[str], None]
) -> None:
    """rules.md A2."""
    cut_short_encrypted(parent, DatasetKind.ZVOL)
    touch(parent)
    with pytest.raises(DatasetExistsError):
        manager.create(LOCKED)
    DirectLibzfsCore().load_key(f"{parent}/v/a", OTHER_KEY, is_noop=True)
