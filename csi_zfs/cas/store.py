"""A store: made, opened, and what it has; sessions and readers come from here."""

import os
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from csi_zfs.cas.api import (
    Manifest,
    ManifestNotFoundError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStorage,
    StoreCorruptError,
    StoreExistsError,
    StoreNotFoundError,
    UnknownFormatError,
    WrongKeyError,
)
from csi_zfs.cas.epochs import make_epoch
from csi_zfs.cas.header import (
    HEADER_KEY,
    STORE_ID_BYTES,
    Header,
    is_chunk_size,
    parse_header,
    require_genuine_header,
)
from csi_zfs.cas.indexes import INDEXES
from csi_zfs.cas.journal import JOURNAL, HeadMemory, Journal
from csi_zfs.cas.keys import DEFAULT_DOMAIN, StoreKey
from csi_zfs.cas.loading import MARKS, News, refresh
from csi_zfs.cas.packs import PACKS
from csi_zfs.cas.places import Places
from csi_zfs.cas.reading import ChunkReader
from csi_zfs.cas.records import (
    COLLECTOR,
    SESSION_ID_BYTES,
    SESSIONS,
    SessionRecord,
    SessionState,
    manifest_of,
    root_digest,
)
from csi_zfs.cas.sealing import Sealer
from csi_zfs.cas.sessions import Session, begin, list_sessions, read_session
from csi_zfs.cas.slots import SLOTS, Credential, NewSlot, no_slot_opens, parse_slot
from csi_zfs.cas.vault import Vault
from csi_zfs.cas.writing import ChunkWriter, Inks
from csi_zfs.domain.errors import CsiZfsError, InvalidRequestError
from csi_zfs.system.clock import Clock

