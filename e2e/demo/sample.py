"""Real files for a volume: the machine's own documents, and kinds of files that easily get lost."""

import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.sizes import MIB

DOCUMENTS = Path("/usr/share/doc")
_MAX_FILES = 1500
_MAX_BYTES = 24 * MIB
_Y2K_NS = 946_684_800_123_456_789


@dataclass(frozen=True, slots=True)
class Planted:
    """How much there is."""

    files: int
    size_bytes: int


def plant(directory: Path) -> Planted:
    """Fill a new directory; returns how much came into it."""
    directory.mkdir()
    _copy_documents(directory / "doc")
    _make_oddities(directory / "odd")
    files = [path for path in directory.rglob("*") if not path.is_dir()]
    return Planted(len(files), sum(path.lstat().st_size for path in files))


def disturb(directory: Path) -> Planted:
    """Delete a third of the files, change another third; returns how much of it is left."""
    files = sorted(
        path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()
    )
    for path in files[::3]:
        path.unlink()
    for path in files[1::3]:
        with path.open("ab") as file:
            file.write(b"changed after the snapshot\n")
    (directory / "new").write_text("made after the snapshot\n")
    left = [path for path in directory.rglob("*") if not path.is_dir()]
    return Planted(len(left), sum(path.lstat().st_size for path in left))


def _copy_documents(directory: Path) -> None:
    size_bytes = 0
    for source in itertools.islice(_documents(), _MAX_FILES):
        size_bytes += source.lstat().st_size
        if size_bytes > _MAX_BYTES:
            break
        target = directory / source.relative_to(DOCUMENTS)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def _documents() -> Iterator[Path]:
    for parent, directories, files in os.walk(DOCUMENTS):
        directories.sort()
        yield from (Path(parent, name) for name in sorted(files))


def _make_oddities(directory: Path) -> None:
    directory.mkdir()
    (directory / "random").write_bytes(os.urandom(4 * MIB))
    (directory / "random, again").hardlink_to(directory / "random")
    (directory / "to random").symlink_to("random")
    (directory / "to nowhere").symlink_to("../gone")
    (directory / "empty directory").mkdir(mode=0o700)
    (directory / "zwölf\nZeilen").write_text("a name with a line end\n")
    with (directory / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(64 * MIB)
        file.write(b"end")
    secret = directory / "of somebody else"
    secret.write_text("not for all\n")
    os.chown(secret, 1000, 1000)
    secret.chmod(0o4750)
    os.setxattr(secret, "user.colour", b"red\0and more")
    os.setxattr(directory, "user.kind", b"a directory")
    os.utime(secret, ns=(_Y2K_NS, _Y2K_NS))
