"""What a class chose for a volume is chosen for its clones and for what is restored from it.

rules.md A8: every property that a class may set, each with a value that is not the default.
"""

from collections.abc import Iterator, Mapping

import pytest

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.properties import creation_properties, mutable_properties
from e2e.zfs.nodes import POOL, ZfsNode, zfs_node
from tests.support.commands import run
from tests.support.csi_messages import (
    block_capability,
    from_snapshot,
    from_volume,
    mount_capability,
)

SIZE_BYTES = 32 * MIB
_OF_BOTH = {
    "checksum": "sha512",
    "compression": "zstd-7",
    "copies": "2",
    "dedup": "verify",
    "logbias": "throughput",
    "primarycache": "metadata",
    "redundant_metadata": "most",
    "refreservation": "4M",
    "secondarycache": "none",
    "sync": "always",
}
CHOSEN: Mapping[DatasetKind, Mapping[str, str]] = {
    DatasetKind.ZVOL: _OF_BOTH | {"volblocksize": "8K"},
    DatasetKind.FILESYSTEM: _OF_BOTH
    | {
        "acltype": "posix",
        "atime": "off",
        "casesensitivity": "insensitive",
        "dnodesize": "auto",
        "normalization": "formD",
        "recordsize": "32K",
        "relatime": "off",
        "snapdir": "visible",
        "special_small_blocks": "8K",
        "utf8only": "on",
        "xattr": "dir",
    },
}
CAPABILITIES = {
    DatasetKind.ZVOL: block_capability(),
    DatasetKind.FILESYSTEM: mount_capability(),
}
Shown = dict[str, tuple[str, str]]


@pytest.fixture(name="node", scope="module")
def fixture_node(zpool: str) -> Iterator[ZfsNode]:
    """A driver for all tests of this module."""
    with zfs_node(zpool) as node:
        yield node


def chosen_properties(kind: DatasetKind) -> frozenset[str]:
    """What a class may set, but for encryption, which test_encryption.py has."""
    return creation_properties(kind) - {"encryption"}


def shown(dataset_name: str, kind: DatasetKind) -> Shown:
    """The value and the source of each property that a class may set."""
    names = ",".join(sorted(chosen_properties(kind)))
    lines = run("zfs", "get", "-Hp", "-o", "property,value,source", names, dataset_name)
    return {name: (value, source) for name, value, source in map(str.split, lines.splitlines())}


@pytest.mark.parametrize("kind", CHOSEN)
def test_clone_and_restored_volume_have_every_property_of_their_origin(
    node: ZfsNode, kind: DatasetKind
) -> None:
    assert CHOSEN[kind].keys() == chosen_properties(kind)
    client, capability = node.client, CAPABILITIES[kind]
    defaults = shown(node.dataset, kind)
    parameters = {"pool": POOL, **CHOSEN[kind]}
    origin = client.create_volume(
        "origin", size_bytes=SIZE_BYTES, capability=capability, parameters=parameters
    )
    wanted = shown(node.dataset_of(origin.volume_id), kind)
    for name, (value, source) in wanted.items():
        assert value != defaults.get(name, ("", ""))[0], name
        assert source == ("local" if name in mutable_properties(kind) else "-"), name
    snapshot = client.create_snapshot("s", origin.volume_id)
    copies = {
        "cloned": client.create_volume(
            "cloned", capability=capability, source=from_volume(origin.volume_id)
        ),
        "restored": client.create_volume(
            "restored", capability=capability, source=from_snapshot(snapshot.snapshot_id)
        ),
    }
    copies["cloned again"] = client.create_volume(
        "again", capability=capability, source=from_volume(copies["cloned"].volume_id)
    )
    for how, copy in copies.items():
        assert shown(node.dataset_of(copy.volume_id), kind) == wanted, how
    client.delete_volume(origin.volume_id)
    for copy in copies.values():
        client.delete_volume(copy.volume_id)
    client.delete_snapshot(snapshot.snapshot_id)
    node.require_empty()
