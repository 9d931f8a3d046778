"""Letting go of a volume's device once nothing on this node uses it."""

import logging
from contextlib import suppress
from dataclasses import dataclass, replace

from csi_zfs.datasets.api import DatasetNotFoundError, PoolUnavailableError, RecordCorruptError
from csi_zfs.datasets.keys import KeyNotLoadedError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import Mounter
from csi_zfs.services.keys import VolumeKeys
from csi_zfs.services.node_state import NodeState, VolumeState
from csi_zfs.services.pools import Pools
from csi_zfs.services.staging import Disk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Detaching:
    """Detaches devices, now or when their pool is back."""

    pools: Pools
    node_state: NodeState
    mounter: Mounter
    keys: VolumeKeys

    def release(self, state: VolumeState) -> None:
        """Detach the device of a volume that is staged and published nowhere any more.

        Keep the rest of its state.

        A pool that is away or damaged must not keep the node from letting a workload go (rules.md
        B5): the state then remembers the device, and the next start detaches it.  Raises
        `DeviceBusyError`.
        """
        if state.staged or state.published:
            self.node_state.save(state)
            return
        try:
            volume_id = VolumeId.parse(state.volume_id)
            disk = Disk.read(self.pools.get(volume_id.pool_id), state.dataset_name)
            if disk.dataset.uid == volume_id.uid:  # else it is a later volume's
                self._detach(disk)
        except DatasetNotFoundError:
            log.debug("volume %s is gone, and its device with it", state.volume_id)
        except (PoolUnavailableError, RecordCorruptError) as exc:
            log.warning("the device of volume %s stays attached for now: %s", state.volume_id, exc)
            self.node_state.save(state)
            return
        self.node_state.save(replace(state, is_attached=False))

    def _detach(self, disk: Disk) -> None:
        with suppress(KeyNotLoadedError):  # then nobody has it open
            self.mounter.detach(disk.pool.data_path(disk.dataset.name))
        if disk.encrypted is not None:
            self.keys.forget(disk.encrypted)
