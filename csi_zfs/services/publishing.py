"""Volumes on this node: stage, publish, look at, grow, unpublish, unstage.

Stage mounts (or attaches) once per node, publish shows the same at the workload's path.  Each call
first writes down what
it is about to do and then does it, each step idempotent: a call that a crash cut short is repaired
by its repetition, and a publish repairs a stage that was lost (rules.md B6).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from csi_zfs.datasets import names
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.errors import InUseError, InvalidRequestError
from csi_zfs.domain.ids import EphemeralId, VolumeId
from csi_zfs.domain.model import EphemeralSpec, PublishSpec, StageSpec, Usage
from csi_zfs.domain.secrets import Secrets
from csi_zfs.domain.sizes import CapacityRange
from csi_zfs.mount.api import Mounted, Mounter, TargetNotFoundError
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.detaching import Detaching
from csi_zfs.services.entries import VolumeEntry
from csi_zfs.services.ephemeral import EphemeralVolumes
from csi_zfs.services.keys import EncryptedDataset, VolumeKeys
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.node_state import NodeState, Use, VolumeState
from csi_zfs.services.pools import Pools
from csi_zfs.services.staging import Disk, Staging
from csi_zfs.services.uses import (
    require_fit,
    require_own_path,
    require_same_use,
    require_shareable,
)

Opening = Callable[[EncryptedDataset, Secrets], AbstractContextManager[None]]


class StagedElsewhereError(InUseError):
    """The volume is staged at another path of this node."""


class StillPublishedError(InUseError):
    """The volume is still published: unpublish it first."""


class NotExpandedError(InvalidRequestError):
    """The controller has not expanded the volume to the size that the node is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """What the product does with volumes on its node.  Thread-safe."""

    pools: Pools
    catalogue: Catalogue
    locks: KeyedLocks
    node_state: NodeState
    mounter: Mounter
    keys: VolumeKeys
    staging: Staging
    detaching: Detaching
    ephemeral: EphemeralVolumes

    def stage(self, spec: StageSpec) -> None:
        """Make the volume ready at its staging path.  Safe to repeat.

        Raises:
            VolumeNotFoundError: there is no such volume.
            CapabilityMismatchError: it was made for another kind of use.
            StagedElsewhereError, DifferentUseError: it is staged at another path, or in another
                way.
            KeyMissingError, KeyRefusedError: it is encrypted, and the Secret has not its key.
        """
        with self.locks.hold(exclusive=_keys(spec.volume_id, spec.staging_target_path)):
            self._stage(spec, self.keys.opening)

    def _stage(self, spec: StageSpec, opening: Opening) -> None:
        entry = self.catalogue.volume(spec.volume_id)
        require_fit(entry, spec.capability)
        state = self._live_state(entry)
        require_own_path(spec.staging_target_path, state.volume_id, self.node_state)
        use = Use(spec.capability)
        elsewhere = next((path for path in state.staged if path != spec.staging_target_path), None)
        if elsewhere is not None:
            msg = f"volume {spec.volume_id} is staged at {elsewhere}: unstage it there first"
            raise StagedElsewhereError(msg)
        require_same_use(spec.staging_target_path, state.staged.get(spec.staging_target_path), use)
        disk = Disk.read(self.pools.get(entry.volume_id.pool_id), entry.dataset_name)
        with _opened(disk, spec, opening):
            self.node_state.save(
                replace(state, staged={spec.staging_target_path: use}, is_attached=True)
            )
            self._bring_up(disk, spec)

    def _bring_up(self, disk: Disk, spec: StageSpec) -> None:
        if spec.capability.access_type is AccessType.BLOCK:
            self.staging.ensure_attached(
                disk, is_read_only=spec.capability.access_mode.is_read_only
            )
        else:
            self.staging.mount(disk, spec.staging_target_path, spec.capability)

    def unstage(self, volume_id: VolumeId, staging_target_path: Path) -> None:
        """Take the volume away from its staging path.  Safe to repeat.

        Depends on nothing but this node (rules.md B5).

        Raises `StillPublishedError`, `TargetBusyError`, `DeviceBusyError`.
        """
        with self.locks.hold(exclusive=_keys(volume_id, staging_target_path)):
            state = self._state(volume_id)
            require_own_path(staging_target_path, state.volume_id, self.node_state)
            published = [str(path) for path in state.published if self.mounter.mounted_at(path)]
            if published:
                msg = (
                    f"volume {volume_id} is still published at {', '.join(published)}: "
                    "unpublish it first"
                )
                raise StillPublishedError(msg)
            self.mounter.unmount(staging_target_path)
            staged = {
                path: use for path, use in state.staged.items() if path != staging_target_path
            }
            self.detaching.release(replace(state, staged=staged, published={}))

    def publish(self, spec: PublishSpec) -> None:
        """Show the staged volume at a target path, staging it again if that was lost.

        Safe to repeat.

        Raises:
            VolumeNotFoundError, CapabilityMismatchError: as `stage`.
            PublishedElsewhereError: an access mode allows one target only, and there is another.
            DifferentUseError: it is published at this path in another way.
        """
        with self.locks.hold(
            exclusive=_keys(spec.volume_id, spec.staging_target_path, spec.target_path)
        ):
            entry = self.catalogue.volume(spec.volume_id)
            require_fit(entry, spec.capability)
            state = self._live_state(entry)
            require_own_path(spec.target_path, state.volume_id, self.node_state)
            use = Use(spec.capability, is_read_only=spec.is_read_only)
            require_same_use(spec.target_path, state.published.get(spec.target_path), use)
            require_shareable(spec, state)
            self._ensure_staged(entry, spec, state)
            self._show(entry, spec, use)

    def _ensure_staged(self, entry: VolumeEntry, spec: PublishSpec, state: VolumeState) -> None:
        staged = state.staged.get(spec.staging_target_path)
        capability = staged.capability if staged else spec.capability
        stage = StageSpec(entry.volume_id, spec.staging_target_path, capability, spec.secrets)
        # The stage has checked the Secret; after a reboot, the kubelet stages again.
        if staged is None:
            self._stage(stage, self.keys.opening_again)
        elif not self._is_up(entry, stage):
            disk = Disk.read(self.pools.get(entry.volume_id.pool_id), entry.dataset_name)
            with _opened(disk, stage, self.keys.opening_again):
                self._bring_up(disk, stage)

    def _is_up(self, entry: VolumeEntry, stage: StageSpec) -> bool:
        """Whether the staging path shows this very volume, and not what came over it (A6)."""
        if stage.capability.access_type is AccessType.BLOCK:
            return False  # its stage shows in no mount table
        mounted = self.mounter.mounted_at(stage.staging_target_path)
        disk = Disk.read(self.pools.get(entry.volume_id.pool_id), entry.dataset_name)
        return mounted is not None and self.staging.is_shown(disk, mounted)

    def _show(self, entry: VolumeEntry, spec: PublishSpec, use: Use) -> None:
        state = self._live_state(entry)
        self.node_state.save(replace(state, published={**state.published, spec.target_path: use}))
        is_read_only = spec.is_read_only or spec.capability.access_mode.is_read_only
        if spec.capability.access_type is AccessType.MOUNT:
            self.mounter.bind(
                spec.staging_target_path,
                spec.target_path,
                flags=spec.capability.mount_flags,
                is_read_only=is_read_only,
            )
        else:
            disk = Disk.read(self.pools.get(entry.volume_id.pool_id), entry.dataset_name)
            self.mounter.bind_device(
                self.staging.attach(disk, is_read_only=is_read_only), spec.target_path
            )

    def publish_ephemeral(self, spec: EphemeralSpec) -> None:
        """See `EphemeralVolumes.publish`."""
        self.ephemeral.publish(spec)

    def unpublish(self, volume_id: VolumeId | EphemeralId, target_path: Path) -> None:
        """Take the volume away from a target path and remove the path.  Safe to repeat.

        Depends only on this node.

        An ephemeral volume is gone afterwards, with its data.  Raises `TargetBusyError`.
        """
        if isinstance(volume_id, EphemeralId):
            self.ephemeral.unpublish(volume_id, target_path)
            return
        with self.locks.hold(exclusive=_keys(volume_id, target_path)):
            state = self._state(volume_id)
            require_own_path(target_path, state.volume_id, self.node_state)
            self.mounter.unmount(target_path)
            published = {path: use for path, use in state.published.items() if path != target_path}
            self.node_state.save(replace(state, published=published))

    def usage(self, volume_id: VolumeId | EphemeralId, volume_path: Path) -> tuple[Usage, ...]:
        """How full the volume is that is mounted at the path.

        Raises `VolumeNotFoundError`, and `TargetNotFoundError` where the path does not show this
        volume.
        """
        if isinstance(volume_id, VolumeId):
            self.catalogue.volume(volume_id)
        self._mounted(volume_id, volume_path)
        return self.mounter.usage(volume_path)

    def expand(self, volume_id: VolumeId, volume_path: Path, capacity_range: CapacityRange) -> int:
        """Let the node see the volume's new size, and grow its file system.  Safe to repeat.

        One of ZFS itself has grown at the controller already.

        Returns the capacity.

        Raises `VolumeNotFoundError`, `TargetNotFoundError`, `NotExpandedError`.
        """
        with self.locks.hold(exclusive=[names.dataset_of(volume_id.leaf)]):
            entry = self.catalogue.volume(volume_id)
            mounted = self._mounted(volume_id, volume_path)
            if capacity_range.required_bytes > entry.size_bytes:
                msg = f"the volume has {entry.size_bytes} bytes: expand it at the controller first"
                raise NotExpandedError(msg)
            disk = Disk.read(self.pools.get(volume_id.pool_id), entry.dataset_name)
            if disk.record.disk.is_native:
                return entry.size_bytes  # its refquota is all there is
            device = self.staging.attach(
                disk, is_read_only=mounted.is_block and mounted.is_read_only
            )
            if not mounted.is_block:
                self.staging.grow(disk, device, self._writable_mount(volume_id, mounted))
            return entry.size_bytes

    def _writable_mount(self, volume_id: VolumeId, mounted: Mounted) -> Mounted:
        """The staging mount, because a file system grows only through a writable one."""
        found = [self.mounter.mounted_at(path) for path in self._state(volume_id).staged]
        return next((stage for stage in found if stage), mounted)

    def _mounted(self, volume_id: VolumeId | EphemeralId, volume_path: Path) -> Mounted:
        mounted = self.mounter.mounted_at(volume_path)
        if mounted is None or self.node_state.owner_of(volume_path) != str(volume_id):
            msg = f"volume {volume_id} is not mounted at {volume_path}"
            raise TargetNotFoundError(msg)
        return mounted

    def _state(self, volume_id: VolumeId) -> VolumeState:
        return self.node_state.find(str(volume_id)) or VolumeState(
            str(volume_id), names.dataset_of(volume_id.leaf)
        )

    def _live_state(self, entry: VolumeEntry) -> VolumeState:
        """The state without targets whose mount is gone.

        A reboot unmounts without telling anybody.
        """
        state = self._state(entry.volume_id)
        published = {
            path: use for path, use in state.published.items() if self.mounter.mounted_at(path)
        }
        is_block = entry.record.disk.access_type is AccessType.BLOCK
        staged = {
            path: use
            for path, use in state.staged.items()
            if is_block or self.mounter.mounted_at(path)
        }
        return replace(state, staged=staged, published=published)


def _opened(disk: Disk, spec: StageSpec, opening: Opening) -> AbstractContextManager[None]:
    """The key of an encrypted disk is loaded in the block."""
    return nullcontext() if disk.encrypted is None else opening(disk.encrypted, spec.secrets)


def _keys(volume_id: VolumeId, *paths: Path) -> list[str]:
    """The keys of a call: of two volumes that are to come to one path, one is refused."""
    return [names.dataset_of(volume_id.leaf), *map(str, paths)]
