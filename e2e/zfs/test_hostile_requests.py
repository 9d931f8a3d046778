"""Names and values that somebody sends who means no good, as far as OpenZFS itself.

rules.md C1, C2: a name is any text, and only its leaf is a dataset's; a value is one of a list.
"""

from collections.abc import Iterator

import grpc
import pytest

from csi_zfs.datasets import names
from csi_zfs.domain.sizes import MIB
from e2e.zfs.nodes import POOL, ZfsNode, refused, zfs_node
from tests.support.csi_messages import block_capability, from_snapshot, mount_capability

NAME_BYTES = 128
NAMES = (
    "x" * NAME_BYTES,
    "ä" * (NAME_BYTES // 2),
    "--help",
    "a@b#c%d",
    "../../etc/passwd",
    "on;rm -rf $(pwd) `id` | x && y",
    "'\"\\",
    "D-0123456789abcdef",
    "h-0123456789abcdef0123456789abcdef",
    "\u202ea\u0301",
)
VALUES = ("-o", "--help", "on;rm", "on,exec=on", "on\nexec=on", "=", "", "on\0", "../on", "x" * 300)
PROPERTIES = ("compression", "recordsize", "sync")
FORBIDDEN = ("mountpoint", "sharenfs", "exec", "canmount", "-o", "--help", "io.csi-zfs:record")
BLOCK, ZFS = block_capability(), mount_capability()
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(name="node", scope="module")
def fixture_node(zpool: str) -> Iterator[ZfsNode]:
    """A driver for all tests of this module."""
    with zfs_node(zpool) as node:
        yield node


@pytest.mark.timeout(300)
def test_name_of_any_text_is_a_volume_and_a_snapshot_of_its_own(node: ZfsNode) -> None:
    client = node.client
    volumes = {
        name: client.create_volume(
            name, size_bytes=MIB, capability=(BLOCK, ZFS)[number % 2]
        ).volume_id
        for number, name in enumerate(NAMES)
    }
    snapshots = {
        name: client.create_snapshot(name, volume_id).snapshot_id
        for name, volume_id in volumes.items()
    }
    made = {f"{node.dataset}/v/{names.leaf_of(name)}" for name in NAMES}
    assert len(made) == len(NAMES)
    with_snapshots = {f"{one}@{one.rpartition('/')[2]}" for one in made}
    assert set(node.names()) == made | with_snapshots
    for name, volume_id in volumes.items():
        again = client.create_volume(
            name, size_bytes=MIB, capability=ZFS if NAMES.index(name) % 2 else BLOCK
        )
        assert again.volume_id == volume_id
        assert client.create_snapshot(name, volume_id).snapshot_id == snapshots[name]
    for name in NAMES:
        client.delete_volume(volumes[name])
        client.delete_snapshot(snapshots[name])
    node.require_empty()


def test_value_that_looks_like_a_flag_or_a_command_reaches_no_dataset(node: ZfsNode) -> None:
    client = node.client
    volume_id = client.create_volume("kept", size_bytes=MIB, capability=ZFS).volume_id
    snapshot = client.create_snapshot("s", volume_id)
    before = node.names()
    given = [{name: value} for name in PROPERTIES for value in VALUES]
    given += [{name: "on"} for name in FORBIDDEN]
    for parameters in given:
        for source in (None, from_snapshot(snapshot.snapshot_id)):
            with refused(INVALID):
                client.create_volume(
                    "new",
                    size_bytes=MIB,
                    capability=ZFS,
                    source=source,
                    parameters={"pool": POOL, **parameters},
                )
    assert node.names() == before
    client.delete_snapshot(snapshot.snapshot_id)
    client.delete_volume(volume_id)
    node.require_empty()
