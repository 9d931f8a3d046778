"""Reading nodes of directories before they are needed, many at once."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind, ChunkSource
from csi_zfs.cas.directories import read_directory
from csi_zfs.cas.tree_entries import Entry
from csi_zfs.domain.errors import CorruptionError

# Entries of a directory whose own directories are asked for at once.
_BATCH = 256
_MOST_BYTES = 16 * 1024 * 1024


class NodesAhead:
    """A `ChunkSource` for one walk, which keeps what it read ahead until it is asked for.

    One thread at a time.
    """

    def __init__(self, source: ChunkSource) -> None:
        self._source = source
        self._kept: dict[bytes, bytes] = {}
        self._kept_bytes = 0

    def get(self, digest: bytes, kind: BlobKind) -> bytes:
        """See `ChunkSource`."""
        kept = self._kept.pop(digest, None) if kind is BlobKind.TREE else None
        if kept is None:
            return self._source.get(digest, kind)
        self._kept_bytes -= len(kept)
        return kept

    def get_many(self, digests: Sequence[bytes], kind: BlobKind) -> Iterator[bytes]:
        """See `ChunkSource`."""
        return self._source.get_many(digests, kind)

    def entries(self, digest: bytes) -> Iterator[Entry]:
        """The entries of a directory, those that are directories read ahead."""
        entries = read_directory(self, digest)
        error = None
        while error is None:
            batch: list[Entry] = []
            try:
                batch.extend(islice(entries, _BATCH))
            except CorruptionError as exc:
                # What came before is good.
                error = exc
            self._read_ahead(entry.content for entry in batch if entry.is_directory)
            yield from batch
            if error is None and len(batch) < _BATCH:
                return
        raise error

    def _read_ahead(self, digests: Iterable[bytes]) -> None:
        wanted = [digest for digest in set(digests) - self._kept.keys() if digest != ZERO_DIGEST]
        if len(wanted) <= 1 or self._kept_bytes >= _MOST_BYTES:
            return
        # What cannot be read is told when it is needed.
        with suppress(CorruptionError):
            for digest, data in zip(
                wanted, self._source.get_many(wanted, BlobKind.TREE), strict=True
            ):
                self._kept[digest] = data
                self._kept_bytes += len(data)
                if self._kept_bytes >= _MOST_BYTES:
                    return
