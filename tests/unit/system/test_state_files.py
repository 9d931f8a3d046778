"""A directory of small documents."""

import errno
import os
from pathlib import Path

import pytest

from csi_zfs.system.files import Files, temporary_of
from csi_zfs.system.state_files import StateDirectory, StateDirectoryError

KEY = "zfs1:00000000000000fa:v:pvc.json-1:0000000000000001"


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "run" / "state", Files())


def test_documents_are_read_back_after_a_restart(state: StateDirectory, tmp_path: Path) -> None:
    state.save(KEY, b"one")
    state.save("csi-ab", b"two")
    again = StateDirectory(tmp_path / "run" / "state", Files())
    assert dict(again.load()) == {KEY: b"one", "csi-ab": b"two"}


def test_new_directory_is_for_its_owner_only_and_empty(
    state: StateDirectory, tmp_path: Path
) -> None:
    assert (tmp_path / "run" / "state").stat().st_mode & 0o777 == 0o700
    assert list(state.load()) == []


def test_saved_document_replaces_the_one_before(state: StateDirectory) -> None:
    state.save(KEY, b"one, and longer")
    state.save(KEY, b"two")
    assert list(state.load()) == [(KEY, b"two")]


def test_removed_document_is_gone_and_a_missing_one_is_no_error(state: StateDirectory) -> None:
    state.save(KEY, b"one")
    state.remove(KEY)
    state.remove(KEY)
    assert list(state.load()) == []


def test_temporary_that_a_crash_left_is_no_document(state: StateDirectory, tmp_path: Path) -> None:
    temporary_of(tmp_path / "run" / "state" / f"{KEY}.json").write_bytes(b"torn")
    (tmp_path / "run" / "state" / "README").write_bytes(b"not ours")
    assert list(state.load()) == []


class FullFiles(Files):
    """A disk without room."""

    def create(self, path: Path, data: bytes | bytearray | memoryview) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def test_directory_that_cannot_be_written_is_unavailable_and_keeps_what_it_had(
    state: StateDirectory, tmp_path: Path
) -> None:
    """rules.md B10: a fault of the disk is told by type."""
    state.save(KEY, b"one")
    full = StateDirectory(tmp_path / "run" / "state", FullFiles())
    with pytest.raises(StateDirectoryError, match="No space left"):
        full.save(KEY, b"two")
    assert list(full.load()) == [(KEY, b"one")]
