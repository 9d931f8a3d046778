"""Making, opening, growing, exporting and describing pools, on real devices."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from csi_zfs.datasets.admission import InvalidPolicyError
from csi_zfs.datasets.api import (
    NewDataset,
    NewSnapshot,
    PoolFullError,
    PoolUnavailableError,
    RecordCorruptError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.reflink.creation import (
    PoolExistsError,
    PoolPathTakenError,
    PoolSizeError,
    create_pool,
)
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.mounts import PoolBusyError
from csi_zfs.reflink.place import Place
from csi_zfs.reflink.pools import export_pool, grow_pool, open_pool, pool_status
from csi_zfs.reflink.probing import ReflinkMissingError
from csi_zfs.reflink.records import Move, encode_journal
from csi_zfs.system.runner import SystemRunner
from tests.support.cleanup import loop_devices_below, mounts_below, nothing_left_below
from tests.support.reflink import (
    attached,
    contents_of,
    delete_pool,
    image_of,
    pool_path,
    tmpfs,
    top_of,
    xfs_directory,
)

pytestmark = pytest.mark.root
SIZE_BYTES = 320 * MIB


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A fresh pool in an image."""
    with pool_path(tmp_path, size_bytes=SIZE_BYTES) as made:
        yield made


@pytest.fixture
def xfs(tmp_path: Path) -> Iterator[Path]:
    with xfs_directory(tmp_path) as directory:
        yield directory


def opened_once(path: Path) -> str:
    datasets = open_pool(path, name="pool")
    try:
        return datasets.pool_id
    finally:
        datasets.close()


def test_pool_keeps_its_id_and_its_volumes_wherever_it_is(path: Path) -> None:
    pool_id = opened_once(path)
    datasets = open_pool(path, name="pool")
    assert (datasets.pool_id, datasets.pool_name) == (pool_id, "pool")
    dataset = datasets.create(NewDataset("v/a", MIB))
    datasets.close()
    export_pool(path)
    moved = path.rename(path.with_name("moved"))
    try:
        datasets = open_pool(moved, name="other")
        assert (datasets.pool_id, datasets.pool_name) == (pool_id, "other")
        assert datasets.get("v/a") == dataset
        datasets.close()
    finally:
        export_pool(moved)
        moved.rename(path)


def test_opened_pool_is_mounted_so_that_nothing_in_it_can_act(path: Path) -> None:
    opened_once(path)
    flags = os.statvfs(path / "mnt").f_flag
    assert flags & os.ST_NODEV
    assert flags & os.ST_NOSUID
    assert flags & os.ST_NOEXEC


def test_pool_opened_again_after_a_restart_has_one_device_and_one_mount(path: Path) -> None:
    """rules.md A11."""
    opened_once(path)
    [device] = loop_devices_below(path)
    opened_once(path)
    assert loop_devices_below(path) == [device]
    assert mounts_below(path) == [str(path / "mnt")]


def test_device_of_a_pool_is_found_under_another_name_of_the_file(path: Path) -> None:
    """rules.md A11: by device and inode, never by path."""
    opened_once(path)
    twin = path.with_name("twin")
    twin.mkdir()
    (twin / "pool.img").hardlink_to(path / "pool.img")
    try:
        assert opened_once(twin) == opened_once(path)
        assert len(loop_devices_below(path.parent)) == 1
    finally:
        SystemRunner().run(["umount", str(twin / "mnt")])


def test_second_driver_is_refused_until_the_first_is_gone(path: Path) -> None:
    """rules.md A11: two drivers would give the same room away twice."""
    datasets = open_pool(path, name="pool")
    with pytest.raises(PoolUnavailableError, match="another process of the driver owns"):
        open_pool(path, name="pool")
    datasets.close()
    opened_once(path)


@pytest.mark.parametrize(
    "call",
    [opened_once, export_pool, lambda path: grow_pool(path, GIB), create_pool],
    ids=["open", "export", "grow", "create"],
)
def test_pool_that_another_process_is_changing_is_unavailable(
    path: Path, call: Callable[[Path], object]
) -> None:
    with Place(path).locked(), pytest.raises(PoolUnavailableError, match="another process"):
        call(path)


