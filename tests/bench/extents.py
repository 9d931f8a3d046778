"""Section `extents`: what snapshots and clones cost by the size and the pieces of their source."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.sizes import GIB, MIB, format_size
from csi_zfs.reflink.kernel import extent_count
from tests.bench import messages
from tests.bench.figures import Figure, Section, Series, Table, Target
from tests.bench.rendering import milliseconds
from tests.bench.workbench import Workbench, image_of

_SMALL_BYTES, _LARGE_BYTES = 100 * MIB, 100 * GIB
_BLOCK = b"x" * 4096
# One is long, so few of them must do.
_CALLS_BY_EXTENTS = {1: 40, 1_000: 20, 10_000: 6, 100_000: 2}
# Both must have room for the extents of the comparison, each with a hole behind it.
_COMPARED = (1, 1_000, 10_000)
_SAME = Target(1.5)


@dataclass(frozen=True, slots=True)
class _Source:
    """A volume whose data lies in so many extents, and the calls that copy it."""

    socket_path: Path
    volume_id: str
    size_bytes: int
    extents: int
    snapshot: Series
    clone: Series


def measure(bench: Workbench) -> Section:
    """Measure the section."""
    sources = {
        (size_bytes, extents): _made(bench, size_bytes, extents)
        for extents in bench.amount.extents
        for size_bytes in (_SMALL_BYTES, _LARGE_BYTES)
        if size_bytes == _LARGE_BYTES or extents in _COMPARED
    }
    for extents in bench.amount.extents:
        pair = [source for source in sources.values() if source.extents == extents]
        for _ in range(_CALLS_BY_EXTENTS[extents]):
            for source in pair:
                _copy(bench, source)
    compared = [extents for extents in bench.amount.extents if extents in _COMPARED]
    return Section(
        title="Snapshots and clones by the source's size and extents",
        note=(
            "One client. The sources have 4 KiB of data in each of so many places, with holes"
            " between them, which is the worst that random writes can do. A copy shares the"
            " data; the time goes with the number of extents, not with the size."
        ),
        tables=[_table(list(sources.values()))],
        figures=[
            figure
            for extents in compared
            for figure in _figures(sources[_SMALL_BYTES, extents], sources[_LARGE_BYTES, extents])
        ],
    )


def _made(bench: Workbench, size_bytes: int, extents: int) -> _Source:
    driver = bench.driver_with(bench.amount.volumes[0])
    (name,) = bench.names(1)
    request = messages.new_volume(name, size_bytes=size_bytes)
    done = bench.load.run(driver.paths.socket, messages.CREATE_VOLUME, [request])
    (volume_id,) = messages.volume_ids_in(done.answers)
    image = image_of(driver, name)
    _scatter(image, extents)
    found = extent_count(image)
    return _Source(driver.paths.socket, volume_id, size_bytes, found, Series(), Series())


def _scatter(image: Path, extents: int) -> None:
    """Write blocks that cannot lie together."""
    stride = image.stat().st_size // extents // len(_BLOCK) * len(_BLOCK)
    descriptor = os.open(image, os.O_WRONLY)
    try:
        for number in range(extents):
            os.pwrite(descriptor, _BLOCK, number * stride)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(bench: Workbench, source: _Source) -> None:
    """Take a snapshot, clone the volume, delete both."""

    def run(method: str, requests: list[bytes]) -> tuple[Sequence[bytes], Series]:
        done = bench.load.run(source.socket_path, method, requests)
        return done.answers, Series([done.batch])

    snapshots = messages.new_snapshots([source.volume_id], bench.names(1))
    answers, taken = run(messages.CREATE_SNAPSHOT, snapshots)
    snapshot_ids = messages.snapshot_ids_in(answers)
    copies = messages.copies_of_volumes([source.volume_id], bench.names(1))
    answers, cloned = run(messages.CREATE_VOLUME, copies)
    source.snapshot.batches.extend(taken.batches)
    source.clone.batches.extend(cloned.batches)
    run(messages.DELETE_SNAPSHOT, messages.snapshots_to_delete(snapshot_ids))
    run(messages.DELETE_VOLUME, messages.volumes_to_delete(messages.volume_ids_in(answers)))


def _table(sources: Sequence[_Source]) -> Table:
    return Table(
        ("source", "extents", "CreateSnapshot, p50", "clone, p50"),
        [
            [
                format_size(source.size_bytes),
                f"{source.extents:,}",
                milliseconds(source.snapshot.p50_s),
                milliseconds(source.clone.p50_s),
            ]
            for source in sources
        ],
    )


def _figures(small: _Source, large: _Source) -> list[Figure]:
    pairs = {
        "CreateSnapshot": (small.snapshot.p50_s, large.snapshot.p50_s),
        "clone": (small.clone.p50_s, large.clone.p50_s),
    }
    sizes = format_size(large.size_bytes), format_size(small.size_bytes)
    return [
        Figure(
            what=f"{call} of {sizes[0]}, {large.extents:,} extents, p50",
            measured=milliseconds(large_s),
            beside=f"{sizes[1]}: {milliseconds(small_s)}",
            ratio=large_s / small_s,
            target=_SAME,
        )
        for call, (small_s, large_s) in pairs.items()
    ]
