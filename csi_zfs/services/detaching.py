"""Letting go of a volume's device once nothing on this node uses it."""

import logging
from dataclasses import dataclass, replace

from csi_zfs.datasets.api import DatasetNotFoundError, PoolUnavailableError, RecordCorruptError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import Mounter
from csi_zfs.services.node_state import NodeState, VolumeState
from csi_zfs.services.pools import Pools

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Detaching:
    """Detaches devices, now or when their pool is back."""

    pools: Pools
    node_state: NodeState
    mounter: Mounter

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
            pool = self.pools.get(volume_id.pool_id)
            if pool.get(state.dataset_name).uid == volume_id.uid:  # else it is a later volume's
                self.mounter.detach(pool.data_path(state.dataset_name))
        except DatasetNotFoundError:
            log.debug("volume %s is gone, and its device with it", state.volume_id)
        except (PoolUnavailableError, RecordCorruptError) as exc:
            log.warning("the device of volume %s stays attached for now: %s", state.volume_id, exc)
            self.node_state.save(state)
            return
        self.node_state.save(replace(state, is_attached=False))
