"""Making an embedded pool.  Nothing that exists is ever formatted or written over (rules.md A4)."""

import os
from pathlib import Path

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.datasets.names import VOLUMES
from csi_zfs.domain.errors import IncompatibleError, OutOfRangeError
from csi_zfs.domain.sizes import MIB, format_size
from csi_zfs.reflink.engine import new_uid
from csi_zfs.reflink.errors import translating
from csi_zfs.reflink.layout import Layout
from csi_zfs.reflink.mounts import PoolMounts
from csi_zfs.reflink.place import Place, Tools
from csi_zfs.reflink.probing import PROBES, require_reflinks
from csi_zfs.reflink.records import encode_pool
from csi_zfs.system.files import Files, temporary_of, write_durably

# mkfs.xfs refuses to make anything below 300 MB.
MIN_POOL_BYTES = 320 * MIB


class PoolExistsError(IncompatibleError):
    """There is a pool here."""


class PoolPathTakenError(IncompatibleError):
    """The directory holds things that are not a pool's; nothing was written."""


class PoolSizeError(OutOfRangeError):
    """A pool cannot have this size."""


def create_pool(
    path: Path,
    *,
    size_bytes: int | None = None,
    is_preallocated: bool = False,
    tools: Tools | None = None,
) -> str:
    """Make a pool in a directory of its own, and return the pool's id.

    With a size, the pool is an image file with XFS on it; `is_preallocated` takes its blocks from
    the file system below at once (without that, thick volumes are promised no more than that file
    system has free when they are made).  Without a size the directory itself is the pool; its file
    system must have reflinks.  After a crash at any point the same call completes the pool.

    Raises:
        PoolExistsError: there is a pool.
        PoolPathTakenError: the directory is not empty, or is none.
        PoolSizeError: the size is below `MIN_POOL_BYTES`.
        ReflinkMissingError: see `require_reflinks`.
        PoolFullError, PoolUnavailableError: the file system below is full or cannot be used, or the
            directory above the pool's is missing.
    """
    if size_bytes is not None and size_bytes < MIN_POOL_BYTES:
        least = format_size(MIN_POOL_BYTES)
        raise PoolSizeError(f"a pool needs {least}; {format_size(size_bytes)} is too small")
    with translating(str(path)):
        tools = tools or Tools()
        _ensure_directory(path, tools.files)
        place = Place(path.resolve())
        making = _Making(place, tools)
        with place.locked():
            if place.has_image() or place.has_layout():
                raise PoolExistsError(f"there is a pool at {path}")
            if size_bytes is None:
                return making.directory()
            return making.image(size_bytes, is_preallocated=is_preallocated)


class _Making:
    """Makes one pool, in a directory that is locked and holds none."""

    def __init__(self, place: Place, tools: Tools) -> None:
        self._place = place
        self._files = tools.files
        self._clock = tools.clock
        self._mounts = PoolMounts(tools.runner, tools.clock)

    def image(self, size_bytes: int, *, is_preallocated: bool) -> str:
        """Build the image; an error on the way leaves nothing."""
        place = self._place
        _require_nothing_but(place.path, {place.unfinished_image.name, place.mount_point.name})
        self._discard_unfinished()
        try:
            return self._build(size_bytes, is_preallocated=is_preallocated)
        except Exception:
            self._discard_unfinished()
            raise

    def _build(self, size_bytes: int, *, is_preallocated: bool) -> str:
        place, files = self._place, self._files
        unfinished = place.unfinished_image
        files.create_sparse(unfinished, size_bytes)
        if is_preallocated:
            files.allocate(unfinished, size_bytes)
        self._mounts.format(unfinished)
        files.make_directory(place.mount_point)
        self._mounts.ensure_mounted(unfinished, place.mount_point)
        pool_id = self._laid_out(place.mount_point)
        self._mounts.ensure_unmounted(unfinished, place.mount_point)
        files.sync(unfinished)
        files.rename_new(unfinished, place.image)
        files.sync(place.path)
        return pool_id

    def directory(self) -> str:
        """Lay the pool out in the directory; `pool.json` comes last and makes it one."""
        path, layout = self._place.path, Layout(self._place.path)
        directories = {VOLUMES, layout.temporaries.name, layout.journals.name}
        _require_nothing_but(path, directories | PROBES | {temporary_of(layout.anchor).name})
        for name in directories:
            if (path / name).is_dir():
                _require_nothing_but(path / name, set())
        require_reflinks(path, self._files)
        return self._laid_out(path)

    def _laid_out(self, root: Path) -> str:
        layout, pool_id = Layout(root), new_uid()
        for directory in (layout.volumes, layout.temporaries, layout.journals):
            if not directory.is_dir():
                self._files.make_directory(directory)
        record = encode_pool(pool_id=pool_id, created_ns=self._clock.now_ns())
        write_durably(self._files, layout.anchor, record)
        return pool_id

    def _discard_unfinished(self) -> None:
        unfinished, mount_point = self._place.unfinished_image, self._place.mount_point
        if os.path.lexists(unfinished):
            self._mounts.ensure_unmounted(unfinished, mount_point)
            self._files.unlink(unfinished)
        if os.path.lexists(mount_point):
            _require_nothing_but(mount_point, set())
            self._files.remove_directory(mount_point)


def _ensure_directory(path: Path, files: Files) -> None:
    """Make the pool's own directory; the one above may be of a disk that is not mounted yet."""
    if not path.is_dir():
        try:
            files.make_directory(path)
        except FileNotFoundError as exc:
            raise PoolUnavailableError(f"there is no directory {path.parent}") from exc
        except FileExistsError as exc:
            raise PoolPathTakenError(f"{path} is not a directory") from exc
    files.sync(path.parent.resolve())


def _require_nothing_but(directory: Path, allowed: set[str] | frozenset[str]) -> None:
    names = {entry.name for entry in directory.iterdir()}
    if foreign := names - allowed:
        words = ", ".join(sorted(foreign)[:3])
        raise PoolPathTakenError(f"{directory} is not empty: it holds {words}")
