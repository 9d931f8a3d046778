import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from e2e.vm.errors import VmError
from e2e.vm.tree import archive_tree, copy_tree, tree_files


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path: Path) -> Path:
    """A checkout with a file of each kind that git knows."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("committed", "deleted", "new", "ignored", "with blank\nand line"):
        (checkout / name).write_text(name)
    (checkout / ".gitignore").write_text("ignored\n")
    (checkout / "link").symlink_to("nowhere")
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    subprocess.run(["git", "add", "committed", "deleted"], cwd=checkout, check=True)
    (checkout / "deleted").unlink()
    return checkout


def test_tree_is_what_is_there_and_not_ignored(checkout: Path) -> None:
    assert tree_files(checkout) == [
        ".gitignore",
        "committed",
        "link",
        "new",
        "with blank\nand line",
    ]


def test_archive_keeps_the_times_and_belongs_to_root(checkout: Path) -> None:
    """Compiled modules in the guest hold for as long as the times of the sources do."""
    os.utime(checkout / "new", (1_000_000_000, 1_000_000_000))
    with tarfile.open(fileobj=io.BytesIO(archive_tree(checkout))) as tar:
        member = tar.getmember("new")
    assert (member.mtime, member.uid, member.uname) == (1_000_000_000, 0, "root")


def test_copy_is_the_tree(checkout: Path, tmp_path: Path) -> None:
    copy_tree(checkout, tmp_path / "copy")
    copied = sorted(path.name for path in (tmp_path / "copy").iterdir())
    assert copied == tree_files(checkout)
    assert (tmp_path / "copy" / "new").read_text() == "new"


def test_directory_that_is_no_checkout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VmError, match="git does not list"):
        tree_files(tmp_path)
