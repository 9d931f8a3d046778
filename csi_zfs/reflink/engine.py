"""The parts of one open pool, wired together once."""

import secrets
from collections.abc import Iterator
from pathlib import Path

from csi_zfs.datasets.admission import Claim, Ledger, Policy
from csi_zfs.datasets.api import Dataset, DatasetSnapshot, RecordCorruptError
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.reflink.layout import IMAGE
from csi_zfs.reflink.namespace import Namespace
from csi_zfs.reflink.objects import Objects
from csi_zfs.reflink.recovery import Recovery
from csi_zfs.reflink.root import PoolRoot
from csi_zfs.reflink.space import Space
from csi_zfs.reflink.workshop import Workshop
from csi_zfs.system.clock import Clock
from csi_zfs.system.files import Files


class Engine:
    """What the operations on a pool share; see the classes of its parts.

    Making one finishes what a crash left, and adds up what the pool has promised.  `lost_journals`
    are the journals that could not be read then.
    """

    def __init__(
        self,
        root: PoolRoot,
        space: Space,
        *,
        policy: Policy,
        is_ordered: bool,
        files: Files,
        clock: Clock,
    ) -> None:
        """Bring the pool into order; for `is_ordered` see `Workshop`."""
        self.root = root
        self.layout = root.layout
        self.space = space
        self.policy = policy
        self.files = files
        self.clock = clock
        self.objects = Objects(root, files)
        self.workshop = Workshop(root.layout, files, is_ordered=is_ordered)
        self.namespace = Namespace(root.layout, files, self.objects)
        self.lost_journals = self._recovered()
        self.ledger = Ledger(policy, self._claims())

    def image_of(self, name: str) -> Path:
        """The image file of a dataset or a snapshot; raises `InvalidNameError`."""
        return self.layout.object(name) / IMAGE

    def _recovered(self) -> list[RecordCorruptError]:
        recovery = Recovery(
            self.layout, self.files, namespace=self.namespace, workshop=self.workshop
        )
        with self.root.working():
            return recovery.run()

    def _claims(self) -> Claim:
        total = Claim()
        for entry in self._readable():
            if not is_tombstone(entry.name) or self.image_of(entry.name).exists():
                total += Claim.of(entry)
        return total

    def _readable(self) -> Iterator[Dataset | DatasetSnapshot]:
        for dataset in self.objects.datasets():
            if isinstance(dataset, Dataset):
                yield dataset
        for snapshot in self.objects.snapshots():
            if isinstance(snapshot, DatasetSnapshot):
                yield snapshot


def new_uid() -> str:
    """16 random hex digits."""
    return secrets.token_hex(8)
