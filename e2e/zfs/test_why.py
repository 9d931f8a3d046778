"""What is said to keep a volume, where it is really kept; and what goes when it is deleted."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from csi_zfs.app import explain
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.keepers import Keeper
from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.settings import load_settings
from e2e.zfs.nodes import POOL, ZfsNode, zfs_node
from tests.support.commands import run
from tests.support.csi_client import CsiClient
from tests.support.csi_messages import block_capability, from_snapshot, mount_capability
from tests.support.process import run_command

LIMIT_S = 900
ZFS, BLOCK = mount_capability(), block_capability()


@dataclass(frozen=True, slots=True)
class Stand:
    """A driver with a pool of its own on the zpool, and settings for the command beside it."""

    node: ZfsNode
    config: Path

    @property
    def client(self) -> CsiClient:
        return self.node.client

    def volume(self, name: str, capability: csi_pb2.VolumeCapability) -> str:
        return self.client.create_volume(name, size_bytes=64 * MIB, capability=capability).volume_id

    def copy(self, name: str, snapshot_id: str) -> str:
        source = from_snapshot(snapshot_id)
        made = self.client.create_volume(name, size_bytes=64 * MIB, capability=ZFS, source=source)
        return made.volume_id

    def why(self, subject: str) -> list[Keeper]:
        """As the command does, in this process: another one takes long to start."""
        return [*explain(load_settings(self.config), subject).keepers]

    def names(self) -> set[str]:
        return {name.removeprefix(f"{self.node.dataset}/v/") for name in self.node.names()}


@pytest.fixture(scope="module", name="stand")
def fixture_stand(zpool: str) -> Iterator[Stand]:
    with zfs_node(zpool) as node:
        config = node.root / "config.yaml"
        settings = {
            "node_id": "this-node",
            "state_dir": str(node.root / "state"),
            "kubelet_dir": str(node.kubelet_dir),
            "pools": [{"name": POOL, "dataset": node.dataset}],
        }
        config.write_text(json.dumps(settings), encoding="utf-8")
        yield Stand(node, config)


@contextmanager
def process(first: str = "true", stdin: int | None = None) -> Iterator[int]:
    """A process in a mount namespace of its own, that has done something there; gives its pid."""
    script = f"{first} && echo ready && exec sleep 3600"
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            yield running.pid
        finally:
            running.kill()


@pytest.mark.timeout(LIMIT_S)
def test_file_system_is_kept_by_the_kubelet_and_by_a_mount_in_another_namespace(
    stand: Stand,
) -> None:
    """rules.md B4: a delete is refused with the same words, and goes once the process ended."""
    volume_id = stand.volume("mounted", ZFS)
    used = stand.node.orchestrator.publish("mounted", volume_id, ZFS)
    found = {str(keeper.kind): keeper for keeper in stand.why(volume_id)}
    assert found.keys() == {"staged", "published", "mount"}
    assert str(used.target_path) in found["published"].words
    stand.node.orchestrator.unpublish(used)
    with process(f"mount -t zfs {stand.node.dataset}/v/mounted /mnt") as pid:
        (keeper,) = stand.why(volume_id)
        assert (keeper.kind, [one.pid for one in keeper.processes]) == ("mount", [pid])
        assert f"process {pid} (sleep)" in keeper.words
        assert f"nsenter -t {pid} -m umount /mnt" in keeper.advice
        with pytest.raises(grpc.RpcError, match=str(pid)) as caught:
            stand.client.delete_volume(volume_id)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert stand.why(volume_id) == []
    stand.client.delete_volume(volume_id)
    assert stand.names() == set()


@pytest.mark.timeout(LIMIT_S)
def test_zvol_is_kept_by_who_has_it_open_and_by_a_device_on_it(stand: Stand) -> None:
    """rules.md B4."""
    volume_id = stand.volume("opened", BLOCK)
    path = f"/dev/zvol/{stand.node.dataset}/v/{VolumeId.parse(volume_id).leaf}"
    run("udevadm", "settle")
    device = Path(path).resolve()
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with process(stdin=descriptor) as pid:
            opens = [one for one in stand.why(volume_id) if one.kind == "open"]
            assert {(one.processes[0].pid, one.advice) for one in opens} == {
                (pid, f"end process {pid}"),
                (os.getpid(), f"end process {os.getpid()}"),
            }
    finally:
        os.close(descriptor)
    loop = run("losetup", "--find", "--show", str(device)).strip()
    try:
        (keeper,) = [one for one in stand.why(volume_id) if one.kind == "device"]
        assert (keeper.words, keeper.advice) == (
            f"{loop} is on it",
            f"`losetup -d {loop}` once nobody uses it",
        )
    finally:
        run("losetup", "--detach", loop)
    run("udevadm", "settle")
    stand.client.delete_volume(volume_id)
    assert stand.names() == set()


@pytest.mark.timeout(LIMIT_S)
def test_deleted_volume_is_kept_by_snapshots_clones_holds_and_a_mount_below_zfs(
    stand: Stand,
) -> None:
    """The command's own words, beside the driver."""
    volume_id = stand.volume("kept", ZFS)
    used = stand.node.orchestrator.publish("kept", volume_id, ZFS)
    (used.target_path / "file").write_text("before")
    snapshot = stand.client.create_snapshot("s", volume_id)
    dataset = f"{stand.node.dataset}/v/kept"
    run("ls", str(used.target_path / ".zfs" / "snapshot" / "s"))
    mounted = [one for one in stand.why(snapshot.snapshot_id) if one.kind == "mount"]
    assert mounted
    assert all(".zfs/snapshot/s" in one.words for one in mounted)
    for one in mounted:
        run("umount", one.words.split()[2])
    run("zfs", "snapshot", f"{dataset}@by:hand")
    run("zfs", "hold", "backup", f"{dataset}@s")
    copy_id = stand.copy("copy", snapshot.snapshot_id)
    stand.node.orchestrator.unpublish(used)
    stand.client.delete_volume(volume_id)

    shown = json.loads(
        run_command("why", volume_id, "--config", str(stand.config), "--output", "json")
    )
    tombstone = f"{stand.node.dataset}/v/D-{VolumeId.parse(volume_id).uid}"
    assert (shown["title"], shown["name"]) == ("deleted volume", tombstone)
    assert [(one["kind"], one["name"], one["advice"]) for one in shown["keepers"]] == [
        ("snapshot", f"{tombstone}@s", f"delete snapshot {snapshot.snapshot_id}"),
        ("clone", f"{tombstone}@s", f"delete volume {copy_id}"),
        (
            "hold",
            f"{tombstone}@s",
            f"`zfs release backup {tombstone}@s` once its holder needs it no more",
        ),
        ("snapshot", f"{tombstone}@by:hand", f"`zfs destroy {tombstone}@by:hand`"),
    ]
    told = run_command("why", snapshot.snapshot_id, "--config", str(stand.config))
    assert told.startswith(f"snapshot {snapshot.snapshot_id}, {tombstone}@s on pool tank\n")
    assert f"clone     {tombstone}@s: volume {copy_id} was made of it. Next: delete" in told
    assert f"hold      {tombstone}@s: held with the tag backup since 20" in told

    run("zfs", "release", "backup", f"{tombstone}@s")
    run("zfs", "destroy", f"{tombstone}@by:hand")
    stand.client.delete_snapshot(snapshot.snapshot_id)
    stand.client.delete_volume(copy_id)
    assert stand.names() == set()


