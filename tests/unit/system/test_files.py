"""Durable changes of files, on the file system of the test's directory."""

import errno
import os
from pathlib import Path

import pytest

from csi_zfs.system.files import (
    Files,
    remove_if_there,
    temporary_of,
    write_all,
    write_durably,
)
from tests.support.files import CrashError, CrashingFiles, Effects, Stop

OLD, NEW = b"old content", b"the new content, which is longer"
# The effects of one write_durably, in order.
EFFECTS = ["create .record.json.new", "rename record.json", "sync pool"]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    (tmp_path / "pool").mkdir()
    return tmp_path / "pool" / "record.json"


def names_beside(path: Path) -> list[str]:
    """What is in the directory of a file."""
    return sorted(entry.name for entry in path.parent.iterdir())


def test_write_durably_syncs_content_then_renames_then_syncs_the_directory(record: Path) -> None:
    effects = Effects()
    write_durably(CrashingFiles(effects), record, NEW)
    assert effects.done == EFFECTS
    assert record.read_bytes() == NEW
    assert names_beside(record) == [record.name]


@pytest.mark.parametrize("effect", range(len(EFFECTS)), ids=EFFECTS)
@pytest.mark.parametrize("stop", [Stop.BEFORE, Stop.AFTER])
def test_write_durably_crashing_at_an_effect_leaves_the_old_or_the_new(
    record: Path, effect: int, stop: Stop
) -> None:
    """rules.md B1: and whatever it leaves, the next write works."""
    record.write_bytes(OLD)
    effects = Effects(stop_at=effect, stop=stop)
    with pytest.raises(CrashError):
        write_durably(CrashingFiles(effects), record, NEW)
    assert effects.done == EFFECTS[: effect + 1]
    is_renamed = effect > 1 or (effect, stop) == (1, Stop.AFTER)
    assert record.read_bytes() == (NEW if is_renamed else OLD)
    write_durably(Files(), record, b"third")
    assert record.read_bytes() == b"third"
    assert names_beside(record) == [record.name]


@pytest.mark.parametrize("left_over", [b"", b"torn", b"x" * 100_000])
def test_write_durably_replaces_what_a_crash_left_at_the_temporary(
    record: Path, left_over: bytes
) -> None:
    temporary_of(record).write_bytes(left_over)
    effects = Effects()
    write_durably(CrashingFiles(effects), record, NEW)
    assert effects.done == ["unlink .record.json.new", *EFFECTS]
    assert record.read_bytes() == NEW
    assert not temporary_of(record).exists()


def test_write_durably_does_not_follow_a_link_at_the_temporary(
    record: Path, tmp_path: Path
) -> None:
    """rules.md C1."""
    victim = tmp_path / "victim"
    victim.write_bytes(OLD)
    temporary_of(record).symlink_to(victim)
    write_durably(Files(), record, NEW)
    assert (victim.read_bytes(), record.read_bytes()) == (OLD, NEW)


@pytest.mark.parametrize("effect", [0, 1], ids=EFFECTS[:2])
def test_write_durably_that_fails_keeps_the_old_and_leaves_nothing(
    record: Path, effect: int
) -> None:
    record.write_bytes(OLD)
    effects = Effects(stop_at=effect, stop=Stop.FAULT, fault=errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        write_durably(CrashingFiles(effects), record, NEW)
    assert record.read_bytes() == OLD
    assert names_beside(record) == [record.name]


def test_created_file_is_for_its_owner_only(record: Path) -> None:
    Files().create(record, NEW)
    assert record.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Files().create(record, NEW)


def test_made_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    Files().make_directory(tmp_path / "v")
    assert (tmp_path / "v").stat().st_mode & 0o777 == 0o700
    Files().remove_directory(tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_directory_that_is_not_empty_is_not_removed(record: Path) -> None:
    """rules.md A1."""
    record.write_bytes(OLD)
    with pytest.raises(OSError, match="not empty"):
        Files().remove_directory(record.parent)
    assert record.read_bytes() == OLD


def test_sparse_file_has_its_size_and_no_blocks(record: Path) -> None:
    Files().create_sparse(record, 1 << 30)
    assert (record.stat().st_size, record.stat().st_blocks) == (1 << 30, 0)


def test_allocation_reserves_blocks_and_keeps_the_length(record: Path) -> None:
    Files().create_sparse(record, 1 << 20)
    Files().allocate(record, 1 << 20)
    assert record.stat().st_size == 1 << 20
    assert record.stat().st_blocks * 512 >= 1 << 20


def test_allocation_that_is_refused_raises_with_the_path(record: Path) -> None:
    Files().create_sparse(record, 1)
    with pytest.raises(OSError, match=r"Invalid argument.*record\.json"):
        Files().allocate(record, 0)


def test_resize_sets_the_length(record: Path) -> None:
    record.write_bytes(OLD)
    Files().resize(record, 3)
    assert record.read_bytes() == OLD[:3]


@pytest.mark.parametrize("verb", ["resize", "allocate"])
def test_change_of_a_file_does_not_follow_a_link(record: Path, tmp_path: Path, verb: str) -> None:
    """rules.md C1."""
    victim = tmp_path / "victim"
    victim.write_bytes(OLD)
    record.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        getattr(Files(), verb)(record, 1 << 20)
    assert victim.read_bytes() == OLD


def test_clone_of_a_link_is_refused(record: Path, tmp_path: Path) -> None:
    """rules.md C1."""
    record.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        Files().create_clone(record, tmp_path / "clone", 1)
    assert not (tmp_path / "clone").exists()


def test_rename_new_refuses_a_name_that_is_taken(record: Path) -> None:
    taken = record.with_name("taken")
    record.write_bytes(NEW)
    taken.write_bytes(OLD)
    with pytest.raises(FileExistsError, match="taken"):
        Files().rename_new(record, taken)
    assert (record.read_bytes(), taken.read_bytes()) == (NEW, OLD)


def test_rename_new_moves_to_a_free_name(record: Path) -> None:
    record.write_bytes(NEW)
    Files().rename_new(record, record.with_name("free"))
    assert names_beside(record) == ["free"]


def test_removal_of_a_missing_file_is_no_error_and_a_dangling_link_is_there(record: Path) -> None:
    remove_if_there(Files().unlink, record)
    record.symlink_to("nowhere")
    remove_if_there(Files().unlink, record)
    assert not record.is_symlink()


def test_write_all_writes_all_though_the_kernel_takes_little_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[bytes] = []

    def write_little(_descriptor: int, data: memoryview) -> int:
        written.append(bytes(data[:7]))
        return len(written[-1])

    monkeypatch.setattr(os, "write", write_little)
    write_all(0, NEW)
    assert b"".join(written) == NEW


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_created_file_holds_what_any_buffer_holds(record: Path, kind: type) -> None:
    Files().create(record, kind(NEW))
    assert record.read_bytes() == NEW


def test_link_gives_a_second_name_and_takes_none_that_is_there(record: Path) -> None:
    record.write_bytes(NEW)
    Files().link(record, record.with_name("second"))
    assert record.with_name("second").read_bytes() == NEW
    with pytest.raises(FileExistsError, match="second"):
        Files().link(record, record.with_name("second"))


def test_link_of_a_link_does_not_follow_it(record: Path, tmp_path: Path) -> None:
    """rules.md C1."""
    record.symlink_to(tmp_path / "victim")
    Files().link(record, record.with_name("second"))
    assert record.with_name("second").is_symlink()
