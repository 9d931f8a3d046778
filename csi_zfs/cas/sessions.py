"""Sessions: what a writer puts between its begin and its commit, safe from collectors meanwhile.

A writer reads the epoch, makes its session, and reads the epoch again: if it changed, it starts
over.  So every session is either seen by a collection that condemns packs, or knows what that
condemned.  A collector that takes a session for dead fences it, and its commit fails.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from csi_zfs.cas.api import (
    BlobKind,
    Manifest,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    Root,
    SessionFencedError,
    StoreCorruptError,
    Written,
)
from csi_zfs.cas.epochs import ReadEpoch, advance, read_epoch
from csi_zfs.cas.indexes import INDEXES, encode_index
from csi_zfs.cas.journal import Journal
from csi_zfs.cas.packs import StoredChunk
from csi_zfs.cas.records import (
    SESSION_ID_BYTES,
    SESSIONS,
    Phase,
    SessionRecord,
    SessionState,
    encode_session,
    manifest_of,
    parse_session,
    root_digest,
)
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.vault import Vault
from csi_zfs.cas.writing import ChunkWriter
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.system.clock import Clock

# After so long without a sign a session counts as dead: only then may a collector fence it.
LEASE_S = 900
_BEAT_S = LEASE_S // 5
_NS = 1_000_000_000


class SessionRegister:
    """One session's object: begun, kept alive, and ended in one of two ways.  Thread-safe."""

    def __init__(
        self, vault: Vault, clock: Clock, *, session_id: str, record: SessionRecord, tag: str
    ) -> None:
        self._vault = vault
        self._clock = clock
        self._record = record
        self._tag = tag
        self._lock = threading.Lock()
        self._beat_s = clock.monotonic_s()
        self.session_id = session_id

    def beat(self) -> None:
        """Give a sign of life, if the last one is some time ago.

        Raises `SessionFencedError` where a collector has ended it.
        """
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s - self._beat_s >= _BEAT_S:
                self._write(replace(self._record, beat_ns=self._clock.now_ns()))
                self._beat_s = now_s

    def commit(self, root: Root) -> Manifest:
        """Make it the manifest of this root, all or nothing; may be repeated.

        Raises `SessionFencedError` where a collector has ended it, `InvalidRequestError` for a root
        that could not be read again.
        """
        with self._lock:
            record = replace(self._record, state=SessionState.COMMITTED, root=root)
            _require_readable(record)
            self._write(record)
            return manifest_of(self.session_id, self._record, root)

    def remove(self) -> None:
        """Take an open one back."""
        self._vault.storage.delete([SESSIONS + self.session_id])

    def _write(self, record: SessionRecord) -> None:
        key, payload = SESSIONS + self.session_id, encode_session(record)
        found: SessionRecord | None = None
        while found != record:
            try:
                self._tag = self._vault.replace(ObjectKind.SESSION, key, payload, tag=self._tag)
                break
            except ObjectChangedError as exc:
                found, self._tag = self._as_this_wrote_it(record, exc)
        self._record = record

    def _as_this_wrote_it(
        self, record: SessionRecord, why: ObjectChangedError
    ) -> tuple[SessionRecord, str]:
        """What is there, if it is of this writer: of a write whose answer got lost."""
        with suppress(ObjectNotFoundError):
            found, tag = read_session(self._vault, self.session_id)
            if found == record or found.state is SessionState.OPEN:
                return found, tag
        raise SessionFencedError(
            f"a collection has ended session {self.session_id}, which gave no sign for"
            f" {LEASE_S} s: begin again, what was uploaded will be found"
        ) from why


def begin(
    vault: Vault, clock: Clock, *, domain: str, owner: str, takes_over: bool
) -> tuple[SessionRegister, frozenset[bytes]]:
    """Begin a session; returns it, and the packs whose chunks do not count as there.

    Who `takes_over` chunks of a manifest unseen looks behind this whether it is still there.
    """
    while True:
        epoch = read_epoch(vault).epoch
        now_ns = clock.now_ns()
        record = SessionRecord(
            state=SessionState.OPEN,
            epoch=epoch.number,
            domain=domain,
            created_ns=now_ns,
            beat_ns=now_ns,
            owner=owner,
        )
        # A new name each time: a slow collector may still remove the old one, which it fenced.
        session_id = os.urandom(SESSION_ID_BYTES).hex()
        key = SESSIONS + session_id
        tag = vault.put_new(ObjectKind.SESSION, key, encode_session(record))
        register = SessionRegister(vault, clock, session_id=session_id, record=record, tag=tag)
        try:
            again = read_epoch(vault)
            is_current = again.epoch.number == epoch.number and (
                not takes_over or _is_waited_for(vault, again)
            )
        except BaseException:
            register.remove()
            raise
        if is_current:
            return register, epoch.packs
        register.remove()


