"""Where every chunk is: a cache in a SQLite file, which can be thrown away and made again.

A chunk may be in several packs (two writers at once, a repacked pack).  Rows of packs that are gone
stay until `forget_gone` and count for nothing: a look-up goes through the table of packs.
"""

import itertools
import operator
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from csi_zfs.cas.api import StoreCorruptError
from csi_zfs.cas.indexes import PackContent
from csi_zfs.cas.packs import ENTRY_BYTES, Entry, blob_bytes, parse_entries, plain_bytes
from csi_zfs.domain.errors import UnavailableError

_DIGEST_BYTES = 32
# Another version makes another file: nothing is converted, the packs are read again.
_VERSION = 1
_CLEAR = ("delete from packs", "delete from chunks", "delete from bad", "delete from objects")
_TABLES = (
    # A number is never used again: rows of a pack that is gone may still be there.
    """create table packs (number integer primary key autoincrement,
       pack_id blob not null unique, salt blob not null, size_bytes integer not null,
       checked_ns integer not null default 0)""",
    """create table chunks (digest blob not null, pack integer not null, entry blob not null,
       primary key (digest, pack)) without rowid""",
    """create table bad (digest blob not null, pack_id blob not null,
       primary key (digest, pack_id)) without rowid""",
    "create table objects (key text primary key) without rowid",
)
_GOOD = (
    " from chunks join packs on packs.number = chunks.pack where not exists"
    " (select 1 from bad where bad.digest = chunks.digest and bad.pack_id = packs.pack_id)"
)
_FIND = f"select packs.pack_id, packs.salt, chunks.entry{_GOOD} and chunks.digest = ?"
_EACH = (
    "select chunks.digest, packs.pack_id, chunks.entry, bad.pack_id is not null from chunks"
    " join packs on packs.number = chunks.pack left join bad on bad.digest = chunks.digest"
    " and bad.pack_id = packs.pack_id where chunks.digest > ? order by chunks.digest limit ?"
)
# More than there are packs with one chunk, by far.
_PAGE = 8192


class Holding(NamedTuple):
    """A pack that has a chunk, the bytes that it takes there, and whether they are known bad.

    `plain_bytes` is the length of the chunk itself.
    """

    pack_id: bytes
    length: int
    is_bad: bool
    plain_bytes: int


class CacheUnavailableError(UnavailableError):
    """The cache of the chunks' places cannot be used: full, read-only, gone."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a chunk."""

    pack_id: bytes
    salt: bytes
    entry: Entry


