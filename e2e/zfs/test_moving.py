"""A zpool that moves from one node to another, and what happens if both serve it."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from tests.support.commands import run
from tests.support.csi_messages import (
    block_capability,
    from_snapshot,
    from_volume,
    mount_capability,
)
from tests.support.leftovers import scratch_directory
from tests.support.orchestrator import Orchestrator
from tests.support.process import (
    POOL_NAME,
    DriverPaths,
    RealDriver,
    create_pool,
    driver_command,
    run_command,
    running_driver,
    write_settings,
)

LIMIT_S = 900
REFUSAL_LIMIT_S = 120
SIZE_BYTES = 64 * MIB
TOPOLOGY_KEY = "topology.csi-zfs.io/node"
CAPABILITIES = {
    "ext4": mount_capability("ext4"),
    "native": mount_capability(),
    "raw": block_capability(),
}
DATA = os.urandom(MIB)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster: its name, and where its driver keeps everything but the zpool."""

    node_id: str
    paths: DriverPaths

    def settle_on(self, *pools: Mapping[str, object]) -> None:
        """Write the settings."""
        more: dict[str, object] = {"node_id": self.node_id, "pools": list(pools)}
        if self.paths.kubelet_dir.exists():
            self.paths.kubelet_dir.rmdir()
        write_settings(self.paths, pool_size="", more=more)

    def adopt(self, *words: str) -> list[dict[str, dict[str, object]]]:
        """The PersistentVolumes that `csi-zfs adopt` prints."""
        config = ("--config", str(self.paths.config), "--output", "json")
        items: list[dict[str, dict[str, object]]]
        items = json.loads(run_command("adopt", *config, *words))["items"]
        return items


@contextmanager
def node(node_id: str, *pools: Mapping[str, object]) -> Iterator[Node]:
    with scratch_directory(f"{node_id}-") as root:
        made = Node(node_id, DriverPaths(root))
        made.settle_on(*pools)
        yield made


@pytest.fixture(name="tank")
def fixture_tank(zpool: str) -> dict[str, object]:
    """The settings of a pool that the command has just made."""
    dataset = f"{zpool}/{uuid.uuid4().hex[:12]}"
    run_command("pool", "create", "tank", "--dataset", dataset)
    return {"name": "tank", "dataset": dataset, "thin_ratio": 10}


def write_into(target: Path, data: bytes) -> None:
    path = target / "file" if target.is_dir() else target
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_from(target: Path) -> bytes:
    with (target / "file" if target.is_dir() else target).open("rb") as file:
        return file.read(len(DATA))


def everything(driver: RealDriver) -> tuple[set[str], set[str]]:
    """The ids of all volumes and snapshots."""
    volumes = {one.volume_id for page in driver.client.list_volumes() for one in page}
    snapshots = {one.snapshot_id for page in driver.client.list_snapshots() for one in page}
    return volumes, snapshots


def topologies(driver: RealDriver) -> set[str]:
    return {
        segments
        for page in driver.client.list_volumes()
        for volume in page
        for topology in volume.accessible_topology
        for segments in topology.segments.values()
    }


def fill(driver: RealDriver) -> dict[str, str]:
    """A volume of each kind with data, a snapshot of it, and a clone; what the snapshots are of."""
    client, orchestrator = driver.client, Orchestrator(driver.client, driver.paths.kubelet_dir)
    snapshots: dict[str, str] = {}
    for name, capability in CAPABILITIES.items():
        volume = client.create_volume(name, size_bytes=SIZE_BYTES, capability=capability)
        published = orchestrator.publish(name, volume.volume_id, capability)
        write_into(published.target_path, DATA)
        snapshots[name] = client.create_snapshot(f"of-{name}", volume.volume_id).snapshot_id
        source = from_volume(volume.volume_id)
        client.create_volume(
            f"clone-{name}", size_bytes=SIZE_BYTES, capability=capability, source=source
        )
        orchestrator.unpublish(published)
    return snapshots


def move(zpool: str) -> None:
    """Export a zpool, and import it as another machine would."""
    (_, vdev) = run("zpool", "list", "-HvP", "-o", "name", zpool).split()[:2]
    run("udevadm", "settle")
    run("zpool", "export", zpool)
    run("zpool", "import", "-N", "-d", str(Path(vdev).parent), zpool)


def require_all_read(driver: RealDriver, objects: list[dict[str, dict[str, object]]]) -> None:
    """Use each PersistentVolume as its node's kubelet does."""
    orchestrator = Orchestrator(driver.client, driver.paths.kubelet_dir)
    for one in objects:
        name, source = str(one["metadata"]["name"]), one["spec"]["csi"]
        assert isinstance(source, dict)
        is_block = one["spec"]["volumeMode"] == "Block"
        capability = block_capability() if is_block else mount_capability(source["fsType"])
        published = orchestrator.publish(name, source["volumeHandle"], capability)
        assert read_from(published.target_path) == DATA
        orchestrator.unpublish(published)


