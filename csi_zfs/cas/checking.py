"""The check of a whole store: every object opened, everything that is referred to found.

Nothing is changed.  Whether the chunks are what was written is the part of verification.py.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

from csi_zfs.cas.api import (
    ZERO_DIGEST,
    Manifest,
    ObjectInfo,
    ObjectNotFoundError,
    UnknownFormatError,
)
from csi_zfs.cas.epochs import read_epoch
from csi_zfs.cas.header import HEADER_KEY, require_genuine_header
from csi_zfs.cas.indexes import INDEXES, PackContent, encode_index, parse_index
from csi_zfs.cas.journal import JOURNAL
from csi_zfs.cas.loading import MARKS, parse_marks, read_content
from csi_zfs.cas.marking import Marks, references
from csi_zfs.cas.packs import PACKS, pack_key, parse_pack_key
from csi_zfs.cas.pipeline import in_order
from csi_zfs.cas.places import Places
from csi_zfs.cas.records import (
    COLLECTOR,
    EPOCH_KEY,
    SESSIONS,
    SessionState,
    manifest_of,
    root_digest,
)
from csi_zfs.cas.sealing import ObjectKind
from csi_zfs.cas.sessions import read_session
from csi_zfs.cas.slots import SLOTS, parse_slot
from csi_zfs.cas.store import Store
from csi_zfs.domain.errors import CorruptionError
from csi_zfs.system.digest import hex_digest_of

_AT_ONCE = 8
_NO_SUCH_NAME = "nothing of a store has such a name"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: the object's key or the manifest's id, and what it is."""

    where: str
    what: str


@dataclass(slots=True)
class CheckReport:
    """What was looked at, and everything that is wrong.

    `damaged` has the ids of the manifests that cannot be restored whole.
    """

    objects: int = 0
    manifests: int = 0
    findings: list[Finding] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)


