from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from csi_zfs.cas.head_file import FileHead, HeadDamagedError
from csi_zfs.cas.journal import Head
from csi_zfs.system.state_files import StateDirectoryError


def head(number: int) -> Head:
    return Head(number, f"{number:064x}")


def test_head_is_remembered_by_another_process(tmp_path: Path) -> None:
    memory = FileHead(tmp_path / "state")
    assert memory.load() == Head()

    memory.save(head(3))

    assert FileHead(tmp_path / "state").load() == head(3)


def test_memory_that_was_begun_is_missed_when_it_is_lost(tmp_path: Path) -> None:
    memory = FileHead(tmp_path)
    assert memory.begin()
    assert not FileHead(tmp_path).begin()
    assert memory.load() == Head()
    memory.save(head(1))
    assert not memory.begin()
    assert memory.load() == head(1)
    (tmp_path / "head.json").unlink()
    assert memory.begin()


def test_older_head_never_goes_over_a_newer_one(tmp_path: Path) -> None:
    """Several processes of a machine see more or less of the journal."""
    memories = [FileHead(tmp_path) for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda one: one[0].save(head(one[1])), zip(memories, range(1, 9), strict=True))
        )

    assert memories[0].load() == head(8)
    memories[0].save(head(2))
    assert memories[1].load() == head(8)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"number": 0, "digest": "x"}', b'{"number": 1, "digest": "x"}'],
)
def test_damaged_head_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    FileHead(tmp_path).save(head(1))
    (tmp_path / "head.json").write_bytes(content)

    with pytest.raises(HeadDamagedError, match="remove that file"):
        FileHead(tmp_path).load()
    (tmp_path / "head.json").unlink()
    assert FileHead(tmp_path).load() == Head()


def test_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    memory = FileHead(tmp_path / "state")
    (tmp_path / "state").rmdir()
    (tmp_path / "state").write_bytes(b"")

    with pytest.raises(StateDirectoryError, match="state cannot be used"):
        memory.begin()
    with pytest.raises(StateDirectoryError, match="cannot be used"):
        FileHead(tmp_path / "state")
