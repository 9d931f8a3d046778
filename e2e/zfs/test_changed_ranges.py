"""What changed between two snapshots of a real zvol, against its bytes.

Here is what no fake knows: in what order OpenZFS sends blocks and holes, what a discard becomes in
a stream, small blocks inside their pointers, blocks of all sizes, and raw streams without a key.
"""

import fcntl
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.datasets.api import NewDataset, NewSnapshot
from csi_zfs.datasets.keys import WrappingKey
from csi_zfs.domain.model import ChangedRange, DeviceNode
from csi_zfs.domain.sizes import KIB, MIB
from csi_zfs.system.clock import SystemClock
from csi_zfs.zfs.binding import DirectLibzfsCore
from csi_zfs.zfs.calls import Calls
from csi_zfs.zfs.lzc import LibzfsCore
from csi_zfs.zfs.pool_state import PoolStates
from csi_zfs.zfs.remote import RemoteLibzfsCore
from tests.support.lineages import require_complete
from tests.support.pools import PoolUnderTest
from tests.support.zfs_pools import made_zpool, zfs_pool

_BLKDISCARD = 0x1277
SIZE_BYTES = 32 * MIB
NAME = "v/a"


@pytest.fixture(scope="module", name="core", params=["direct", "remote"])
def fixture_core(request: pytest.FixtureRequest) -> Iterator[LibzfsCore]:
    """The library in this process, and as the driver has it."""
    if request.param == "direct":
        yield DirectLibzfsCore()
        return
    remote = RemoteLibzfsCore(Calls(states=PoolStates(), clock=SystemClock()))
    yield remote
    remote.close()


@pytest.fixture(name="pool")
def fixture_pool(core: LibzfsCore, tmp_path: Path) -> Iterator[PoolUnderTest]:
    """A pool of its own."""
    with made_zpool(tmp_path, core) as zpool, zfs_pool(zpool) as pool:
        yield pool


def device_of(pool: PoolUnderTest, name: str) -> Path:
    data_path = pool.manager.data_path(name)
    assert isinstance(data_path, DeviceNode)
    return data_path.path


def discard(pool: PoolUnderTest, offset: int, length: int) -> None:
    descriptor = os.open(device_of(pool, NAME), os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, _BLKDISCARD, struct.pack("QQ", offset, length))
    finally:
        os.close(descriptor)


def change(pool: PoolUnderTest, choose: random.Random) -> None:
    """Some writes, of noise and of what compresses to nearly nothing, zeros and discards."""
    size_bytes = pool.manager.get(NAME).size_bytes
    for _ in range(choose.randint(0, 20)):
        offset = choose.randrange(size_bytes // KIB) * KIB
        length = min(choose.choice([1, 4, 16, 100, 3000]) * KIB, size_bytes - offset)
        match choose.choice(["noise", "small", "zeros", "discard", "discard to the end"]):
            case "noise":
                pool.write(NAME, choose.randbytes(length), offset_bytes=offset)
            case "small":
                pool.write(NAME, b"x" * length, offset_bytes=offset)
            case "zeros":
                pool.write(NAME, bytes(length), offset_bytes=offset)
            case "discard":
                discard(pool, offset, length)
            case _:
                discard(pool, offset, size_bytes - offset)


def changes(pool: PoolUnderTest, old_leaf: str, new_leaf: str) -> list[ChangedRange]:
    return list(pool.manager.changed_ranges(f"{NAME}@{old_leaf}", f"{NAME}@{new_leaf}"))


@pytest.mark.parametrize("volblocksize", ["4K", "16K", "128K"])
def test_no_difference_of_snapshots_is_missed(pool: PoolUnderTest, volblocksize: str) -> None:
    """Over several rounds, each against all before it; the last rounds after a growth."""
    properties = {"volblocksize": volblocksize}
    pool.manager.create(NewDataset(NAME, SIZE_BYTES, properties=properties))
    choose, contents = random.Random(volblocksize), list[bytes]()
    for number in range(8):
        if number == 6:
            pool.manager.resize(NAME, 2 * SIZE_BYTES)
        change(pool, choose)
        pool.manager.snapshot([NewSnapshot(f"{NAME}@s{number}")])
        contents.append(pool.read(NAME, pool.manager.get(NAME).size_bytes))
        for before in range(number):
            found = changes(pool, f"s{before}", f"s{number}")
            require_complete(contents[before], contents[number], found)


def test_few_writes_into_a_large_zvol_are_few_blocks(pool: PoolUnderTest) -> None:
    pool.manager.create(NewDataset(NAME, SIZE_BYTES))
    pool.write(NAME, random.Random(1).randbytes(SIZE_BYTES // 2))
    pool.manager.snapshot([NewSnapshot(f"{NAME}@old")])
    for number in range(5):
        pool.write(NAME, b"new", offset_bytes=number * MIB)
    pool.manager.snapshot([NewSnapshot(f"{NAME}@new")])
    found = changes(pool, "old", "new")
    assert sum(one.length_bytes for one in found if not one.is_zero) == 5 * 16 * KIB
    assert changes(pool, "new", "new") == []


def test_encrypted_zvol_tells_without_its_key(pool: PoolUnderTest) -> None:
    key, cipher = WrappingKey(b"k" * 32), {"encryption": "aes-256-gcm"}
    pool.manager.create(NewDataset(NAME, SIZE_BYTES, properties=cipher, key=key))
    pool.manager.keys.load(NAME, key)
    pool.write(NAME, b"old" * KIB)
    pool.manager.snapshot([NewSnapshot(f"{NAME}@old")])
    before = pool.read(NAME, SIZE_BYTES)
    pool.write(NAME, b"new", offset_bytes=MIB)
    pool.manager.snapshot([NewSnapshot(f"{NAME}@new")])
    after = pool.read(NAME, SIZE_BYTES)
    pool.manager.keys.unload(NAME)
    require_complete(before, after, changes(pool, "old", "new"))


def test_iterator_that_is_closed_early_ends_the_send(pool: PoolUnderTest) -> None:
    """More is sent than a pipe holds, so the kernel is in the middle of it."""
    pool.manager.create(NewDataset(NAME, SIZE_BYTES))
    old = pool.manager.snapshot([NewSnapshot(f"{NAME}@old")])[0]
    for number in range(SIZE_BYTES // MIB // 2):
        pool.write(NAME, random.Random(number).randbytes(MIB), offset_bytes=2 * number * MIB)
    pool.manager.snapshot([NewSnapshot(f"{NAME}@new")])
    found = pool.manager.changed_ranges(f"{NAME}@old", f"{NAME}@new")
    next(found)
    del found
    pool.manager.destroy_snapshot(f"{NAME}@old", uid=old.uid)
