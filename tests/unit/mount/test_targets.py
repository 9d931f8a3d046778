"""Targets below a root: how they are reached, made and removed.  Runs without root."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from csi_zfs.mount.api import TargetBusyError, TargetPathError, TargetRootError
from csi_zfs.mount.targets import TargetTree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "kubelet"
    path.mkdir()
    return path


@pytest.fixture
def tree(root: Path) -> TargetTree:
    return TargetTree(root)


def test_root_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetRootError, match="kubelet_dir"):
        TargetTree(tmp_path / "missing")


def test_root_that_is_a_link_may_be_spelled_both_ways(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    tree = TargetTree(link)
    expected = str(root.resolve() / "pod")
    assert tree.mount_point_of(link / "pod") == tree.mount_point_of(root / "pod") == expected


@pytest.mark.parametrize("name", ["", ".", "..", "a/..", "a/../../b", "\0", "a\0b"])
def test_path_that_is_not_below_the_root_is_refused(
    tree: TargetTree, root: Path, name: str
) -> None:
    """rules.md C1."""
    with pytest.raises(TargetPathError):
        tree.mount_point_of(root / name)


@pytest.mark.parametrize("target", ["/", "relative", "/kubelet-two/pod"])
def test_path_elsewhere_is_refused(tree: TargetTree, target: str) -> None:
    """rules.md C1."""
    with pytest.raises(TargetPathError):
        tree.mount_point_of(Path(target))


def test_sibling_with_the_same_beginning_is_refused(tree: TargetTree, root: Path) -> None:
    """rules.md C1."""
    with pytest.raises(TargetPathError):
        tree.mount_point_of(root.with_name("kubelet-two") / "pod")


def test_made_directory_makes_what_is_missing(tree: TargetTree, root: Path) -> None:
    for _ in range(2):
        with tree.made_directory(root / "a" / "b" / "c") as descriptor:
            assert os.fstat(descriptor).st_ino == (root / "a" / "b" / "c").stat().st_ino


def test_made_directory_below_a_vanished_root_raises(tree: TargetTree, root: Path) -> None:
    root.rmdir()
    with pytest.raises(FileNotFoundError), tree.made_directory(root / "a"):
        pass


def test_made_file_is_empty_and_may_be_there(tree: TargetTree, root: Path) -> None:
    for _ in range(2):
        with tree.made_file(root / "a" / "file"):
            assert (root / "a" / "file").read_bytes() == b""


def test_made_file_takes_no_file_with_data(tree: TargetTree, root: Path) -> None:
    """It would be hidden, and could not be removed afterwards: rules.md A1."""
    (root / "file").write_bytes(b"data")
    with pytest.raises(TargetPathError), tree.made_file(root / "file"):
        pass


Way = Callable[[TargetTree, Path], AbstractContextManager[int]]


@pytest.mark.parametrize(
    "way", [TargetTree.made_directory, TargetTree.made_file, TargetTree.opened]
)
@pytest.mark.parametrize("link", ["link", "a/link", "link/a", "a/link/b"])
def test_symbolic_link_is_refused_wherever_it_is(
    tree: TargetTree, root: Path, way: Way, link: str
) -> None:
    """rules.md C1: also one that leads back into the root."""
    (root / "a").mkdir()
    (root / "link").symlink_to(root / "a")
    (root / "a" / "link").symlink_to(root)
    with pytest.raises(TargetPathError, match="symbolic link"), way(tree, root / link):
        pass


def test_link_that_is_put_in_the_way_after_the_check_is_refused(
    tree: TargetTree, root: Path, tmp_path: Path
) -> None:
    """rules.md C1: nothing was decided by looking at the path before."""
    (root / "pod").mkdir()
    target = root / "pod" / "mount"
    tree.mount_point_of(target)
    (root / "pod").rename(root / "moved")
    (root / "pod").symlink_to(tmp_path)
    with pytest.raises(TargetPathError), tree.made_directory(target):
        pass
    with pytest.raises(TargetPathError):
        tree.remove(target)
    assert not (tmp_path / "mount").exists()


def test_name_that_is_too_long_is_refused(tree: TargetTree, root: Path) -> None:
    with pytest.raises(TargetPathError, match="too long"), tree.opened(root / ("x" * 300)):
        pass


def test_file_in_the_way_is_refused(tree: TargetTree, root: Path) -> None:
    (root / "file").touch()
    with pytest.raises(TargetPathError), tree.made_directory(root / "file"):
        pass
    with pytest.raises(TargetPathError), tree.made_directory(root / "file" / "below"):
        pass


def test_missing_target_is_not_found(tree: TargetTree, root: Path) -> None:
    with pytest.raises(FileNotFoundError), tree.opened(root / "a" / "b"):
        pass
    with pytest.raises(FileNotFoundError), tree.parent_of(root / "a" / "b"):
        pass


def test_remove_takes_an_empty_directory_or_file_and_no_parent(
    tree: TargetTree, root: Path
) -> None:
    (root / "a" / "directory").mkdir(parents=True)
    (root / "a" / "file").touch()
    for name in ("directory", "file", "missing"):
        tree.remove(root / "a" / name)
    assert list(root.iterdir()) == [root / "a"]
    tree.remove(root / "missing" / "below")


@pytest.mark.parametrize("name", ["directory", "file", "link", "pipe"])
def test_remove_keeps_whatever_could_be_data(tree: TargetTree, root: Path, name: str) -> None:
    """rules.md A1."""
    (root / "directory").mkdir()
    (root / "directory" / "file").touch()
    (root / "file").write_bytes(b"data")
    (root / "link").symlink_to(root / "directory")
    os.mkfifo(root / "pipe")
    with pytest.raises(TargetBusyError, match="not removed"):
        tree.remove(root / name)
    assert (root / name).lstat()
    assert (root / "directory" / "file").exists()


def test_remove_passes_on_what_it_cannot_explain(
    tree: TargetTree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "directory").mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(PermissionError):
        tree.remove(root / "directory")
