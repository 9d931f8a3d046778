"""What a store holds and what that takes: all manifests, and those of each value of a label."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from csi_zfs.cas.api import Manifest
from csi_zfs.cas.marking import Marks, mark, needed_places
from csi_zfs.cas.retention import by_label
from csi_zfs.cas.store import Store

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Of some manifests.

    `logical_bytes` is what they would take restored, holes included; `unique_bytes` the length of
    the chunks that they need, each once and not compressed; `stored_bytes` what these take in
    packs.
    """

    manifests: int
    logical_bytes: int
    chunks: int
    unique_bytes: int
    stored_bytes: int

    @property
    def dedup_ratio(self) -> float:
        """How many times smaller the unique chunks are than all that they stand for."""
        return _ratio(self.logical_bytes, self.unique_bytes)

    @property
    def compression_ratio(self) -> float:
        """How many times smaller what is stored is than the unique chunks."""
        return _ratio(self.unique_bytes, self.stored_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Of a whole store: `pack_bytes` is with what a collection would free."""

    usage: Usage
    packs: int
    pack_bytes: int
    by_label: Mapping[str, Usage] = field(default_factory=dict)


def statistics_of(store: Store, *, label: str | None, tell: Tell) -> Statistics:
    """Count; with a label also for each of its values.

    Raises `CollectionFailedError` where a manifest cannot be followed.
    """
    store.refresh()
    manifests = store.manifests()
    sizes = store.places.packs()
    series = by_label(manifests, label) if label is not None else {}
    return Statistics(
        usage=_usage(store, manifests, tell),
        packs=len(sizes),
        pack_bytes=sum(sizes.values()),
        by_label={value: _usage(store, some, tell) for value, some in sorted(series.items())},
    )


def _usage(store: Store, manifests: Sequence[Manifest], tell: Tell) -> Usage:
    chunks = unique_bytes = stored_bytes = 0
    with closing(Marks()) as marks:
        for number, manifest in enumerate(manifests, 1):
            tell(f"following manifest {number} of {len(manifests)}")
            mark(store.reader(manifest.domain), manifest, marks)
        for _, holdings, is_needed in needed_places(marks, store.places):
            if is_needed:
                chunks += 1
                unique_bytes += holdings[0].plain_bytes
                stored_bytes += min(one.length for one in holdings)
    return Usage(
        manifests=len(manifests),
        logical_bytes=sum(one.root.size_bytes for one in manifests),
        chunks=chunks,
        unique_bytes=unique_bytes,
        stored_bytes=stored_bytes,
    )


def _ratio(whole: int, part: int) -> float:
    return whole / part if part else 1.0
