"""What does not belong in a pool, or is damaged: found, named, never followed and never deleted."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    Dataset,
    DatasetExistsError,
    DatasetNotFoundError,
    NewDataset,
    NewSnapshot,
    RecordCorruptError,
)
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.domain.model import HealthStatus
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.layout import IMAGE, RECORD
from csi_zfs.reflink.pools import open_pool
from csi_zfs.reflink.records import encode_pool
from tests.support.reflink import contents_of, image_of, real_pool, top_of

pytestmark = pytest.mark.root
UID = "0123456789abcdef"
CALLS: dict[str, Callable[[ReflinkDatasets], object]] = {
    "get": lambda it: it.get("v/odd"),
    "data_path": lambda it: it.data_path("v/odd"),
    "resize": lambda it: it.resize("v/odd", 2 * MIB),
    "rename": lambda it: it.rename("v/odd", "v/new"),
    "retire": lambda it: it.retire("v/odd", tombstone_of(UID)),
    "set_user_properties": lambda it: it.set_user_properties("v/odd", {}),
    "destroy": lambda it: it.destroy("v/odd", uid=UID),
    "snapshot": lambda it: it.snapshot([NewSnapshot("v/good@s"), NewSnapshot("v/odd@s")]),
    "clone": lambda it: it.clone("v/odd", NewDataset("v/new", MIB)),
    "get_snapshot": lambda it: it.get_snapshot("v/odd@snap"),
    "clone a snapshot": lambda it: it.clone("v/odd@snap", NewDataset("v/new", MIB)),
    "hold": lambda it: it.hold("v/odd@snap", "tag"),
    "release": lambda it: it.release("v/odd@snap", "tag"),
    "rename_snapshot": lambda it: it.rename_snapshot("v/odd@snap", "v/odd@new"),
    "destroy_snapshot": lambda it: it.destroy_snapshot("v/odd@snap", uid=UID),
}


def made(datasets: ReflinkDatasets, name: str) -> Dataset:
    dataset = datasets.create(NewDataset(name, MIB))
    datasets.snapshot([NewSnapshot(f"{name}@snap")])
    return dataset


def plant_file(path: Path) -> None:
    path.write_text("garbage")


def plant_fifo(path: Path) -> None:
    os.mkfifo(path)


def plant_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def plant_link_to_a_volume(path: Path) -> None:
    path.symlink_to(path.with_name("good"))


def plant_link_out_of_the_pool(path: Path) -> None:
    """A copy of a real volume, elsewhere: it would pass for one if the link were followed."""
    elsewhere = path.parents[2] / "elsewhere"
    snapshot = elsewhere / "@snap"
    snapshot.mkdir(parents=True)
    for name in (IMAGE, RECORD):
        (elsewhere / name).write_bytes((path.with_name("good") / name).read_bytes())
        (snapshot / name).write_bytes((path.with_name("good") / "@snap" / name).read_bytes())
    path.symlink_to(elsewhere)


PLANTS = [
    plant_file,
    plant_fifo,
    plant_dangling_link,
    plant_link_to_a_volume,
    plant_link_out_of_the_pool,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_every_call_on_what_is_no_directory_is_corrupt_and_changes_nothing(
    datasets: ReflinkDatasets, tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    """rules.md A2, C1: nothing outside the pool, and no other volume, is read or deleted."""
    made(datasets, "v/good")
    plant(top_of(datasets) / "v" / "odd")
    inside, outside = contents_of(top_of(datasets)), contents_of(tmp_path / "pool")
    for call in CALLS.values():
        with pytest.raises((RecordCorruptError, DatasetNotFoundError)):
            call(datasets)
    with pytest.raises(RecordCorruptError, match="v/odd"):
        datasets.get("v/odd")
    with pytest.raises(DatasetExistsError):
        datasets.create(NewDataset("v/odd", MIB))
    assert contents_of(top_of(datasets)) == inside
    assert contents_of(tmp_path / "pool") == outside


@pytest.mark.parametrize("plant", PLANTS)
def test_list_names_what_is_odd_and_goes_on(
    datasets: ReflinkDatasets, plant: Callable[[Path], None]
) -> None:
    """rules.md B8."""
    good = made(datasets, "v/good")
    plant(top_of(datasets) / "v" / "odd")
    (top_of(datasets) / "v" / "not a name").mkdir()
    listed = list(datasets.list())
    assert [entry for entry in listed if isinstance(entry, Dataset)] == [good]
    errors = [str(entry) for entry in listed if isinstance(entry, RecordCorruptError)]
    assert len(errors) == 2
    assert any("v/odd" in error for error in errors)
    assert any("not a name" in error for error in errors)
    assert [entry.name for entry in datasets.list_snapshots() if not isinstance(entry, Exception)]


def test_damaged_records_are_errors_in_the_lists_and_findings_until_they_are_mended(
    datasets: ReflinkDatasets,
) -> None:
    """rules.md A12, B8."""
    made(datasets, "v/good")
    made(datasets, "v/bad")
    top = top_of(datasets)
    damaged = [top / "v/bad" / RECORD, top / "v/bad/@snap" / RECORD, top / "v/good/@snap" / RECORD]
    before = [path.read_bytes() for path in damaged]
    for path in damaged:
        path.write_bytes(path.read_bytes().replace(b"false", b"true"))
    assert [type(entry) for entry in datasets.list_snapshots()] == [RecordCorruptError] * 2
    assert sum(isinstance(entry, RecordCorruptError) for entry in datasets.list()) == 1
    findings = datasets.health()
    assert [finding.status for finding in findings] == [HealthStatus.DATA_LOSS] * 3
    for path in damaged:
        assert any(str(path) in finding.message for finding in findings)
    for path, data in zip(damaged, before, strict=True):
        path.write_bytes(data)
    assert datasets.health() == ()


def test_pool_with_damaged_records_opens_and_serves_the_rest(tmp_path: Path) -> None:
    """rules.md B8."""
    with real_pool(tmp_path) as datasets:
        good = made(datasets, "v/good")
        made(datasets, "v/bad")
        for name in ("v/bad", "v/good/@snap"):
            (top_of(datasets) / name / RECORD).write_bytes(b"{}")
        datasets.close()
        again = open_pool(tmp_path / "pool", name="pool")
        assert again.get("v/good") == good
        assert len(again.health()) == 2
        again.close()


def test_pool_file_that_was_changed_under_the_driver_is_a_finding(
    datasets: ReflinkDatasets,
) -> None:
    """rules.md A12: health is read back now, not remembered."""
    anchor = top_of(datasets) / "pool.json"
    anchor.write_bytes(encode_pool(pool_id=UID, created_ns=1))
    [finding] = datasets.health()
    assert (finding.status, UID in finding.message) == (HealthStatus.INACCESSIBLE, True)
    anchor.write_bytes(b"garbage")
    [finding] = datasets.health()
    assert finding.status is HealthStatus.INACCESSIBLE


def test_damage_that_is_gone_with_its_object_is_no_finding_any_more(
    datasets: ReflinkDatasets,
) -> None:
    odd = top_of(datasets) / "v" / "odd"
    odd.write_text("garbage")
    assert len(list(datasets.list())) == len(datasets.health()) == 1
    odd.unlink()
    assert datasets.health() == ()


@pytest.mark.parametrize("name", [IMAGE, RECORD])
def test_object_that_lacks_a_file_is_corrupt_and_never_not_found(
    datasets: ReflinkDatasets, name: str
) -> None:
    """rules.md A5."""
    made(datasets, "v/odd")
    (top_of(datasets) / "v/odd" / name).unlink()
    with pytest.raises(RecordCorruptError, match=name):
        datasets.data_path("v/odd")
    with pytest.raises(RecordCorruptError, match=name):
        datasets.snapshot([NewSnapshot("v/odd@new")])
    with pytest.raises(RecordCorruptError, match=name):
        datasets.clone("v/odd", NewDataset("v/new", MIB))


def test_image_shorter_than_its_record_is_corrupt(datasets: ReflinkDatasets) -> None:
    made(datasets, "v/odd")
    image = image_of(datasets, "v/odd")
    os.truncate(image, MIB - 1)
    with pytest.raises(RecordCorruptError, match="image"):
        datasets.data_path("v/odd")
    image.unlink()
    image.mkdir()
    with pytest.raises(RecordCorruptError, match="image"):
        datasets.data_path("v/odd")
    image.rmdir()


def test_destroy_leaves_a_dataset_that_holds_foreign_files_as_it_is(
    datasets: ReflinkDatasets,
) -> None:
    """rules.md A2: nothing is deleted that the driver did not make."""
    dataset = datasets.create(NewDataset("v/odd", MIB))
    (top_of(datasets) / "v/odd" / "precious").write_text("data")
    before = contents_of(top_of(datasets))
    with pytest.raises(RecordCorruptError, match="precious"):
        datasets.destroy("v/odd", uid=dataset.uid)
    assert contents_of(top_of(datasets)) == before


def test_destroy_does_not_follow_a_link_in_place_of_the_image(
    datasets: ReflinkDatasets, tmp_path: Path
) -> None:
    """rules.md C1."""
    dataset = datasets.create(NewDataset("v/odd", MIB))
    canary = tmp_path / "canary"
    canary.write_text("data")
    image_of(datasets, "v/odd").unlink()
    image_of(datasets, "v/odd").symlink_to(canary)
    with pytest.raises(RecordCorruptError, match="image"):
        datasets.destroy("v/odd", uid=dataset.uid)
    assert canary.read_text() == "data"
