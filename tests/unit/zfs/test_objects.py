"""Reading a pool: what was made by hand, long records, many datasets, what goes meanwhile."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pytest

from csi_zfs.datasets.api import (
    Dataset,
    DatasetExistsError,
    DatasetKind,
    DatasetNotFoundError,
    DatasetSnapshot,
    NewDataset,
    NewSnapshot,
    PoolUnavailableError,
    RecordCorruptError,
)
from csi_zfs.domain.sizes import MIB
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.lzc import (
    DEFAULT_INSTRUCTION_LIMIT,
    DEFAULT_MEMORY_LIMIT_BYTES,
    NO_ARGUMENTS,
    Arguments,
    ProgramValue,
)
from csi_zfs.zfs.pools import open_pool
from csi_zfs.zfs.programs import source_of
from csi_zfs.zfs.records import DATASET_PROPERTY
from tests.support.zfs_core import FakeLibzfsCore
from tests.support.zfs_fake_pools import PARENT, FakeZfs

BY_HAND = f"{PARENT}/v/byhand"


@pytest.fixture
def datasets(zfs: FakeZfs) -> LibzfsCoreDatasets:
    return open_pool(PARENT, name="pool", doors=zfs.doors)


@pytest.fixture
def by_hand(zfs: FakeZfs) -> None:
    """A zvol with a snapshot that the driver did not make."""
    zfs.core.create(BY_HAND, DatasetKind.ZVOL, {"volsize": MIB})
    zfs.core.snapshot([f"{BY_HAND}@s"])


def guid_of(zfs: FakeZfs, name: str) -> str:
    entry = zfs.pool.find(f"{PARENT}/{name}")
    assert entry is not None
    return f"{entry.guid:016x}"


@pytest.mark.usefixtures("by_hand")
def test_dataset_made_by_hand_has_its_guid_as_uid_and_no_record(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    found = datasets.get("v/byhand")
    assert (found.uid, found.kind, found.size_bytes) == (
        guid_of(zfs, "v/byhand"),
        DatasetKind.ZVOL,
        MIB,
    )
    assert (found.user_properties, found.origin, found.is_thick) == ({}, "", False)
    assert found.created_ns == zfs.pool.now_s() * 1_000_000_000


@pytest.mark.usefixtures("by_hand")
def test_snapshot_made_by_hand_has_its_guid_as_uid(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    found = datasets.get_snapshot("v/byhand@s")
    assert (found.uid, found.kind, found.size_bytes) == (
        guid_of(zfs, "v/byhand@s"),
        DatasetKind.ZVOL,
        MIB,
    )
    assert (found.user_properties, found.holds, found.is_deferred) == ({}, frozenset(), False)


def test_file_system_and_clone_made_by_hand_say_what_they_are(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    zfs.core.create(BY_HAND, DatasetKind.FILESYSTEM, {})
    zfs.core.snapshot([f"{BY_HAND}@s"])
    zfs.core.clone(f"{BY_HAND}-2", f"{BY_HAND}@s", {})
    assert datasets.get("v/byhand").kind is DatasetKind.FILESYSTEM
    assert datasets.get_snapshot("v/byhand@s").kind is DatasetKind.FILESYSTEM
    assert datasets.get("v/byhand-2").origin == "v/byhand@s"


@pytest.mark.usefixtures("by_hand")
def test_what_was_made_by_hand_is_in_no_list(datasets: LibzfsCoreDatasets) -> None:
    datasets.create(NewDataset("v/a", MIB))
    datasets.snapshot([NewSnapshot("v/byhand@ours"), NewSnapshot("v/a@s")])
    assert [one.name for one in datasets.list()] == ["v/a"]
    assert {one.name for one in datasets.list_snapshots()} == {"v/byhand@ours", "v/a@s"}


@pytest.mark.usefixtures("by_hand")
def test_what_was_made_by_hand_is_never_destroyed_nor_taken_over(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    """rules.md A2: also by whoever knows its uid."""
    with pytest.raises(DatasetNotFoundError):
        datasets.destroy("v/byhand", uid=guid_of(zfs, "v/byhand"))
    uid = guid_of(zfs, "v/byhand@s")
    for is_deferred in (False, True):
        with pytest.raises(DatasetNotFoundError):
            datasets.destroy_snapshot("v/byhand@s", uid=uid, is_deferred=is_deferred)
    with pytest.raises(DatasetExistsError):
        datasets.create(NewDataset("v/byhand", MIB))
    assert zfs.core.exists(f"{BY_HAND}@s")


def test_record_of_several_parts_is_read_alone_and_in_lists(datasets: LibzfsCoreDatasets) -> None:
    texts = {key: key * 8000 for key in "abc"}
    made = datasets.create(NewDataset("v/a", MIB, user_properties=texts))
    datasets.snapshot([NewSnapshot("v/a@s", texts)])
    assert datasets.get("v/a") == made
    assert list(datasets.list()) == [made]
    assert datasets.get_snapshot("v/a@s").user_properties == texts
    [snapshot] = datasets.list_snapshots()
    assert isinstance(snapshot, DatasetSnapshot)
    assert snapshot.user_properties == texts


def test_record_that_became_shorter_forgets_its_old_parts(datasets: LibzfsCoreDatasets) -> None:
    datasets.create(NewDataset("v/a", MIB, user_properties={"a": "x" * 8000, "b": "y" * 8000}))
    changed = datasets.set_user_properties("v/a", {"a": "short"})
    assert datasets.get("v/a") == changed
    assert changed.user_properties == {"a": "short"}


def test_record_without_its_second_part_is_corrupt_and_not_absent(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    datasets.create(NewDataset("v/a", MIB, user_properties={"a": "x" * 8000, "b": "y" * 8000}))
    del zfs.dataset("v/a").properties[f"{DATASET_PROPERTY}.1"]
    with pytest.raises(RecordCorruptError, match="v/a"):
        datasets.get("v/a")
    [listed] = datasets.list()
    assert isinstance(listed, RecordCorruptError)


def test_more_datasets_than_a_page_are_all_listed(
    datasets: LibzfsCoreDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csi_zfs.zfs.objects._PAGE", 4)
    names = [f"v/{number}" for number in range(10)]
    for name in names:
        datasets.create(NewDataset(name, MIB))
    datasets.snapshot([NewSnapshot(f"{name}@s") for name in names])
    assert sorted(one.name for one in datasets.list()) == sorted(names)
    assert len({one.name for one in datasets.list_snapshots()}) == len(names)


class Losing(FakeLibzfsCore):
    """A fake in which v/b and its snapshot go once a program has read what they are."""

    def __init__(self, zfs: FakeZfs) -> None:
        super().__init__(zfs.pool, zfs.dev)
        self.lost_after = ""

    def read_program(
        self,
        pool_name: str,
        source: str,
        arguments: Arguments = NO_ARGUMENTS,
        *,
        instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT,
        memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    ) -> ProgramValue:
        found = super().read_program(pool_name, source, arguments)
        if self.lost_after and source == source_of(self.lost_after):
            self.destroy_snapshots([f"{PARENT}/v/b@s"])
            self.destroy(f"{PARENT}/v/b")
            self.lost_after = ""
        return found


class Releasing(FakeLibzfsCore):
    """A fake in which a snapshot is released and destroyed before its holds are read."""

    def holds(self, name: str) -> Mapping[str, int]:
        self.release(name, "tag")
        self.destroy_snapshots([name])
        return super().holds(name)


def test_snapshot_that_goes_before_its_holds_are_read_fails_nobody(zfs: FakeZfs) -> None:
    """rules.md B8."""
    core = Releasing(zfs.pool, zfs.dev)
    datasets = open_pool(PARENT, name="pool", doors=replace(zfs.doors, core=core))
    datasets.create(NewDataset("v/a", MIB))
    reads: list[Callable[[], Iterable[object]]] = [
        datasets.list_snapshots,
        lambda: [datasets.get_snapshot("v/a@s")],
    ]
    for read in reads:
        datasets.snapshot([NewSnapshot("v/a@s")])
        zfs.core.hold(f"{PARENT}/v/a@s", "tag")
        [found] = read()
        assert isinstance(found, DatasetSnapshot)
        assert found.holds == frozenset()


@pytest.mark.parametrize("program", ["list_names", "list_datasets", "list_snapshots"])
def test_what_goes_while_it_is_listed_is_left_out(zfs: FakeZfs, program: str) -> None:
    """rules.md B8: a listing in the middle of deletes fails nobody."""
    core = Losing(zfs)
    datasets = open_pool(PARENT, name="pool", doors=replace(zfs.doors, core=core))
    long = {"a": "x" * 8000, "b": "y" * 8000}
    for name in ("v/a", "v/b"):
        datasets.create(NewDataset(name, MIB, user_properties=long))
        datasets.snapshot([NewSnapshot(f"{name}@s", long)])
    core.lost_after = program
    listed = datasets.list_snapshots() if program == "list_snapshots" else datasets.list()
    assert [one.name.removesuffix("@s") for one in listed] == ["v/a"]


def test_origin_that_is_renamed_is_told_by_its_new_name_in_lists(
    datasets: LibzfsCoreDatasets,
) -> None:
    datasets.create(NewDataset("v/a", MIB))
    datasets.snapshot([NewSnapshot("v/a@s")])
    datasets.clone("v/a@s", NewDataset("v/c", MIB))
    datasets.rename("v/a", "v/b")
    origins = {one.name: one.origin for one in datasets.list() if isinstance(one, Dataset)}
    assert origins == {"v/b": "", "v/c": "v/b@s"}


def test_what_cannot_be_read_is_unavailable_and_one_error_of_a_list(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    """rules.md A5, B8: OpenZFS has no error for it, and no native property of it."""
    for name in ("v/a", "v/b"):
        datasets.create(NewDataset(name, MIB))
        datasets.snapshot([NewSnapshot(f"{name}@s")])
    datasets.clone("v/a@s", NewDataset("v/c", MIB))
    zfs.pool.unreadable |= {f"{PARENT}/v/a@s", f"{PARENT}/v/c"}
    reads = (lambda: datasets.get_snapshot("v/a@s"), lambda: datasets.get("v/c"))
    for read in reads:
        with pytest.raises(PoolUnavailableError, match="cannot be read"):
            read()
    damaged, whole = sorted(datasets.list_snapshots(), key=lambda one: one.name)
    assert isinstance(damaged, RecordCorruptError)
    assert (damaged.name, whole.name) == ("v/a@s", "v/b@s")


def test_parent_that_cannot_be_read_is_unavailable(
    zfs: FakeZfs, datasets: LibzfsCoreDatasets
) -> None:
    zfs.pool.unreadable.add(PARENT)
    with pytest.raises(PoolUnavailableError, match="cannot be read"):
        datasets.capacity()
    assert not datasets.is_reachable()
