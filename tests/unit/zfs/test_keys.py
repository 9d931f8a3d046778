"""Keys at the root of a lineage, where the root goes or cannot be read in between."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot, PoolUnavailableError
from csi_zfs.datasets.keys import LineageChangedError, WrappingKey
from csi_zfs.datasets.names import tombstone_of
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.pools import open_pool
from tests.support.zfs_core import FakeLibzfsCore
from tests.support.zfs_fake_pools import PARENT, FakeZfs, fake_zfs

KEY = WrappingKey(b"k" * 32)
SIZE_BYTES = 1 << 20


class SurprisingCore(FakeLibzfsCore):
    """Something happens just before a key is loaded."""

    before_load: Callable[[], None]

    def load_key(self, name: str, key: bytes, *, is_noop: bool = False) -> None:
        self.before_load()
        super().load_key(name, key, is_noop=is_noop)


@pytest.fixture
def zfs(tmp_path: Path) -> FakeZfs:
    return fake_zfs(tmp_path)


def opened(zfs: FakeZfs, core: FakeLibzfsCore) -> LibzfsCoreDatasets:
    return open_pool(PARENT, name="tank", doors=replace(zfs.doors, core=core))


def make_lineage(datasets: LibzfsCoreDatasets) -> str:
    """A deleted volume with a snapshot of which `v/c` is a clone; returns the tombstone's name."""
    cipher = {"encryption": "aes-256-gcm"}
    made = datasets.create(NewDataset("v/a", SIZE_BYTES, properties=cipher, key=KEY))
    datasets.snapshot([NewSnapshot("v/a@s")])
    datasets.clone("v/a@s", NewDataset("v/c", SIZE_BYTES))
    return datasets.retire("v/a", tombstone_of(made.uid)).name


def test_root_that_goes_in_between_says_nothing_about_the_others(zfs: FakeZfs) -> None:
    """rules.md A5: a promote and a destroy by another call; to try again is enough."""
    core = SurprisingCore(zfs.pool, zfs.dev)
    datasets = opened(zfs, core)
    tombstone = make_lineage(datasets)

    def bury() -> None:
        core.before_load = lambda: None
        datasets.promote("v/c", over=tombstone)
        datasets.destroy(tombstone, uid=datasets.get(tombstone).uid)

    core.before_load = bury
    with pytest.raises(LineageChangedError):
        datasets.keys.load("v/c", KEY)
    datasets.keys.load("v/c", KEY)
    assert datasets.keys.is_loaded("v/c")


@pytest.mark.parametrize("unreadable", ["v/c", "root"])
def test_key_of_what_cannot_be_read_from_the_disks_is_unavailable(
    zfs: FakeZfs, unreadable: str
) -> None:
    """rules.md B8."""
    datasets = opened(zfs, zfs.core)
    tombstone = make_lineage(datasets)
    zfs.pool.unreadable.add(f"{PARENT}/{tombstone if unreadable == 'root' else 'v/c'}")
    with pytest.raises(PoolUnavailableError, match="read"):
        datasets.keys.is_loaded("v/c")