def test_pool_behind_a_symbolic_link_is_the_same_pool(tmp_path: Path) -> None:
    """rules.md A11: the kernel names mounts by their real paths."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with nothing_left_below(tmp_path):
        pool_id = create_pool(tmp_path / "link" / "pool", size_bytes=SIZE_BYTES)
        for name in ("link", "real"):
            assert opened_once(tmp_path / name / "pool") == pool_id
        assert mounts_below(tmp_path) == [str(tmp_path / "real" / "pool" / "mnt")]
        delete_pool(tmp_path / "link" / "pool")


def test_missing_pool_is_unavailable_and_nothing_is_made(tmp_path: Path) -> None:
    """The disk that it lies on may not be mounted yet: rules.md A5."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name in ("missing", "empty", "file"):
        for call in (opened_once, export_pool, pool_status, lambda path: grow_pool(path, GIB)):
            with pytest.raises(PoolUnavailableError, match="there is no pool"):
                call(tmp_path / name)
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["empty", "file"]


def test_create_over_a_pool_is_refused_and_changes_nothing(path: Path) -> None:
    """rules.md A4."""
    pool_id = opened_once(path)
    for size_bytes in (SIZE_BYTES, None):
        with pytest.raises(PoolExistsError):
            create_pool(path, size_bytes=size_bytes)
    assert opened_once(path) == pool_id


def test_create_never_formats_a_file_that_is_there(tmp_path: Path) -> None:
    """rules.md A4."""
    (tmp_path / "pool.img").write_bytes(b"a disk of somebody's")
    with pytest.raises(PoolExistsError):
        create_pool(tmp_path, size_bytes=SIZE_BYTES)
    assert (tmp_path / "pool.img").read_bytes() == b"a disk of somebody's"
    with pytest.raises(PoolUnavailableError):
        open_pool(tmp_path, name="pool")
    assert (tmp_path / "pool.img").read_bytes() == b"a disk of somebody's"
    export_pool(tmp_path)


@pytest.mark.parametrize("name", ["thesis.txt", "mnt/thesis.txt", "v/thesis.txt"])
@pytest.mark.parametrize("size_bytes", [SIZE_BYTES, None])
def test_create_in_a_directory_that_is_in_use_is_refused_and_changes_nothing(
    xfs: Path, name: str, size_bytes: int | None
) -> None:
    """rules.md A4."""
    path = xfs / "home"
    (path / name).parent.mkdir(parents=True)
    (path / name).write_text("years of work")
    before = contents_of(path)
    with pytest.raises(PoolPathTakenError, match=r"thesis|mnt|v"):
        create_pool(path, size_bytes=size_bytes)
    assert contents_of(path) == before


def test_create_below_the_smallest_size_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(PoolSizeError, match="320 MiB"):
        create_pool(tmp_path / "pool", size_bytes=SIZE_BYTES - 1)
    assert not (tmp_path / "pool").exists()


def test_create_where_no_directory_can_be_is_refused(tmp_path: Path) -> None:
    """The directory above may be of a disk that is not mounted yet: rules.md A5."""
    with pytest.raises(PoolUnavailableError, match="there is no directory"):
        create_pool(tmp_path / "missing" / "pool", size_bytes=SIZE_BYTES)
    (tmp_path / "file").touch()
    with pytest.raises(PoolPathTakenError, match="not a directory"):
        create_pool(tmp_path / "file", size_bytes=SIZE_BYTES)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["file"]


def test_preallocated_pool_has_its_blocks_and_a_sparse_one_few(tmp_path: Path) -> None:
    with nothing_left_below(tmp_path):
        for is_preallocated, name in ((True, "full"), (False, "sparse")):
            create_pool(tmp_path / name, size_bytes=SIZE_BYTES, is_preallocated=is_preallocated)
            blocks = (tmp_path / name / "pool.img").stat().st_blocks * 512
            assert (blocks >= SIZE_BYTES) is is_preallocated
            (tmp_path / name / "pool.img").unlink()


def test_preallocated_pool_that_does_not_fit_below_leaves_nothing(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "tmpfs", "64m") as top:
        with pytest.raises(PoolFullError):
            create_pool(top / "pool", size_bytes=SIZE_BYTES, is_preallocated=True)
        assert list((top / "pool").iterdir()) == []
        assert os.statvfs(top).f_bavail == os.statvfs(top).f_blocks


