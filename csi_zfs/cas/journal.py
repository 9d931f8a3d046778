"""The chain of commits and deletes: what tells a store from an older copy of itself.

Each is an object `journal/<16 digits>`, numbered from 1 without a gap, sealed, and holding the
digest of the object before it.  Whoever remembers one of them (its *head*) sees whether the store
goes on from there: a store that was put back as a whole, or that lost a manifest, does not.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from csi_zfs.cas import documents
from csi_zfs.cas.api import ObjectExistsError, ObjectNotFoundError, StoreCorruptError
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.vault import Vault
from csi_zfs.system.digest import hex_digest_of

JOURNAL = "journal/"
COMMIT = "commit"
DELETE = "delete"
_NAMES = frozenset({"format", "action", "manifest_id", "root_digest", "previous"})
_DIGITS = 16
_NO_DIGEST = ""


@dataclass(frozen=True, slots=True)
class Head:
    """An entry that was seen: its number and the digest of its object."""

    number: int = 0
    digest: str = _NO_DIGEST


class HeadMemory(Protocol):
    """Keeps the newest head that was seen, outside the store."""

    def load(self) -> Head:
        """The head, or `Head()` where none was seen."""

    def save(self, head: Head) -> None:
        """Keep it."""


@dataclass(slots=True)
class Journal:
    """The chain, as far as it was read.  Not thread-safe."""

    vault: Vault
    memory: HeadMemory
    head: Head = field(default_factory=Head)
    # The digests of the roots that were committed, by manifest, without those deleted since.
    live: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def refresh(self) -> None:
        """Read what is new.

        Raises `StoreCorruptError` where the chain is broken or not the one that was seen before.
        """
        seen = self.memory.load()
        # A listing may miss an entry of this moment and have the next one: each is asked for.
        last = max((_parse_key(info.key) for info in self.vault.list(JOURNAL)), default=0)
        for number in range(self.head.number + 1, last + 1):
            self._read(number, seen)
        if self.head.number < seen.number:
            raise StoreCorruptError(
                f"the store is older than it was: its journal ends at {self.head.number}, and"
                f" {seen.number} was seen; somebody put an older copy in its place, or removed"
                " entries"
            )
        if self.head != seen:
            self.memory.save(self.head)

    def commit(self, manifest_id: str, root_digest: str) -> None:
        """Add a commit, unless it is there; durable when this returns."""
        self.refresh()
        while manifest_id not in self.live and manifest_id not in self.deleted:
            self._append(COMMIT, manifest_id, root_digest)

    def delete(self, manifest_id: str) -> None:
        """Add a delete, unless it is there; durable when this returns."""
        self.refresh()
        while manifest_id not in self.deleted:
            self._append(DELETE, manifest_id, _NO_DIGEST)

    def _append(self, action: str, manifest_id: str, root_digest: str) -> None:
        fields = {
            "action": action,
            "manifest_id": manifest_id,
            "root_digest": root_digest,
            "previous": self.head.digest,
        }
        key = _key(self.head.number + 1)
        # Where somebody else was faster, theirs is read and the caller goes on behind it.
        with suppress(ObjectExistsError):
            self.vault.put_new(ObjectKind.JOURNAL, key, documents.encode(fields))
        self.refresh()

    def _read(self, number: int, seen: Head) -> None:
        key = _key(number)
        try:
            stored = self.vault.storage.get(key)
        except ObjectNotFoundError as exc:
            raise StoreCorruptError(f"{key} is missing: somebody removed it") from exc
        payload = self.vault.sealer.open(ObjectKind.JOURNAL, key, stored.data)
        document = documents.parse(key, payload, _NAMES)
        digest = hex_digest_of(stored.data)
        if document.text("previous") != self.head.digest:
            raise document.damaged("it does not follow the entry before it")
        if number == seen.number and digest != seen.digest:
            raise document.damaged("it is another one than was seen before")
        self._apply(document.text("action"), document.text("manifest_id"), document)
        self.head = Head(number, digest)

    def _apply(self, action: str, manifest_id: str, document: documents.Document) -> None:
        if action == COMMIT and manifest_id not in self.deleted:
            self.live.setdefault(manifest_id, document.text("root_digest"))
        elif action == DELETE:
            self.live.pop(manifest_id, None)
            self.deleted.add(manifest_id)
        elif action != COMMIT:
            raise document.damaged("its action is none that there is")


def _key(number: int) -> str:
    return f"{JOURNAL}{number:0{_DIGITS}d}"


def _parse_key(key: str) -> int:
    name = key.removeprefix(JOURNAL)
    if len(name) != _DIGITS or not (name.isascii() and name.isdigit()):
        raise StoreCorruptError(f"{key} is no name of a journal's entry")
    return int(name)
