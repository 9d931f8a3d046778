"""Opening, growing, showing and exporting embedded pools; creation.py makes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.datasets.admission import Policy
from csi_zfs.datasets.api import PoolUnavailableError, UnsupportedFeatureError
from csi_zfs.domain.sizes import format_size
from csi_zfs.reflink.creation import PoolSizeError
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.engine import Engine
from csi_zfs.reflink.errors import translating
from csi_zfs.reflink.inspection import ReflinkInspection
from csi_zfs.reflink.mounts import PoolBusyError, PoolMounts
from csi_zfs.reflink.place import Place, Tools
from csi_zfs.reflink.probing import require_reflinks
from csi_zfs.reflink.root import PoolRoot
from csi_zfs.reflink.space import BLOCK_BYTES, Space
from csi_zfs.reflink.summary import PoolSummary, summary_of


def open_pool(
    path: Path,
    *,
    name: str,
    thin_ratio: float = 4.0,
    reserve_percent: int = 5,
    tools: Tools | None = None,
) -> ReflinkDatasets:
    """Open a pool: attach and mount it where it is not, and finish what a crash left.

    Nobody else can open it until the result is closed or the process ends; it stays mounted then.

    Raises:
        InvalidPolicyError: the options make no sense.
        PoolUnavailableError: there is no pool, another process owns it, or it cannot be mounted.
        RecordCorruptError: its `pool.json` cannot be read.
        ReflinkMissingError: the directory was moved to a file system without reflinks.
    """
    policy = Policy.of(thin_ratio=thin_ratio, reserve_percent=reserve_percent)
    place, doors = Place(path.resolve()), tools or Tools()
    with translating(name), place.locked():
        top = _ensured_top(place, doors)
        space = Space(top, image=place.image if place.has_image() else None)
        root = PoolRoot(top, pool_name=name)
        try:
            engine = Engine(
                root,
                space,
                policy=policy,
                is_ordered=place.has_image(),  # then it is an XFS of our making
                files=doors.files,
                clock=doors.clock,
            )
        except BaseException:
            root.close()
            raise
        return ReflinkDatasets(engine)


def export_pool(path: Path, *, tools: Tools | None = None) -> None:
    """Unmount and detach a pool, so that its files can be moved; safe to repeat.

    Raises:
        PoolBusyError: a driver owns it, or volumes of it are attached.
        PoolUnavailableError: there is no pool.
    """
    place, mounts = Place(path.resolve()), _mounts_of(tools or Tools())
    with translating(str(path)), place.locked():
        if place.has_image():
            # A driver keeps `pool.json` open, so the kernel refuses to unmount under one.
            mounts.ensure_unmounted(place.image, place.mount_point)
        else:
            _require_unowned(place)


def grow_pool(path: Path, size_bytes: int, *, tools: Tools | None = None) -> None:
    """Grow a pool in an image file, also while a driver serves it; safe to repeat.

    A pool whose image was allocated in full stays so.

    Raises:
        PoolSizeError: the pool is larger.
        UnsupportedFeatureError: the pool is a directory: grow its file system instead.
        PoolFullError, PoolUnavailableError: the file system below is full or cannot be used.
    """
    place, doors = Place(path.resolve()), tools or Tools()
    mounts = _mounts_of(doors)
    with translating(str(path)), place.locked():
        if not place.has_image():
            _require_layout(place)
            raise UnsupportedFeatureError(f"{path} is no image file: grow its file system instead")
        with _mounted(place, mounts) as device:
            _grow_image(place.image, size_bytes, doors)
            mounts.grow(device, place.mount_point)


def pool_status(path: Path, *, tools: Tools | None = None) -> PoolSummary:
    """Look at a pool, also while a driver serves it, and change nothing.

    Raises:
        PoolUnavailableError: there is no pool, or it cannot be read.
        RecordCorruptError: its `pool.json` cannot be read.
    """
    place, mounts = Place(path.resolve()), _mounts_of(tools or Tools())
    with translating(str(path)):
        if not place.has_image():
            _require_layout(place)
            return summary_of(place, top=place.path, device=None)
        device = mounts.find_device(place.image)
        if device is None or not mounts.is_mounted(device, place.mount_point):
            return summary_of(place, top=None, device=device)
        return summary_of(place, top=place.mount_point, device=device)


def inspect_pool(path: Path, *, name: str, tools: Tools | None = None) -> ReflinkInspection:
    """Look into a pool, also while a driver serves it; raises `PoolUnavailableError`."""
    place, doors = Place(path.resolve()), tools or Tools()
    with translating(name):
        top = place.mount_point if place.has_image() else place.path
        return ReflinkInspection(PoolRoot(top, pool_name=name, is_owner=False), doors.files)


def _mounts_of(tools: Tools) -> PoolMounts:
    return PoolMounts(tools.runner, tools.clock)


def _ensured_top(place: Place, tools: Tools) -> Path:
    """The mounted directory of the pool's layout."""
    if place.has_image():
        if not place.mount_point.is_dir():
            tools.files.make_directory(place.mount_point)
        _mounts_of(tools).ensure_mounted(place.image, place.mount_point)
        return place.mount_point
    _require_layout(place)
    require_reflinks(place.path, tools.files)
    return place.path


def _grow_image(image: Path, size_bytes: int, tools: Tools) -> None:
    found = image.stat()
    if size_bytes < found.st_size:
        raise PoolSizeError(f"{image} has {format_size(found.st_size)}: a pool cannot shrink")
    if found.st_blocks * BLOCK_BYTES >= found.st_size:
        _allocate(image, size_bytes, tools)
    tools.files.resize(image, size_bytes)
    tools.files.sync(image)


def _allocate(image: Path, size_bytes: int, tools: Tools) -> None:
    length_bytes = image.stat().st_size
    try:
        tools.files.allocate(image, size_bytes)
    except Exception:
        tools.files.resize(image, length_bytes)  # gives back what was reserved beyond the end
        raise


@contextmanager
def _mounted(place: Place, mounts: PoolMounts) -> Iterator[Path]:
    """The device of the pool, mounted; afterwards as it was before."""
    was_attached = mounts.find_device(place.image) is not None
    try:
        yield mounts.ensure_mounted(place.image, place.mount_point)
    finally:
        if not was_attached:
            mounts.ensure_unmounted(place.image, place.mount_point)


def _require_layout(place: Place) -> None:
    if not place.has_layout():
        raise PoolUnavailableError(f"there is no pool at {place.path}")


def _require_unowned(place: Place) -> None:
    _require_layout(place)
    try:
        PoolRoot(place.path, pool_name=str(place.path)).close()
    except PoolUnavailableError as exc:
        raise PoolBusyError(f"the pool at {place.path} is in use: {exc}") from exc