def test_directory_on_a_file_system_with_reflinks_is_a_pool(xfs: Path) -> None:
    path = xfs / "pool"
    pool_id = create_pool(path)
    datasets = open_pool(path, name="pool")
    assert datasets.pool_id == pool_id
    datasets.create(NewDataset("v/a", MIB))
    datasets.snapshot([NewSnapshot("v/a@s")])
    datasets.clone("v/a@s", NewDataset("v/b", MIB))
    assert datasets.health() == ()
    with pytest.raises(PoolBusyError):
        export_pool(path)
    datasets.close()
    export_pool(path)
    assert sorted(entry.name for entry in path.iterdir()) == ["j", "pool.json", "t", "v"]


def test_directory_without_reflinks_is_refused_in_words_and_left_empty(tmp_path: Path) -> None:
    """Tried, not guessed."""
    with tmpfs(tmp_path / "tmpfs", "1m") as top:
        with pytest.raises(ReflinkMissingError, match="give the pool a size"):
            create_pool(top / "pool")
        assert list((top / "pool").iterdir()) == []


def test_directory_pool_that_was_copied_to_where_no_reflinks_are_is_refused(
    xfs: Path, tmp_path: Path
) -> None:
    create_pool(xfs / "pool")
    with tmpfs(tmp_path / "tmpfs", "1m") as top:
        SystemRunner().run(["cp", "-a", str(xfs / "pool"), str(top / "pool")])
        with pytest.raises(ReflinkMissingError):
            open_pool(top / "pool", name="pool")


@pytest.mark.parametrize(("thin_ratio", "reserve_percent"), [(0.5, 5), (4.0, 99)])
def test_open_with_options_that_make_no_sense_is_refused_before_anything(
    path: Path, thin_ratio: float, reserve_percent: int
) -> None:
    with pytest.raises(InvalidPolicyError):
        open_pool(path, name="pool", thin_ratio=thin_ratio, reserve_percent=reserve_percent)
    assert not loop_devices_below(path)


def test_open_where_something_else_is_mounted_is_unavailable(path: Path) -> None:
    """rules.md A6."""
    with tmpfs(path / "mnt", "1m") as top:
        with pytest.raises(PoolUnavailableError, match="something else"):
            open_pool(path, name="pool")
        assert list(top.iterdir()) == []
    opened_once(path)


def damage(path: Path, name: str) -> None:
    opened_once(path)
    anchor = path / "mnt" / name
    if anchor.is_dir():
        anchor.rename(anchor.with_name("away"))
        anchor.touch()
    else:
        anchor.write_bytes(anchor.read_bytes().replace(b"a", b"b"))


@pytest.mark.parametrize(
    ("name", "error"),
    [("pool.json", RecordCorruptError), ("v", PoolUnavailableError), ("t", PoolUnavailableError)],
)
def test_open_of_a_damaged_pool_says_so_and_lets_go_of_it(
    path: Path, name: str, error: type[CsiZfsError]
) -> None:
    damage(path, name)
    for _ in range(2):
        with pytest.raises(error, match=name):
            open_pool(path, name="pool")


def test_open_on_a_device_that_an_earlier_user_left_read_only_is_writable(path: Path) -> None:
    """The kernel keeps that state of a loop device's number when the file is detached."""
    opened_once(path)
    [device] = loop_devices_below(path)
    export_pool(path)
    runner = SystemRunner()
    runner.run(["losetup", "--direct-io=on", str(device), str(path / "pool.img")])
    runner.run(["blockdev", "--setro", str(device)])
    datasets = open_pool(path, name="pool")
    datasets.create(NewDataset("v/a", MIB))
    assert datasets.health() == ()
    datasets.close()


def test_open_of_a_pool_whose_mount_point_is_missing_makes_it(path: Path) -> None:
    (path / "mnt").rmdir()
    opened_once(path)


def test_grow_makes_room_while_a_driver_serves_the_pool(path: Path) -> None:
    datasets = open_pool(path, name="pool")
    before = datasets.capacity()
    grow_pool(path, GIB)
    after = datasets.capacity()
    assert after.total_bytes - before.total_bytes > 600 * MIB
    assert after.admissible_thin_bytes > before.admissible_thin_bytes
    assert datasets.health() == ()
    datasets.close()


