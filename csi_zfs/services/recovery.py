"""What a start does about the end of the driver before it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.errors import CsiZfsError, InvalidRequestError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import Mounter
from csi_zfs.services.burial import finish_deletes
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.contents import PoolContents
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
        self._for_each_state(self._thaw)
        contents = [PoolContents.of(pool) for pool in self.pools]
        for one in contents:
            try:
                finish_deletes(one)
            except DatasetBusyError as exc:  # one holder keeps nobody from starting (rules.md B8)
                log.warning("a deleted volume stays for now: %s", exc)
        # Deleted things are in no listing, so it does not matter that they are gone by now.
        self.catalogue.load(contents)
        self._for_each_state(self._settle)

    def _for_each_state(self, step: Callable[[VolumeState], None]) -> None:
        for state in self.node_state:
            try:
                step(state)
            except CsiZfsError as exc:  # one volume keeps the driver from nothing (rules.md B8)
                log.warning("volume %s is left as it was found: %s", state.volume_id, exc)

    def _thaw(self, state: VolumeState) -> None:
        for path in state.paths:
            mounted = self.mounter.mounted_at(path)
            if mounted is not None and not (mounted.is_block or mounted.dataset_name):
                self.mounter.thaw(path)

    def _settle(self, state: VolumeState) -> None:
        """Forget targets that are not mounted any more.

        A volume that is then used nowhere gives its device back.
        """
        if any(self.mounter.mounted_at(path) for path in state.paths) or not _is_volume(state):
            return
        uses = state.staged.values()
        if any(use.capability.access_type is AccessType.BLOCK for use in uses):
            return  # a staged block device is mounted nowhere, and is in use all the same
        self.detaching.release(replace(state, staged={}, published={}))


def _is_volume(state: VolumeState) -> bool:
    try:
        VolumeId.parse(state.volume_id)
    except InvalidRequestError:
        return False  # an ephemeral volume: the kubelet publishes it again, or unpublishes it
    return True
