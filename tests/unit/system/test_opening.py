"""Opening files: no link is followed, nothing stays open, no child inherits a descriptor."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.system.opening import open_below, opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a" / "file"
    path.parent.mkdir()
    path.write_bytes(b"data")
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    with opened(tmp_path, os.O_PATH | os.O_DIRECTORY) as descriptor:
        yield descriptor


def test_opened_closes_its_descriptor_and_no_child_has_it(file: Path) -> None:
    with opened(file, os.O_RDONLY) as descriptor:
        assert os.read(descriptor, 100) == b"data"
        assert not os.get_inheritable(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_opened_follows_no_link_at_the_end(file: Path) -> None:
    (file.parent / "link").symlink_to(file)
    with pytest.raises(OSError, match="link") as raised, opened(file.parent / "link", os.O_RDONLY):
        pass
    assert raised.value.errno == errno.ELOOP


def test_open_below_opens_and_no_child_has_it(file: Path, directory: int) -> None:
    descriptor = open_below(directory, "a/file", os.O_RDONLY)
    try:
        assert os.read(descriptor, 100) == file.read_bytes()
        assert not os.get_inheritable(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("relative", "number"),
    [
        ("link/file", errno.ELOOP),
        ("a/link", errno.ELOOP),
        ("../x", errno.EXDEV),
        ("/etc/passwd", errno.EXDEV),
        ("a/missing", errno.ENOENT),
        ("a/file/below", errno.ENOTDIR),
    ],
)
def test_open_below_refuses_links_and_ways_out_and_names_the_path(
    file: Path, directory: int, relative: str, number: int
) -> None:
    """rules.md C1."""
    (file.parents[1] / "link").symlink_to(file.parent)
    (file.parent / "link").symlink_to(file)
    with pytest.raises(OSError, match=r".") as raised:
        open_below(directory, relative, os.O_RDONLY)
    assert (raised.value.errno, raised.value.filename) == (number, relative)
