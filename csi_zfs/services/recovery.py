"""What a start does about the end of the driver before it."""

import logging
from dataclasses import dataclass, replace

from csi_zfs.domain.errors import CsiZfsError, InvalidRequestError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import Mounter
from csi_zfs.services.burial import finish_deletes
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.detaching import Detaching
from csi_zfs.services.node_state import NodeState, VolumeState
from csi_zfs.services.pools import Pools

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Runs once, before the first call is served.  Touches no mount that is in use."""

    pools: Pools
    catalogue: Catalogue
    node_state: NodeState
    mounter: Mounter
    detaching: Detaching

    def run(self) -> None:
        """Thaw, finish deletes, load the catalogue, let go of devices that nobody uses."""
        for state in self.node_state:
            self._thaw(state)
        for pool in self.pools:
            finish_deletes(pool)
        self.catalogue.load()
        for state in self.node_state:
            self._settle(state)

    def _thaw(self, state: VolumeState) -> None:
        for path in state.paths:
            mounted = self.mounter.mounted_at(path)
            if mounted is not None and not mounted.is_block:
                self.mounter.thaw(path)

    def _settle(self, state: VolumeState) -> None:
        """Forget targets that are not mounted any more.

        A volume that is then used nowhere gives its device back.
        """
        if any(self.mounter.mounted_at(path) for path in state.paths) or not _is_volume(state):
            return
        is_staged_block = any(
            use.capability.access_type == "block" for use in state.staged.values()
        )
        if is_staged_block:
            return  # a staged block device is mounted nowhere, and is in use all the same
        try:
            self.detaching.release(replace(state, staged={}, published={}))
        except CsiZfsError as exc:
            log.warning("the device of volume %s stays attached: %s", state.volume_id, exc)


def _is_volume(state: VolumeState) -> bool:
    try:
        VolumeId.parse(state.volume_id)
    except InvalidRequestError:
        return False  # an ephemeral volume: the kubelet publishes it again, or unpublishes it
    return True
