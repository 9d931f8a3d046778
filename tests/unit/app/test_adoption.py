"""Which pools are asked, and what is said of those that cannot be."""

from pathlib import Path

import pytest

from csi_zfs.app import AdoptionRequest, SecretName, adopt
from csi_zfs.app.adoption import PoolChoiceError, _missing_secrets
from csi_zfs.datasets.keys import SALT_BYTES
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.sizes import GIB
from csi_zfs.services.entries import VolumeEntry
from csi_zfs.services.records import DiskFormat, VolumeRecord
from csi_zfs.settings import PoolSettings, Settings

FAST = PoolSettings("fast", Path("/srv/of-nobody/fast"))
TANK = PoolSettings("tank", dataset="of-nobody/csi")
DISKS = PoolSettings("disks", dataset="of-nobody/disks")
SETTINGS = Settings(pools=(FAST, TANK, DISKS), node_id="node-2")


def test_pools_that_cannot_be_opened_are_all_named() -> None:
    adopted = adopt(SETTINGS, SETTINGS.pools, AdoptionRequest())
    assert list(adopted.objects) == []
    assert [words.partition(":")[0] for words in adopted.failures] == [
        "pool fast",
        "pool tank",
        "pool disks",
    ]


@pytest.mark.parametrize(
    ("pools", "words"), [([FAST], "there are: none"), ([FAST, TANK, DISKS], "tank, disks")]
)
def test_names_need_one_pool_on_openzfs(pools: list[PoolSettings], words: str) -> None:
    with pytest.raises(PoolChoiceError, match=f"--pool.*{words}"):
        adopt(SETTINGS, pools, AdoptionRequest(names=["a"]))


def test_encrypted_volume_without_a_secret_is_said() -> None:
    volume_id = VolumeId("0123456789abcdef", "leaf", "00112233445566aa")
    record = VolumeRecord("pvc-1", DiskFormat(AccessType.MOUNT, "zfs"), salt="00" * SALT_BYTES)
    entry = VolumeEntry(volume_id, GIB, is_thick=False, origin="", record=record)
    (words,) = _missing_secrets([entry], {})
    assert "pvc-1 is encrypted" in words
    assert list(_missing_secrets([entry], {volume_id: SecretName("keys", "data-key")})) == []
