"""The devices of the fake OpenZFS's zvols: empty files below a directory that stands for /dev."""

from pathlib import Path

from csi_zfs.datasets.api import DatasetKind
from tests.support.zfs_state import FakeDataset, FakeZpool, has_device


class FakeDev:
    """What the kernel makes in /dev, and udev in /dev/zvol; the bytes are in the pool."""

    def __init__(self, directory: Path, pool: FakeZpool) -> None:
        """Begin with no devices."""
        self.directory = directory
        self._pool = pool
        self._served: dict[Path, FakeDataset] = {}
        self._links: dict[str, str] = {}

    def follow(self) -> None:
        """Make and take away devices, so that they are those of the pool.

        One that is open stays.
        """
        datasets = self._pool.datasets.values() if self._pool.is_imported else ()
        zvols = [one for one in datasets if one.kind is DatasetKind.ZVOL]
        wanted = [one for one in zvols if one.open_count or has_device(self._pool, one)]
        served = {self.directory / f"zd{one.minor}": one for one in wanted}
        for path in self._served.keys() - served.keys():
            path.unlink()
        for path in served.keys() - self._served.keys():
            path.touch()
        self._served = served
        self._relink({one.name: path.name for path, one in served.items()})

    def dataset_at(self, path: Path) -> FakeDataset:
        """Who has this device."""
        return self._served[path]

    def name_at(self, path: Path) -> str | None:
        """What the device at a path says that it serves; one that is to go says nothing."""
        dataset = self._served.get(path)
        return dataset.name if dataset and has_device(self._pool, dataset) else None

    def _relink(self, links: dict[str, str]) -> None:
        changed = self._links.items() ^ links.items()
        for name in {name for name, _ in changed}:
            link = self.directory / "zvol" / name
            link.unlink(missing_ok=True)
            if name in links:
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(self.directory / links[name])
        self._links = links
