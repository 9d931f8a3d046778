"""The working tree as git sees it: what is committed, what is not, without what is ignored."""

import io
import subprocess
import tarfile
from pathlib import Path

from e2e.vm.errors import VmError

_LIST = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")


def tree_files(checkout: Path) -> list[str]:
    """The files of the working tree, relative to it; those that were deleted are left out."""
    done = subprocess.run(_LIST, cwd=checkout, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise VmError(f"git does not list the files of {checkout}: {done.stderr.strip()}")
    names = [name for name in done.stdout.split("\0") if name]
    return sorted(name for name in names if _is_there(checkout / name))


def archive_tree(checkout: Path) -> bytes:
    """The working tree as a tar archive; times are kept, owners are not."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in tree_files(checkout):
            tar.add(checkout / name, arcname=name, recursive=False, filter=_owned_by_root)
    return archive.getvalue()


def copy_tree(checkout: Path, target: Path) -> None:
    """Copy the working tree into a new directory."""
    with tarfile.open(fileobj=io.BytesIO(archive_tree(checkout))) as tar:
        tar.extractall(target, filter="tar")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
