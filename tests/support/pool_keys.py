"""`FakeKeys`: the keys of a fake pool's encrypted datasets."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.datasets.keys import (
    EncryptionUnsupportedError,
    KeyNotLoadedError,
    WrappingKey,
    WrongKeyError,
)
from tests.support.pool_state import Lineage, PoolState


class FakeKeys:
    """`DatasetKeys` in memory."""

    def __init__(
        self,
        working: Callable[[], AbstractContextManager[PoolState]],
        is_open: Callable[[str], bool],
    ) -> None:
        """Work on what `working` gives; `is_open` says so of the dataset of a name."""
        self._working = working
        self._is_open = is_open

    def require(self, name: str, key: WrappingKey) -> None:
        """See `DatasetKeys`."""
        with self._working() as state:
            _require(_lineage_of(state, name), key)

    def is_loaded(self, name: str) -> bool:
        """See `DatasetKeys`."""
        with self._working() as state:
            return state.is_readable(name)

    def load(self, name: str, key: WrappingKey) -> None:
        """See `DatasetKeys`."""
        with self._working() as state:
            lineage = _lineage_of(state, name)
            _require(lineage, key)
            lineage.is_key_loaded = True

    def unload(self, name: str) -> None:
        """See `DatasetKeys`."""
        with self._working() as state:
            lineage = _lineage_of(state, name)
            members = [one for one in state.datasets if state.lineage_of(one) is lineage]
            busy = [one for one in members if self._is_open(one)]
            if lineage.is_key_loaded and busy:
                raise DatasetBusyError(f"{', '.join(busy)} is open")
            lineage.is_key_loaded = False

    def change(self, name: str, key: WrappingKey) -> None:
        """See `DatasetKeys`."""
        with self._working() as state:
            lineage = _lineage_of(state, name)
            if not lineage.is_key_loaded:
                raise KeyNotLoadedError(f"the key of {name} is not loaded")
            lineage.key = key


def _lineage_of(state: PoolState, name: str) -> Lineage:
    lineage = state.lineage_of(name)
    if lineage is None:
        raise EncryptionUnsupportedError(f"{name} is not encrypted")
    return lineage


def _require(lineage: Lineage, key: WrappingKey) -> None:
    if lineage.key != key:
        raise WrongKeyError("this is not the key")
