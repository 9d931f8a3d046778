"""What the changes of a zvol are where its stream does not come as it should."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot, PoolUnavailableError
from csi_zfs.domain.model import ChangedRange
from csi_zfs.domain.sizes import MIB
from csi_zfs.streams.records import StreamTruncatedError
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.errors import PoolSuspendedError
from csi_zfs.zfs.lzc import SendFlag
from csi_zfs.zfs.pools import open_pool
from tests.support.zfs_core import FakeLibzfsCore
from tests.support.zfs_fake_pools import PARENT, fake_zfs, write
from tests.support.zfs_state import BLOCK_BYTES

BLOCKS = 16


class Disturbed(FakeLibzfsCore):
    """Sends so many bytes, and then ends as a test says; somebody else may keep the pipe open."""

    datasets: LibzfsCoreDatasets
    length = 1 << 30
    error: Exception | None = None
    kept = -1
    is_kept = False

    def send(
        self,
        snapshot_name: str,
        from_name: str,
        descriptor: int,
        flags: frozenset[SendFlag] = frozenset(),
    ) -> None:
        """See `LibzfsCore`."""
        if self.is_kept:
            self.kept = os.dup(descriptor)
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as source:
            super().send(snapshot_name, from_name, writing, flags)
            os.close(writing)
            os.write(descriptor, source.read()[: self.length])
        if self.error is not None:
            raise self.error


@pytest.fixture(name="core")
def fixture_core(tmp_path: Path) -> Iterator[Disturbed]:
    zfs = fake_zfs(tmp_path)
    made = Disturbed(zfs.pool, zfs.dev)
    doors = replace(zfs.doors, core=made)
    made.datasets = open_pool(PARENT, name="tank", doors=doors)
    made.datasets.create(NewDataset("v/a", MIB))
    made.datasets.snapshot([NewSnapshot("v/a@old")])
    for number in range(0, 2 * BLOCKS, 2):
        write(zfs.dataset("v/a"), b"x", offset_bytes=number * BLOCK_BYTES)
    made.datasets.snapshot([NewSnapshot("v/a@new")])
    yield made
    if made.kept >= 0:
        os.close(made.kept)


def changes(core: Disturbed) -> list[ChangedRange]:
    return list(core.datasets.changed_ranges("v/a@old", "v/a@new"))


def test_whole_stream_has_all_that_changed(core: Disturbed) -> None:
    assert sum(not one.is_zero for one in changes(core)) == BLOCKS


@pytest.mark.parametrize("length", [0, 5000])
@pytest.mark.parametrize("is_kept", [False, True])
def test_send_that_fails_half_way_is_its_own_error(
    core: Disturbed, length: int, *, is_kept: bool
) -> None:
    """Not that of the stream; also where a stuck call keeps the pipe open in another process."""
    core.length, core.is_kept = length, is_kept
    core.error = PoolSuspendedError("the pool is suspended")
    with pytest.raises(PoolSuspendedError):
        changes(core)


def test_send_that_fails_after_the_whole_stream_is_an_error(core: Disturbed) -> None:
    core.error = PoolUnavailableError("the helper is gone")
    with pytest.raises(PoolUnavailableError):
        changes(core)


@pytest.mark.parametrize("length", [0, 311, 5000])
def test_short_stream_of_a_send_that_ended_well_is_truncated(core: Disturbed, length: int) -> None:
    core.length = length
    with pytest.raises(StreamTruncatedError):
        changes(core)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_pipes_are_closed_however_it_ends(core: Disturbed) -> None:
    before = open_descriptors()
    changes(core)
    started = core.datasets.changed_ranges("v/a@old", "v/a@new")
    next(started)
    del started
    core.error = PoolUnavailableError("the helper is gone")
    with pytest.raises(PoolUnavailableError):
        changes(core)
    assert open_descriptors() == before
