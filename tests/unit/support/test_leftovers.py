from pathlib import Path

import pytest

from tests.support.leftovers import (
    LeftBehindError,
    find_leftovers,
    remove_files,
    scratch_directory,
)


def test_find_leftovers_of_nothing_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    left = find_leftovers(tmp_path, tmp_path / "empty", tmp_path / "never made")
    assert not left
    left.require_none()


def test_find_leftovers_names_files_and_links(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    left = find_leftovers(tmp_path, tmp_path)
    assert set(left.files) == {str(tmp_path / "deep" / "file"), str(tmp_path / "link")}
    with pytest.raises(LeftBehindError, match="deep/file"):
        left.require_none()


def test_remove_files_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").touch()
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "kept")
    assert remove_files(tmp_path / "tree") == 2
    assert not (tmp_path / "tree").exists()
    assert (tmp_path / "kept" / "file").exists()


def test_scratch_directory_is_gone_after_an_error() -> None:
    roots = []

    def work() -> None:
        with scratch_directory("csi-zfs-test-") as root:
            (root / "file").touch()
            roots.append(root)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert not roots[0].exists()