@pytest.mark.timeout(LIMIT_S)
def test_delete_of_a_changed_volume_gives_its_space_back_at_once(stand: Stand) -> None:
    """rules.md A3: its snapshot lives on below the copy that was made of it."""
    volume_id = stand.volume("changed", ZFS)
    used = stand.node.orchestrator.publish("changed", volume_id, ZFS)
    (used.target_path / "file").write_text("before")
    snapshot = stand.client.create_snapshot("s", volume_id)
    copy_id = stand.copy("copy", snapshot.snapshot_id)
    (used.target_path / "large").write_bytes(os.urandom(32 * MIB))
    stand.node.orchestrator.unpublish(used)
    before = used_bytes(stand)
    stand.client.delete_volume(volume_id)
    assert stand.names() == {"copy", "copy@s"}
    assert before - used_bytes(stand) > 30 * MIB

    restored_id = stand.copy("restored", snapshot.snapshot_id)
    restored = stand.node.orchestrator.publish("restored", restored_id, ZFS)
    assert (restored.target_path / "file").read_text() == "before"
    stand.node.orchestrator.unpublish(restored)
    stand.client.delete_volume(copy_id)
    stand.client.delete_snapshot(snapshot.snapshot_id)
    assert stand.names() == {"restored"}
    stand.client.delete_volume(restored_id)
    assert stand.names() == set()


def used_bytes(stand: Stand) -> int:
    run("zpool", "wait", "-t", "free", stand.node.dataset.partition("/")[0])
    return int(run("zfs", "get", "-Hp", "-o", "value", "used", stand.node.dataset))
