"""What a start does about the end of the driver before it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from csi_zfs.datasets.api import DatasetBusyError, PoolUnavailableError
from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.errors import CsiZfsError, InvalidRequestError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import Mounter
from csi_zfs.services.burial import Burial
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.contents import PoolContents
from csi_zfs.services.detaching import Detaching
from csi_zfs.services.node_state import NodeState, VolumeState
from csi_zfs.services.pools import Pools

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Runs once, before the first call is served.  Touches no mount that is in use."""

    pools: Pools
    catalogue: Catalogue
    node_state: NodeState
    mounter: Mounter
    detaching: Detaching
    burial: Burial

    def run(self) -> None:
        """Thaw, load the catalogue, finish deletes, let go of devices that nobody uses."""
        self._for_each_state(self._thaw)
        contents = [PoolContents.of(pool) for pool in self.pools]
        # First, so that it learns where snapshots go; what is deleted is in no listing anyway.
        self.catalogue.load(contents)
        for one in contents:
            try:
                self.burial.finish_deletes(one)
            except (DatasetBusyError, PoolUnavailableError) as exc:
                # One holder, or one damaged block, keeps nobody from starting (rules.md B8).
                log.warning("a deleted volume stays for now: %s", exc)
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
