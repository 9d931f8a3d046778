"""What is kept of a session and of the collector: sealed documents (sealing.py, documents.py).

A session is an object `sessions/<32 hex digits>`; a committed one is the manifest of that id.
"""

import enum
from dataclasses import dataclass, fields
from typing import TypeVar

from csi_zfs.cas import documents
from csi_zfs.cas.api import DIGEST_BYTES, Manifest, ManifestKind, Root
from csi_zfs.cas.documents import Document
from csi_zfs.cas.packs import PACK_ID_BYTES
from csi_zfs.system.digest import hex_digest_of

_Word = TypeVar("_Word", bound=enum.StrEnum)

SESSIONS = "sessions/"
SESSION_ID_BYTES = 16
COLLECTOR = "collector/"
EPOCH_KEY = f"{COLLECTOR}epoch"
_SESSION_NAMES = frozenset(
    {"format", "state", "epoch", "domain", "created_ns", "beat_ns", "owner", "root"}
)
_ROOT_NAMES = frozenset(
    {"kind", "size_bytes", "tree_digest", "chunk_bytes", "depth", "parent_id", "labels"}
    | {"zfs_guid", "zfs_createtxg"}
)
_EPOCH_NAMES = frozenset({"format", "number", "phase", "packs"})


class SessionState(enum.StrEnum):
    """What became of a session."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A session: `epoch` is the collector's when it began, `beat_ns` when it last gave a sign.

    `root` is there if, and only if, it is committed.
    """

    state: SessionState
    epoch: int
    domain: str
    created_ns: int
    beat_ns: int
    owner: str
    root: Root | None = None


class Phase(enum.StrEnum):
    """Where a collection stands."""

    IDLE = "idle"
    CONDEMNED = "condemned"
    DOOMED = "doomed"


@dataclass(frozen=True, slots=True)
class Epoch:
    """The collector's record: each change of it has the next number."""

    number: int
    phase: Phase
    packs: frozenset[bytes]


def encode_session(record: SessionRecord) -> bytes:
    """The payload of a session's object."""
    root = {} if record.root is None else _root_fields(record.root)
    return documents.encode(_fields(record) | {"root": root})


def parse_session(key: str, payload: bytes) -> SessionRecord:
    """Read a session; raises `StoreCorruptError`, `UnknownFormatError`."""
    document = documents.parse(key, payload, _SESSION_NAMES)
    state = _word(document, "state", SessionState)
    is_committed = state is SessionState.COMMITTED
    root = document.part("root", _ROOT_NAMES if is_committed else frozenset())
    return SessionRecord(
        state=state,
        epoch=document.number("epoch"),
        domain=document.text("domain"),
        created_ns=document.number("created_ns"),
        beat_ns=document.number("beat_ns"),
        owner=document.text("owner"),
        root=_parse_root(root) if is_committed else None,
    )


def manifest_of(session_id: str, record: SessionRecord, root: Root) -> Manifest:
    """The manifest that a committed session is."""
    return Manifest(
        manifest_id=session_id, domain=record.domain, created_ns=record.created_ns, root=root
    )


def root_digest(root: Root) -> str:
    """The digest of a root record, by which the journal knows it."""
    return hex_digest_of(documents.encode(_root_fields(root)))


def encode_epoch(epoch: Epoch) -> bytes:
    """The payload of the collector's record."""
    packs = sorted(pack_id.hex() for pack_id in epoch.packs)
    return documents.encode({"number": epoch.number, "phase": epoch.phase, "packs": packs})


def parse_epoch(payload: bytes) -> Epoch:
    """Read the collector's record; raises `StoreCorruptError`, `UnknownFormatError`."""
    document = documents.parse(EPOCH_KEY, payload, _EPOCH_NAMES)
    packs = [Document(EPOCH_KEY, {"pack": text}) for text in document.texts("packs")]
    return Epoch(
        number=document.number("number"),
        phase=_word(document, "phase", Phase),
        packs=frozenset(pack.raw("pack", PACK_ID_BYTES) for pack in packs),
    )


def _root_fields(root: Root) -> dict[str, object]:
    return _fields(root) | {"tree_digest": root.tree_digest.hex(), "labels": dict(root.labels)}


def _fields(record: SessionRecord | Root) -> dict[str, object]:
    # Not `asdict`, which copies what is in the fields: not every mapping of labels can be.
    return {one.name: getattr(record, one.name) for one in fields(record)}


def _parse_root(document: Document) -> Root:
    return Root(
        kind=_word(document, "kind", ManifestKind),
        size_bytes=document.number("size_bytes"),
        tree_digest=document.raw("tree_digest", DIGEST_BYTES),
        chunk_bytes=document.number("chunk_bytes"),
        depth=document.number("depth"),
        parent_id=document.text("parent_id"),
        labels=document.text_map("labels"),
        zfs_guid=document.text("zfs_guid"),
        zfs_createtxg=document.number("zfs_createtxg"),
    )


def _word(document: Document, name: str, words: type[_Word]) -> _Word:
    try:
        return words(document.text(name))
    except ValueError as exc:
        raise document.damaged(f"its {name} is none that there is") from exc
