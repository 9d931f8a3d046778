"""A snapshot of three volumes at one instant, taken under a writer that uses all three."""

from dataclasses import dataclass

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from e2e.demo.scene import Scene, require
from e2e.demo.writers import CounterWriter, are_of_one_instant, read_counter
from tests.support.csi_messages import from_snapshot, mount_capability
from tests.support.orchestrator import PublishedVolume

EXT4 = mount_capability("ext4")
# Against the order of their ids, in which the driver may go through them.
_NAMES = ("stock", "payments", "orders")
_SIZE_BYTES = 64 * MIB


@dataclass(frozen=True, slots=True)
class Groups:
    """What is there at the end."""

    originals: tuple[PublishedVolume, ...]
    group: csi_pb2.VolumeGroupSnapshot
    restored: tuple[PublishedVolume, ...]


def play_groups(scene: Scene) -> Groups:
    """Play the whole part."""
    with scene.steps.step("three volumes, one writer") as say:
        originals = tuple(_make(scene, name) for name in _NAMES)
        say(f"ext4: {', '.join(_NAMES)}; one counter goes to each in turn, synced")
    files = [volume.target_path / "counter" for volume in originals]
    with scene.steps.step("group snapshot meanwhile") as say, CounterWriter(files) as writer:
        writer.wait_for_more(20)
        group = scene.client.create_group_snapshot(
            "one-instant", [volume.volume_id for volume in originals]
        )
        count = writer.wait_for_more(20)
        say(f"{len(group.snapshots)} snapshots in one call; the writer went on to {count}")
    with scene.steps.step("restore all three") as say:
        restored = tuple(_restore(scene, volume, group) for volume in originals)
        counters = [read_counter(volume.target_path / "counter") for volume in restored]
        require(are_of_one_instant(counters), f"the counters are of several instants: {counters}")
        say(f"counters {', '.join(map(str, counters))}: one instant")
    return Groups(originals, group, restored)


def _make(scene: Scene, name: str) -> PublishedVolume:
    volume = scene.client.create_volume(name, size_bytes=_SIZE_BYTES, capability=EXT4)
    return scene.orchestrator.publish(name, volume.volume_id, EXT4)


def _restore(
    scene: Scene, volume: PublishedVolume, group: csi_pb2.VolumeGroupSnapshot
) -> PublishedVolume:
    snapshot = next(item for item in group.snapshots if item.source_volume_id == volume.volume_id)
    name = f"{volume.name}-restored"
    copy = scene.client.create_volume(
        name,
        size_bytes=_SIZE_BYTES,
        capability=EXT4,
        source=from_snapshot(snapshot.snapshot_id),
    )
    return scene.orchestrator.publish(name, copy.volume_id, EXT4)
