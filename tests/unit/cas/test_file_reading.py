"""Reading the bytes of a file: an error is kept apart from those of the store."""

import os
from pathlib import Path

from csi_zfs.cas.file_reading import FileBytes
from tests.support.file_trees import opened

_MIB = 1024 * 1024


def test_file_that_cannot_be_read_has_an_error_and_no_bytes(tmp_path: Path) -> None:
    with opened(tmp_path) as descriptor:
        data = FileBytes(descriptor, 10)
        assert data.whole() == b""
    assert isinstance(data.error, IsADirectoryError)


def test_error_in_the_middle_ends_the_pieces() -> None:
    reader, writer = os.pipe()
    data = FileBytes(reader, 10 * _MIB)
    assert list(data.pieces()) == []
    assert data.error is not None
    os.close(reader)
    os.close(writer)


def test_holes_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.seek(50 * _MIB + 100)
        file.write(b"data")
        file.truncate(100 * _MIB)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    data = FileBytes(descriptor, 100 * _MIB)
    pieces = list(data.pieces())
    os.close(descriptor)
    assert data.error is None
    assert data.length == 100 * _MIB
    assert data.read_bytes <= 4 * _MIB
    assert pieces[0][0] == 50 * _MIB
    assert pieces[0][1][100:104] == b"data"


def test_file_that_is_shorter_than_it_was_ends_where_it_ends(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5 * _MIB)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    large, small = FileBytes(descriptor, 12 * _MIB), FileBytes(descriptor, 12 * _MIB)
    assert sum(zeros + len(piece) for zeros, piece in large.pieces()) == 5 * _MIB
    assert len(small.whole()) == 5 * _MIB
    os.close(descriptor)
    assert (large.length, small.length) == (5 * _MIB, 5 * _MIB)
