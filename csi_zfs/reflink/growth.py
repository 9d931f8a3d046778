"""Growing a dataset: the image first, the record last, so that no record promises too much."""

from dataclasses import replace

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import Dataset
from csi_zfs.reflink.engine import Engine


def resize(engine: Engine, name: str, size_bytes: int) -> Dataset:
    """See `DatasetManager.resize`.

    The record is the truth about the size.  A crash in between, or an error when the record is
    written, leaves a longer image under the old record; repeating the call completes it.
    """
    dataset = engine.objects.dataset(name)
    if size_bytes <= dataset.size_bytes:
        return dataset
    claim = Claim.of_size(size_bytes - dataset.size_bytes, is_thick=dataset.is_thick)
    with (
        engine.root.working(name),
        engine.ledger.reserved(claim, engine.space.room),
    ):
        _grow_image(engine, dataset, size_bytes)
        return engine.objects.rewrite_dataset(replace(dataset, size_bytes=size_bytes))


def _grow_image(engine: Engine, dataset: Dataset, size_bytes: int) -> None:
    image = engine.image_of(dataset.name)
    length_bytes = image.lstat().st_size
    try:
        if dataset.is_thick:
            engine.files.allocate(image, size_bytes)
        if length_bytes < size_bytes:
            engine.files.resize(image, size_bytes)
    except Exception:
        # Also gives back the blocks that were reserved beyond the end.
        engine.files.resize(image, length_bytes)
        raise
    engine.files.sync(image)
