"""rules.md A13: a pool that runs full, for real, and what thick and thin mean on the disk."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from csi_zfs.datasets.admission import Claim, Room
from csi_zfs.datasets.api import (
    DatasetExistsError,
    NewDataset,
    NewSnapshot,
    PoolFullError,
)
from csi_zfs.domain.model import HealthStatus
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.space import Space
from tests.support.reflink import contents_of, image_of, real_pool, tmpfs, top_of

pytestmark = pytest.mark.root
SMALL_BYTES = 320 * MIB


def fill(datasets: ReflinkDatasets, *, leaving_bytes: int) -> None:
    """Take the free blocks of a pool's file system, as a writer of a thin volume would."""
    found = os.statvfs(top_of(datasets))
    path = top_of(datasets) / "ballast"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(descriptor, 0, found.f_bavail * found.f_frsize - leaving_bytes)
    os.close(descriptor)


def fill_up(datasets: ReflinkDatasets) -> None:
    """Take every block, down to those that XFS gives to nobody."""
    descriptor = os.open(top_of(datasets) / "ballast", os.O_RDWR | os.O_CREAT)
    block = b"x" * MIB
    try:
        while True:
            block = block[: os.write(descriptor, block)]
            os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)


def blocks_of(path: Path) -> int:
    return path.stat().st_blocks * 512


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ReflinkDatasets]:
    with real_pool(tmp_path, size_bytes=SMALL_BYTES, reserve_percent=5) as datasets:
        yield datasets


