"""`LineageKeys`: the keys of a pool's encrypted datasets, in the kernel.

The kernel keeps a key with the *encryption root*: the one dataset of a lineage that is nobody's
clone.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from csi_zfs.datasets.api import DatasetNotFoundError
from csi_zfs.datasets.keys import KeyNotLoadedError, LineageChangedError, WrappingKey
from csi_zfs.system.clock import Clock
from csi_zfs.zfs.closing import when_closed
from csi_zfs.zfs.errors import KeyLoadedError
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.lzc import Properties

_RAW: Properties = {"keyformat": 1}
# As the kernel has them: the key comes from the driver, and is never asked of anybody.
OF_NEW_ROOTS: Properties = {**_RAW, "keylocation": "prompt"}
_UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class LineageKeys:
    """See `DatasetKeys`."""

    home: Home
    clock: Clock

    def require(self, name: str, key: WrappingKey) -> None:
        """See `DatasetKeys`."""
        with self._at_root(name) as root:
            self.home.core.load_key(root, key.raw, is_noop=True)

    def is_loaded(self, name: str) -> bool:
        """See `DatasetKeys`."""
        return str(self.home.read("key", name)["status"]) != _UNAVAILABLE

    def require_loaded(self, name: str) -> None:
        """Raise `KeyNotLoadedError` where the dataset is encrypted and cannot be read."""
        if not self.is_loaded(name):
            raise KeyNotLoadedError(f"{name} is encrypted, and its key is not loaded")

    def load(self, name: str, key: WrappingKey) -> None:
        """See `DatasetKeys`."""
        with suppress(KeyLoadedError), self._at_root(name) as root:
            self.home.core.load_key(root, key.raw)

    def unload(self, name: str) -> None:
        """See `DatasetKeys`; waits for what looks at devices that were just closed."""

        def attempt() -> None:
            with self._at_root(name) as root:
                self.home.core.unload_key(root)

        with suppress(KeyNotLoadedError):
            when_closed(self.clock, attempt)

    def change(self, name: str, key: WrappingKey) -> None:
        """See `DatasetKeys`."""
        with self._at_root(name) as root:
            self.home.core.change_key(root, key.raw, _RAW)

    @contextmanager
    def _at_root(self, name: str) -> Iterator[str]:
        """The whole name of the root; that it is gone says nothing about `name` (rules.md A5)."""
        root = str(self.home.read("key", name)["root"])
        try:
            with self.home.calling(name):
                yield root
        except DatasetNotFoundError as exc:
            if root == self.home.full(name):
                raise
            msg = f"{root} is no longer the root of {name}: try again"
            raise LineageChangedError(msg) from exc
