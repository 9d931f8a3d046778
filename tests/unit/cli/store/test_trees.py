"""`put` and `get` of directories, and looking into them."""

import filecmp
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from csi_zfs.app import stores
from csi_zfs.cli.store import get as get_command
from csi_zfs.cli.store import put as put_command
from csi_zfs.cli.store.progress import Advance
from csi_zfs.system.clock import SystemClock
from tests.unit.cli.store.conftest import Store, damage_largest_pack, put


def test_directory_is_restored_whole(store: Store, tree: Path, home: Path) -> None:
    manifest_id = put(store, tree)

    assert store("get", manifest_id, home / "restored").status == 0
    compared = filecmp.dircmp(tree, home / "restored")
    assert not compared.diff_files + compared.left_only + compared.right_only
    assert (home / "restored/sub/large").read_bytes() == (tree / "sub/large").read_bytes()
    assert (home / "restored/link").readlink() == Path("hello")


def test_both_ways_tell_how_much_is_done(
    store: Store, tree: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []

    def told(words: str, total_bytes: int | None) -> AbstractContextManager[Advance]:
        done.clear()
        return nullcontext(done.append)

    monkeypatch.setattr(put_command, "progress", told)
    monkeypatch.setattr(get_command, "progress", told)
    size_bytes = (3 << 20) + len("hello\n")
    manifest_id = put(store, tree)
    assert sum(done) == size_bytes
    assert store("get", manifest_id, home / "restored").status == 0
    assert sum(done) == size_bytes


def test_part_of_a_tree_is_restored_by_its_path(store: Store, tree: Path, home: Path) -> None:
    manifest_id = put(store, tree)

    assert store("get", manifest_id, home / "sub", "--path", "/sub").status == 0
    assert (home / "sub/large").read_bytes() == (tree / "sub/large").read_bytes()
    assert store("get", manifest_id, home / "one", "--path", "hello").status == 0
    assert [path.name for path in (home / "one").iterdir()] == ["hello"]
    refused = store("get", manifest_id, home / "none", "--path", "nobody")
    assert refused.status == 1
    assert not (home / "none").exists()


def test_tree_is_never_unpacked_over_something(store: Store, tree: Path, home: Path) -> None:
    manifest_id = put(store, tree)
    (home / "full").mkdir()
    (home / "full/precious").write_bytes(b"")
    (home / "file").write_bytes(b"precious")

    assert store("get", manifest_id, home / "full").status == 1
    assert [path.name for path in (home / "full").iterdir()] == ["precious"]
    assert store("get", manifest_id, home / "file").status == 1
    assert (home / "file").read_bytes() == b"precious"
    assert store("get", manifest_id, home / "new", "--in-place").status == 1


def test_salvage_of_a_tree_leaves_out_what_is_damaged_and_says_so(
    store: Store, tree: Path, home: Path
) -> None:
    manifest_id = put(store, tree)
    damage_largest_pack(home)
    assert store("get", manifest_id, home / "whole").status == 3

    ended = store("get", manifest_id, home / "salvaged", "--salvage", "--json")

    assert ended.status == 3
    assert {one["kind"] for one in ended.document["problems"]} == {"damaged"}
    damaged = {one["path"] for one in ended.document["problems"]}
    for path in {"hello", "sub/large"} - damaged:
        assert (home / "salvaged" / path).read_bytes() == (tree / path).read_bytes()
    for path in damaged:
        assert (home / "salvaged" / path).stat().st_size == (tree / path).stat().st_size


def test_ls_lists_directories_and_files_of_a_tree(store: Store, tree: Path) -> None:
    manifest_id = put(store, tree)

    top = store("ls", manifest_id, "/", "--json").document
    assert [(one["name"], one["kind"]) for one in top] == [
        ("hello", "file"),
        ("link", "symlink"),
        ("sub", "directory"),
    ]
    assert [one["size_bytes"] for one in store("ls", manifest_id, "hello", "--json").document] == [
        6
    ]
    lines = store("ls", manifest_id, "/").out.splitlines()
    assert lines[0].startswith("-rw")
    assert lines[1].startswith("lrwxrwxrwx")
    assert lines[1].endswith(" link -> hello")
    assert store("ls", manifest_id, "nobody").status == 1


def test_name_cannot_act_on_the_terminal(store: Store, tree: Path) -> None:
    (tree / "\x1b[31m").write_bytes(b"")
    manifest_id = put(store, tree)

    shown = store("ls", manifest_id, "/").out
    assert "\x1b" not in shown
    assert "\\x1b[31m" in shown


def test_cat_prints_a_file_and_refuses_what_is_none(store: Store, tree: Path, image: Path) -> None:
    manifest_id = put(store, tree)

    assert store("cat", manifest_id, "/hello").out == "hello\n"
    assert store("cat", manifest_id, "sub").status == 1
    assert store("cat", put(store, image), "hello").status == 1


def test_diff_shows_paths_of_trees_and_ranges_of_images(
    store: Store, tree: Path, image: Path
) -> None:
    old = put(store, tree)
    (tree / "new").write_bytes(b"new")
    (tree / "hello").write_bytes(b"hello!")
    (tree / "link").unlink()
    new = put(store, tree)
    changes = store("diff", old, new, "--json").document
    kinds = {one["path"]: one["change"] for one in changes}
    assert (kinds["new"], kinds["hello"], kinds["link"]) == ("added", "content", "removed")
    assert "sub/large" not in kinds
    assert "added    new" in store("diff", old, new).out.splitlines()

    one = put(store, image)
    with image.open("r+b") as file:
        file.seek(65536 + 5)
        file.write(b"changed" * 10_000)
    other = put(store, image)
    assert store("diff", one, other).out.split() == ["65536", "131072"]
    assert store("diff", one, one, "--json").document == []
    assert store("diff", one, old).status == 1


def test_what_could_not_be_restored_is_told_with_status_4(
    store: Store, tree: Path, home: Path
) -> None:
    manifest_id = put(store, tree)
    words = ("get", manifest_id, home / "one", "--path", "hello")
    assert store(*words).status == 0
    (home / "one/hello").write_bytes(b"precious")

    ended = store(*words)

    assert ended.status == 4
    assert "hello: left-out: File exists" in ended.err
    assert (home / "one/hello").read_bytes() == b"precious"
    assert store(*words, "--json").document["problems"][0]["kind"] == "left-out"


class LaterClock(SystemClock):
    """So that files that were made a moment ago are older than a manifest, beyond any doubt."""

    def now_ns(self) -> int:
        """See `Clock`."""
        return super().now_ns() + 10_000_000_000


def test_put_since_an_older_tree_reads_what_changed_alone(
    store: Store, tree: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stores, "SystemClock", LaterClock)
        old = put(store, tree)
    changed = tree / "hello"
    changed.write_bytes(b"other, and longer\n")
    unread = tree / "sub" / "large"
    status = unread.stat()
    unread.write_bytes(os.urandom(status.st_size))
    os.utime(unread, ns=(status.st_atime_ns, status.st_mtime_ns))

    ended = store("put", tree, "--since", old[:12], "--json")

    assert ended.status == 0
    assert ended.document["parent_id"] == old
    assert ended.document["new_bytes"] < 10_000
    differing = [one["path"] for one in store("diff", old, put(store, tree), "--json").document]
    assert {"hello", "sub/large"} <= set(differing)
    new = ended.document["manifest_id"]
    shown = [one["path"] for one in store("diff", old, new, "--json").document]
    assert "hello" in shown
    assert "sub/large" not in shown
    assert store("put", image, "--since", old).status == 1
    assert store("put", tree, "--since", put(store, image)).status == 1


def test_put_since_a_tree_of_this_moment_reads_everything(store: Store, tree: Path) -> None:
    """What changed in the second of the older one may have changed behind it."""
    old = put(store, tree)
    large = tree / "sub" / "large"
    status = large.stat()
    large.write_bytes(os.urandom(status.st_size))
    os.utime(large, ns=(status.st_atime_ns, status.st_mtime_ns))

    new = put(store, tree, "--since", old)

    shown = [one["path"] for one in store("diff", old, new, "--json").document]
    assert "sub/large" in shown
