"""A raw block volume: written, snapshotted, overwritten, restored."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.sizes import MIB, format_size
from csi_zfs.rpc.generated import csi_pb2
from e2e.demo.scene import Scene, require
from tests.support.csi_messages import block_capability, from_snapshot
from tests.support.orchestrator import PublishedVolume

_SIZE_BYTES = 64 * MIB
_PIECE_BYTES = 4 * MIB
_OFFSETS = (0, 24 * MIB, _SIZE_BYTES - _PIECE_BYTES)


@dataclass(frozen=True, slots=True)
class Devices:
    """What is there at the end."""

    original: PublishedVolume
    snapshot: csi_pb2.Snapshot
    restored: PublishedVolume


def play_devices(scene: Scene) -> Devices:
    """Play the whole part."""
    with scene.steps.step("a raw block volume") as say:
        volume = scene.client.create_volume(
            "device", size_bytes=_SIZE_BYTES, capability=block_capability()
        )
        original = scene.orchestrator.publish("device", volume.volume_id, block_capability())
        require(original.target_path.is_block_device(), "the target is no block device")
        _scribble(original.target_path)
        digest = _digest(original.target_path)
        say(f"{format_size(_SIZE_BYTES)} with random data, sha256 {digest[:12]}")
    with scene.steps.step("snapshot, overwrite, restore") as say:
        snapshot = scene.client.create_snapshot("device-snapshot", volume.volume_id)
        _scribble(original.target_path)
        require(_digest(original.target_path) != digest, "the device is unchanged")
        copy = scene.client.create_volume(
            "device-restored",
            size_bytes=_SIZE_BYTES,
            capability=block_capability(),
            source=from_snapshot(snapshot.snapshot_id),
        )
        restored = scene.orchestrator.publish("device-restored", copy.volume_id, block_capability())
        found = _digest(restored.target_path)
        require(found == digest, f"the restored device differs: sha256 {found[:12]}")
        say(f"every byte is equal, sha256 {found[:12]}")
    return Devices(original, snapshot, restored)


def _scribble(device: Path) -> None:
    with device.open("r+b", buffering=0) as file:
        for offset in _OFFSETS:
            file.seek(offset)
            file.write(os.urandom(_PIECE_BYTES))
        os.fsync(file.fileno())


def _digest(device: Path) -> str:
    with device.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