class Check:
    """One check of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._vault = store.vault
        self._report = CheckReport()
        # What the packs themselves say, whatever the cache and the indexes think.
        self._places = Places(None)
        self._prints: dict[bytes, str] = {}
        self._counting = threading.Lock()

    def run(self, tell: Callable[[str], None]) -> CheckReport:
        """Look at everything; `tell` is told what is being done.

        Raises only what the storage raises: damage is a finding.
        """
        with closing(self._places):
            tell("checking keys and the journal")
            self._look(HEADER_KEY, self._check_header)
            self._each(SLOTS, self._check_slot)
            self._look(EPOCH_KEY, lambda: read_epoch(self._vault))
            self._others(COLLECTOR, EPOCH_KEY)
            journal = self._store.journal()
            self._look(JOURNAL, journal.refresh)
            tell("checking packs and indexes")
            self._check_packs()
            self._each(INDEXES, self._check_index)
            self._each(MARKS, self._check_marks)
            tell("checking manifests")
            manifests = self._check_sessions(journal.live, journal.deleted)
            self._check_closures(manifests, tell)
        return self._report

    def _each(self, prefix: str, check: Callable[[str], object]) -> None:
        for info in self._vault.list(prefix):
            self._look(info.key, partial(check, info.key))

    def _look(self, where: str, check: Callable[[], object]) -> None:
        with self._counting:
            self._report.objects += 1
        # What was listed may have gone since: collected, or ended.
        with suppress(ObjectNotFoundError):
            try:
                check()
            except (CorruptionError, UnknownFormatError) as exc:
                self._find(where, str(exc))

    def _others(self, prefix: str, known: str) -> None:
        for info in self._vault.list(prefix):
            if info.key != known:
                self._find(info.key, _NO_SUCH_NAME)

    def _find(self, where: str, what: str) -> None:
        self._report.findings.append(Finding(where, what))

    def _check_header(self) -> None:
        data = self._vault.storage.get(HEADER_KEY).data
        require_genuine_header(self._vault.sealer.store_key, data)

    def _check_slot(self, key: str) -> None:
        slot = parse_slot(key, self._vault.storage.get(key).data)
        slot.require_genuine(self._vault.sealer.store_key)

    def _check_packs(self) -> None:
        found = in_order(
            self._store.executor, self._read_pack, self._vault.list(PACKS), at_once=_AT_ONCE
        )
        for content in found:
            if content is not None:
                self._places.add([content])
                self._prints[content.pack_id] = _print_of(content)

    def _read_pack(self, info: ObjectInfo) -> PackContent | None:
        pack_id = parse_pack_key(info.key)
        if pack_id is None:
            self._find(info.key, _NO_SUCH_NAME)
            return None
        read: list[PackContent] = []
        self._look(
            info.key,
            lambda: read.append(read_content(self._vault, pack_id, info.key, info.size_bytes)),
        )
        return read[0] if read else None

    def _check_index(self, key: str) -> None:
        payload, _ = self._vault.get(ObjectKind.INDEX, key)
        for told in parse_index(key, payload):
            known = self._prints.get(told.pack_id)
            if known is not None and known != _print_of(told):
                self._find(key, f"it tells of {pack_key(told.pack_id)} what is not so")

    def _check_marks(self, key: str) -> None:
        payload, _ = self._vault.get(ObjectKind.MARKS, key)
        self._places.add_bad(parse_marks(key, payload), key)

    def _check_sessions(self, live: dict[str, str], deleted: set[str]) -> list[Manifest]:
        manifests: dict[str, Manifest] = {}

        def check(key: str) -> None:
            session_id = key.removeprefix(SESSIONS)
            record, _ = read_session(self._vault, session_id)
            if record.state is SessionState.COMMITTED and record.root is not None:
                manifests[session_id] = manifest_of(session_id, record, record.root)

        self._each(SESSIONS, check)
        for manifest_id, digest in live.items():
            manifest = manifests.get(manifest_id)
            if manifest is None:
                self._damage(manifest_id, "it was committed and its session is gone or damaged")
            elif root_digest(manifest.root) != digest:
                self._damage(manifest_id, "it is not the one that was committed")
        wanted = [one for one in manifests.values() if one.manifest_id not in deleted]
        self._report.manifests = len(wanted)
        return sorted(wanted, key=lambda one: (one.created_ns, one.manifest_id))

    def _check_closures(self, manifests: list[Manifest], tell: Callable[[str], None]) -> None:
        """Follow all manifests at once, what they share once; one by one only if that fails."""
        with closing(Marks()) as seen:
            for number, manifest in enumerate(manifests, 1):
                tell(f"following manifest {number} of {len(manifests)}")
                if self._problem_of(manifest, seen):
                    break
            else:
                return
        for number, manifest in enumerate(manifests, 1):
            tell(f"following manifest {number} of {len(manifests)} by itself")
            with closing(Marks()) as seen:
                if problem := self._problem_of(manifest, seen):
                    self._damage(manifest.manifest_id, problem)

    def _problem_of(self, manifest: Manifest, seen: Marks) -> str:
        """What of a manifest is damaged, without what is below nodes that were seen."""
        source = self._store.reader(manifest.domain, places=self._places)
        absent = 0
        try:
            for chunks in references(source, manifest, seen):
                absent += self._absent(chunks)
        except CorruptionError as exc:
            return str(exc)
        return f"{absent} of its chunks are in no pack, or are known bad" if absent else ""

    def _absent(self, chunks: Iterable[tuple[bytes]]) -> int:
        return sum(
            1 for (digest,) in chunks if digest != ZERO_DIGEST and not self._places.has(digest)
        )

    def _damage(self, manifest_id: str, what: str) -> None:
        self._report.damaged.add(manifest_id)
        self._find(f"manifest {manifest_id}", what)


def _print_of(content: PackContent) -> str:
    """A digest by which two accounts of a pack are compared."""
    return hex_digest_of(encode_index([content]))
