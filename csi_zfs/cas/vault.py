"""The small objects of one store: sealed on their way in, opened on their way out."""

from collections.abc import Iterator
from dataclasses import dataclass

from csi_zfs.cas.api import ObjectInfo, ObjectStorage
from csi_zfs.cas.sealing import ObjectKind, Sealer


@dataclass(frozen=True, slots=True)
class Vault:
    """Storage and sealer together; raises what either of them does.  Thread-safe."""

    storage: ObjectStorage
    sealer: Sealer

    def put_new(self, kind: ObjectKind, key: str, payload: bytes) -> str:
        """Write an object unless there is one; returns its tag."""
        return self.storage.put_new(key, self.sealer.seal(kind, key, payload))

    def replace(self, kind: ObjectKind, key: str, payload: bytes, *, tag: str) -> str:
        """Replace the object that was read with this tag; returns the new tag."""
        return self.storage.replace(key, self.sealer.seal(kind, key, payload), tag)

    def get(self, kind: ObjectKind, key: str) -> tuple[bytes, str]:
        """The payload of an object and its tag."""
        stored = self.storage.get(key)
        return self.sealer.open(kind, key, stored.data), stored.tag

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects below a prefix."""
        return self.storage.list(prefix)
