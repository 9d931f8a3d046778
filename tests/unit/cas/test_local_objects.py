"""What only a directory can have: links, foreign files, a disk that is away, leftovers."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from csi_zfs.cas.api import (
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStorage,
    StorageUnavailableError,
    StoreCorruptError,
    UnknownFormatError,
    UnsafeStorageError,
)
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import (
    LOCK,
    MARK,
    TEMPORARIES,
    DirectoryInUseError,
    make_local_storage,
)
from csi_zfs.system.files import Files
from tests.support.files import CrashingFiles, Effects

KEY = "packs/ab/one"
CALLS: dict[str, Callable[[ObjectStorage], object]] = {
    "put": lambda it: it.put(KEY, b"new"),
    "put_new": lambda it: it.put_new(KEY, b"new"),
    "replace": lambda it: it.replace(KEY, b"new", "tag"),
    "get": lambda it: it.get(KEY),
    "get_ranges": lambda it: it.get_ranges(KEY, [(0, 1)]),
    "list": lambda it: list(it.list("packs/")),
    "delete": lambda it: it.delete([KEY]),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
# Counts up in an object as one of several processes.
COUNTING = """
import sys
from pathlib import Path
from csi_zfs.cas.api import ObjectChangedError
from csi_zfs.cas.objects.local import LocalObjects

storage, left = LocalObjects(Path(sys.argv[1])), 100
while left:
    there = storage.get("counter")
    number = int(there.data.split()[0]) + 1
    try:
        storage.replace("counter", b"%d %s" % (number, sys.argv[2].encode()), there.tag)
    except ObjectChangedError:
        continue
    left -= 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_local_storage(tmp_path / "objects")
    return tmp_path / "objects"


@pytest.fixture
def storage(root: Path) -> LocalObjects:
    return LocalObjects(root)