def require_restored(driver: RealDriver, snapshots: dict[str, str]) -> None:
    orchestrator = Orchestrator(driver.client, driver.paths.kubelet_dir)
    for name, snapshot_id in snapshots.items():
        capability, source = CAPABILITIES[name], from_snapshot(snapshot_id)
        volume = driver.client.create_volume(
            f"restored-{name}", size_bytes=SIZE_BYTES, capability=capability, source=source
        )
        (topology,) = volume.accessible_topology
        assert topology.segments == {TOPOLOGY_KEY: "node-b"}
        published = orchestrator.publish(f"restored-{name}", volume.volume_id, capability)
        assert read_from(published.target_path) == DATA
        orchestrator.unpublish(published)


@pytest.mark.timeout(LIMIT_S)
def test_zpool_that_moves_has_all_volumes_and_snapshots_under_the_same_ids(
    zpool: str, tank: dict[str, object]
) -> None:
    with node("node-a", tank) as a, node("node-b", tank) as b:
        with running_driver(a.paths) as driver:
            snapshots = fill(driver)
            before = everything(driver)
            assert topologies(driver) == {"node-a"}
        move(zpool)
        with running_driver(b.paths) as driver:
            assert everything(driver) == before
            assert topologies(driver) == {"node-b"}
            objects = b.adopt("--storage-class", "tank", "--dry-run")
            assert {str(one["metadata"]["name"]) for one in objects} == {
                name for kind in CAPABILITIES for name in (kind, f"clone-{kind}")
            }
            assert json.dumps(objects).count('"node-b"') == len(objects)
            require_all_read(driver, objects)
            require_restored(driver, snapshots)


def refused_start(refused: Node) -> str:
    """What a driver says that has no pool to serve."""
    ended = subprocess.run(
        driver_command("node", "--config", str(refused.paths.config)),
        capture_output=True,
        check=False,
        text=True,
        timeout=REFUSAL_LIMIT_S,
    )
    assert ended.returncode == 1, ended.stderr
    return ended.stderr


@pytest.mark.timeout(LIMIT_S)
def test_second_driver_of_a_pool_is_refused_until_the_first_ends_however_it_does(
    tank: dict[str, object],
) -> None:
    """It serves its other pools meanwhile, and says who has this one."""
    with node("node-a", tank) as a, node("node-b", tank) as b:
        create_pool(b.paths, pool_size="1Gi")
        embedded = {"name": POOL_NAME, "path": str(b.paths.pool), "size": "1Gi"}
        with running_driver(a.paths) as first:
            volume = first.client.create_volume("a", size_bytes=SIZE_BYTES)
            words = refused_start(b)
            assert f"{tank['dataset']} is served by node-a on" in words
            assert "so node-b on" in words

            b.settle_on(embedded, tank)
            with running_driver(b.paths) as second:
                request = csi_pb2.NodeGetStorageHealthRequest()
                health = second.client.call(second.client.node.NodeGetStorageHealth, request)
                assert [one.reason for one in health.backend_health] == ["PoolNotOpened"]
                with pytest.raises(grpc.RpcError, match=r"StatusCode\.UNAVAILABLE"):
                    second.client.delete_volume(volume.volume_id)
                other = second.client.create_volume("b", parameters={"pool": POOL_NAME})
                second.client.delete_volume(other.volume_id)
                shown = json.loads(
                    run_command("pool", "list", "--dataset", str(tank["dataset"]), "-o", "json")
                )
                assert (shown[0]["volumes"], shown[0]["findings"]) == (1, [])

            first.kill()
            b.settle_on(tank)
            with running_driver(b.paths) as second:
                assert everything(second)[0] == {volume.volume_id}
                second.client.delete_volume(volume.volume_id)


@pytest.mark.timeout(LIMIT_S)
def test_driver_whose_zpool_was_taken_over_does_nothing_more(
    zpool: str, tank: dict[str, object]
) -> None:
    """An import forgets who had it, also under a driver that runs: the last one has it."""
    with node("node-a", tank) as a, node("node-b", tank) as b, running_driver(a.paths) as first:
        volume = first.client.create_volume("a", size_bytes=SIZE_BYTES)
        move(zpool)
        first.client.create_snapshot("still-here", volume.volume_id)
        with running_driver(b.paths) as second:
            with pytest.raises(grpc.RpcError, match="another driver has taken over"):
                first.client.create_snapshot("too-late", volume.volume_id)
            assert len(everything(second)[1]) == 1
