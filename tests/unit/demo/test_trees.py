import os
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.demo.trees import differences, read_tree


def plant(root: Path) -> Path:
    """A small tree with one of each kind; equal in every call."""
    (root / "empty").mkdir(parents=True)
    (root / "a.txt").write_text("one")
    (root / "b.txt").write_text("two")
    (root / "b-again.txt").hardlink_to(root / "b.txt")
    (root / "to-a").symlink_to("a.txt")
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, ns=(0, 1_700_000_000_000_000_000), follow_symlinks=False)
    os.utime(root, ns=(0, 1_700_000_000_000_000_000))
    return root


def set_xattr(root: Path) -> None:
    try:
        os.setxattr(root / "a.txt", "user.colour", b"red")
    except OSError as exc:
        pytest.skip(f"the temporary directory has no extended attributes: {exc.strerror}")


def change_content_and_keep_times(root: Path) -> None:
    state = (root / "a.txt").stat()
    (root / "a.txt").write_text("eno")
    os.utime(root / "a.txt", ns=(state.st_atime_ns, state.st_mtime_ns))


def break_hard_link(root: Path) -> None:
    times = (root / "b.txt").stat(), root.stat()
    (root / "b-again.txt").unlink()
    (root / "b-again.txt").write_text("two")
    os.utime(root / "b-again.txt", ns=(times[0].st_atime_ns, times[0].st_mtime_ns))
    os.utime(root, ns=(times[1].st_atime_ns, times[1].st_mtime_ns))


def fill_hole(root: Path) -> None:
    state = (root / "sparse").stat()
    (root / "sparse").write_bytes(bytes(1 << 20))
    os.utime(root / "sparse", ns=(state.st_atime_ns, state.st_mtime_ns))


def redirect_link(root: Path) -> None:
    state = root.stat()
    (root / "to-a").unlink()
    (root / "to-a").symlink_to("b.txt")
    os.utime(root / "to-a", ns=(0, 1_700_000_000_000_000_000), follow_symlinks=False)
    os.utime(root, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_differences_of_equal_trees_are_none(tmp_path: Path) -> None:
    assert differences(read_tree(plant(tmp_path / "1")), read_tree(plant(tmp_path / "2"))) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change_content_and_keep_times, ["a.txt: differs in content"]),
        (lambda root: (root / "a.txt").chmod(0o4755), ["a.txt: differs in mode"]),
        (lambda root: os.utime(root / "empty", ns=(0, 1)), ["empty: differs in mtime_ns"]),
        (
            break_hard_link,
            ["b-again.txt: differs in twins", "b.txt: differs in twins"],
        ),
        (fill_hole, ["sparse: differs in is_sparse"]),
        (redirect_link, ["to-a: differs in content"]),
        (set_xattr, ["a.txt: differs in xattrs"]),
        (
            lambda root: (root / "a.txt").unlink(),
            [".: differs in mtime_ns", "a.txt: is missing"],
        ),
        (
            lambda root: (root / "c.txt").touch(),
            [".: differs in mtime_ns", "c.txt: was not there before"],
        ),
    ],
)
def test_differences_name_the_path_and_what_changed(
    tmp_path: Path, change: Callable[[Path], None], expected: list[str]
) -> None:
    before = read_tree(plant(tmp_path / "tree"))
    change(tmp_path / "tree")
    assert differences(before, read_tree(tmp_path / "tree")) == expected


def test_read_tree_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    assert sorted(read_tree(inside)) == [".", "link"]
