"""Datasets that are file systems, where real OpenZFS has more to say than the contract asks."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetExistsError,
    DatasetKind,
    NewDataset,
    NewSnapshot,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.pools import Doors, create_pool, open_pool
from tests.support.commands import run

NEW = NewDataset(
    "v/a",
    64 * MIB,
    DatasetKind.FILESYSTEM,
    is_thick=True,
    properties={"compression": "zstd", "recordsize": "16K", "casesensitivity": "mixed"},
)


@pytest.fixture(name="parent")
def fixture_parent(zpool: str, request: pytest.FixtureRequest) -> str:
    return f"{zpool}/{abs(hash(request.node.name)):x}"


@pytest.fixture(name="manager")
def fixture_manager(parent: str) -> LibzfsCoreDatasets:
    doors = Doors(DirectLibzfsCore())
    create_pool(parent, doors)
    return open_pool(parent, name="tank", doors=doors)


def native(dataset: str, *names: str) -> list[str]:
    return run("zfs", "get", "-Hp", "-o", "value", ",".join(names), dataset).split()


def test_file_system_has_the_properties_that_hold_its_size(
    manager: LibzfsCoreDatasets, parent: str
) -> None:
    """rules.md A8, A9: a refquota and no quota; a clone has its own, and what its class chose."""
    manager.create(NEW)
    size = str(NEW.size_bytes)
    names = ("refquota", "refreservation", "quota", "mountpoint", "recordsize", "casesensitivity")
    assert native(f"{parent}/v/a", *names) == [size, size, "0", "legacy", "16384", "mixed"]
    manager.resize("v/a", 2 * NEW.size_bytes)
    grown = str(2 * NEW.size_bytes)
    assert native(f"{parent}/v/a", *names[:2]) == [grown, grown]
    larger = NewDataset("v/c", 3 * NEW.size_bytes, DatasetKind.FILESYSTEM)
    manager.clone("v/a", larger)
    assert native(f"{parent}/v/c", *names) == [
        *(str(larger.size_bytes), "0", "0", "legacy", "16384", "mixed")
    ]
    assert native(f"{parent}/v/c", "compression") == ["zstd"]
    with pytest.raises(UnsupportedFeatureError):
        manager.clone("v/a", NewDataset("v/z", larger.size_bytes))


@pytest.fixture(name="namespace")
def fixture_namespace(manager: LibzfsCoreDatasets, parent: str, tmp_path: Path) -> Iterator[None]:
    """A mount of the file system in a mount namespace of its own."""
    manager.create(NEW)
    script = f"mount -t zfs {parent}/v/a {tmp_path} && echo mounted && cat"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mounted\n"
        yield


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("has_snapshot", [False, True])
def test_file_system_that_is_mounted_in_another_namespace_is_busy(
    manager: LibzfsCoreDatasets, parent: str, *, has_snapshot: bool
) -> None:
    """rules.md B4: the kernel would rename it below its user."""
    uid = manager.get("v/a").uid
    if has_snapshot:
        manager.snapshot([NewSnapshot("v/a@s")])
    else:
        with pytest.raises(DatasetBusyError):
            manager.destroy("v/a", uid=uid)
    with pytest.raises(DatasetBusyError):
        manager.retire("v/a", tombstone_of(uid))
    assert native(f"{parent}/v/a", "mountpoint", "readonly") == ["legacy", "off"]


def test_tombstone_is_hidden_and_its_snapshots_stay(
    manager: LibzfsCoreDatasets, parent: str, tmp_path: Path
) -> None:
    uid = manager.create(NEW).uid
    (taken,) = manager.snapshot([NewSnapshot("v/a@s")])
    tombstone = tombstone_of(uid)
    manager.retire("v/a", tombstone)
    names = ("mountpoint", "readonly", "refreservation")
    assert native(f"{parent}/{tombstone}", *names) == ["none", "on", "0"]
    refused = subprocess.run(
        ["mount", "-t", "zfs", f"{parent}/{tombstone}", tmp_path], check=False, capture_output=True
    )
    assert refused.returncode != 0
    manager.clone(f"{tombstone}@s", NewDataset("v/r", NEW.size_bytes, DatasetKind.FILESYSTEM))
    assert native(f"{parent}/v/r", "mountpoint", "readonly") == ["legacy", "off"]
    assert manager.get_snapshot(f"{tombstone}@s").uid == taken.uid


@pytest.mark.expected_logs("is finished now")
def test_creation_that_was_cut_short_is_finished_by_its_repetition(
    manager: LibzfsCoreDatasets, parent: str
) -> None:
    """rules.md B1: what the kernel makes in one transaction is there, the properties are not."""
    DirectLibzfsCore().create(f"{parent}/v/a", NEW.kind, {"casesensitivity": 2})
    made = manager.create(NEW)
    assert list(manager.list()) == [made]
    size = str(NEW.size_bytes)
    names = ("refquota", "refreservation", "mountpoint", "compression")
    assert native(f"{parent}/v/a", *names) == [size, size, "legacy", "zstd"]


@pytest.mark.parametrize("made_by_hand", ["filled", "snapshot", "otherwise"])
def test_file_system_that_was_made_by_hand_stays_as_it_is(
    manager: LibzfsCoreDatasets, parent: str, tmp_path: Path, made_by_hand: str
) -> None:
    """rules.md A2: one that holds data, has a snapshot or was made differently is somebody's."""
    properties = {} if made_by_hand == "otherwise" else {"casesensitivity": 2}
    DirectLibzfsCore().create(f"{parent}/v/a", NEW.kind, properties)
    if made_by_hand == "filled":
        run("mount", "-i", "-t", "zfs", f"{parent}/v/a", str(tmp_path))
        (tmp_path / "file").write_bytes(b"x" * 4096)
        run("umount", str(tmp_path))
    if made_by_hand == "snapshot":
        run("zfs", "snapshot", f"{parent}/v/a@mine")
    with pytest.raises(DatasetExistsError):
        manager.create(NEW)
    assert list(manager.list()) == []
    assert native(f"{parent}/v/a", "refquota") == ["0"]