def prepared(datasets: ReflinkDatasets) -> None:
    datasets.create(NewDataset("v/thin", 16 * MIB))
    datasets.create(NewDataset("v/thick", 16 * MIB, is_thick=True))
    datasets.snapshot([NewSnapshot("v/thin@s")])
    image = image_of(datasets, "v/thin")
    image.write_bytes(b"synced" + bytes(16 * MIB - 6))
    descriptor = os.open(image, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def require_full(datasets: ReflinkDatasets) -> None:
    """Nothing can be made, nothing changes by trying, and all deletes work."""
    before = contents_of(top_of(datasets))
    with pytest.raises(PoolFullError):
        datasets.create(NewDataset("v/new", MIB))
    with pytest.raises(PoolFullError):
        datasets.create(NewDataset("v/new", MIB, is_thick=True))
    with pytest.raises(PoolFullError):
        datasets.clone("v/thin", NewDataset("v/new", 16 * MIB))
    with pytest.raises(PoolFullError):
        datasets.snapshot([NewSnapshot("v/thin@new")])
    with pytest.raises(PoolFullError):
        datasets.snapshot([NewSnapshot("v/thin@new"), NewSnapshot("v/thick@new")])
    with pytest.raises(PoolFullError):
        datasets.resize("v/thin", 32 * MIB)
    assert contents_of(top_of(datasets)) == before
    assert image_of(datasets, "v/thin").read_bytes()[:6] == b"synced"


def require_deletable(datasets: ReflinkDatasets) -> None:
    datasets.destroy_snapshot("v/thin@s", uid=datasets.get_snapshot("v/thin@s").uid)
    for name in ("v/thick", "v/thin"):
        datasets.destroy(name, uid=datasets.get(name).uid)
    assert list(datasets.list()) == []
    promised = datasets._engine.ledger.promised
    assert promised.thick_bytes == promised.thin_bytes == 0


def test_pool_below_its_reserve_takes_nothing_more_and_says_so(small: ReflinkDatasets) -> None:
    prepared(small)
    assert small.health() == ()
    fill(small, leaving_bytes=8 * MIB)
    [finding] = small.health()
    assert (finding.status, finding.reason) == (HealthStatus.DEGRADED, "PoolNearlyFull")
    assert small.capacity().admissible_thin_bytes == 0
    require_full(small)
    require_deletable(small)


@pytest.mark.slow
def test_pool_without_a_free_block_takes_nothing_more_and_lets_go(tmp_path: Path) -> None:
    """No reserve, so the file system itself says "no space" in the middle of the work."""
    with real_pool(tmp_path, size_bytes=SMALL_BYTES, reserve_percent=0) as datasets:
        prepared(datasets)
        fill_up(datasets)
        before = contents_of(top_of(datasets))
        for number in range(100):
            try:
                datasets.create(NewDataset(f"v/n{number}", MIB))
            except PoolFullError:
                break
        else:
            pytest.fail("the file system never was full")
        for name, content in contents_of(top_of(datasets)).items():
            assert before.get(name, content) == content
        assert not list((top_of(datasets) / "t").iterdir())
        for made in range(number):
            datasets.destroy(f"v/n{made}", uid=datasets.get(f"v/n{made}").uid)
        require_deletable(datasets)


def test_repeated_create_on_a_full_pool_says_that_it_exists(small: ReflinkDatasets) -> None:
    """rules.md B1: the first call was done; "full" would be final for the caller."""
    prepared(small)
    fill(small, leaving_bytes=8 * MIB)
    with pytest.raises(DatasetExistsError):
        small.create(NewDataset("v/thin", 16 * MIB))
    with pytest.raises(DatasetExistsError):
        small.snapshot([NewSnapshot("v/thin@s")])


def test_thick_dataset_has_its_blocks_and_a_thin_one_none(small: ReflinkDatasets) -> None:
    small.create(NewDataset("v/thin", 16 * MIB))
    small.create(NewDataset("v/thick", 16 * MIB, is_thick=True))
    assert blocks_of(image_of(small, "v/thin")) == 0
    assert blocks_of(image_of(small, "v/thick")) >= 16 * MIB
    small.resize("v/thick", 32 * MIB)
    assert blocks_of(image_of(small, "v/thick")) >= 32 * MIB


def test_thick_dataset_keeps_its_promise_on_a_full_pool(small: ReflinkDatasets) -> None:
    small.create(NewDataset("v/thick", 16 * MIB, is_thick=True))
    fill_up(small)
    with image_of(small, "v/thick").open("r+b") as image:
        image.write(b"x" * 16 * MIB)
        image.flush()
        os.fsync(image.fileno())


def test_refused_thick_growth_gives_its_blocks_back(small: ReflinkDatasets) -> None:
    small.create(NewDataset("v/thick", 16 * MIB, is_thick=True))
    free_bytes = small.capacity().free_bytes
    with pytest.raises(PoolFullError):
        small.resize("v/thick", GIB)
    assert small.capacity().free_bytes == free_bytes
    assert small.get("v/thick").size_bytes == 16 * MIB


def test_snapshots_of_thick_datasets_count_in_full_and_thin_ones_do_not(
    small: ReflinkDatasets,
) -> None:
    prepared(small)
    before = small._engine.ledger.promised
    assert before == Claim(thick_bytes=16 * MIB, thin_bytes=16 * MIB)
    small.snapshot([NewSnapshot("v/thin@more")])
    assert small._engine.ledger.promised == before
    small.snapshot([NewSnapshot("v/thick@more")])
    assert small._engine.ledger.promised == Claim(32 * MIB, 16 * MIB)
    small.destroy_snapshot("v/thick@more", uid=small.get_snapshot("v/thick@more").uid)
    assert small._engine.ledger.promised == before


def test_parallel_thick_creates_never_promise_more_than_there_is(small: ReflinkDatasets) -> None:
    size_bytes = 40 * MIB

    def create(number: int) -> bool:
        try:
            small.create(NewDataset(f"v/n{number}", size_bytes, is_thick=True))
        except PoolFullError:
            return False
        return True

    fits = small.capacity().admissible_thick_bytes // size_bytes
    with ThreadPoolExecutor(8) as executor:
        made = sum(executor.map(create, range(16)))
    assert 1 <= made <= fits
    # Work under way counts twice for a moment, so that some were refused; their room is not lost.
    assert made + sum(map(create, range(16, 32))) == fits


def test_room_of_a_sparse_image_is_bounded_by_the_file_system_below(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "top", "64m") as top, tmpfs(tmp_path / "below", "16m") as below:
        image = below / "pool.img"
        image.touch()
        os.truncate(image, 64 * MIB)
        assert Space(top, image=None).room() == Room(64 * MIB, 64 * MIB)
        assert Space(top, image=image).room() == Room(16 * MIB, 16 * MIB)
        os.truncate(image, 16 * MIB)
        assert Space(top, image=image).room() == Room(64 * MIB, 64 * MIB)
        image.write_bytes(b"x" * 12 * MIB)
        os.truncate(image, 16 * MIB)
        assert Space(top, image=image).room() == Room(64 * MIB, 64 * MIB)
        (below / "other").write_bytes(b"x" * 2 * MIB)
        assert Space(top, image=image).room() == Room(2 * MIB, 2 * MIB)