def _is_waited_for(vault: Vault, read: ReadEpoch) -> bool:
    """See to it that nothing is doomed before this session has ended.

    A manifest may need a condemned pack, which is spared for it; if it is deleted before that,
    nothing but a session of an older epoch keeps the pack.  So the same packs are condemned anew.
    """
    if read.epoch.phase is not Phase.CONDEMNED:
        return True
    try:
        advance(vault, read, Phase.CONDEMNED, read.epoch.packs)
    except ObjectChangedError:
        return False
    return True


class Session:
    """`ChunkSink` until it is committed or abandoned.  Thread-safe."""

    def __init__(
        self, vault: Vault, register: SessionRegister, writer: ChunkWriter, journal: Journal
    ) -> None:
        self._vault = vault
        self._register = register
        self._writer = writer
        self._journal = journal
        self._may_be_committed = False

    @property
    def session_id(self) -> str:
        """Its name, and that of the manifest that it may become."""
        return self._register.session_id

    @property
    def written(self) -> Written:
        """What was put until now."""
        return self._writer.written

    def beat(self) -> None:
        """Give a sign of life: for who puts nothing for a while, since all that it reads is zeros.

        Raises `SessionFencedError`.
        """
        self._register.beat()

    def put(self, data: bytes | bytearray | memoryview, kind: BlobKind) -> bytes:
        """See `ChunkSink`; raises `SessionFencedError` too."""
        # Who finds everything in the store uploads nothing, and lives all the same.
        self._register.beat()
        return self._writer.put(data, kind)

    def commit(self, root: Root) -> Manifest:
        """Make everything durable, then the manifest; it is there as a whole or not at all.

        The order is packs, index, manifest, journal.  Raises `SessionFencedError`, and whatever an
        upload raised.  After an error of the storage it may be there, and may be repeated.
        """
        self._finish()
        self._may_be_committed = True
        manifest = self._register.commit(root)
        self._journal.commit(manifest.manifest_id, root_digest(root))
        return manifest

    def copy(self, chunk: StoredChunk) -> None:
        """Store a chunk as it came out of another pack."""
        self._writer.copy(chunk)

    def keep(self) -> None:
        """Make everything durable and end without a manifest: only for what manifests need."""
        self._finish()
        self._register.remove()

    def abandon(self) -> None:
        """End it without a manifest; what was uploaded is found by the next session.

        Where a commit was tried it is left as it is: the journal may know the manifest already.
        """
        if not self._may_be_committed:
            self._register.remove()

    def _finish(self) -> None:
        packs = self._writer.finish()
        if packs:
            key = INDEXES + self.session_id
            # Sealed twice it is not the same; only this session writes it, of these packs.
            with suppress(ObjectExistsError):
                self._vault.put_new(ObjectKind.INDEX, key, encode_index(packs))


def _require_readable(record: SessionRecord) -> None:
    """Refuse what could not be read again: one such manifest, and nobody can list them any more."""
    try:
        found = parse_session("the manifest", encode_session(record))
    except StoreCorruptError as exc:
        raise InvalidRequestError(f"this root cannot be kept: {exc}") from exc
    if found != record:
        raise InvalidRequestError("this root cannot be kept: it would be another one when read")


def read_session(vault: Vault, session_id: str) -> tuple[SessionRecord, str]:
    """A session and its tag; raises `ObjectNotFoundError`, `StoreCorruptError`."""
    key = SESSIONS + session_id
    payload, tag = vault.get(ObjectKind.SESSION, key)
    return parse_session(key, payload), tag


def list_sessions(vault: Vault) -> Iterator[tuple[str, SessionRecord, str]]:
    """All sessions with their ids and tags; one that goes meanwhile is left out.

    Raises `StoreCorruptError` at the first that cannot be read: who wants to know what nobody
    needs any more must know all of them.
    """
    for info in vault.list(SESSIONS):
        session_id = info.key.removeprefix(SESSIONS)
        with suppress(ObjectNotFoundError):
            record, tag = read_session(vault, session_id)
            yield session_id, record, tag


def fence(vault: Vault, session_id: str, record: SessionRecord, tag: str) -> bool:
    """End a session that seems dead; false where it gave a sign or ended meanwhile."""
    aborted = replace(record, state=SessionState.ABORTED)
    key = SESSIONS + session_id
    try:
        vault.replace(ObjectKind.SESSION, key, encode_session(aborted), tag=tag)
    except ObjectChangedError:
        return False
    return True


def is_lapsed(record: SessionRecord, now_ns: int) -> bool:
    """Whether a session gave no sign for so long that it may be fenced.

    The clocks of two machines may differ: that makes it early or late, and never wrong.
    """
    return now_ns - record.beat_ns > LEASE_S * _NS
