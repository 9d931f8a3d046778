"""What keeps a volume, asked beside a driver that serves an embedded pool."""

from pathlib import Path

import pytest

from csi_zfs.app import explain
from csi_zfs.datasets.api import NewDataset, PoolUnavailableError
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.keepers import KeeperKind
from csi_zfs.domain.sizes import MIB
from csi_zfs.services import records
from csi_zfs.services.explaining import ObjectNotFoundError
from csi_zfs.services.node_state import Use, VolumeState, format_state
from csi_zfs.services.records import DiskFormat, VolumeRecord
from csi_zfs.settings import PoolSettings, Settings
from tests.support.builders import mount_capability
from tests.support.reflink import attached, image_of, real_pool

pytestmark = pytest.mark.root


def settings_of(directory: Path, *more: PoolSettings) -> Settings:
    pools = (PoolSettings("fast", directory / "pool"), *more)
    return Settings(pools=pools, node_id="node-1", state_dir=directory / "state")


def test_volume_of_an_embedded_pool_is_kept_by_its_loop_device_and_the_kubelet(
    tmp_path: Path,
) -> None:
    """rules.md B4."""
    with real_pool(tmp_path) as datasets:
        record = records.format_volume(VolumeRecord("a", DiskFormat(AccessType.BLOCK)))
        made = datasets.create(NewDataset("v/a", MIB, user_properties=record))
        volume_id = f"zfs1:{datasets.pool_id}:v:a:{made.uid}"
        settings = settings_of(tmp_path)
        assert explain(settings, volume_id).keepers == ()

        settings.state_dir.mkdir()
        state = VolumeState(volume_id, "v/a", staged={Path("/stage"): Use(mount_capability())})
        (settings.state_dir / f"{volume_id}.json").write_bytes(format_state(state))
        with attached(image_of(datasets, "v/a")) as device:
            explained = explain(settings, "a")
        assert explained.id == volume_id
        assert [(one.kind, one.words) for one in explained.keepers] == [
            (KeeperKind.STAGED, "staged at /stage"),
            (KeeperKind.DEVICE, f"{device} is on it"),
        ]


def test_pool_that_is_away_keeps_the_others_from_nothing_but_a_not_found(tmp_path: Path) -> None:
    """rules.md A5."""
    with real_pool(tmp_path):
        with pytest.raises(ObjectNotFoundError):
            explain(settings_of(tmp_path), "none")
        away = PoolSettings("slow", tmp_path / "nowhere")
        with pytest.raises(PoolUnavailableError, match="pool slow"):
            explain(settings_of(tmp_path, away), "none")
