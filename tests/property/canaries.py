"""Things around a driver that no request may touch, and how they are now."""

import os
from collections.abc import Iterator
from pathlib import Path

# Where a volume that no request names is staged and published, below the kubelet's directory.
STAGING, TARGET = "plugins/canary/globalmount", "pods/canary/mount"


def plant_files(directory: Path, root: Path) -> None:
    """Put files beside and below `root`, the kubelet's directory, and a link that leads out."""
    canary = directory / "canary"
    (canary / "empty").mkdir(parents=True)
    (canary / "file").write_text("here")
    (canary / "empty-file").touch()
    (root / "out").symlink_to(directory)
    (root / "file").write_text("here")


def planted_files(directory: Path, root: Path) -> Iterator[tuple[str, object]]:
    """The files as they are now."""
    for path in (root / "file", root / "out", *_below(directory / "canary")):
        status = path.lstat()
        is_file = path.is_file() and not path.is_symlink()
        content = path.read_bytes() if is_file else b""
        yield str(path), (status.st_mode, status.st_uid, status.st_ino, content)
    yield "beside", sorted(directory.iterdir())


def _below(directory: Path) -> Iterator[Path]:
    for parent, directories, files in os.walk(directory):
        yield from (Path(parent, name) for name in (*directories, *files))
