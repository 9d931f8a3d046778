"""What the kernel tells about files."""

import errno
import os
import signal
import threading
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.reflink.kernel import extent_count, held_alone, read_small
from csi_zfs.reflink.sealed import MAX_BYTES
from tests.support.clock import FakeClock
from tests.support.reflink import attached


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(b"x" * 4096)
    return path


def test_read_small_reads_below_a_directory(tmp_path: Path, image: Path) -> None:
    (tmp_path / "v" / "a").mkdir(parents=True)
    image.rename(tmp_path / "v" / "a" / "record.json")
    assert read_small(tmp_path, "v/a/record.json") == b"x" * 4096


@pytest.mark.parametrize("link", ["v", "v/a", "v/a/record.json"])
def test_read_small_follows_no_link_anywhere(tmp_path: Path, link: str) -> None:
    """rules.md C1."""
    pool, elsewhere = tmp_path / "pool", tmp_path / "elsewhere"
    for top in (pool, elsewhere):
        (top / "v" / "a").mkdir(parents=True)
        (top / "v" / "a" / "record.json").write_text("secret")
    (pool / link).rename(tmp_path / "moved")
    (pool / link).symlink_to(elsewhere / link)
    with pytest.raises(OSError, match=r"record\.json") as raised:
        read_small(pool, "v/a/record.json")
    assert raised.value.errno in {errno.ELOOP, errno.ENOTDIR}


def test_read_small_names_the_whole_path_of_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        read_small(tmp_path, "v/a")
    assert raised.value.filename == str(tmp_path / "v" / "a")


def test_read_small_does_not_wait_for_a_fifo(tmp_path: Path) -> None:
    """rules.md B8."""
    os.mkfifo(tmp_path / "record.json")
    assert read_small(tmp_path, "record.json") == b""


def test_read_small_does_not_read_a_monster(tmp_path: Path) -> None:
    """rules.md B8."""
    with (tmp_path / "record.json").open("wb") as file:
        file.truncate(1 << 40)
    assert len(read_small(tmp_path, "record.json")) == MAX_BYTES + 1


def test_held_alone_of_a_closed_or_missing_file_enters(image: Path) -> None:
    with held_alone(image, FakeClock()):
        pass
    with held_alone(image.with_name("missing"), FakeClock()):
        pass


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
def test_held_alone_of_an_open_file_is_busy_after_bounded_attempts(image: Path, flags: int) -> None:
    """rules.md B4."""
    clock, descriptor = FakeClock(), os.open(image, flags)
    try:
        with pytest.raises(DatasetBusyError, match="another process"), held_alone(image, clock):
            pass
    finally:
        os.close(descriptor)
    assert 0 < clock.monotonic_s() <= 1
    with held_alone(image, clock):
        pass


def test_held_alone_waits_for_one_that_has_it_open_for_a_moment(image: Path) -> None:
    """A metrics scrape or udev must not make a delete fail."""
    descriptor = os.open(image, os.O_RDONLY)

    class Releasing(FakeClock):
        def wait(self, seconds: float) -> None:
            os.close(descriptor)
            super().wait(seconds)

    with held_alone(image, Releasing()):
        pass


def test_opener_during_held_alone_waits_and_kills_nobody(image: Path) -> None:
    """The kernel's own signal for a broken lease would end this process."""
    assert signal.getsignal(signal.SIGIO) == signal.SIG_DFL
    opened = threading.Event()

    def open_it() -> None:
        os.close(os.open(image, os.O_RDWR))
        opened.set()

    opener = threading.Thread(target=open_it)
    with held_alone(image, FakeClock()):
        opener.start()
        assert not opened.wait(0.05)
    opener.join(timeout=10)
    assert opened.is_set()


@pytest.mark.root
def test_held_alone_of_an_attached_image_names_the_loop_device(image: Path) -> None:
    """rules.md B4."""
    with (
        attached(image) as device,
        pytest.raises(DatasetBusyError, match=device),
        held_alone(image, FakeClock()),
    ):
        pass


def test_extent_count_counts_the_pieces_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "image"
    with path.open("wb") as image:
        image.truncate(1 << 24)
        assert extent_count(path) == 0
        for number in range(5):
            image.seek(number * (1 << 20))
            image.write(b"x" * 4096)
        image.flush()
        os.fsync(image.fileno())
    assert extent_count(path) == 5
