"""The driver as a process on a zpool, made and looked after by its own commands."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from rich.console import Console

from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.rpc.generated import csi_pb2
from e2e.demo.scene import Scene, room_of
from e2e.demo.steps.crash import play_crash
from e2e.demo.steps.deletion import play_deletion
from e2e.demo.steps.devices import play_devices
from e2e.demo.steps.documents import play_documents
from e2e.demo.steps.groups import play_groups
from e2e.demo.table import StepTable
from tests.support.commands import run
from tests.support.csi_messages import from_snapshot, from_volume, mount_capability
from tests.support.leftovers import find_leftovers, scratch_directory
from tests.support.orchestrator import Orchestrator
from tests.support.process import (
    POOL_NAME,
    DriverFailedError,
    DriverPaths,
    RealDriver,
    create_pool,
    run_command,
    running_driver,
    write_settings,
)

LIMIT_S = 900
EXT4 = mount_capability("ext4")
ZFS = mount_capability()
EMBEDDED_SIZE = "1Gi"
CLASS = {"pool": "tank", "volblocksize": "8k", "compression": "lz4"}


@pytest.fixture(name="paths")
def fixture_paths() -> Iterator[DriverPaths]:
    """Where the driver keeps everything."""
    with scratch_directory("driver-") as root:
        yield DriverPaths(root)


@pytest.fixture(name="vdev_directory")
def fixture_vdev_directory(zpool: str) -> str:
    """Where a later `zpool import` finds the zpool."""
    (path,) = run("zpool", "list", "-HvP", "-o", "name", zpool).split()[1:2]
    return str(Path(path).parent)


def pool_on(dataset: str) -> dict[str, object]:
    return {"name": "tank", "dataset": dataset, "thin_ratio": 10}


def native(dataset: str, name: str) -> str:
    return run("zfs", "get", "-Hp", "-o", "value", name, dataset).strip()


def all_below(dataset: str) -> list[str]:
    """All that is there of volumes."""
    names = run("zfs", "list", "-H", "-r", "-t", "all", "-o", "name", dataset).split()
    return [name for name in names if name.startswith(f"{dataset}/v/")]


def shown(*words: str) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(
        run_command("pool", "list", *words, "--output", "json")
    )
    return listed


def require_nothing_left(driver: RealDriver, dataset: str) -> None:
    paths = driver.paths
    run("udevadm", "settle")
    assert all_below(dataset) == []
    driver.stop()
    find_leftovers(paths.root, paths.kubelet_dir, paths.state_dir).require_none()


@pytest.mark.timeout(LIMIT_S)
def test_whole_life_of_volumes_leaves_nothing_in_the_zpool(
    paths: DriverPaths, dataset: str
) -> None:
    """rules.md A3: deleted in an order that nobody would choose, after a kill -9."""
    write_settings(paths, pool_size="", more={"pools": [pool_on(dataset)]})
    with running_driver(paths) as driver:
        orchestrator = Orchestrator(driver.client, paths.kubelet_dir)
        scene = Scene(driver, orchestrator, StepTable(Console(width=120)))
        documents = play_documents(scene)
        devices = play_devices(scene)
        groups = play_groups(scene)
        play_crash(scene, documents.restored)
        (status,) = shown("--dataset", dataset)
        assert (status["state"], status["volumes"], status["snapshots"]) == ("ONLINE", 11, 5)
        play_deletion(scene, documents, devices, groups)
        require_nothing_left(driver, dataset)
    (status,) = shown("--dataset", dataset)
    assert (status["volumes"], status["snapshots"], status["findings"]) == (0, 0, [])


@pytest.mark.timeout(LIMIT_S)
def test_ext4_volume_is_copied_grown_and_changed_across_restarts(
    paths: DriverPaths, dataset: str
) -> None:
    """rules.md A8: what a class chooses is what the zvol has, and its copies."""
    write_settings(paths, pool_size="", more={"pools": [pool_on(dataset)]})
    with running_driver(paths) as driver:
        client = driver.client
        orchestrator = Orchestrator(client, paths.kubelet_dir)
        volume = client.create_volume("a", size_bytes=64 * MIB, capability=EXT4, parameters=CLASS)
        assert native(f"{dataset}/v/a", "volblocksize") == "8192"
        published = orchestrator.publish("a", volume.volume_id, EXT4)
        (published.target_path / "file").write_text("before")
        snapshot = client.create_snapshot("s", volume.volume_id)
        (published.target_path / "file").write_text("after")
        clone = client.create_volume(
            "c", size_bytes=64 * MIB, capability=EXT4, source=from_volume(volume.volume_id)
        )
        driver.stop()
        driver.start()

        restored = client.create_volume(
            "r", size_bytes=GIB, capability=EXT4, source=from_snapshot(snapshot.snapshot_id)
        )
        assert native(f"{dataset}/v/r", "compression") == "lz4"
        larger = orchestrator.publish("r", restored.volume_id, EXT4)
        assert (larger.target_path / "file").read_text() == "before"
        assert room_of(larger) > 900 * MIB
        cloned = orchestrator.publish("c", clone.volume_id, EXT4)
        assert (cloned.target_path / "file").read_text() == "after"
        orchestrator.expand(published, 256 * MIB)
        assert room_of(published) > 200 * MIB
        change = csi_pb2.ControllerModifyVolumeRequest(
            volume_id=volume.volume_id, mutable_parameters={"compression": "zstd"}
        )
        client.call(client.controller.ControllerModifyVolume, change)
        assert native(f"{dataset}/v/a", "compression") == "zstd"

        for used in (published, larger, cloned):
            orchestrator.unpublish(used)
        client.delete_volume(volume.volume_id)
        # The clone has all of its snapshots now, so that nobody needs what was only the volume's.
        assert f"{dataset}/v/c@s" in all_below(dataset)
        assert not any(
            name.startswith((f"{dataset}/v/a", f"{dataset}/v/D-")) for name in all_below(dataset)
        )
        driver.stop()
        driver.start()
        client.delete_snapshot(snapshot.snapshot_id)
        client.delete_volume(restored.volume_id)
        client.delete_volume(clone.volume_id)
        require_nothing_left(driver, dataset)


@pytest.mark.timeout(LIMIT_S)
def test_file_system_volume_is_copied_grown_and_changed_across_restarts(
    paths: DriverPaths, dataset: str
) -> None:
    """rules.md A8, A9: what is made where nobody asks for another file system."""
    write_settings(paths, pool_size="", more={"pools": [pool_on(dataset)]})
    with running_driver(paths) as driver:
        client = driver.client
        orchestrator = Orchestrator(client, paths.kubelet_dir)
        chosen = {"pool": "tank", "recordsize": "16k", "acltype": "posix"}
        volume = client.create_volume("a", size_bytes=64 * MIB, capability=ZFS, parameters=chosen)
        assert native(f"{dataset}/v/a", "recordsize") == "16384"
        published = orchestrator.publish("a", volume.volume_id, ZFS)
        (published.target_path / "file").write_text("before")
        snapshot = client.create_snapshot("s", volume.volume_id)
        (published.target_path / "file").write_text("after")
        with pytest.raises(OSError, match="quota"):
            (published.target_path / "large").write_bytes(os.urandom(128 * MIB))
        (published.target_path / "large").unlink()
        assert orchestrator.expand(published, 256 * MIB) == 256 * MIB
        assert room_of(published) > 250 * MIB
        driver.stop()
        driver.start()

        assert (published.target_path / "file").read_text() == "after"
        restored = client.create_volume(
            "r", size_bytes=GIB, capability=ZFS, source=from_snapshot(snapshot.snapshot_id)
        )
        clone = client.create_volume(
            "c", size_bytes=256 * MIB, capability=ZFS, source=from_volume(volume.volume_id)
        )
        larger = orchestrator.publish("r", restored.volume_id, ZFS)
        assert (larger.target_path / "file").read_text() == "before"
        assert room_of(larger) > 1000 * MIB
        cloned = orchestrator.publish("c", clone.volume_id, ZFS)
        assert (cloned.target_path / "file").read_text() == "after"
        assert native(f"{dataset}/v/c", "acltype") == "posix"
        with pytest.raises(grpc.RpcError, match=r"StatusCode\.INVALID_ARGUMENT"):
            client.create_volume(
                "e", size_bytes=GIB, capability=EXT4, source=from_volume(volume.volume_id)
            )

        for used in (published, larger, cloned):
            orchestrator.unpublish(used)
        client.delete_volume(volume.volume_id)
        client.delete_snapshot(snapshot.snapshot_id)
        client.delete_volume(restored.volume_id)
        client.delete_volume(clone.volume_id)
        require_nothing_left(driver, dataset)


@pytest.mark.timeout(LIMIT_S)
def test_zpool_that_is_away_leaves_the_embedded_pool_served(
    paths: DriverPaths, dataset: str, vdev_directory: str
) -> None:
    """rules.md A5, B5: what is on it is never "not found", and is there again afterwards."""
    zpool = dataset.partition("/")[0]
    create_pool(paths, pool_size=EMBEDDED_SIZE)
    embedded = {"name": POOL_NAME, "path": str(paths.pool), "size": EMBEDDED_SIZE}
    write_settings(paths, pool_size="", more={"pools": [embedded, pool_on(dataset)]})
    with running_driver(paths) as driver:
        client = driver.client
        ids = {
            pool: client.create_volume(pool, size_bytes=MIB, parameters={"pool": pool}).volume_id
            for pool in (POOL_NAME, "tank")
        }
        driver.stop()
        run("udevadm", "settle")
        run("zpool", "export", zpool)
        (status,) = shown("--dataset", dataset)
        assert status["state"] == "NOT_IMPORTED"
        assert f"`zpool import {zpool}`" in str(status["findings"])
        with pytest.raises(DriverFailedError, match=f"zpool {zpool} is not imported"):
            run_command("pool", "create", "tank", "--dataset", dataset)

        driver.start()
        with pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
            client.delete_volume(ids["tank"])
        request = csi_pb2.NodeGetStorageHealthRequest()
        health = client.call(client.node.NodeGetStorageHealth, request)
        assert [found.reason for found in health.backend_health] == ["PoolNotOpened"]
        client.delete_volume(ids[POOL_NAME])

        run("zpool", "import", "-N", "-d", vdev_directory, zpool)
        driver.stop()
        driver.start()
        assert [[volume.volume_id for volume in page] for page in client.list_volumes()] == [
            [ids["tank"]]
        ]
        client.delete_volume(ids["tank"])
        assert all_below(dataset) == []


def test_pool_is_made_once_and_looked_after_by_its_own_commands(
    paths: DriverPaths, dataset: str
) -> None:
    write_settings(paths, pool_size="", more={"pools": [pool_on(dataset)]})
    config = ("--config", str(paths.config), "--output", "json")
    (listed,) = json.loads(run_command("pool", "list", *config))
    shown_alone = json.loads(run_command("pool", "show", "tank", *config))
    made_again = json.loads(
        run_command("pool", "create", "tank", "--dataset", dataset, "--output", "json")
    )
    assert len({status["pool_id"] for status in (listed, shown_alone, made_again)}) == 1
    assert (listed["kind"], listed["state"], listed["findings"]) == ("openzfs", "ONLINE", [])
    assert listed["pool_id"] == native(dataset, "io.csi-zfs:pool_id")
    assert 0 < listed["free_bytes"] <= listed["total_bytes"]
    (absent,) = shown("--dataset", f"{dataset}-2")
    assert "make it a pool first" in str(absent["findings"])
    nowhere = f"{dataset.partition('/')[0]}/nowhere"
    with pytest.raises(DriverFailedError, match=f"there is no {nowhere}: make it with `zfs create"):
        run_command("pool", "create", "tank", "--dataset", f"{nowhere}/csi")


@pytest.mark.timeout(LIMIT_S)
def test_pool_that_is_missing_is_made_at_the_start_where_the_settings_say_so(
    paths: DriverPaths, dataset: str
) -> None:
    own = f"{dataset.partition('/')[0]}/made-{paths.root.name}"
    write_settings(paths, pool_size="", more={"pools": [pool_on(own) | {"create": True}]})
    with running_driver(paths) as driver:
        volume = driver.client.create_volume("kept", size_bytes=MIB)
        driver.stop()
        driver.start()
        assert [[one.volume_id for one in page] for page in driver.client.list_volumes()] == [
            [volume.volume_id]
        ]
        driver.client.delete_volume(volume.volume_id)
        require_nothing_left(driver, own)
