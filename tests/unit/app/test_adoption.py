"""Which pools are asked, and what is said of those that cannot be."""

from pathlib import Path

import pytest

from csi_zfs.app import AdoptionRequest, adopt
from csi_zfs.app.adoption import PoolChoiceError
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
