"""Nodes with native ZFS file systems, for the contract suite of `Mounter`: fake and real."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.model import NativeFilesystem
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import Mounter
from csi_zfs.mount.linux import LinuxMounter
from csi_zfs.system.runner import SystemRunner
from tests.support.cleanup import nothing_left_below
from tests.support.disk import FakeDisk, path_of
from tests.support.mounter import FakeMounter
from tests.support.zfs_pools import Zpool

FILESYSTEM_BYTES = 64 * MIB


class NativeWorld(Protocol):
    """A node, and what its workloads do."""

    @property
    def mounter(self) -> Mounter:
        """The mounter under test."""

    @property
    def root(self) -> Path:
        """The directory of the kubelet."""

    def filesystem(self, name: str) -> NativeFilesystem:
        """A new file system of `FILESYSTEM_BYTES`."""

    def write_file(self, target: Path, name: str, data: bytes) -> None:
        """Write a file at a target."""

    def read_file(self, target: Path, name: str) -> bytes:
        """Read a file at a target."""


class FakeNativeWorld:
    """A node in memory."""

    def __init__(self, base: Path) -> None:
        self.root = base / "kubelet"
        self.root.mkdir()
        self._disk = FakeDisk()
        self.mounter = FakeMounter(self._disk, root=self.root)
        self.write_file = self.mounter.write_file
        self.read_file = self.mounter.read_file

    def filesystem(self, name: str) -> NativeFilesystem:
        made = NativeFilesystem(f"fake/{name}", FILESYSTEM_BYTES)
        self._disk.create(path_of(made), FILESYSTEM_BYTES, is_native=True)
        return made


class ZfsNativeWorld:
    """This machine, with a zpool."""

    def __init__(self, base: Path, zpool: Zpool) -> None:
        self.root = base / "kubelet"
        self.root.mkdir()
        self._zpool = zpool
        self.mounter = LinuxMounter(SystemRunner(), root=self.root)

    def filesystem(self, name: str) -> NativeFilesystem:
        made = NativeFilesystem(f"{self._zpool.name}/{name}", FILESYSTEM_BYTES)
        properties: dict[str, int | str] = {"refquota": FILESYSTEM_BYTES, "mountpoint": "legacy"}
        self._zpool.core.create(made.dataset_name, DatasetKind.FILESYSTEM, properties)
        return made

    def write_file(self, target: Path, name: str, data: bytes) -> None:
        with (target / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read_file(self, target: Path, name: str) -> bytes:
        return (target / name).read_bytes()


@contextmanager
def zfs_native_world(base: Path, zpool: Zpool) -> Iterator[NativeWorld]:
    """This machine, cleaned up behind the test; the file systems go with the zpool."""
    with nothing_left_below(base):
        yield ZfsNativeWorld(base, zpool)
