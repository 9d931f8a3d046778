"""What a pool is and holds, for people: read from outside, without opening the pool."""

from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets.names import dataset_of, is_tombstone
from csi_zfs.reflink.kernel import read_small
from csi_zfs.reflink.layout import SNAPSHOT_MARK, Layout
from csi_zfs.reflink.place import Place
from csi_zfs.reflink.records import parse_pool_id
from csi_zfs.reflink.space import Space


@dataclass(frozen=True, slots=True)
class PoolSummary:
    """A pool; all but the first fields are empty while it is not mounted.

    Attributes:
        device: the loop device of a pool in an image file.
        total_bytes: the size of its file system, or of its image while it is not mounted.
        volumes: deleted ones that wait for their snapshots are not counted.
    """

    path: Path
    has_image: bool
    is_mounted: bool
    device: Path | None
    pool_id: str = ""
    total_bytes: int = 0
    free_bytes: int = 0
    volumes: int = 0
    snapshots: int = 0


def summary_of(place: Place, *, top: Path | None, device: Path | None) -> PoolSummary:
    """Describe a pool whose layout is at `top`; None while it is not mounted.

    Raises `RecordCorruptError`; plain `OSError`s pass.
    """
    has_image = place.has_image()
    if top is None:
        size_bytes = place.image.stat().st_size
        return PoolSummary(
            place.path, has_image, is_mounted=False, device=device, total_bytes=size_bytes
        )
    layout = Layout(top)
    room = Space(top, image=place.image if has_image else None).room()
    names = [dataset_of(path.name) for path in layout.volumes.iterdir()]
    return PoolSummary(
        path=place.path,
        has_image=has_image,
        is_mounted=True,
        device=device,
        pool_id=parse_pool_id(read_small(top, layout.anchor.name), path=layout.anchor),
        total_bytes=room.total_bytes,
        free_bytes=room.free_bytes,
        volumes=sum(not is_tombstone(name) for name in names),
        snapshots=sum(1 for _ in layout.volumes.glob(f"*/{SNAPSHOT_MARK}*")),
    )
