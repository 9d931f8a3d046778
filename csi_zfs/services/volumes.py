"""Volumes: delete, expand, modify, look up; making them is in creation.py."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetManager,
    DatasetNotFoundError,
    HasDependentsError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.keys import KeyNotLoadedError
from csi_zfs.domain.capabilities import AccessType, VolumeCapability
from csi_zfs.domain.errors import InUseError, InvalidRequestError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import (
    CapacityReport,
    CreateVolumeSpec,
    ExpandedVolume,
    Page,
    Topology,
    Volume,
)
from csi_zfs.domain.parameters import (
    VolumeParameters,
    parse_mutable_parameters,
    parse_volume_parameters,
    without_metadata,
)
from csi_zfs.domain.secrets import NO_SECRETS, Secrets
from csi_zfs.domain.sizes import CapacityRange
from csi_zfs.mount.api import DeviceBusyError, Mounter
from csi_zfs.services.burial import Burial
from csi_zfs.services.catalogue import Catalogue, VolumeNotFoundError
from csi_zfs.services.contents import PoolContents
from csi_zfs.services.creation import MINIMUM_BYTES, VolumeCreation
from csi_zfs.services.entries import VolumeEntry, entry_of_volume, volume_of
from csi_zfs.services.identity import Identity
from csi_zfs.services.keys import EncryptedDataset, VolumeKeys
from csi_zfs.services.listing import check_token
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.node_state import NodeState, VolumeState
from csi_zfs.services.pools import NoSuchPoolError, Pools, able_pools
from csi_zfs.services.sources import blank_disk
from csi_zfs.services.uses import CapabilityMismatchError, require_fit


class VolumeInUseError(InUseError):
    """The volume is staged or published on this node; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """What the product does with volumes.  Thread-safe."""

    pools: Pools
    catalogue: Catalogue
    locks: KeyedLocks
    burial: Burial
    creation: VolumeCreation
    node_state: NodeState
    mounter: Mounter
    keys: VolumeKeys
    identity: Identity

    def create(self, spec: CreateVolumeSpec) -> Volume:
        """See `VolumeCreation.create`."""
        return self.creation.create(spec)

    def delete(self, volume_id: VolumeId) -> None:
        """Delete the volume; its snapshots and the clones of them live on.  Safe to repeat.

        A missing one is no error.

        Raises:
            VolumeInUseError: it is staged or published here.
            DatasetBusyError: somebody else has its data open.
            PoolUnavailableError: nothing can be said about it.
        """
        dataset_name = names.dataset_of(volume_id.leaf)
        with self.locks.hold(exclusive=[dataset_name]):
            self._require_unused(volume_id)
            pool, is_known = self.pools.get(volume_id.pool_id), self.catalogue.knows(volume_id)
            try:
                entry = self.catalogue.read_volume(volume_id)
            except VolumeNotFoundError:
                self._finish_delete(pool, volume_id)
                if is_known:  # its clones' origins may wait for it
                    self.burial.finish_deletes(PoolContents.of(pool))
            else:
                self._destroy(pool, entry)
                self.burial.bury_origin(pool, entry.origin)
                # Last, so that a repetition knows that there may be something left to finish.
                self.catalogue.forget_volume(volume_id)
            self.node_state.save(VolumeState(str(volume_id), dataset_name))

    def _require_unused(self, volume_id: VolumeId) -> None:
        state = self.node_state.find(str(volume_id))
        if state is None:
            return
        paths = [
            path for path in state.paths if self.mounter.mounted_at(path)
        ] or self._staged_devices(state)
        if paths:
            msg = (
                f"volume {volume_id} is in use at {', '.join(map(str, paths))}: unpublish and "
                "unstage it first"
            )
            raise VolumeInUseError(msg)

    def _staged_devices(self, state: VolumeState) -> Sequence[Path]:
        """The staging paths of a block volume that is attached.

        It is mounted nowhere, and in use all the same.
        """
        volume_id = VolumeId.parse(state.volume_id)
        pool = self.pools.get(volume_id.pool_id)
        paths = [
            path
            for path, use in state.staged.items()
            if use.capability.access_type is AccessType.BLOCK
        ]
        with suppress(DatasetNotFoundError, KeyNotLoadedError):
            if not paths or pool.get(state.dataset_name).uid != volume_id.uid:
                return []  # a later volume of the same name is not this one
            if self.mounter.find_device(pool.data_path(state.dataset_name)):
                return paths
        return []

    def _destroy(self, pool: DatasetManager, entry: VolumeEntry) -> None:
        try:
            self._destroy_or_retire(pool, entry)
        except DatasetBusyError as busy:
            # A loop device that a crash left behind keeps the data open; one that is really used is
            # not let go of.
            try:
                self.mounter.detach(pool.data_path(entry.dataset_name))
            except DeviceBusyError as exc:
                raise VolumeInUseError(str(exc)) from exc
            except (DatasetNotFoundError, KeyNotLoadedError):
                raise busy from None  # it is renamed already: a repetition finishes the delete
            self._destroy_or_retire(pool, entry)

    def _finish_delete(self, pool: DatasetManager, volume_id: VolumeId) -> None:
        """Do the rest of a delete that was cut short while it gave back what nobody needs."""
        dataset_name = names.dataset_of(volume_id.leaf)
        try:
            pool.get(dataset_name)  # a new volume of the same name
        except DatasetNotFoundError:
            with suppress(DatasetNotFoundError):
                self._retire(pool, volume_id)

    def _destroy_or_retire(self, pool: DatasetManager, entry: VolumeEntry) -> None:
        try:
            pool.destroy(entry.dataset_name, uid=entry.volume_id.uid)
        except HasDependentsError:
            self._retire(pool, entry.volume_id)

    def _retire(self, pool: DatasetManager, volume_id: VolumeId) -> None:
        """Let the dataset wait for its dependents, unless a clone can have its snapshots."""
        dataset_name = names.dataset_of(volume_id.leaf)
        tombstone_name = names.tombstone_of(volume_id.uid)
        pool.retire(dataset_name, tombstone_name)
        self.catalogue.move_snapshots(pool.pool_id, dataset_name, tombstone_name)
        self.burial.bury(pool, tombstone_name)

    def get(self, volume_id: VolumeId) -> Volume:
        """The volume; raises `VolumeNotFoundError`, `PoolUnavailableError`."""
        return volume_of(self.catalogue.volume(volume_id))

    def list(self, *, max_entries: int, starting_token: str) -> Page[Volume]:
        """One page of all volumes, by id.

        Raises `BadTokenError`, and `PoolAwayError` where some may be on a pool that is away.
        """
        after = check_token(starting_token, VolumeId)
        self.pools.require_all()
        entries, token = self.catalogue.volume_page(after=after, max_entries=max_entries)
        return Page(tuple(map(volume_of, entries)), token)

    def expand(
        self, volume_id: VolumeId, capacity_range: CapacityRange, secrets: Secrets = NO_SECRETS
    ) -> ExpandedVolume:
        """Grow the volume; one that is large enough stays as it is.  Safe to repeat; durable.

        Raises:
            VolumeNotFoundError: there is none.
            OutOfRangeError: it is larger than the limit already, or would have to be.
            PoolFullError: the pool cannot take it; nothing was changed.
            KeyMissingError, KeyRefusedError: it is an encrypted zvol that is not in use, and the
                Secret has not its key.
        """
        with self.locks.hold(exclusive=[names.dataset_of(volume_id.leaf)]):
            entry = self.catalogue.volume(volume_id)
            size_bytes = capacity_range.choose(
                minimum_bytes=entry.size_bytes, default_bytes=entry.size_bytes
            )
            if size_bytes > entry.size_bytes:
                pool = self.pools.get(volume_id.pool_id)
                with self._key_for_resize(pool, entry, secrets):
                    larger = pool.resize(entry.dataset_name, size_bytes)
                self.catalogue.put_volume(entry_of_volume(pool, larger))
            is_native = entry.record.disk.is_native
            return ExpandedVolume(size_bytes, is_node_expansion_required=not is_native)

    def _key_for_resize(
        self, pool: DatasetManager, entry: VolumeEntry, secrets: Secrets
    ) -> AbstractContextManager[None]:
        if not entry.record.salt or entry.record.disk.is_native:
            return nullcontext()
        encrypted = EncryptedDataset(pool, entry.dataset_name, entry.record.salt)
        return self.keys.borrowing(encrypted, secrets)

    @property
    def is_modify_supported(self) -> bool:
        """Whether some pool has properties that can be changed on a living volume."""
        return any(pool.features.mutable_properties for pool in self.pools)

    def modify(self, volume_id: VolumeId, mutable_parameters: Mapping[str, str]) -> None:
        """Change native properties of a volume.  Safe to repeat; durable.

        Raises `VolumeNotFoundError`, `UnknownParameterError`, `UnsupportedFeatureError`.
        """
        properties = parse_mutable_parameters(mutable_parameters)
        with self.locks.hold(exclusive=[names.dataset_of(volume_id.leaf)]):
            entry = self.catalogue.volume(volume_id)
            pool = self.pools.get(volume_id.pool_id)
            unknown = sorted(properties.keys() - pool.features.mutable_properties)
            if unknown:
                msg = f"pool {pool.pool_name} cannot change {', '.join(unknown)} on a living volume"
                raise UnsupportedFeatureError(msg)
            if properties:
                self.catalogue.put_volume(
                    entry_of_volume(pool, pool.set_properties(entry.dataset_name, properties))
                )

    def validate(
        self,
        volume_id: VolumeId,
        capabilities: Sequence[VolumeCapability],
        parameters: Mapping[str, str],
    ) -> str:
        """Why the volume cannot be used in these ways, or nothing if it can.

        Raises `VolumeNotFoundError`.
        """
        entry = self.catalogue.volume(volume_id)
        try:
            for capability in capabilities:
                require_fit(entry, capability)
        except CapabilityMismatchError as exc:
            return str(exc)
        given = without_metadata(parameters)
        if given and given != dict(entry.record.parameters):
            return "the volume was made with other parameters"
        return ""

    def capacity(
        self,
        *,
        parameters: Mapping[str, str],
        capabilities: Sequence[VolumeCapability],
        topology: Topology | None,
    ) -> CapacityReport:
        """The room for a volume of this class: the largest that one pool takes now.

        Nothing for other nodes, and where no pool is one that the class names.
        """
        asked = _understood(parameters)
        minimum_bytes = MINIMUM_BYTES[""]
        try:
            pools: Sequence[DatasetManager] = self.pools.matching(asked.pool_pattern)
        except NoSuchPoolError:
            return CapacityReport(0, 0, minimum_bytes)
        if asked.cipher:
            pools = [pool for pool in pools if pool.features.encryption]
            if not pools:
                return CapacityReport(0, 0, minimum_bytes)
        if capabilities:
            pools = able_pools(pools, capabilities[0])
            disks = [blank_disk(capabilities[0], pool.features) for pool in pools]
            minimum_bytes = max(MINIMUM_BYTES[disk.fs_type] for disk in disks)
        if topology is not None and dict(topology) != dict(self.identity.topology):
            return CapacityReport(0, 0, minimum_bytes)
        capacities = [pool.capacity() for pool in pools]
        room_bytes = max(
            capacity.admissible_thick_bytes if asked.is_thick else capacity.admissible_thin_bytes
            for capacity in capacities
        )
        return CapacityReport(room_bytes, room_bytes, minimum_bytes)


def _understood(parameters: Mapping[str, str]) -> VolumeParameters:
    """What a class asks for; one that asks for what there is not, asks for nothing here.

    Were that refused, the scheduler would know of no room and hold the claim with no word of
    what to mend; the create that it lets through says it.
    """
    try:
        return parse_volume_parameters(parameters)
    except InvalidRequestError:
        return VolumeParameters()
