"""Holding mounted file systems still for the instant at which their blocks are copied."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import Mounter
from csi_zfs.services.node_state import NodeState


class Quiescence:
    """Freezes what is staged on this node.  Thread-safe."""

    def __init__(self, node_state: NodeState, mounter: Mounter, *, freeze_limit_s: float) -> None:
        """Thaw after `freeze_limit_s` at the latest; a copy that took longer does not count."""
        self._node_state = node_state
        self._mounter = mounter
        self.freeze_limit_s = freeze_limit_s

    @contextmanager
    def around(self, volume_ids: Iterable[VolumeId]) -> Iterator[None]:
        """Freeze the staged file systems of these volumes for the length of a `with` block.

        Raises `FreezeLimitError` at its end if the limit was reached.  A volume that is not staged,
        or is a block
        device, has nothing to freeze: its snapshot is what was written to it.
        """
        targets = []
        for volume_id in volume_ids:
            state = self._node_state.find(str(volume_id))
            mounted = [self._mounter.mounted_at(path) for path in state.staged] if state else []
            targets += [found.target for found in mounted if found and not found.is_block]
        if not targets:
            yield
            return
        with self._mounter.frozen(targets, limit_s=self.freeze_limit_s):
            yield
