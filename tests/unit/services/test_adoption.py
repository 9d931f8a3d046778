"""What a pool holds, for a cluster that does not know it, and what becomes a volume in place."""

from pathlib import Path

import pytest

from csi_zfs.datasets.api import (
    Dataset,
    DatasetKind,
    DatasetNotFoundError,
    NewDataset,
    RecordCorruptError,
)
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.services import records
from csi_zfs.services.adoption import (
    AdoptedNameError,
    Adoption,
    ContentUnknownError,
    DifferentContentError,
    volumes_on,
)
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.entries import VolumeEntry
from csi_zfs.services.pools import Pools
from csi_zfs.services.records import DiskFormat, FormatState, VolumeRecord
from csi_zfs.zfs.adopting import LibzfsCoreAdopter
from csi_zfs.zfs.command import NativeProperties
from csi_zfs.zfs.pools import home_of, open_pool
from tests.support.builders import volume_spec
from tests.support.node import FakeNode
from tests.support.zfs_fake_pools import PARENT, FakeZfs, fake_zfs

ZVOL, FILESYSTEM = DatasetKind.ZVOL, DatasetKind.FILESYSTEM


@pytest.fixture(name="zfs")
def fixture_zfs(tmp_path: Path) -> FakeZfs:
    return fake_zfs(tmp_path)


@pytest.fixture(name="adoption")
def fixture_adoption(zfs: FakeZfs) -> Adoption:
    home = home_of(PARENT, name="tank", core=zfs.core)
    native = NativeProperties(home, zfs.commands)
    pool = open_pool(PARENT, name="tank", doors=zfs.doors)
    return Adoption(pool, LibzfsCoreAdopter(home, native, zfs.doors.devices))


def make(zfs: FakeZfs, leaf: str, kind: DatasetKind = ZVOL) -> None:
    size = {"volsize": 64 * MIB} if kind is ZVOL else {"refquota": 64 * MIB}
    zfs.core.create(f"{PARENT}/v/{leaf}", kind, size)


def names_in(adoption: Adoption) -> list[str]:
    return [one.name for one in adoption.pool.list() if not isinstance(one, RecordCorruptError)]


@pytest.mark.parametrize(
    ("kind", "content", "disk"),
    [
        (FILESYSTEM, "", DiskFormat(AccessType.MOUNT, "zfs", FormatState.FORMATTED)),
        (FILESYSTEM, "zfs", DiskFormat(AccessType.MOUNT, "zfs", FormatState.FORMATTED)),
        (ZVOL, "block", DiskFormat(AccessType.BLOCK, "", FormatState.FORMATTED)),
        (
            ZVOL,
            "xfs",
            DiskFormat(AccessType.MOUNT, "xfs", FormatState.FORMATTED, has_twin_uuid=True),
        ),
    ],
)
def test_dataset_becomes_a_volume_that_is_never_formatted(
    zfs: FakeZfs, adoption: Adoption, *, kind: DatasetKind, content: str, disk: DiskFormat
) -> None:
    """rules.md A4."""
    make(zfs, "database", kind)
    entry = adoption.adopt("database", content=content)
    assert entry.record == VolumeRecord("database", disk)
    assert entry.size_bytes == 64 * MIB
    assert list(volumes_on(adoption.pool)) == [entry]


def test_adoption_can_be_repeated(zfs: FakeZfs, adoption: Adoption) -> None:
    """rules.md B1: the volume keeps its id."""
    make(zfs, "a")
    first = adoption.adopt("a", content="ext4")
    assert adoption.adopt("a", content="ext4") == first
    assert adoption.adopt("a") == first
    assert adoption.adopt("a", content="ext4", is_dry_run=True) == first


def test_dry_run_writes_nothing(zfs: FakeZfs, adoption: Adoption) -> None:
    make(zfs, "a", FILESYSTEM)
    before = dict(zfs.dataset("v/a").properties)
    entry = adoption.adopt("a", is_dry_run=True)
    assert (entry.record.volume_name, entry.size_bytes) == ("a", 64 * MIB)
    assert zfs.dataset("v/a").properties == before
    assert names_in(adoption) == []


