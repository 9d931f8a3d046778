"""Why something is still there: every keeper is named, and each line says what to do next."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetKind, NewDataset, NewSnapshot, PoolUnavailableError
from csi_zfs.datasets.names import deferred_snapshot_leaf, ephemeral_of, tombstone_of
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.domain.keepers import Explanation, KeeperKind, Process, Use, UseKind
from csi_zfs.domain.model import DataPath
from csi_zfs.domain.sizes import MIB
from csi_zfs.services import records
from csi_zfs.services.explaining import AmbiguousNameError, Explaining, ObjectNotFoundError
from csi_zfs.services.node_state import Use as StateUse
from csi_zfs.services.node_state import VolumeState
from csi_zfs.services.records import DiskFormat, GroupMembership, SnapshotRecord, VolumeRecord
from csi_zfs.zfs.inspection import ZfsInspection
from csi_zfs.zfs.pools import home_of, open_pool
from tests.support.builders import mount_capability
from tests.support.zfs_fake_pools import PARENT, FakeZfs, fake_zfs

DISK = DiskFormat(AccessType.BLOCK)
USE = StateUse(mount_capability())
EPHEMERAL_ID = "csi-" + "5" * 64
OTHER_UID = "0123456789abcdef"


class Stand:
    """A pool of the driver, and whoever explains it."""

    def __init__(self, directory: Path) -> None:
        self.zfs: FakeZfs = fake_zfs(directory)
        self.datasets = open_pool(PARENT, name="tank", doors=self.zfs.doors)
        home = home_of(PARENT, name="tank", core=self.zfs.core)
        self.view = ZfsInspection(home, self.zfs.doors.devices)
        self.states: list[VolumeState] = []
        self.uses: dict[str, Use] = {}
        self.away: dict[str, str] = {}

    def volume(self, name: str, *, of: str = "", ephemeral_id: str = "") -> VolumeId:
        record = VolumeRecord(name, DISK, ephemeral_id=ephemeral_id)
        dataset_name = ephemeral_of(ephemeral_id) if ephemeral_id else f"v/{name}"
        new = NewDataset(dataset_name, MIB, user_properties=records.format_volume(record))
        made = self.datasets.clone(of, new) if of else self.datasets.create(new)
        return VolumeId(self.datasets.pool_id, name, made.uid)

    def snapshot(
        self, leaf: str, source: VolumeId, group: GroupMembership | None = None
    ) -> SnapshotId:
        record = SnapshotRecord(leaf, source, DISK, group)
        new = NewSnapshot(f"v/{source.leaf}@{leaf}", records.format_snapshot(record))
        (taken,) = self.datasets.snapshot([new])
        return SnapshotId(self.datasets.pool_id, leaf, taken.uid)

    def explain(self, subject: object) -> Explanation:
        return self.explaining().explain(str(subject))

    def explaining(self) -> Explaining:
        return Explaining(
            views=[self.view], away=self.away, states=self.states, uses_of=self._uses_of
        )

    def _uses_of(self, data: DataPath) -> Sequence[Use]:
        return [use for text, use in self.uses.items() if text in str(data)]


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


def told(explanation: Explanation) -> list[tuple[str, str, str, str]]:
    return [
        (keeper.kind, keeper.name.removeprefix(f"{PARENT}/"), keeper.words, keeper.advice)
        for keeper in explanation.keepers
    ]


def test_volume_that_nothing_keeps_has_no_keepers(stand: Stand) -> None:
    volume_id = stand.volume("a")
    explained = stand.explain(volume_id)
    assert explained == Explanation(str(volume_id), "volume", f"{PARENT}/v/a", "tank", ())
    assert stand.explain("a") == explained


def test_deleted_volume_is_kept_by_a_snapshot_and_its_clone(stand: Stand) -> None:
    """By the id that it had, and by its name on the pool."""
    volume_id = stand.volume("a")
    snapshot_id = stand.snapshot("s", volume_id)
    clone_id = stand.volume("c", of="v/a@s")
    name = tombstone_of(volume_id.uid)
    stand.datasets.retire("v/a", name)
    explained = stand.explain(volume_id)
    assert (explained.id, explained.title) == (str(volume_id), "deleted volume")
    assert explained.name == f"{PARENT}/{name}"
    assert stand.explain(name.removeprefix("v/")) == explained
    assert told(explained) == [
        ("snapshot", f"{name}@s", f"snapshot {snapshot_id}", f"delete snapshot {snapshot_id}"),
        ("clone", f"{name}@s", f"volume {clone_id} was made of it", f"delete volume {clone_id}"),
    ]


def test_snapshot_is_kept_by_clones_and_holds(stand: Stand) -> None:
    """rules.md B4: also by a clone that is deleted itself, and by one that was made by hand."""
    snapshot_id = stand.snapshot("s", stand.volume("a"))
    clone_id = stand.volume("c", of="v/a@s")
    stand.snapshot("t", clone_id)
    stand.datasets.retire("v/c", tombstone_of(clone_id.uid))
    stand.zfs.core.clone("tank/elsewhere", f"{PARENT}/v/a@s", {})
    stand.datasets.hold("v/a@s", "backup")
    explained = stand.explain(snapshot_id)
    assert (explained.id, explained.title) == (str(snapshot_id), "snapshot")
    assert explained == stand.explain("s")
    assert told(explained) == [
        (
            "clone",
            "v/a@s",
            "its clone tank/elsewhere, made by hand",
            "`zfs destroy tank/elsewhere`",
        ),
        (
            "clone",
            "v/a@s",
            f"deleted volume {clone_id} was made of it",
            f"`csi-zfs why {clone_id}` says why",
        ),
        (
            "hold",
            "v/a@s",
            "held with the tag backup",
            f"`zfs release backup {PARENT}/v/a@s` once its holder needs it no more",
        ),
    ]
    assert explained.keepers[2].since_ns == stand.zfs.pool.now_s() * 1_000_000_000


def test_deleted_snapshot_waits_and_is_found_by_its_id(stand: Stand) -> None:
    volume_id = stand.volume("a")
    snapshot_id = stand.snapshot("s", volume_id)
    clone_id = stand.volume("c", of="v/a@s")
    hidden = f"v/a@{deferred_snapshot_leaf(snapshot_id.uid)}"
    stand.datasets.rename_snapshot("v/a@s", hidden)
    stand.datasets.destroy_snapshot(hidden, uid=snapshot_id.uid, is_deferred=True)
    explained = stand.explain(snapshot_id)
    assert (explained.id, explained.title) == ("", "deleted snapshot")
    of_clone = ("clone", hidden, f"volume {clone_id} was made of it", f"delete volume {clone_id}")
    assert told(explained) == [of_clone]
    first, second = told(stand.explain(volume_id))
    assert "waits for its clones and holds" in first[2]
    assert second == of_clone


def test_snapshot_of_a_group_names_the_group(stand: Stand) -> None:
    volume_id = stand.volume("a")
    group_id = GroupSnapshotId(stand.datasets.pool_id, "g", OTHER_UID)
    snapshot_id = stand.snapshot("s", volume_id, GroupMembership(group_id, "g", 1))
    expected = ("group", "v/a@s", f"belongs to group {group_id}", "delete the group snapshot")
    assert told(stand.explain(snapshot_id)) == [expected]
    assert told(stand.explain(volume_id))[1] == expected


def test_what_was_made_by_hand_is_named_whole(stand: Stand) -> None:
    volume_id = stand.volume("a")
    stand.zfs.core.snapshot([f"{PARENT}/v/a@auto:2026"])
    stand.zfs.core.clone(f"{PARENT}/v/byhand", f"{PARENT}/v/a@auto:2026", {})
    snapshot, clone = told(stand.explain(volume_id))
    assert snapshot[3] == f"`zfs destroy {PARENT}/v/a@auto:2026`"
    assert clone[2] == f"its clone {PARENT}/v/byhand, made by hand"


def test_volume_in_use_is_kept_by_mounts_processes_devices_and_the_kubelet(stand: Stand) -> None:
    """rules.md B4."""
    volume_id = stand.volume("a")
    stand.states.append(
        VolumeState(
            str(volume_id),
            "v/a",
            staged={Path("/stage"): USE},
            published={Path("/pod"): USE},
        )
    )
    stand.states.append(replace(stand.states[0], volume_id=str(replace(volume_id, uid=OTHER_UID))))
    crowd = (Process(17, "postgres", "pod-1"), Process(18, "sh"))
    told_crowd = "process 17 (postgres) of pod pod-1, process 18 (sh) and 5 more"
    device = f"zd{stand.zfs.dataset('v/a').minor}"
    stand.uses = {
        device: Use(UseKind.MOUNT, "/data", crowd, 7, "mnt:[2]"),
        f"/{device}": Use(UseKind.OPEN, f"/dev/{device}", crowd[:1], 1),
        f"dev/{device}": Use(UseKind.DEVICE, "/dev/mapper/crypt"),
    }
    assert told(stand.explain(volume_id)) == [
        (
            "staged",
            "v/a",
            "staged at /stage",
            "delete the pods that use it: the kubelet unstages it then",
        ),
        (
            "published",
            "v/a",
            "published at /pod",
            "delete its pod: the kubelet unpublishes it then",
        ),
        (
            "mount",
            "v/a",
            f"mounted at /data in namespace mnt:[2] of {told_crowd}",
            "end them, or `nsenter -t 17 -m umount /data`",
        ),
        (
            "open",
            "v/a",
            f"/dev/{device} is open in process 17 (postgres) of pod pod-1",
            "end process 17",
        ),
        ("device", "v/a", "/dev/mapper/crypt is on it", "`dmsetup remove crypt`"),
    ]


@pytest.mark.parametrize(
    ("device", "advice"),
    [
        ("/dev/loop3", "`losetup -d /dev/loop3` once nobody uses it"),
        ("/dev/md127", "let go of /dev/md127"),
    ],
)
def test_device_above_a_volume_says_how_it_goes(stand: Stand, device: str, advice: str) -> None:
    stand.volume("a")
    stand.uses = {"zd": Use(UseKind.DEVICE, device)}
    assert [keeper.advice for keeper in stand.explain("a").keepers] == [advice]


def test_mounted_snapshot_is_kept_by_its_mount(stand: Stand) -> None:
    """rules.md B4: below `.zfs`, in whatever namespace."""
    snapshot_id = stand.snapshot("s", stand.volume("a"))
    use = Use(UseKind.MOUNT, "/a/.zfs/snapshot/s", (Process(9, "ls"),), 1, "mnt:[3]")
    stand.uses = {f"{PARENT}/v/a@s": use}
    (keeper,) = stand.explain(snapshot_id).keepers
    assert (keeper.kind, keeper.processes) == (KeeperKind.MOUNT, (Process(9, "ls"),))


def test_dataset_below_a_volume_is_named(stand: Stand) -> None:
    """Somebody made it by hand below a file system of the driver."""
    stand.volume("a")
    stand.zfs.pool.datasets[f"{PARENT}/v/a/below"] = stand.zfs.pool.new_dataset(
        f"{PARENT}/v/a/below", stand.zfs.dataset("v/a").kind
    )
    (keeper,) = stand.explain("a").keepers
    assert (keeper.kind, keeper.name) == (KeeperKind.CHILD, f"{PARENT}/v/a/below")


def test_ephemeral_volume_is_found_by_the_kubelets_id_and_by_its_own(stand: Stand) -> None:
    stand.volume("e", ephemeral_id=EPHEMERAL_ID)
    stand.states.append(VolumeState(EPHEMERAL_ID, "", published={Path("/pod"): USE}))
    explained = stand.explain(EPHEMERAL_ID)
    assert (explained.id, explained.title) == (EPHEMERAL_ID, "ephemeral volume")
    assert [keeper.kind for keeper in explained.keepers] == [KeeperKind.PUBLISHED]
    assert stand.explain(ephemeral_of(EPHEMERAL_ID).removeprefix("v/")) == explained


def test_dataset_made_by_hand_has_no_id(stand: Stand) -> None:
    stand.zfs.core.create(f"{PARENT}/v/byhand", DatasetKind.FILESYSTEM, {})
    assert stand.explain("byhand").id == ""


@pytest.mark.parametrize("text", ["", "none", "D-0123456789abcdef", "x" * 300, "../v/a", "v/a"])
def test_what_no_pool_has_is_not_found(stand: Stand, text: str) -> None:
    """rules.md C1: a name that could be none reaches no pool."""
    stand.volume("a")
    with pytest.raises(ObjectNotFoundError, match="nothing keeps it"):
        stand.explain(text)


def test_id_of_another_object_of_the_name_is_not_found(stand: Stand) -> None:
    """rules.md A2."""
    volume_id = stand.volume("a")
    snapshot_id = stand.snapshot("s", volume_id)
    for wrong in (
        replace(volume_id, uid=OTHER_UID),
        replace(snapshot_id, uid=OTHER_UID),
        replace(volume_id, pool_id=OTHER_UID),
    ):
        with pytest.raises(ObjectNotFoundError):
            stand.explain(wrong)


def test_what_may_be_on_a_pool_that_is_away_is_not_called_absent(stand: Stand) -> None:
    """rules.md A5."""
    stand.away = {"slow": "its disk is gone"}
    with pytest.raises(PoolUnavailableError, match="may be on pool slow: its disk is gone"):
        stand.explain("a")
    stand.volume("a")
    assert stand.explain("a").pool_name == "tank"


def test_name_on_two_pools_is_ambiguous(stand: Stand, tmp_path: Path) -> None:
    stand.volume("a")
    (tmp_path / "other").mkdir()
    other = Stand(tmp_path / "other")
    other.volume("a")
    explaining = replace(stand.explaining(), views=[stand.view, other.view])
    with pytest.raises(AmbiguousNameError, match="give its id"):
        explaining.explain("a")


@pytest.mark.parametrize("text", ["zfs1:", "zfs1:0123456789abcdef:g:g:0123456789abcdef"])
def test_id_of_neither_a_volume_nor_a_snapshot_is_refused(stand: Stand, text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not zfs1:"):
        stand.explain(text)