def test_grow_of_an_exported_pool_leaves_it_exported(path: Path) -> None:
    grow_pool(path, GIB)
    assert not loop_devices_below(path)
    assert pool_status(path).total_bytes == GIB
    opened_once(path)
    assert pool_status(path).total_bytes > 900 * MIB


def test_grow_keeps_a_preallocated_pool_preallocated(tmp_path: Path) -> None:
    with nothing_left_below(tmp_path):
        create_pool(tmp_path / "pool", size_bytes=SIZE_BYTES, is_preallocated=True)
        grow_pool(tmp_path / "pool", SIZE_BYTES + 64 * MIB)
        image = tmp_path / "pool" / "pool.img"
        assert image.stat().st_blocks * 512 >= image.stat().st_size == SIZE_BYTES + 64 * MIB
        image.unlink()


def test_grow_that_does_not_fit_below_gives_back_what_it_took(tmp_path: Path) -> None:
    """rules.md A13: "full" changes nothing."""
    with tmpfs(tmp_path / "tmpfs", "400m") as top, nothing_left_below(top / "pool"):
        create_pool(top / "pool", size_bytes=SIZE_BYTES, is_preallocated=True)
        before = (top / "pool" / "pool.img").stat()
        with pytest.raises(PoolFullError):
            grow_pool(top / "pool", GIB)
        after = (top / "pool" / "pool.img").stat()
        assert (after.st_size, after.st_blocks) == (before.st_size, before.st_blocks)


def test_grow_to_less_is_refused_and_to_the_same_is_no_error(path: Path) -> None:
    with pytest.raises(PoolSizeError, match="cannot shrink"):
        grow_pool(path, SIZE_BYTES - MIB)
    grow_pool(path, SIZE_BYTES)
    assert (path / "pool.img").stat().st_size == SIZE_BYTES


def test_grow_of_a_directory_pool_is_not_supported(xfs: Path) -> None:
    create_pool(xfs / "pool")
    with pytest.raises(UnsupportedFeatureError, match="grow its file system"):
        grow_pool(xfs / "pool", GIB)


def test_export_is_refused_while_a_driver_owns_the_pool(path: Path) -> None:
    datasets = open_pool(path, name="pool")
    with pytest.raises(PoolBusyError):
        export_pool(path)
    assert datasets.health() == ()
    datasets.close()
    export_pool(path)
    export_pool(path)
    assert not loop_devices_below(path)


def test_export_is_refused_while_a_volume_is_attached(path: Path) -> None:
    datasets = open_pool(path, name="pool")
    datasets.create(NewDataset("v/a", MIB))
    image = image_of(datasets, "v/a")
    datasets.close()
    with attached(image), pytest.raises(PoolBusyError):
        export_pool(path)
    opened_once(path)


def test_status_tells_what_a_pool_is_and_holds(path: Path) -> None:
    status = pool_status(path)
    assert (status.has_image, status.is_mounted, status.pool_id) == (True, False, "")
    assert (status.device, status.total_bytes) == (None, SIZE_BYTES)
    datasets = open_pool(path, name="pool")
    for name in ("v/a", "v/b"):
        datasets.create(NewDataset(name, MIB))
        datasets.snapshot([NewSnapshot(f"{name}@s"), NewSnapshot(f"{name}@t")])
    datasets.retire("v/b", tombstone_of("0123456789abcdef"))
    status = pool_status(path)
    assert (status.has_image, status.is_mounted) == (True, True)
    assert status.pool_id == datasets.pool_id
    assert (status.volumes, status.snapshots) == (1, 4)
    assert status.total_bytes == datasets.capacity().total_bytes
    assert [status.device] == loop_devices_below(path)
    datasets.close()


def test_status_of_a_directory_pool_needs_no_device(xfs: Path) -> None:
    pool_id = create_pool(xfs / "pool")
    status = pool_status(xfs / "pool")
    assert (status.has_image, status.is_mounted, status.device) == (False, True, None)
    assert status.pool_id == pool_id


