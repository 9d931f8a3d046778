"""Reservations: the numbers of `zfs create -V` of OpenZFS 2.3.2, and what they must hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.domain.sizes import GIB, KIB, MIB, TIB
from csi_zfs.zfs.reservation import ParityVdev, parity_vdev, refreservation_bytes

RAIDZ1 = ParityVdev(data_count=2, parity_count=1, ashift=12)
RAIDZ2 = ParityVdev(data_count=3, parity_count=2, ashift=12)
DRAID1 = ParityVdev(data_count=2, parity_count=1, ashift=12, is_draid=True)
vdevs = st.builds(
    ParityVdev,
    data_count=st.integers(1, 32),
    parity_count=st.integers(1, 3),
    ashift=st.integers(9, 16),
    is_draid=st.booleans(),
)
block_sizes = st.sampled_from([1 << shift for shift in range(9, 18)])


@pytest.mark.parametrize(
    ("volblocksize_bytes", "vdevs", "reserved_bytes"),
    [
        (16 * KIB, [], 70254592),
        (8 * KIB, [RAIDZ1], 93672704),
        (8 * KIB, [RAIDZ2], 123498752),
        (8 * KIB, [DRAID1], 71303168),
    ],
)
def test_refreservation_is_what_zfs_reserves(
    volblocksize_bytes: int, vdevs: list[ParityVdev], reserved_bytes: int
) -> None:
    reserved = refreservation_bytes(64 * MIB, volblocksize_bytes=volblocksize_bytes, vdevs=vdevs)
    assert reserved == reserved_bytes


def test_refreservation_without_parity_is_the_data_and_its_indirect_blocks() -> None:
    """65536 blocks need 64 blocks of pointers and one above them, beside the metadnode's seven."""
    assert refreservation_bytes(GIB) == GIB + (7 + 64 + 1) * 2 * 128 * KIB


@pytest.mark.parametrize(("copies", "metadata_copies"), [(1, 2), (2, 3), (3, 3)])
def test_refreservation_holds_every_copy(copies: int, metadata_copies: int) -> None:
    reserved = refreservation_bytes(GIB, copies=copies)
    assert reserved == copies * GIB + 72 * metadata_copies * 128 * KIB


def test_refreservation_of_one_block_has_no_indirect_ones() -> None:
    assert refreservation_bytes(16 * KIB) == 16 * KIB + 7 * 2 * 128 * KIB


def test_occupied_bytes_are_those_of_the_drawings_in_openzfs() -> None:
    """Five disks, one of parity, sectors of 4 KiB: see the theory of raidz in libzfs_dataset.c."""
    raidz = ParityVdev(data_count=4, parity_count=1, ashift=12)
    assert raidz.occupied_bytes(128 * KIB) == 160 * KIB
    assert raidz.occupied_bytes(4 * KIB) == 8 * KIB
    assert raidz.occupied_bytes(8 * KIB) == 16 * KIB
    draid = ParityVdev(data_count=4, parity_count=1, ashift=12, is_draid=True)
    assert draid.occupied_bytes(8 * KIB) == 20 * KIB


def test_refreservation_counts_the_most_wasteful_vdev() -> None:
    both = refreservation_bytes(GIB, volblocksize_bytes=8 * KIB, vdevs=[RAIDZ1, RAIDZ2])
    assert both == refreservation_bytes(GIB, volblocksize_bytes=8 * KIB, vdevs=[RAIDZ2])
    assert both > refreservation_bytes(GIB, volblocksize_bytes=8 * KIB, vdevs=[RAIDZ1])


@given(vdev=vdevs, megabytes=st.integers(1, 64 * TIB // MIB), block_bytes=block_sizes)
def test_refreservation_is_never_below_the_size(
    vdev: ParityVdev, megabytes: int, block_bytes: int
) -> None:
    size_bytes = megabytes * MIB
    for layout in ([], [vdev]):
        reserved = refreservation_bytes(size_bytes, volblocksize_bytes=block_bytes, vdevs=layout)
        assert reserved > size_bytes


@given(vdev=vdevs, megabytes=st.integers(1, 64 * TIB // MIB), block_bytes=block_sizes)
def test_refreservation_grows_with_the_size(
    vdev: ParityVdev, megabytes: int, block_bytes: int
) -> None:
    def reserved(size_bytes: int) -> int:
        return refreservation_bytes(size_bytes, volblocksize_bytes=block_bytes, vdevs=[vdev])

    assert reserved((megabytes + 1) * MIB) > reserved(megabytes * MIB)


@pytest.mark.parametrize(
    ("name", "child_count", "vdev"),
    [
        ("raidz1-0", 3, RAIDZ1),
        ("raidz2-11", 5, RAIDZ2),
        ("raidz3-0", 11, ParityVdev(data_count=8, parity_count=3, ashift=12)),
        ("draid1:2d:4c:1s-0", 4, DRAID1),
        (
            "draid2:8d:14c:0s-3",
            14,
            ParityVdev(data_count=8, parity_count=2, ashift=12, is_draid=True),
        ),
        ("mirror-0", 2, None),
        ("root-0", 1, None),
        ("raidz", 0, None),
        ("/tmp/raidz1-0", 0, None),
        ("draid1-0-0", 0, None),
        ("sda", 0, None),
    ],
)
def test_parity_vdev_is_known_by_its_name(
    name: str, child_count: int, vdev: ParityVdev | None
) -> None:
    assert parity_vdev(name, ashift=12, child_count=child_count) == vdev
