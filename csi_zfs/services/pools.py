"""The pools of this node, by id and by name."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from csi_zfs.datasets.api import DatasetManager, PoolFullError, PoolUnavailableError
from csi_zfs.datasets.keys import EncryptionUnsupportedError
from csi_zfs.domain.capabilities import NATIVE_FS_TYPE, VolumeCapability
from csi_zfs.domain.errors import NoSpaceError

T = TypeVar("T")


class PoolNotServedError(PoolUnavailableError):
    """The id belongs to a pool that is not one of this driver's.

    Nothing can be said about what is on it.
    """


class PoolAwayError(PoolUnavailableError):
    """A pool of the settings could not be opened: what is asked for may be on it."""


class SamePoolError(PoolUnavailableError):
    """Two pools have one id: one is a copy of the other."""

    def __init__(self, names: Sequence[str], pool_id: str) -> None:
        """Name them all: nobody can say which of them is meant."""
        super().__init__(
            f"pools {' and '.join(names)} have the same id {pool_id}: one is a copy of the other, "
            "serve only one of them"
        )


class NoSuchPoolError(NoSpaceError):
    """The parameter `pool` matches no pool of this node; one of another node may."""


class Pools:
    """The pools that this driver owns; fixed for its life.

    Those of the settings that could not be opened are known by name alone, and count: a name that
    is found nowhere else may be on them.
    """

    def __init__(
        self, managers: Iterable[DatasetManager], *, away_names: Collection[str] = ()
    ) -> None:
        """Take the pools, in the order of the settings; raises `SamePoolError`."""
        self._away_names = tuple(away_names)
        self._by_id: dict[str, DatasetManager] = {}
        for manager in managers:
            same = self._by_id.setdefault(manager.pool_id, manager)
            if same is not manager:
                raise SamePoolError((same.pool_name, manager.pool_name), manager.pool_id)

    @property
    def away_names(self) -> Sequence[str]:
        """The names of the pools that could not be opened."""
        return self._away_names

    def __iter__(self) -> Iterator[DatasetManager]:
        """All pools."""
        return iter(self._by_id.values())

    def __contains__(self, pool_id: str) -> bool:
        """Whether the pool of this id is one of them."""
        return pool_id in self._by_id

    def get(self, pool_id: str) -> DatasetManager:
        """The pool of this id.

        Raises `PoolNotServedError`, which is never "not found" (rules.md A5).
        """
        try:
            return self._by_id[pool_id]
        except KeyError:
            msg = (
                f"pool {pool_id} is not on this node: the volume may be alive elsewhere, "
                "so nothing was done"
            )
            raise PoolNotServedError(msg) from None

    def matching(self, pattern: str) -> list[DatasetManager]:
        """The pools whose name matches a name or pattern (`fast-*`), all for an empty one.

        Raises `NoSuchPoolError`, and `PoolAwayError` if one of them could not be opened: a name
        that is new here may be taken there, and one name must never make two volumes.
        """
        self.require_all(pattern)
        found = [pool for pool in self if fnmatchcase(pool.pool_name, pattern or "*")]
        if not found:
            names = ", ".join(sorted(pool.pool_name for pool in self))
            msg = (
                f"parameter pool: {pattern[:64]!r} matches no pool of this node; there are: {names}"
            )
            raise NoSuchPoolError(msg)
        return found

    def require_all(self, pattern: str = "") -> None:
        """Raise `PoolAwayError` unless all pools that match were opened."""
        away = [name for name in self._away_names if fnmatchcase(name, pattern or "*")]
        if away:
            msg = (
                f"pool {', '.join(away)} could not be opened (see the driver's log): "
                "what is asked for may be there, so nothing was done"
            )
            raise PoolAwayError(msg)

    def roomiest(self, pattern: str, *, is_thick: bool) -> list[DatasetManager]:
        """The matching pools, the one that can take the largest volume first."""

        def room_bytes(pool: DatasetManager) -> int:
            capacity = pool.capacity()
            return capacity.admissible_thick_bytes if is_thick else capacity.admissible_thin_bytes

        found = self.matching(pattern)
        return found if len(found) == 1 else sorted(found, key=room_bytes, reverse=True)


def able_pools(
    pools: Sequence[DatasetManager], capability: VolumeCapability, *, is_encrypted: bool = False
) -> Sequence[DatasetManager]:
    """Those of the pools that have the file system that is asked for; all where none has it.

    Raises `EncryptionUnsupportedError` where none of them has encryption, and it is asked for.
    """
    if is_encrypted:
        pools = [pool for pool in pools if pool.features.encryption]
        if not pools:
            msg = "parameter encryption: only a pool on OpenZFS encrypts volumes"
            raise EncryptionUnsupportedError(msg)
    if capability.fs_type != NATIVE_FS_TYPE:
        return pools
    return [pool for pool in pools if pool.features.native_filesystem] or pools


def extents_of(pool: DatasetManager, dataset_name: str) -> int:
    """In how many pieces a dataset lies; a pool where copies cost the same always is not asked."""
    return 0 if pool.features.dependent_clones else pool.extent_count(dataset_name)


def on_first_with_room(pools: Sequence[DatasetManager], make: Callable[[DatasetManager], T]) -> T:
    """What `make` gives on the first pool that it does not find full.

    Raises the `PoolFullError` of the last one where all are.
    """
    for pool in pools[:-1]:
        try:
            return make(pool)
        except PoolFullError:
            continue
    return make(pools[-1])