@pytest.mark.expected_logs("is not the driver's and is left alone")
def test_open_leaves_foreign_things_alone_and_logs_them(path: Path) -> None:
    """rules.md A2, B8."""
    datasets = open_pool(path, name="pool")
    top = top_of(datasets)
    datasets.close()
    (top / "t" / "file").write_text("data")
    (top / "t" / "link").symlink_to("/etc")
    (top / "t" / "0123456789abcdef").mkdir()
    (top / "t" / "0123456789abcdef" / "precious").write_text("data")
    (top / "j" / "directory").mkdir()
    before = contents_of(top)
    opened_once(path)
    assert contents_of(top) == before


def half_made(datasets: ReflinkDatasets) -> Path:
    directory = top_of(datasets) / "t" / "0123456789abcdef"
    directory.mkdir()
    (directory / "record.json").write_bytes(b"{}\n")
    return directory


@pytest.mark.expected_logs("a journal is damaged")
def test_open_with_a_damaged_journal_keeps_what_was_promised_and_says_so(path: Path) -> None:
    """rules.md A12: the data of a group snapshot may be in `t/`."""
    datasets = open_pool(path, name="pool")
    promised = half_made(datasets)
    journal = top_of(datasets) / "j" / "0123456789abcdef.json"
    journal.write_bytes(b"damaged")
    datasets.close()
    again = open_pool(path, name="pool")
    [finding] = again.health()
    assert finding.reason == "JournalDamaged"
    assert str(journal) in finding.message
    assert promised.exists()
    again.create(NewDataset("v/a", MIB))
    again.close()


def promise(datasets: ReflinkDatasets, snapshot_name: str) -> Path:
    journal = top_of(datasets) / "j" / "0123456789abcdef.json"
    journal.write_bytes(encode_journal([Move("0123456789abcdef", snapshot_name)]))
    return journal


def require_opens_empty(path: Path) -> None:
    again = open_pool(path, name="pool")
    assert again.health() == ()
    assert list(again.list_snapshots()) == []
    assert list((top_of(again) / "t").iterdir()) == []
    assert list((top_of(again) / "j").iterdir()) == []
    again.close()


@pytest.mark.expected_logs("snapshot v/gone@s of a group is lost")
def test_open_with_a_journal_that_cannot_be_kept_logs_it_and_goes_on(path: Path) -> None:
    """Nothing but damage explains it, and the pool must open (rules.md B8)."""
    datasets = open_pool(path, name="pool")
    datasets.create(NewDataset("v/a", MIB))
    datasets.snapshot([NewSnapshot("v/a@s")])
    top = top_of(datasets)
    (top / "v" / "a" / "@s").rename(top / "t" / "0123456789abcdef")
    promise(datasets, "v/gone@s")
    datasets.close()
    require_opens_empty(path)


@pytest.mark.parametrize("missing", ["image", "record.json"])
@pytest.mark.expected_logs("snapshot v/a@s of a group was cut short")
def test_open_clears_what_was_promised_and_is_half_taken_apart(path: Path, missing: str) -> None:
    """rules.md B1: it was taken back or deleted."""
    datasets = open_pool(path, name="pool")
    datasets.create(NewDataset("v/a", MIB))
    datasets.snapshot([NewSnapshot("v/a@s")])
    top = top_of(datasets)
    half = (top / "v" / "a" / "@s").rename(top / "t" / "0123456789abcdef")
    (half / missing).unlink()
    promise(datasets, "v/a@s")
    datasets.close()
    require_opens_empty(path)


@pytest.mark.expected_logs("a journal is damaged")
def test_open_keeps_what_was_promised_and_has_a_damaged_record(path: Path) -> None:
    """Its data is there, and a person may mend it."""
    datasets = open_pool(path, name="pool")
    datasets.create(NewDataset("v/a", MIB))
    promised = half_made(datasets)
    (promised / "image").write_bytes(bytes(MIB))
    journal = promise(datasets, "v/a@s")
    datasets.close()
    again = open_pool(path, name="pool")
    [finding] = again.health()
    assert finding.reason == "JournalDamaged"
    assert str(promised) in finding.message
    assert list(again.list_snapshots()) == []
    assert journal.exists()
    assert promised.exists()
    again.close()