def test_storage_holds_objects_as_files_for_its_owner_alone(
    storage: LocalObjects, root: Path
) -> None:
    storage.put(KEY, b"one")
    storage.put_new("packs/ab/two", b"two")
    assert (root / KEY).read_bytes() == b"one"
    modes = {path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert modes == {0o600, 0o700}
    assert list((root / TEMPORARIES).iterdir()) == []


def test_put_syncs_the_content_then_renames_then_syncs_the_directory(root: Path) -> None:
    effects = Effects()
    storage = LocalObjects(root, CrashingFiles(effects))
    storage.put(KEY, b"one")
    effects.done.clear()
    storage.put("packs/ab/two", b"two")
    assert [done.split()[0] for done in effects.done] == ["create", "rename", "sync"]
    assert effects.done[1:] == ["rename two", "sync ab"]


def test_put_does_not_copy_what_it_is_given(storage: LocalObjects) -> None:
    pack = memoryview(bytearray(8 << 20))
    tracemalloc.start()
    try:
        storage.put(KEY, pack)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20


def test_delete_of_many_syncs_each_directory_once(root: Path) -> None:
    keys = [f"packs/{shard}/{name}" for shard in ("ab", "cd") for name in ("1", "2", "3")]
    for key in keys:
        LocalObjects(root).put(key, b"x")
    effects = Effects()
    LocalObjects(root, CrashingFiles(effects)).delete(reversed(keys))
    assert [done for done in effects.done if done.startswith("sync")] == ["sync ab", "sync cd"]


@every_call
def test_link_in_place_of_a_directory_is_followed_by_no_call(
    storage: LocalObjects, root: Path, tmp_path: Path, call: Callable[[ObjectStorage], object]
) -> None:
    """rules.md C1."""
    victim = tmp_path / "victim" / "ab"
    victim.mkdir(parents=True)
    (victim / "one").write_bytes(b"precious")
    (root / "packs").symlink_to(victim.parent)
    with pytest.raises(StoreCorruptError):
        call(storage)
    assert [path.name for path in victim.iterdir()] == ["one"]
    assert (victim / "one").read_bytes() == b"precious"


@every_call
def test_link_in_place_of_an_object_is_never_followed(
    storage: LocalObjects, root: Path, tmp_path: Path, call: Callable[[ObjectStorage], object]
) -> None:
    """rules.md C1.  A put or delete may take the link itself away."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (root / "packs" / "ab").mkdir(parents=True)
    (root / KEY).symlink_to(victim)
    try:
        call(storage)
    except StoreCorruptError:
        assert (root / KEY).is_symlink()
    assert victim.read_bytes() == b"precious"
    assert list(storage.list("packs/")) == [] or not (root / KEY).is_symlink()


def test_link_in_place_of_the_temporaries_is_refused(
    storage: LocalObjects, root: Path, tmp_path: Path
) -> None:
    """rules.md C1."""
    (root / TEMPORARIES).rmdir()
    (root / TEMPORARIES).symlink_to(tmp_path)
    before = sorted(tmp_path.iterdir())
    for call in (CALLS["put"], CALLS["put_new"], lambda it: it.remove_leftovers(1e12)):
        with pytest.raises(StoreCorruptError):
            call(storage)
    assert sorted(tmp_path.iterdir()) == before


def test_fifo_in_place_of_an_object_blocks_nobody(storage: LocalObjects, root: Path) -> None:
    (root / "packs" / "ab").mkdir(parents=True)
    os.mkfifo(root / KEY)
    with pytest.raises(StoreCorruptError, match="plain file"):
        storage.get(KEY)
    assert list(storage.list("packs/")) == []


def test_object_of_a_size_that_the_store_never_writes_is_not_read_at_once(
    storage: LocalObjects, root: Path
) -> None:
    storage.put(KEY, b"one")
    os.truncate(root / KEY, 1 << 40)
    with pytest.raises(StoreCorruptError, match=KEY):
        storage.get(KEY)
    assert storage.get_ranges(KEY, [(0, 3), ((1 << 40) - 2, 1 << 62)]) == [b"one", b"\0\0"]


def test_read_goes_on_where_the_kernel_gives_little_at_a_time(
    storage: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.put(KEY, b"0123456789")
    honest = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, at: honest(fd, min(length, 4), at))
    assert storage.get(KEY).data == b"0123456789"
    assert storage.get_ranges(KEY, [(3, 100)]) == [b"3456789"]


def test_listing_of_a_directory_that_goes_meanwhile_leaves_it_out(
    storage: LocalObjects, root: Path
) -> None:
    for key in ("a/1", "b/1", "b/2", "c/1"):
        storage.put(key, b"x")
    listing = storage.list("")
    assert next(listing).key == "a/1"
    for path in (root / "b" / "1", root / "b" / "2"):
        path.unlink()
    (root / "b").rmdir()
    assert [info.key for info in listing] == ["c/1"]


def test_listing_while_the_disk_goes_away_is_no_end_of_it(
    storage: LocalObjects, root: Path
) -> None:
    """rules.md A5: what is left out would be taken for deleted."""
    for key in ("a/1", "b/1"):
        storage.put(key, b"x")
    listing = storage.list("")
    assert next(listing).key == "a/1"
    root.rename(root.with_name("away"))
    root.mkdir()
    with pytest.raises(StorageUnavailableError):
        list(listing)


def test_listing_leaves_out_what_cannot_be_an_object(storage: LocalObjects, root: Path) -> None:
    storage.put(KEY, b"one")
    for name in (".hidden", "Upper", "with space", "umläut"):
        (root / "packs" / name).write_bytes(b"foreign")
        (root / name).mkdir()
        (root / name / "inside").write_bytes(b"foreign")
    deep = root.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    (deep / "object").write_bytes(b"too deep for a key")
    assert [info.key for info in storage.list("")] == [KEY]


@every_call
def test_disk_that_is_away_is_unavailable_and_nothing_is_absent_or_written(
    storage: LocalObjects, root: Path, call: Callable[[ObjectStorage], object]
) -> None:
    """rules.md A5: an empty mount point looks like an empty storage."""
    storage.put(KEY, b"one")
    root.rename(root.with_name("away"))
    root.mkdir()
    with pytest.raises(StorageUnavailableError, match=MARK):
        call(storage)
    assert list(root.iterdir()) == []
    root.rmdir()
    with pytest.raises(StorageUnavailableError, match=MARK):
        call(storage)
    root.with_name("away").rename(root)
    assert storage.get(KEY).data == b"one"


@every_call
def test_other_storage_in_its_place_is_unavailable(
    storage: LocalObjects, root: Path, call: Callable[[ObjectStorage], object]
) -> None:
    """rules.md A5."""
    root.rename(root.with_name("away"))
    make_local_storage(root)
    with pytest.raises(StorageUnavailableError, match="another storage"):
        call(storage)
    assert list(LocalObjects(root).list("")) == []


def test_storage_of_a_path_through_a_link_is_the_same_one(
    storage: LocalObjects, root: Path, tmp_path: Path
) -> None:
    """The operator's own link to the directory; below it none is followed."""
    (tmp_path / "link").symlink_to(root)
    LocalObjects(tmp_path / "link").put(KEY, b"one")
    assert storage.get(KEY).data == b"one"


@pytest.mark.parametrize("content", [b"", b"csi-zfs objects 2\n%s\n" % (b"0" * 32), b"x" * 500])
def test_mark_of_an_unknown_version_is_refused_by_name(root: Path, content: bytes) -> None:
    (root / MARK).write_bytes(content)
    with pytest.raises(UnknownFormatError, match=MARK):
        LocalObjects(root)


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_what_is_no_storage_is_not_opened(tmp_path: Path, kind: str) -> None:
    if kind == "empty":
        (tmp_path / "it").mkdir()
    if kind == "file":
        (tmp_path / "it").write_bytes(b"x")
    with pytest.raises(StorageUnavailableError, match="no storage of objects"):
        LocalObjects(tmp_path / "it")


def test_making_a_storage_again_changes_nothing(storage: LocalObjects, root: Path) -> None:
    storage.put(KEY, b"one")
    mark = (root / MARK).read_bytes()
    make_local_storage(root)
    assert (root / MARK).read_bytes() == mark
    assert storage.get(KEY).data == b"one"


def test_copy_of_a_storage_without_its_empty_parts_goes_on(
    storage: LocalObjects, root: Path
) -> None:
    """As tools that copy files alone make it."""
    tag = storage.put_new(KEY, b"one")
    (root / TEMPORARIES).rmdir()
    (root / LOCK).unlink()
    assert storage.remove_leftovers(1e12) == 0
    storage.replace(KEY, b"two", tag)
    storage.delete([KEY])
    assert list(storage.list("")) == []


def test_storage_is_not_made_among_other_things(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    with pytest.raises(DirectoryInUseError, match="letters"):
        make_local_storage(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]


def test_storage_is_not_made_where_no_directory_can_be(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailableError, match="No such file"):
        make_local_storage(tmp_path / "missing" / "objects")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreCorruptError, match="Not a directory"):
        make_local_storage(tmp_path / "file")


class LinklessFiles(Files):
    """A file system without hard links, such as exFAT."""

    def link(self, path: Path, new_path: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))