class Places:
    """The cache of one store.  Thread-safe; several processes may share the file."""

    def __init__(self, path: Path | None) -> None:
        """Open it, making it where it is missing or damaged; without a path it is in memory.

        Raises `CacheUnavailableError`.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._translating():
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._open()
            except sqlite3.DatabaseError as exc:
                if not _is_damage(exc):
                    raise
                self._discard()
                self._open()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def find(self, digest: bytes) -> list[Place]:
        """The places of a chunk, without those that are known to be bad."""
        with self._lock, self._translating():
            rows = self._database.execute(_FIND, (digest,)).fetchall()
        try:
            return [Place(pack_id, salt, _entry(digest, rest)) for pack_id, salt, rest in rows]
        except StoreCorruptError as exc:
            raise self._damaged(exc) from exc

    def has(self, digest: bytes, within: Collection[bytes] | None = None) -> bool:
        """Whether the chunk is in one of these packs, or in any, and not known to be bad there."""
        with self._lock, self._translating():
            rows = self._database.execute(_FIND, (digest,))
            return any(within is None or pack_id in within for pack_id, _, _ in rows)

    def packs(self) -> dict[bytes, int]:
        """The sizes of all packs."""
        with self._lock, self._translating():
            rows = self._database.execute("select pack_id, size_bytes from packs")
            return dict(rows.fetchall())

    def least_recently_checked(self) -> list[bytes]:
        """All packs, those first that were not checked for the longest, by this cache."""
        with self._lock, self._translating():
            rows = self._database.execute("select pack_id from packs order by checked_ns, pack_id")
            return [pack_id for (pack_id,) in rows]

    def set_checked(self, pack_id: bytes, now_ns: int) -> None:
        """Remember that a pack was checked."""
        with self._changing():
            self._database.execute(
                "update packs set checked_ns = ? where pack_id = ?", (now_ns, pack_id)
            )

    def chunks_in(self, pack_id: bytes) -> list[bytes]:
        """The digests of the chunks in a pack; reads all rows."""
        query = (
            "select chunks.digest from chunks join packs on packs.number = chunks.pack"
            " where packs.pack_id = ?"
        )
        with self._lock, self._translating():
            return [digest for (digest,) in self._database.execute(query, (pack_id,))]

    def objects(self) -> set[str]:
        """The keys of the index objects and marks that were read into it."""
        with self._lock, self._translating():
            return {key for (key,) in self._database.execute("select key from objects")}

    def add(self, contents: Iterable[PackContent], key: str = "") -> None:
        """Add packs, as the object under `key` tells of them."""
        with self._changing():
            for content in contents:
                self._add(content)
            if key:
                self._database.execute("insert or ignore into objects values (?)", (key,))

    def add_bad(self, bad: Iterable[tuple[bytes, bytes]], key: str) -> None:
        """Add places, each a digest and a pack's id, that were found bad."""
        with self._changing():
            self._database.executemany("insert or ignore into bad values (?, ?)", bad)
            self._database.execute("insert or ignore into objects values (?)", (key,))

    def forget_packs(self, pack_ids: Iterable[bytes]) -> None:
        """Forget packs that are gone."""
        gone = [(pack_id,) for pack_id in pack_ids]
        with self._changing():
            # What is known to be bad stays: a listing may have missed the pack.
            self._database.executemany("delete from packs where pack_id = ?", gone)

    def forget_objects(self, keys: Iterable[str]) -> None:
        """Forget that index objects or marks were read, which are gone."""
        with self._changing():
            self._database.executemany("delete from objects where key = ?", [(k,) for k in keys])

    def clear(self) -> None:
        """Forget everything."""
        with self._changing():
            for statement in _CLEAR:
                self._database.execute(statement)

    def forget_gone(self) -> None:
        """Remove the rows of packs that are gone; takes time in proportion to all rows."""
        with self._changing():
            self._database.execute(
                "delete from chunks where pack not in (select number from packs)"
            )
            self._database.execute(
                "delete from bad where pack_id not in (select pack_id from packs)"
            )

    def of_each(self) -> Iterator[tuple[bytes, list[Holding]]]:
        """Every chunk's digest with the packs that have it, by digest.

        In pages, so that others may use the cache meanwhile.
        """
        after = b""
        while page := self._page(after):
            grouped = itertools.groupby(page, key=operator.itemgetter(0))
            chunks = [(digest, [_holding(*row[1:]) for row in rows]) for digest, rows in grouped]
            # The last one may go on behind the page.
            if len(page) == _PAGE and len(chunks) > 1:
                chunks.pop()
            yield from chunks
            after = chunks[-1][0]

    def _page(self, after: bytes) -> list[tuple[bytes, bytes, bytes, int]]:
        with self._lock, self._translating():
            return self._database.execute(_EACH, (after, _PAGE)).fetchall()

    def _add(self, content: PackContent) -> None:
        row = (content.pack_id, content.salt, content.size_bytes)
        cursor = self._database.execute(
            "insert or ignore into packs (pack_id, salt, size_bytes) values (?, ?, ?)", row
        )
        if cursor.rowcount == 0:
            return
        number = cursor.lastrowid
        entries, size = content.entries, ENTRY_BYTES
        self._database.executemany(
            "insert or ignore into chunks values (?, ?, ?)",
            (
                (entries[at : at + _DIGEST_BYTES], number, entries[at + _DIGEST_BYTES : at + size])
                for at in range(0, len(entries), size)
            ),
        )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock, self._translating():
            self._database.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")

    def _open(self) -> None:
        self._database = sqlite3.connect(
            self._path or ":memory:", check_same_thread=False, timeout=60.0, isolation_level=None
        )
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _discard(self) -> None:
        """Remove the file; whoever else has it open goes on with what it has."""
        for ending in ("", "-wal", "-shm") if self._path is not None else ():
            Path(f"{self._path}{ending}").unlink(missing_ok=True)

    def _damaged(self, exc: Exception) -> CacheUnavailableError:
        self._discard()
        return CacheUnavailableError(
            f"the cache of the store was damaged and is removed: repeat, and it is made anew: {exc}"
        )

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            if _is_damage(exc):
                raise self._damaged(exc) from exc
            raise CacheUnavailableError(f"the cache of the store cannot be used: {exc}") from exc

    def _prepare(self) -> None:
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        with self._changing():
            (version,) = self._database.execute("pragma user_version").fetchone()
            if version == _VERSION:
                return
            for (name,) in self._database.execute(
                "select name from sqlite_master where type = 'table' and name not glob 'sqlite_*'"
            ).fetchall():
                self._database.execute(f"drop table {name}")
            for table in _TABLES:
                self._database.execute(table)
            self._database.execute(f"pragma user_version = {_VERSION}")


def _holding(pack_id: bytes, rest: bytes, is_bad: int) -> Holding:
    return Holding(pack_id, blob_bytes(rest), bool(is_bad), plain_bytes(rest))


def _entry(digest: bytes, rest: bytes) -> Entry:
    return parse_entries(digest + rest, "the cache of places")[0]


def _is_damage(exc: Exception) -> bool:
    """Whether the file itself is wrong, and not the disk, a lock or the permissions."""
    # The lower byte is the kind of error (sqlite.org/rescode.html).
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