@pytest.mark.parametrize("leaf", ["Data", "a b", "h-1", "../a", "a@s", "-a", "D-" + "0" * 16, ""])
def test_name_that_no_volume_can_have_is_refused(adoption: Adoption, leaf: str) -> None:
    """rules.md C1."""
    with pytest.raises(AdoptedNameError, match="rename the dataset"):
        adoption.adopt(leaf)


def test_zvol_of_which_nobody_says_what_it_holds_is_refused(
    zfs: FakeZfs, adoption: Adoption
) -> None:
    make(zfs, "a")
    with pytest.raises(ContentUnknownError, match="block or ext4 or xfs"):
        adoption.adopt("a")
    with pytest.raises(DifferentContentError, match="is a zvol, and no file system of ZFS"):
        adoption.adopt("a", content="zfs")
    assert names_in(adoption) == []


@pytest.mark.parametrize("content", ["ext4", "block"])
def test_file_system_of_which_another_content_is_said_is_refused(
    zfs: FakeZfs, adoption: Adoption, content: str
) -> None:
    make(zfs, "a", FILESYSTEM)
    with pytest.raises(DifferentContentError, match=f"is a file system of ZFS, not {content}"):
        adoption.adopt("a", content=content)


def test_volume_that_holds_something_else_is_refused(zfs: FakeZfs, adoption: Adoption) -> None:
    make(zfs, "a")
    adoption.adopt("a", content="block")
    with pytest.raises(DifferentContentError, match="is a volume already, with block in it"):
        adoption.adopt("a", content="ext4")


def test_missing_dataset_is_not_found(adoption: Adoption) -> None:
    with pytest.raises(DatasetNotFoundError):
        adoption.adopt("a", content="ext4")


def test_dataset_that_somebody_else_adopts_in_this_moment_is_his_volume(
    zfs: FakeZfs, adoption: Adoption, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md B1: both hear of the same volume."""
    make(zfs, "a")
    seen: list[VolumeEntry] = []
    look = LibzfsCoreAdopter.look

    def look_and_be_late(self: LibzfsCoreAdopter, name: str) -> Dataset:
        found = look(self, name)
        monkeypatch.undo()
        seen.append(adoption.adopt("a", content="ext4"))
        return found

    monkeypatch.setattr(LibzfsCoreAdopter, "look", look_and_be_late)
    assert [adoption.adopt("a", content="ext4")] == seen


def test_driver_that_runs_serves_an_adopted_volume_by_its_id(
    zfs: FakeZfs, adoption: Adoption
) -> None:
    """It lists the volume from the first call for it on."""
    catalogue = Catalogue(Pools([adoption.pool]))
    make(zfs, "a", FILESYSTEM)
    entry = adoption.adopt("a")
    assert not catalogue.knows(entry.volume_id)
    assert catalogue.volume(entry.volume_id) == entry
    assert catalogue.knows(entry.volume_id)


def test_volumes_of_a_pool_are_those_that_a_cluster_may_know(tmp_path: Path) -> None:
    """Neither deleted ones, nor those of pods; what is damaged is told."""
    node = FakeNode(tmp_path, dependent_clones=True)
    volume = node.volumes.create(volume_spec("a"))
    node.volumes.create(volume_spec("broken"))
    record = VolumeRecord("", DiskFormat(AccessType.MOUNT, "ext4"), ephemeral_id="csi-1")
    properties = records.format_volume(record)
    for name in ("v/D-0123456789abcdef", "v/E-0123456789abcdef0123456789abcdef"):
        node.pool.create(NewDataset(name, GIB, user_properties=properties))
    node.pool.create(NewDataset("v/odd", GIB, user_properties={"volume_name": "odd"}))
    node.pool.damage("v/broken")
    found = list(volumes_on(node.pool))
    assert [one.volume_id for one in found if isinstance(one, VolumeEntry)] == [volume.volume_id]
    assert sum(isinstance(one, RecordCorruptError) for one in found) == 2
