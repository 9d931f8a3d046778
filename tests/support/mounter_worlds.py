"""Nodes on which the contract suite of `Mounter` runs: the fake one and this machine."""

import errno
import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from csi_zfs.domain.model import ImageFile
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import Mounter
from csi_zfs.mount.linux import LinuxMounter
from csi_zfs.system.runner import SystemRunner
from tests.support.cleanup import nothing_left_below
from tests.support.clock import FakeClock
from tests.support.disk import FakeDisk
from tests.support.mounter import FakeMounter

# The smallest that mkfs.xfs takes is 300 MiB.
IMAGE_BYTES = 320 * MIB
_FIFREEZE = 0xC0045877
_FITHAW = 0xC0045878


class World(Protocol):
    """A node: its mounter, and what its workloads and its dataset manager do."""

    @property
    def mounter(self) -> Mounter:
        """The mounter under test."""

    @property
    def root(self) -> Path:
        """The directory of the kubelet."""

    def create_image(self, name: str) -> ImageFile:
        """A new image of `IMAGE_BYTES` zeros."""

    def clone_image(self, image: ImageFile, name: str) -> ImageFile:
        """A copy of an image as it is on disk now."""

    def grow_image(self, image: ImageFile, size_bytes: int) -> ImageFile:
        """The image, larger."""

    def rename_image(self, image: ImageFile, name: str) -> ImageFile:
        """The image under another name."""

    def write_file(self, target: Path, name: str, data: bytes) -> None:
        """Write a file at a target, as a workload that syncs."""

    def read_file(self, target: Path, name: str) -> bytes:
        """Read a file at a target."""

    def write_raw(self, target: Path, data: bytes) -> None:
        """Write to the block device at a target, as a workload that syncs."""

    def read_raw(self, target: Path, size_bytes: int) -> bytes:
        """Read from the beginning of the block device at a target."""

    def using(self, target: Path) -> AbstractContextManager[None]:
        """Keep a file open at a target."""

    def is_frozen(self, target: Path) -> bool:
        """Whether writes at a target are held back."""

    def outlast_freeze(self, target: Path, *, limit_s: float) -> None:
        """Return when the limit of a freeze has passed."""


def is_frozen(directory: int) -> bool:
    """Whether somebody holds a freeze of the file system of an open directory."""
    try:
        fcntl.ioctl(directory, _FIFREEZE, 0)
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            raise
        return True
    fcntl.ioctl(directory, _FITHAW, 0)
    return False


WorldMaker = Callable[[Path], AbstractContextManager[World]]


class FakeWorld:
    """A node in memory."""

    def __init__(self, base: Path) -> None:
        self.root = base / "kubelet"
        self.root.mkdir()
        self._images = base / "images"
        self._disk = FakeDisk()
        self._clock = FakeClock()
        self.mounter = FakeMounter(self._disk, root=self.root, clock=self._clock)
        self.write_file = self.mounter.write_file
        self.read_file = self.mounter.read_file
        self.write_raw = self.mounter.write_raw
        self.read_raw = self.mounter.read_raw

    def create_image(self, name: str) -> ImageFile:
        self._disk.create(self._images / name, IMAGE_BYTES)
        return ImageFile(self._images / name, IMAGE_BYTES)

    def clone_image(self, image: ImageFile, name: str) -> ImageFile:
        self._disk.clone(image.path, self._images / name)
        return ImageFile(self._images / name, image.size_bytes)

    def grow_image(self, image: ImageFile, size_bytes: int) -> ImageFile:
        self._disk.resize(image.path, size_bytes)
        return ImageFile(image.path, size_bytes)

    def rename_image(self, image: ImageFile, name: str) -> ImageFile:
        self._disk.rename(image.path, self._images / name)
        return ImageFile(self._images / name, image.size_bytes)

    @contextmanager
    def using(self, target: Path) -> Iterator[None]:
        self.mounter.busy_targets.add(target)
        yield
        self.mounter.busy_targets.discard(target)

    def is_frozen(self, target: Path) -> bool:
        return self.mounter.is_frozen(target)

    def outlast_freeze(self, target: Path, *, limit_s: float) -> None:
        self._clock.advance(limit_s)


class LinuxWorld:
    """This machine, below a temporary directory."""

    def __init__(self, base: Path) -> None:
        self.root = base / "kubelet"
        self.root.mkdir()
        self._images = base / "images"
        self._images.mkdir()
        self.mounter = LinuxMounter(SystemRunner(), root=self.root)

    def create_image(self, name: str) -> ImageFile:
        path = self._images / name
        path.touch()
        os.truncate(path, IMAGE_BYTES)
        return ImageFile(path, IMAGE_BYTES)

    def clone_image(self, image: ImageFile, name: str) -> ImageFile:
        path = self._images / name
        subprocess.run(["cp", "--sparse=always", image.path, path], check=True)
        return ImageFile(path, image.size_bytes)

    def grow_image(self, image: ImageFile, size_bytes: int) -> ImageFile:
        os.truncate(image.path, size_bytes)
        return ImageFile(image.path, size_bytes)

    def rename_image(self, image: ImageFile, name: str) -> ImageFile:
        return ImageFile(image.path.rename(self._images / name), image.size_bytes)

    def write_file(self, target: Path, name: str, data: bytes) -> None:
        with (target / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read_file(self, target: Path, name: str) -> bytes:
        return (target / name).read_bytes()

    def write_raw(self, target: Path, data: bytes) -> None:
        with target.open("r+b", buffering=0) as device:
            device.write(data)
            os.fsync(device.fileno())

    def read_raw(self, target: Path, size_bytes: int) -> bytes:
        with target.open("rb") as device:
            return device.read(size_bytes)

    @contextmanager
    def using(self, target: Path) -> Iterator[None]:
        with (target / "in use").open("wb"):
            yield

    def is_frozen(self, target: Path) -> bool:
        directory = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return is_frozen(directory)
        finally:
            os.close(directory)

    def outlast_freeze(self, target: Path, *, limit_s: float) -> None:
        self.write_file(target, "file", b"data")  # held back by the kernel until then


@contextmanager
def fake_world(base: Path) -> Iterator[World]:
    """A node in memory."""
    yield FakeWorld(base)


@contextmanager
def linux_world(base: Path) -> Iterator[World]:
    """This machine, cleaned up behind the test."""
    with nothing_left_below(base):
        yield LinuxWorld(base)
