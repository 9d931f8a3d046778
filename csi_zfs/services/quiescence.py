"""Holding mounted file systems still for the instant at which their blocks are copied."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import Mounted, Mounter
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.node_state import NodeState


class Quiescence:
    """Freezes what is staged on this node.  Thread-safe."""

    def __init__(
        self, node_state: NodeState, mounter: Mounter, locks: KeyedLocks, *, freeze_limit_s: float
    ) -> None:
        """Thaw after `freeze_limit_s` at the latest; a copy that took longer does not count."""
        self._node_state = node_state
        self._locks = locks
        self._mounter = mounter
        self.freeze_limit_s = freeze_limit_s

    @contextmanager
    def around(self, volume_ids: Iterable[VolumeId]) -> Iterator[None]:
        """Freeze the staged file systems of these volumes for the length of a `with` block.

        A volume that is not staged, or is a block device, has nothing to freeze: its snapshot is
        what was written to it.  Nor has a file system of ZFS: its snapshot is of one instant by
        itself.  Any other file system is frozen for one call at a time, because the first
        to end would thaw it for the other.

        Raises:
            LockTakenError: another call has one of them frozen.
            FreezeLimitError: the limit was reached before the block ended.
        """
        targets = []
        for volume_id in volume_ids:
            state = self._node_state.find(str(volume_id))
            mounted = [self._mounter.mounted_at(path) for path in state.staged] if state else []
            targets += [found.target for found in mounted if found and _is_to_be_frozen(found)]
        if not targets:
            yield
            return
        keys = [f"the frozen {target}" for target in targets]
        with (
            self._locks.hold(exclusive=keys),
            self._mounter.frozen(targets, limit_s=self.freeze_limit_s),
        ):
            yield


def _is_to_be_frozen(mounted: Mounted) -> bool:
    return not (mounted.is_block or mounted.dataset_name)
