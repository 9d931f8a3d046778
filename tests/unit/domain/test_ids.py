"""The grammar of ids: what is made is read back, and nothing else is read."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from csi_zfs.domain.ids import (
    HEX16_PATTERN,
    LEAF_PATTERN,
    MAX_ID_BYTES,
    EphemeralId,
    GroupSnapshotId,
    InvalidIdError,
    SnapshotId,
    VolumeId,
)

ID_KINDS = (VolumeId, SnapshotId, GroupSnapshotId)
AnyId = VolumeId | SnapshotId | GroupSnapshotId

hex16s = st.from_regex(HEX16_PATTERN, fullmatch=True)
leaves = st.from_regex(LEAF_PATTERN, fullmatch=True).filter(str.isascii)
ids = st.builds(
    lambda kind, pool_id, leaf, uid: kind(pool_id, leaf, uid),
    st.sampled_from(ID_KINDS),
    hex16s,
    leaves,
    hex16s,
)

POOL, UID = "0123456789abcdef", "fedcba9876543210"
GOOD = f"zfs1:{POOL}:v:pvc-1:{UID}"

# What a caller could hope to carry through an id into a path, a command or a log (rules.md C1).
HOSTILE = (
    "../x",
    "a/../../etc",
    "a/b",
    "a@b",
    "a%b",
    "-rf",
    "a\0b",
    "a\nb",
    "a,b",
    "a b",
    "a;b",
    "a$b",
    "a`b",
    "a:b",
    "٣",
    "é",
    "A",
    "",
    ".",
    "..",
    "a" * 49,
)


@given(ids)
@example(VolumeId("f" * 16, "z" * 48, "f" * 16))
def test_id_that_was_made_is_read_back(made: AnyId) -> None:
    assert type(made).parse(str(made)) == made
    assert len(str(made).encode()) <= MAX_ID_BYTES


def test_longest_id_has_the_most_bytes_that_are_promised() -> None:
    assert len(str(VolumeId("f" * 16, "z" * 48, "f" * 16))) == MAX_ID_BYTES


@given(ids)
def test_id_of_another_kind_is_refused(made: AnyId) -> None:
    for kind in set(ID_KINDS) - {type(made)}:
        with pytest.raises(InvalidIdError, match=kind.WHAT):
            kind.parse(str(made))


@pytest.mark.parametrize("leaf", HOSTILE)
def test_id_with_a_hostile_leaf_is_refused(leaf: str) -> None:
    """rules.md C1."""
    for kind in "vsg":
        with pytest.raises(InvalidIdError):
            dict(zip("vsg", ID_KINDS, strict=True))[kind].parse(f"zfs1:{POOL}:{kind}:{leaf}:{UID}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pvc-1",
        f"{GOOD}\n",
        f"\n{GOOD}",
        f" {GOOD}",
        f"{GOOD}\0",
        f"-{GOOD}",
        f"../{GOOD}",
        f"{GOOD}/..",
        f"{GOOD},{GOOD}",
        GOOD.replace("zfs1", "zfs2"),
        GOOD.replace("zfs1", "ZFS1"),
        GOOD.replace(":v:", ":x:"),
        GOOD.replace(":v:", ":"),
        GOOD.replace(POOL, POOL[1:]),
        GOOD.replace(POOL, POOL.upper()),
        GOOD.replace(UID, UID + "0"),
        GOOD.replace(UID, "٣" * 16),
        GOOD.replace(UID, "../../../../etc/"),
    ],
)
def test_text_outside_the_grammar_is_refused(text: str) -> None:
    """rules.md C1."""
    with pytest.raises(InvalidIdError):
        VolumeId.parse(text)


@given(st.text())
def test_any_text_is_read_exactly_or_refused(text: str) -> None:
    try:
        parsed = VolumeId.parse(text)
    except InvalidIdError:
        return
    assert str(parsed) == text


def test_refusal_quotes_only_the_beginning_of_a_long_text() -> None:
    with pytest.raises(InvalidIdError) as caught:
        VolumeId.parse("x" * 1_000_000)
    assert len(str(caught.value)) < 300


def test_ids_sort_by_pool_then_leaf_then_uid() -> None:
    first = VolumeId("0" * 16, "b", "0" * 16)
    assert first < VolumeId("0" * 16, "b", "1" * 16) < VolumeId("0" * 16, "c", "0" * 16)
    assert VolumeId("0" * 16, "z", "f" * 16) < VolumeId("1" * 16, "a", "0" * 16)


@given(st.from_regex(r"csi-[0-9a-f]{64}", fullmatch=True).filter(str.isascii))
def test_ephemeral_id_of_the_kubelet_is_read_back(text: str) -> None:
    assert str(EphemeralId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD,
        "csi-" + "a" * 63,
        "csi-" + "a" * 65,
        "csi-" + "A" * 64,
        "csi-" + "٣" * 64,
        "csi-" + "a" * 64 + "\n",
        "csi-" + "../" * 21 + "a",
        "-csi-" + "a" * 64,
    ],
)
def test_ephemeral_id_outside_the_grammar_is_refused(text: str) -> None:
    """rules.md C1."""
    with pytest.raises(InvalidIdError):
        EphemeralId.parse(text)


def test_volume_id_does_not_take_an_ephemeral_id() -> None:
    with pytest.raises(InvalidIdError):
        VolumeId.parse("csi-" + "a" * 64)