# Requests to the storage that wait for each other's answers; they take no processor meanwhile.
_THREADS = 8
_MAX_NAME = 64
_CONTENT = (COLLECTOR, JOURNAL, SESSIONS, INDEXES, MARKS, PACKS)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a store has besides its objects: all of it can be made again, but for `memory`.

    `memory` keeps the head of the journal that was seen; without it an older copy of the store
    looks whole.
    """

    places: Places
    memory: HeadMemory
    clock: Clock


class Store:
    """An open store.  Thread-safe."""

    def __init__(
        self,
        storage: ObjectStorage,
        header: Header,
        store_key: StoreKey,
        surroundings: Surroundings,
    ) -> None:
        self.header = header
        self.vault = Vault(storage, Sealer(store_key, header.store_id))
        self.places = surroundings.places
        self.clock = surroundings.clock
        self._store_key = store_key
        self._memory = surroundings.memory
        self._news = News(self._refresh_for_readers, surroundings.clock)
        self.executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="store")

    def close(self) -> None:
        """End its threads and let go of the cache."""
        self.executor.shutdown(wait=True, cancel_futures=True)
        self.places.close()

    def refresh(self) -> dict[bytes, int]:
        """Read what others wrote since; `begin` does so by itself.

        Returns the sizes of the packs that there are.
        """
        return refresh(self.vault, self.places, self.executor)

    def reader(self, domain: str = DEFAULT_DOMAIN, *, places: Places | None = None) -> ChunkReader:
        """Reads the chunks of a dedup domain, from `places` or the cache; `refresh` first."""
        return ChunkReader(
            self.vault.storage,
            places or self.places,
            self._store_key,
            store_id=self.header.store_id,
            domain=domain,
            executor=self.executor,
            news=self._news,
        )

    def _refresh_for_readers(self) -> None:
        # In threads of its own: who asks may be in one of the store's.
        with ThreadPoolExecutor(_THREADS) as executor:
            refresh(self.vault, self.places, executor)

    def begin(self, domain: str = DEFAULT_DOMAIN, *, base_id: str = "") -> Session:
        """Begin to write in a dedup domain.

        Who takes over chunks of a manifest without putting them names it as the base: they stay for
        the session whatever becomes of it.  Raises `ManifestNotFoundError` where it is gone.
        """
        if not 0 < len(domain) <= _MAX_NAME or not domain.isprintable():
            raise InvalidRequestError(f"a domain has 1 to {_MAX_NAME} characters")
        # Nothing is written into a store that is older than it was.
        journal = self.journal()
        journal.refresh()
        register, condemned = begin(
            self.vault,
            self.clock,
            domain=domain,
            owner=f"{socket.gethostname()}:{os.getpid()}"[:_MAX_NAME],
            takes_over=bool(base_id),
        )
        try:
            if base_id:
                self.manifest(base_id)
            # Not what comes into the cache later: see `refresh`.
            there = self.refresh().keys() - condemned
            writer = ChunkWriter(
                self.vault.storage,
                self.places,
                Inks(
                    store_key=self._store_key,
                    store_id=self.header.store_id,
                    domain=domain,
                ),
                within=there,
                executor=self.executor,
                on_pack=register.beat,
            )
        except BaseException:
            register.remove()
            raise
        return Session(self.vault, register, writer, journal)

    @contextmanager
    def session(self, domain: str = DEFAULT_DOMAIN, *, base_id: str = "") -> Iterator[Session]:
        """A session for the length of a `with` block: abandoned where the block raises."""
        session = self.begin(domain, base_id=base_id)
        try:
            yield session
        except BaseException:
            # Where that fails too, the first error is the one to tell; a collector ends the rest.
            with suppress(CsiZfsError):
                session.abandon()
            raise

    def journal(self) -> Journal:
        """The journal, to be refreshed."""
        return Journal(self.vault, self._memory)

    def manifests(self) -> list[Manifest]:
        """All manifests, oldest first.

        Raises `StoreCorruptError` where one of them was removed, changed or put back: the journal
        knows.
        """
        journal = self.journal()
        journal.refresh()
        found = {
            session_id: record
            for session_id, record, _ in list_sessions(self.vault)
            if record.state is SessionState.COMMITTED
        }
        for session_id, record in found.items():
            self._require_journaled(journal, session_id, record)
        # Who deletes writes the journal first; who commits, the manifest.
        journal.refresh()
        if missing := sorted(journal.live.keys() - found.keys()):
            self._require_deleted(missing)
        manifests = [
            manifest_of(session_id, record, record.root)
            for session_id, record in found.items()
            if record.root is not None and session_id in journal.live
        ]
        return sorted(manifests, key=lambda one: (one.created_ns, one.manifest_id))

    def manifest(self, manifest_id: str) -> Manifest:
        """One manifest.  Raises `ManifestNotFoundError`."""
        journal = self.journal()
        journal.refresh()
        try:
            record, _ = read_session(self.vault, manifest_id)
        except ObjectNotFoundError as exc:
            # Who deletes writes the journal first: so it was not read too early.
            journal.refresh()
            if manifest_id in journal.live:
                raise _removed(manifest_id) from exc
            raise _no_manifest(manifest_id) from exc
        if record.root is None and manifest_id in journal.live:
            raise _removed(manifest_id)
        if record.root is None or manifest_id in journal.deleted:
            raise _no_manifest(manifest_id)
        self._require_journaled(journal, manifest_id, record)
        return manifest_of(manifest_id, record, record.root)

    def delete(self, *manifest_ids: str) -> None:
        """Delete manifests; chunks that nothing needs any more go with the next collection.

        Repeating it is no error.  Raises `ManifestNotFoundError`, before the first is deleted, for
        one that never was.
        """
        journal = self.journal()
        journal.refresh()
        for manifest_id in manifest_ids:
            # One that is damaged or gone goes too: otherwise nobody could list the store again.
            if manifest_id not in journal.deleted and manifest_id not in journal.live:
                self.manifest(manifest_id)
        for manifest_id in manifest_ids:
            journal.delete(manifest_id)
            self.vault.storage.delete([SESSIONS + manifest_id])

    def clone(self, manifest_id: str, labels: Mapping[str, str]) -> Manifest:
        """A manifest of the same content with labels of its own; takes one object."""
        source = self.manifest(manifest_id)
        with self.session(source.domain, base_id=manifest_id) as session:
            root = replace(source.root, parent_id=manifest_id, labels=dict(labels))
            return session.commit(root)

    def _require_journaled(self, journal: Journal, session_id: str, record: SessionRecord) -> None:
        """Check a committed session; one that its writer had no time to enter is entered."""
        if record.root is None or session_id in journal.deleted:
            return
        digest = root_digest(record.root)
        if session_id not in journal.live:
            journal.commit(session_id, digest)
        if journal.live.get(session_id, digest) != digest:
            raise StoreCorruptError(f"manifest {session_id} is not the one that was committed")

    def _require_deleted(self, manifest_ids: list[str]) -> None:
        """Manifests that are committed by the journal and not there were deleted meanwhile."""
        absent = [one for one in manifest_ids if not self._is_committed(one)]
        journal = self.journal()
        journal.refresh()
        for manifest_id in absent:
            if manifest_id in journal.live:
                raise _removed(manifest_id)

    def _is_committed(self, manifest_id: str) -> bool:
        try:
            record, _ = read_session(self.vault, manifest_id)
        except ObjectNotFoundError:
            return False
        return record.root is not None


def make_store(
    storage: ObjectStorage, credential: Credential, clock: Clock, *, chunk_bytes: int
) -> Header:
    """Make a store in a storage that has none; one that was cut short is finished.

    Of several callers at once one makes it.  Raises `StoreExistsError`, and `StoreCorruptError`
    for a store without its header: another one in its place would take its key slots away.
    """
    if not is_chunk_size(chunk_bytes):
        raise InvalidRequestError(
            f"images cannot be cut into chunks of {chunk_bytes} bytes: choose a power of two from"
            " 64 KiB to 4 MiB"
        )
    if has_store(storage) or _has_content(storage):
        return _finished(storage, credential)
    store_key = StoreKey.generate()
    now_ns = clock.now_ns()
    header = Header(store_id=os.urandom(STORE_ID_BYTES), created_ns=now_ns, chunk_bytes=chunk_bytes)
    slot_id = os.urandom(SESSION_ID_BYTES).hex()
    slot = NewSlot(slot_id=slot_id, store_id=header.store_id, label="first", created_ns=now_ns)
    storage.put_new(SLOTS + slot_id, slot.encode(store_key, credential))
    try:
        storage.put_new(HEADER_KEY, header.encode(store_key))
    except ObjectExistsError as exc:
        storage.delete([SLOTS + slot_id])
        raise _exists() from exc
    _finish(storage, header, store_key)
    return header


def has_store(storage: ObjectStorage) -> bool:
    """Whether there is a store, or the beginning of one."""
    try:
        storage.get(HEADER_KEY)
    except ObjectNotFoundError:
        return False
    return True


def _has_content(storage: ObjectStorage) -> bool:
    """Whether there is what a store has once it was made, besides its header and its slots."""
    return any(True for prefix in _CONTENT for _ in storage.list(prefix))


def _finished(storage: ObjectStorage, credential: Credential) -> Header:
    """Finish a store whose making was cut short by its own maker; any other one is there."""
    try:
        header, store_key = unlocked(storage, credential)
    except WrongKeyError as exc:
        raise _exists() from exc
    if _has_content(storage):
        raise _exists()
    _finish(storage, header, store_key)
    return header


def _finish(storage: ObjectStorage, header: Header, store_key: StoreKey) -> None:
    """Remove the slots of makers who came too late or were cut short, and write the first epoch."""
    strangers: list[str] = []
    for info in storage.list(SLOTS):
        try:
            parse_slot(info.key, storage.get(info.key).data).require_genuine(store_key)
        except (StoreCorruptError, ObjectNotFoundError):
            strangers.append(info.key)
    storage.delete(strangers)
    make_epoch(Vault(storage, Sealer(store_key, header.store_id)))


def _exists() -> StoreExistsError:
    return StoreExistsError("there is a store at this place already")


def unlocked(storage: ObjectStorage, credential: Credential) -> tuple[Header, StoreKey]:
    """The header of the store in a storage, and its key.

    Raises `StoreNotFoundError`, `WrongKeyError`, `StoreCorruptError`, `UnknownFormatError`; nothing
    is written.
    """
    try:
        data = storage.get(HEADER_KEY).data
    except ObjectNotFoundError as exc:
        if _has_content(storage):
            raise StoreCorruptError(
                f"the header of the store is gone, and what it has stored is not: somebody removed"
                f" the object {HEADER_KEY}; put it back from a copy"
            ) from exc
        raise StoreNotFoundError(
            "there is no store at this place: `csi-zfs store init` makes one"
        ) from exc
    header = parse_header(data)
    store_key = _opened_by(storage, credential, header.store_id)
    require_genuine_header(store_key, data)
    return header, store_key


def _opened_by(storage: ObjectStorage, credential: Credential, store_id: bytes) -> StoreKey:
    failure: StoreCorruptError | UnknownFormatError | None = None
    for info in list(storage.list(SLOTS)):
        try:
            slot = parse_slot(info.key, storage.get(info.key).data)
            if (store_key := slot.opened(credential, store_id)) is not None:
                slot.require_genuine(store_key)
                return store_key
        except ObjectNotFoundError:
            # Somebody has just removed it.
            continue
        except (StoreCorruptError, UnknownFormatError) as exc:
            failure = exc
    raise failure or no_slot_opens(credential)


def _no_manifest(manifest_id: str) -> ManifestNotFoundError:
    return ManifestNotFoundError(f"there is no manifest {manifest_id} in the store")


def _removed(manifest_id: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"manifest {manifest_id} was committed and is gone: somebody took it, or put back what was"
        " there before; deleting it makes the store whole without it"
    )
