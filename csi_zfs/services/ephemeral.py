"""Inline ephemeral volumes: made when they are published, gone when they are unpublished.

Their id is the kubelet's own, and their dataset's name is a function of that id alone: an unpublish
finds what to delete after any crash, with no memory but the pool's.  They are in no listing; nobody
but their pod knows them.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    Dataset,
    DatasetManager,
    DatasetNotFoundError,
    NewDataset,
)
from csi_zfs.datasets.keys import KeyNotLoadedError
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.errors import IncompatibleError, InvalidRequestError
from csi_zfs.domain.ids import EphemeralId
from csi_zfs.domain.model import EphemeralSpec
from csi_zfs.domain.parameters import VolumeParameters, parse_ephemeral_parameters
from csi_zfs.domain.sizes import CapacityRange
from csi_zfs.mount.api import Mounter
from csi_zfs.services import records
from csi_zfs.services.creation import MINIMUM_BYTES, encrypted_with
from csi_zfs.services.keys import VolumeKeys
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.node_state import NodeState, Use, VolumeState
from csi_zfs.services.pools import Pools, able_pools, on_first_with_room
from csi_zfs.services.records import VolumeRecord
from csi_zfs.services.sources import blank_disk, kind_of
from csi_zfs.services.staging import Disk, Staging
from csi_zfs.services.uses import require_own_path


class BlockEphemeralError(InvalidRequestError):
    """An inline ephemeral volume is always a file system."""


class DifferentEphemeralError(IncompatibleError):
    """The volume is published already, at another path or in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EphemeralVolumes:
    """What the product does with inline ephemeral volumes.  Thread-safe."""

    pools: Pools
    locks: KeyedLocks
    node_state: NodeState
    mounter: Mounter
    keys: VolumeKeys
    staging: Staging

    def publish(self, spec: EphemeralSpec) -> None:
        """Make the volume and mount it at the target.  Safe to repeat.

        The same volume, with its data.

        Raises:
            BlockEphemeralError: a raw device was asked for.
            PathOfOtherVolumeError: the target belongs to another volume.
            DifferentEphemeralError: it is published already, at another path or in another way.
            PoolFullError: there is no room.
            KeyMissingError, KeyRefusedError: it is encrypted, and the Secret has not its key.
        """
        if spec.capability.access_type is AccessType.BLOCK:
            msg = (
                "an inline ephemeral volume is always a file system: ask for a mount, not for a "
                "block device"
            )
            raise BlockEphemeralError(msg)
        parameters, size_bytes = parse_ephemeral_parameters(spec.parameters)
        dataset_name = names.ephemeral_of(spec.ephemeral_id)
        use = Use(spec.capability, is_read_only=spec.is_read_only)
        with self.locks.hold(exclusive=[dataset_name, str(spec.target_path)]):
            require_own_path(spec.target_path, spec.ephemeral_id, self.node_state)
            self._require_same(spec, use)
            pool, dataset = self._find(dataset_name) or self._make(spec, parameters, size_bytes)
            self.node_state.save(
                VolumeState(spec.ephemeral_id, dataset_name, published={spec.target_path: use})
            )
            disk = Disk(pool, dataset, records.parse_volume(dataset.user_properties))
            if disk.encrypted is None:
                self._mount(disk, spec)
                return
            with self.keys.opening(disk.encrypted, spec.secrets):
                self._mount(disk, spec)

    def _mount(self, disk: Disk, spec: EphemeralSpec) -> None:
        is_read_only = spec.is_read_only or spec.capability.access_mode.is_read_only
        self.staging.mount(disk, spec.target_path, spec.capability, is_read_only=is_read_only)

    def _require_same(self, spec: EphemeralSpec, use: Use) -> None:
        state = self.node_state.find(spec.ephemeral_id)
        mounted = (
            {
                path: known
                for path, known in state.published.items()
                if self.mounter.mounted_at(path)
            }
            if state
            else {}
        )
        if mounted and mounted != {spec.target_path: use}:
            msg = (
                f"volume {spec.ephemeral_id} is published at {', '.join(map(str, mounted))}, in "
                "this or another way"
            )
            raise DifferentEphemeralError(msg)

    def _find(self, dataset_name: str) -> tuple[DatasetManager, Dataset] | None:
        """Look on every pool; one that is away raises, because the volume may be there."""
        for pool in self.pools:
            with suppress(DatasetNotFoundError):
                dataset = pool.get(dataset_name)
                # What a power cut left without a record is finished by the next publish.
                if records.is_our_volume(dataset.user_properties):
                    return pool, dataset
        self.pools.require_all()
        return None

    def _make(
        self, spec: EphemeralSpec, parameters: VolumeParameters, size_bytes: int
    ) -> tuple[DatasetManager, Dataset]:
        def blank(pool: DatasetManager) -> NewDataset:
            disk = blank_disk(spec.capability, pool.features)
            salt, key = self.keys.new(spec.secrets) if parameters.cipher else ("", None)
            record = VolumeRecord(
                "", disk, parameters.given, ephemeral_id=spec.ephemeral_id, salt=salt
            )
            minimum_bytes = MINIMUM_BYTES[disk.fs_type]
            new = NewDataset(
                name=names.ephemeral_of(spec.ephemeral_id),
                size_bytes=CapacityRange(size_bytes).choose(
                    minimum_bytes=minimum_bytes, default_bytes=size_bytes
                ),
                kind=kind_of(disk),
                is_thick=parameters.is_thick,
                properties=parameters.properties,
                user_properties=records.format_volume(record),
            )
            return encrypted_with(key, parameters.cipher, new) if key else new

        pools = self.pools.roomiest(parameters.pool_pattern, is_thick=parameters.is_thick)
        return on_first_with_room(
            able_pools(pools, spec.capability, is_encrypted=bool(parameters.cipher)),
            lambda pool: (pool, pool.create(blank(pool))),
        )

    def unpublish(self, ephemeral_id: EphemeralId, target_path: Path) -> None:
        """Unmount the volume and destroy it with its data.  Safe to repeat.

        A missing one is no error.

        Raises `PathOfOtherVolumeError`, `TargetBusyError`, `DeviceBusyError`,
        `PoolUnavailableError`; what was unmounted stays unmounted.
        """
        dataset_name = names.ephemeral_of(ephemeral_id.text)
        with self.locks.hold(exclusive=[dataset_name, str(target_path)]):
            require_own_path(target_path, ephemeral_id.text, self.node_state)
            self.mounter.unmount(target_path)
            found = self._find(dataset_name)
            if found is not None:
                pool, dataset = found
                with suppress(KeyNotLoadedError):  # then nobody has it open
                    self.mounter.detach(pool.data_path(dataset_name))
                pool.destroy(dataset_name, uid=dataset.uid)
            self.node_state.save(VolumeState(ephemeral_id.text, dataset_name))
