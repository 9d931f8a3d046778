"""Why a volume or a snapshot is still there: what keeps it, and what to do about each of that.

Reads the pools and the node's tables, and changes nothing: it runs beside the driver.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    Dataset,
    DatasetNotFoundError,
    DatasetSnapshot,
    PoolUnavailableError,
    RecordCorruptError,
)
from csi_zfs.domain.errors import InvalidRequestError, NotFoundError
from csi_zfs.domain.ids import EphemeralId, InvalidIdError, SnapshotId, VolumeId
from csi_zfs.domain.keepers import Explanation, Keeper, Ties, Use
from csi_zfs.domain.model import DataPath, NativeFilesystem
from csi_zfs.services import records
from csi_zfs.services.keepers import (
    keepers_of_snapshot,
    keepers_of_state,
    keepers_of_ties,
    keepers_of_use,
)
from csi_zfs.services.node_state import VolumeState

_OWN_LEAF = re.compile(r"D-[0-9a-f]{16}|E-[0-9a-f]{32}", re.ASCII)


class ObjectNotFoundError(NotFoundError):
    """No pool of the settings has a volume or snapshot of this name or id."""


class AmbiguousNameError(InvalidRequestError):
    """Several pools have something of this name."""


class PoolView(Protocol):
    """A pool to look into; `get` and `list_snapshots` are those of `DatasetManager`."""

    @property
    def pool_id(self) -> str:
        """See `DatasetManager`."""

    @property
    def pool_name(self) -> str:
        """See `DatasetManager`."""

    def get(self, name: str) -> Dataset:
        """See `DatasetManager`."""

    def get_snapshot(self, name: str) -> DatasetSnapshot:
        """See `DatasetManager`."""

    def list_snapshots(self) -> Iterator[DatasetSnapshot | RecordCorruptError]:
        """See `DatasetManager`."""

    def place_of(self, name: str) -> str:
        """How people call a dataset or snapshot: by its whole name, or by its directory."""

    def ties(self, name: str) -> Ties:
        """What keeps a dataset; raises as `get`."""


FindUses = Callable[[DataPath], Sequence[Use]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """Explains why things stay.

    Attributes:
        views: the pools that could be opened.
        away: why each of the others could not, by its name.
        states: what was asked of this node.
        uses_of: finds the uses of data on this machine.
    """

    views: Sequence[PoolView]
    away: Mapping[str, str]
    states: Sequence[VolumeState]
    uses_of: FindUses

    def explain(self, text: str) -> Explanation:
        """What keeps the volume or snapshot of this id, or of this name.

        A deleted one too, by the id that it had or by the name that it has on its pool.

        Raises:
            ObjectNotFoundError: there is none, on any pool.
            PoolUnavailableError: it may be on a pool that cannot be read.
            AmbiguousNameError: several pools have one of this name: give its id.
            InvalidIdError: the text begins as an id, and is none of a volume or snapshot.
        """
        found = [(view, name) for view in self.views for name in _names_for(view, text)]
        if not found:
            self._require_all(text)
            raise ObjectNotFoundError(f"there is no {text[:128]}: nothing keeps it")
        if len(found) > 1:
            pools = ", ".join(view.pool_name for view, _ in found)
            raise AmbiguousNameError(f"{text[:128]} is on pools {pools}: give its id")
        view, name = found[0]
        return self._snapshot(view, name) if "@" in name else self._dataset(view, name)

    def _require_all(self, text: str) -> None:
        for pool_name, why in self.away.items():
            raise PoolUnavailableError(f"{text[:128]} may be on pool {pool_name}: {why}")

    def _dataset(self, view: PoolView, name: str) -> Explanation:
        dataset, ties = view.get(name), view.ties(name)
        volume_id = _volume_id_of(view, dataset)
        uses = self.uses_of(ties.data) if ties.data is not None else ()
        place = view.place_of(name)
        keepers = [
            *keepers_of_state(place, self._states_of(volume_id)),
            *(keepers_of_use(place, use) for use in uses),
            *keepers_of_ties(ties, words=PoolWords(view)),
        ]
        return Explanation(volume_id, _title_of(dataset), place, view.pool_name, tuple(keepers))

    def _snapshot(self, view: PoolView, name: str) -> Explanation:
        snapshot, place = view.get_snapshot(name), view.place_of(name)
        dataset_name, leaf = names.split_snapshot(name)
        ties = next(one for one in view.ties(dataset_name).snapshots if one.name == name)
        uses = self.uses_of(NativeFilesystem(place, snapshot.size_bytes))
        is_deleted = snapshot.is_deferred or names.is_deferred_snapshot(name)
        keepers: list[Keeper] = [keepers_of_use(place, use) for use in uses]
        keepers += keepers_of_snapshot(ties, words=PoolWords(view))
        return Explanation(
            "" if is_deleted else str(SnapshotId(view.pool_id, leaf, snapshot.uid)),
            "deleted snapshot" if is_deleted else "snapshot",
            place,
            view.pool_name,
            tuple(keepers),
        )

    def _states_of(self, volume_id: str) -> list[VolumeState]:
        return [state for state in self.states if volume_id and state.volume_id == volume_id]


@dataclass(frozen=True, slots=True)
class PoolWords:
    """See `Words`."""

    view: PoolView

    def place_of(self, name: str) -> str:
        """See `Words`."""
        return self.view.place_of(name)

    def dataset(self, name: str) -> str:
        """See `Words`."""
        with suppress(DatasetNotFoundError, InvalidRequestError):
            dataset = self.view.get(name)
            volume_id = _volume_id_of(self.view, dataset)
            return f"{_title_of(dataset)} {volume_id}" if volume_id else ""
        return ""

    def snapshot(self, name: str) -> tuple[str, str]:
        """See `Words`."""
        snapshot = self.view.get_snapshot(name)
        if not records.is_our_snapshot(snapshot.user_properties):
            return "", ""
        leaf = names.split_snapshot(name)[1]
        group = records.parse_snapshot(snapshot.user_properties).group
        snapshot_id = str(SnapshotId(self.view.pool_id, leaf, snapshot.uid))
        return snapshot_id, str(group.group_snapshot_id) if group else ""


def _title_of(dataset: Dataset) -> str:
    if names.is_tombstone(dataset.name):
        return "deleted volume"
    return "ephemeral volume" if names.is_ephemeral(dataset.name) else "volume"


def _volume_id_of(view: PoolView, dataset: Dataset) -> str:
    """The id that the volume has, or had; empty for what was made by hand."""
    with suppress(RecordCorruptError):
        record = records.parse_volume(dataset.user_properties)
        leaf = names.leaf_of(record.volume_name)
        return record.ephemeral_id or str(VolumeId(view.pool_id, leaf, dataset.uid))
    return ""


def _names_for(view: PoolView, text: str) -> list[str]:
    """What a pool has of this id or name, by its name there."""
    if text.startswith("zfs1:"):
        return _names_of_id(view, SnapshotId.parse(text) if ":s:" in text else VolumeId.parse(text))
    dataset_name = _dataset_name_of(text)
    if _uid_of(view, dataset_name):
        return [dataset_name]
    return [one.name for one in _snapshots_of(view, names.leaf_of(text))]


def _names_of_id(view: PoolView, object_id: SnapshotId | VolumeId) -> list[str]:
    if object_id.pool_id != view.pool_id:
        return []
    leaf, uid = object_id.leaf, object_id.uid
    if isinstance(object_id, VolumeId):
        candidates = (names.dataset_of(leaf), names.tombstone_of(uid))
        return [name for name in candidates if _uid_of(view, name) == uid]
    found = _snapshots_of(view, leaf, names.deferred_snapshot_leaf(uid))
    return [one.name for one in found if one.uid == uid]


def _dataset_name_of(text: str) -> str:
    if _OWN_LEAF.fullmatch(text):
        return names.dataset_of(text)
    with suppress(InvalidIdError):
        return names.ephemeral_of(str(EphemeralId.parse(text)))
    return names.dataset_of(names.leaf_of(text))


def _uid_of(view: PoolView, dataset_name: str) -> str:
    with suppress(DatasetNotFoundError):
        return view.get(dataset_name).uid
    return ""


def _snapshots_of(view: PoolView, *leaves: str) -> list[DatasetSnapshot]:
    return [
        one
        for one in view.list_snapshots()
        if isinstance(one, DatasetSnapshot) and names.split_snapshot(one.name)[1] in leaves
    ]
