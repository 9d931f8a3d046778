"""Volumes, snapshots of them, clones of those and so on, by name, for tests of their deletion."""

from csi_zfs.domain.ids import SnapshotId, VolumeId
from tests.support.builders import volume_spec
from tests.support.node import FakeNode


class Lineage:
    """A family of volumes and snapshots on a node.

    What each one holds is the names of the volumes that it descends from, and a volume its own.
    """

    def __init__(self, node: FakeNode) -> None:
        """Begin with nobody."""
        self._node = node
        self._ids: dict[str, VolumeId | SnapshotId] = {}

    def volume(self, name: str) -> VolumeId:
        """Make an empty volume, or give the one of this name."""
        if name not in self._ids:
            self._ids[name] = self._node.volumes.create(volume_spec(name)).volume_id
            self._write(name)
        found = self._ids[name]
        assert isinstance(found, VolumeId)
        return found

    def snapshot(self, name: str, *, of: str) -> SnapshotId:
        """Take a snapshot of a volume, or give the one of this name."""
        if name not in self._ids:
            self._ids[name] = self._node.snapshots.create(
                snapshot_name=name, source_volume_id=self.volume(of), parameters={}
            ).snapshot_id
        found = self._ids[name]
        assert isinstance(found, SnapshotId)
        return found

    def clone(self, name: str, *, of: str) -> VolumeId:
        """Make a volume from a snapshot or from a volume."""
        spec = volume_spec(name, content_source=self._ids[of])
        self._ids[name] = self._node.volumes.create(spec).volume_id
        self._write(name)
        return self.volume(name)

    def delete(self, name: str) -> None:
        """Delete a member; it can be done again."""
        member = self._ids[name]
        if isinstance(member, VolumeId):
            self._node.volumes.delete(member)
        else:
            self._node.snapshots.delete(member)

    def content(self, name: str) -> set[str]:
        """What a volume holds, or what a restore of a snapshot gives."""
        member = self._ids[name]
        if isinstance(member, VolumeId):
            return set(self._node.image(member).content)
        spec = volume_spec("restored", content_source=member)
        restored = self._node.volumes.create(spec).volume_id
        content = set(self._node.image(restored).content)
        self._node.volumes.delete(restored)
        return content

    def _write(self, name: str) -> None:
        self._node.image(self.volume(name)).content[name] = b"data"
