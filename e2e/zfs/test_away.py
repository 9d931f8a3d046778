"""A zpool that is exported under a driver that runs, comes back, or comes back as another one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import grpc
import pytest

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.zfs.binding import DirectLibzfsCore
from e2e.zfs.nodes import POOL, ZfsNode, outcome_of, zfs_node
from tests.support.commands import run
from tests.support.csi_messages import (
    block_capability,
    from_snapshot,
    from_volume,
    mount_capability,
)
from tests.support.zfs_pools import Zpool, made_zpool

BLOCK = block_capability()
ZFS = mount_capability()
SIZE_BYTES = 16 * MIB


@pytest.fixture(name="zpool_object", scope="module")
def fixture_zpool_object(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zpool]:
    """A zpool that a test exports."""
    with made_zpool(tmp_path_factory.mktemp("zpool"), DirectLibzfsCore()) as zpool:
        yield zpool


@pytest.fixture(name="node", scope="module")
def fixture_node(zpool_object: Zpool) -> Iterator[ZfsNode]:
    """A driver on it."""
    with zfs_node(zpool_object.name) as node:
        yield node


def calls_into_the_pool(
    node: ZfsNode, snapshot: csi_pb2.Snapshot, group: csi_pb2.VolumeGroupSnapshot
) -> dict[str, Callable[[], object]]:
    """Each call that has to know what is on the pool."""
    client = node.client
    controller = client.controller
    volume_id = snapshot.source_volume_id
    members = [member.source_volume_id for member in group.snapshots]
    never = f"{volume_id.rpartition(':')[0]}:00000000000000aa"
    create = partial(client.create_volume, size_bytes=SIZE_BYTES, capability=BLOCK)
    staging, target = node.kubelet_dir / "staging", node.kubelet_dir / "target"
    change = csi_pb2.ControllerModifyVolumeRequest(
        volume_id=volume_id, mutable_parameters={"compression": "zstd"}
    )
    capacity = csi_pb2.GetCapacityRequest(parameters={"pool": POOL})
    return {
        "create": partial(create, "new"),
        "create again": partial(create, "disk"),
        "clone": partial(create, "new", source=from_volume(volume_id)),
        "restore": partial(create, "new", source=from_snapshot(snapshot.snapshot_id)),
        "delete": partial(client.delete_volume, volume_id),
        "delete what never was": partial(client.delete_volume, never),
        "snapshot": partial(client.create_snapshot, "new", volume_id),
        "snapshot again": partial(client.create_snapshot, "s", volume_id),
        "delete snapshot": partial(client.delete_snapshot, snapshot.snapshot_id),
        "group": partial(client.create_group_snapshot, "new", [volume_id]),
        "group again": partial(client.create_group_snapshot, "g", members),
        "delete group": partial(client.delete_group_snapshot, group),
        "expand": partial(client.expand_volume, volume_id, 2 * SIZE_BYTES),
        "change": partial(client.call, controller.ControllerModifyVolume, change),
        "capacity": partial(client.call, controller.GetCapacity, capacity),
        "stage": partial(client.stage, volume_id, staging, BLOCK),
        "publish": partial(client.publish, volume_id, staging, target, BLOCK),
    }


@pytest.mark.timeout(300)
def test_exported_zpool_is_unavailable_and_goes_on_without_a_restart(
    node: ZfsNode, zpool_object: Zpool
) -> None:
    """rules.md A5: also for another zpool of the same name, with a parent of the same name."""
    client = node.client
    volume_id = client.create_volume("disk", size_bytes=SIZE_BYTES, capability=BLOCK).volume_id
    used = node.published("files", ZFS, SIZE_BYTES)
    (used.target_path / "file").write_text("before")
    snapshot = client.create_snapshot("s", volume_id)
    group = client.create_group_snapshot("g", [volume_id, used.volume_id])
    calls = calls_into_the_pool(node, snapshot, group)
    node.orchestrator.unpublish(used)
    before = node.names()

    run("udevadm", "settle")
    run("zpool", "export", zpool_object.name)
    require_unavailable(calls)
    assert set(node.findings()) == {"PoolUnavailable"}
    # A node lets go of what it has, whatever becomes of the pool (rules.md B5).
    client.unpublish(volume_id, node.kubelet_dir / "target")
    client.unstage(volume_id, node.kubelet_dir / "staging")

    with another_zpool(zpool_object, node.dataset):
        require_unavailable(calls)

    run("zpool", "import", "-N", "-d", str(zpool_object.file.parent), zpool_object.name)
    assert node.names() == before
    assert node.findings() == {}
    again = node.orchestrator.publish("files", used.volume_id, ZFS)
    assert (again.target_path / "file").read_text() == "before"
    node.orchestrator.unpublish(again)
    client.unstage(volume_id, node.kubelet_dir / "staging")
    client.delete_group_snapshot(group)
    client.delete_snapshot(snapshot.snapshot_id)
    for one in (volume_id, used.volume_id):
        client.delete_volume(one)
    node.require_empty()


def require_unavailable(calls: dict[str, Callable[[], object]]) -> None:
    for name, call in calls.items():
        assert outcome_of(call) is grpc.StatusCode.UNAVAILABLE, name


@contextmanager
def another_zpool(zpool: Zpool, dataset: str) -> Iterator[None]:
    """A zpool of the same name, with an empty dataset where our parent was, for a `with` block."""
    file = zpool.file.with_name("another")
    with file.open("wb") as vdev:
        vdev.truncate(256 * MIB)
    run("zpool", "create", "-O", "mountpoint=none", zpool.name, str(file))
    try:
        run("zfs", "create", "-p", f"{dataset}/v")
        yield
    finally:
        run("zpool", "destroy", zpool.name)
        file.unlink()