def test_storage_is_not_made_on_a_file_system_without_hard_links(tmp_path: Path) -> None:
    with pytest.raises(UnsafeStorageError, match="hard links"):
        make_local_storage(tmp_path / "objects", LinklessFiles())
    with pytest.raises(StorageUnavailableError):
        LocalObjects(tmp_path / "objects")


def test_of_makers_of_one_storage_one_decides_what_it_is(tmp_path: Path) -> None:
    start = threading.Barrier(8, timeout=60)

    def make(_number: int) -> str:
        start.wait()
        make_local_storage(tmp_path / "objects")
        return LocalObjects(tmp_path / "objects")._root.storage_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(8)))) == 1


def test_leftovers_are_removed_when_they_are_old_and_objects_stay(
    storage: LocalObjects, root: Path
) -> None:
    storage.put(KEY, b"one")
    for name, changed_s in (("old", 1_000), ("older", 10), ("young", 2_000)):
        (root / TEMPORARIES / name).write_bytes(b"left by a crash")
        os.utime(root / TEMPORARIES / name, (changed_s, changed_s))
    assert storage.remove_leftovers(1_500) == 2
    assert [path.name for path in (root / TEMPORARIES).iterdir()] == ["young"]
    assert [info.key for info in storage.list("")] == [KEY]


class LateFiles(Files):
    """Somebody takes the temporary file for a leftover just before it gets its name."""

    def rename(self, path: Path, new_path: Path) -> None:
        path.unlink()
        super().rename(path, new_path)


def test_put_whose_temporary_was_taken_for_a_leftover_is_no_success_and_not_absent(
    root: Path,
) -> None:
    with pytest.raises(StorageUnavailableError):
        LocalObjects(root, LateFiles()).put(KEY, b"one")
    with pytest.raises(ObjectNotFoundError):
        LocalObjects(root).get(KEY)


class FleetingFiles(Files):
    """Whoever takes the name gives it back before anybody can look."""

    def link(self, path: Path, new_path: Path) -> None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new_path))


def test_put_new_of_a_name_that_comes_and_goes_ends(root: Path) -> None:
    with pytest.raises(StorageUnavailableError, match="comes and goes"):
        LocalObjects(root, FleetingFiles()).put_new(KEY, b"one")
    assert list((root / TEMPORARIES).iterdir()) == []


def test_put_new_is_refused_where_the_file_differs_in_the_last_byte(storage: LocalObjects) -> None:
    storage.put_new(KEY, b"x" * 100_000)
    with pytest.raises(ObjectExistsError):
        storage.put_new(KEY, b"x" * 99_999 + b"y")


def test_directory_that_was_removed_by_hand_is_made_again(
    storage: LocalObjects, root: Path
) -> None:
    storage.put(KEY, b"one")
    (root / KEY).unlink()
    (root / "packs" / "ab").rmdir()
    storage.put(KEY, b"again")
    assert storage.get(KEY).data == b"again"


def is_waited_for(path: Path) -> bool:
    inode = f":{path.stat().st_ino} "
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any("->" in line and inode in line for line in lines)


def test_replace_waits_for_the_lock_and_reads_and_puts_do_not(
    storage: LocalObjects, root: Path
) -> None:
    tag = storage.put_new(KEY, b"one")
    with ThreadPoolExecutor(1) as pool, (root / LOCK).open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        replacing = pool.submit(storage.replace, KEY, b"two", tag)
        while not is_waited_for(root / LOCK):
            assert not replacing.done()
        assert storage.get(KEY).data == b"one"
        storage.put("packs/ab/two", b"2")
        fcntl.flock(lock, fcntl.LOCK_UN)
        replacing.result(timeout=60)
    assert storage.get(KEY).data == b"two"


@pytest.mark.slow
def test_processes_that_replace_one_object_lose_nothing(storage: LocalObjects, root: Path) -> None:
    storage.put_new("counter", b"0 start")
    children = [
        subprocess.Popen([sys.executable, "-c", COUNTING, str(root), name]) for name in ("a", "b")
    ]
    assert [child.wait(timeout=120) for child in children] == [0, 0]
    assert storage.get("counter").data.split()[0] == b"200"
