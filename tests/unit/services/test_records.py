"""The driver's records on the pool: what is written is read back, damage is never guessed at."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.datasets.api import RecordCorruptError
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.services.records import (
    DiskFormat,
    FormatState,
    GroupMembership,
    SnapshotRecord,
    VolumeRecord,
    format_snapshot,
    format_volume,
    is_our_snapshot,
    is_our_volume,
    parse_snapshot,
    parse_volume,
)

POOL, UID = "00000000000000fa", "0000000000000001"
VOLUME_ID = VolumeId(POOL, "pvc-1", UID)
SNAPSHOT_ID = SnapshotId(POOL, "snap-1", UID)

disks = st.builds(
    DiskFormat,
    st.sampled_from(AccessType),
    st.sampled_from(["", "ext4", "xfs"]),
    st.sampled_from(FormatState),
    st.integers(0, 1 << 62),
    st.booleans(),
)
csi_names = st.text(max_size=128)
volume_records = st.builds(
    VolumeRecord,
    csi_names,
    disks,
    st.dictionaries(csi_names, csi_names, max_size=3),
    st.sampled_from([None, VOLUME_ID, SNAPSHOT_ID]),
    st.sampled_from(["", "csi-" + "a" * 64]),
)
groups = st.builds(
    GroupMembership,
    st.just(GroupSnapshotId(POOL, "group-1", UID)),
    csi_names,
    st.none() | st.integers(1, 1000),
)
snapshot_records = st.builds(
    SnapshotRecord, csi_names, st.just(VOLUME_ID), disks, st.none() | groups
)

DISK = DiskFormat(AccessType.MOUNT, "ext4")
VOLUME = format_volume(VolumeRecord("pvc-1", DISK))
SNAPSHOT = format_snapshot(
    SnapshotRecord(
        "snap-1", VOLUME_ID, DISK, GroupMembership(GroupSnapshotId(POOL, "g", UID), "g", 3)
    )
)
# Records of snapshots that were taken before it was written lack it.
OPTIONAL = {"group_size"}
DAMAGE = {
    "access_type": ["", "tape", "MOUNT"],
    "format_state": ["", "clean", "Blank"],
    "filesystem_bytes": ["", "many", "1.5", "-1", "1_0", " 1", "٣"],
    "has_twin_uuid": ["", "maybe", "True"],
}


@given(volume_records)
def test_volume_record_is_read_back(record: VolumeRecord) -> None:
    assert parse_volume(format_volume(record)) == record


@given(snapshot_records)
def test_snapshot_record_is_read_back(record: SnapshotRecord) -> None:
    assert parse_snapshot(format_snapshot(record)) == record


@given(volume_records, snapshot_records)
def test_record_is_text_only(volume: VolumeRecord, snapshot: SnapshotRecord) -> None:
    """Every engine stores text."""
    values = [*format_volume(volume).values(), *format_snapshot(snapshot).values()]
    assert all(type(value) is str for value in values)


def damaged(
    record: Mapping[str, str], more: Mapping[str, list[str]]
) -> list[tuple[str, dict[str, str]]]:
    """The record with each field missing, and with each field damaged."""
    missing = [
        (f"no {key}", {name: text for name, text in record.items() if name != key})
        for key in record.keys() - OPTIONAL
    ]
    return missing + [
        (f"{key}={text!r}", {**record, key: text})
        for key, texts in {**DAMAGE, **more}.items()
        for text in texts
    ]


VOLUME_DAMAGE = {
    "parameters": ["", "{", "[]", '{"a": 1}', "null"],
    "content_source": ["pvc-1", f"{VOLUME_ID}\n", "zfs1:x:s:y"],
}
SNAPSHOT_DAMAGE = {
    "source_volume_id": ["", str(SNAPSHOT_ID), "../x"],
    "group_snapshot_id": ["g", str(SNAPSHOT_ID)],
    "group_size": ["many", "-1", "1.5", "٣"],
}


@pytest.mark.parametrize(
    ("parse", "record"),
    [
        *(pytest.param(parse_volume, rec, id=what) for what, rec in damaged(VOLUME, VOLUME_DAMAGE)),
        *(
            pytest.param(parse_snapshot, rec, id=what)
            for what, rec in damaged(SNAPSHOT, SNAPSHOT_DAMAGE)
        ),
    ],
)
def test_damaged_record_is_refused(
    parse: Callable[[Mapping[str, str]], object], record: Mapping[str, str]
) -> None:
    """rules.md A5, B8."""
    with pytest.raises(RecordCorruptError, match="cannot be read"):
        parse(record)


def test_snapshot_record_without_the_size_of_its_group_is_of_a_group_of_unknown_size() -> None:
    old = {key: text for key, text in SNAPSHOT.items() if key != "group_size"}
    assert old != SNAPSHOT
    group = parse_snapshot(old).group
    assert group is not None
    assert group.size is None


def test_what_was_made_by_hand_is_told_apart() -> None:
    """rules.md A2."""
    assert is_our_volume(VOLUME)
    assert is_our_snapshot(SNAPSHOT)
    assert not is_our_volume({})
    assert not is_our_volume(SNAPSHOT)
    assert not is_our_snapshot({"note": "before the upgrade"})
