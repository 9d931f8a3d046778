"""The workings of `FakeMounter` below its verbs: loop devices, mounts, effects, contents."""

import errno
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.capabilities import NATIVE_FS_TYPE
from csi_zfs.domain.model import DataPath, NativeFilesystem
from csi_zfs.mount.api import (
    Device,
    DeviceBusyError,
    DeviceUnavailableError,
    FilesystemDamagedError,
    Mounted,
    MountFlagError,
    MountRequest,
    Probe,
    TargetBusyError,
    TargetNotFoundError,
)
from csi_zfs.mount.targets import TargetTree
from csi_zfs.system.clock import Clock
from tests.support.clock import FakeClock
from tests.support.disk import FakeDisk, FakeImage, path_of

_LOOP_MAJOR = 7
_EXT4_FLAGS = ("data=", "errors=")


def no_effects(_point: str) -> None:
    """Let every effect pass."""


@dataclass(slots=True, eq=False)
class FakeLoop:
    """A block device that serves an image; with `dataset_name`, a mounted native file system."""

    image: FakeImage
    minor: int
    size_bytes: int
    is_read_only: bool = False
    dataset_name: str = ""

    @property
    def number(self) -> tuple[int, int]:
        """The number of the device."""
        return 0 if self.dataset_name else _LOOP_MAJOR, self.minor

    def device(self) -> Device:
        """The device as a `Mounter` tells of it."""
        path = Path(f"/dev/loop{self.minor}")
        return Device(path, self.number, self.size_bytes, is_read_only=self.is_read_only)


@dataclass(slots=True, eq=False)
class FakeMount:
    """A mount; `fs_type` is empty for a bound device, `claims_uuid` is true unless it is a twin."""

    mount_point: Path
    loop: FakeLoop
    fs_type: str
    is_read_only: bool = False
    claims_uuid: bool = False

    def mounted(self, target: Path) -> Mounted:
        """The mount as a `Mounter` tells of it."""
        is_block = not self.fs_type
        is_read_only = self.loop.is_read_only if is_block else self.is_read_only
        return Mounted(
            target,
            self.loop.number,
            self.fs_type,
            is_read_only,
            is_block=is_block,
            dataset_name=self.loop.dataset_name,
        )


class MounterCore:
    """The state of a fake node; `FakeMounter` tells of the attributes."""

    def __init__(
        self,
        disk: FakeDisk,
        *,
        root: Path,
        clock: Clock | None = None,
        effects: Callable[[str], None] = no_effects,
    ) -> None:
        """Begin with nothing attached and nothing mounted."""
        self.effects = effects
        self.busy_targets: set[Path] = set()
        self.open_devices: set[tuple[int, int]] = set()
        self._disk = disk
        self._tree = TargetTree(root)
        self._clock = clock or FakeClock()
        self._lock = threading.RLock()
        self._generations = itertools.count(1)
        self._loops: list[FakeLoop] = []
        self._mounts: list[FakeMount] = []

    def reboot(self) -> None:
        """Forget all devices and mounts, as the kernel does when the node starts anew."""
        for loop in self._loops:
            loop.image.is_attached = loop.image.is_frozen = False
        self._loops, self._mounts = [], []
        self.busy_targets, self.open_devices = set(), set()

    def write_file(self, target: Path, name: str, data: bytes) -> None:
        """Write a file of the file system that is mounted at the target."""
        mount = self._at(target)
        if mount.is_read_only:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(target / name))
        if mount.loop.image.is_frozen:
            raise BlockingIOError(errno.EAGAIN, "the file system is frozen", str(target / name))
        mount.loop.image.content[name] = data

    def read_file(self, target: Path, name: str) -> bytes:
        """Read a file of the file system that is mounted at the target."""
        try:
            return self._at(target).loop.image.content[name]
        except KeyError:
            raise FileNotFoundError(target / name) from None

    def write_raw(self, target: Path, data: bytes) -> None:
        """Write at the beginning of the block device that is bound to the target."""
        loop = self._at(target).loop
        if loop.is_read_only:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(target))
        loop.image.raw = data + loop.image.raw[len(data) :]

    def read_raw(self, target: Path, size_bytes: int) -> bytes:
        """Read from the beginning of the block device that is bound to the target."""
        return self._at(target).loop.image.raw[:size_bytes].ljust(size_bytes, b"\0")

    @contextmanager
    def _effect(self, name: str) -> Iterator[None]:
        self.effects(f"{name}:before")
        yield
        self.effects(f"{name}:after")

    @contextmanager
    def _placing(self, name: str, place: AbstractContextManager[int]) -> Iterator[None]:
        """An effect at a place that is made for it."""
        with self._effect(name), place:
            self.effects(f"{name}:half")
            yield

    def _loop_of(self, data_path: DataPath) -> FakeLoop | None:
        image = self._disk.images.get(path_of(data_path))
        return next((loop for loop in self._loops if loop.image is image), None)

    def _native(self, filesystem: NativeFilesystem) -> FakeLoop:
        """What its mounts show: one for all of them."""
        image = self._disk.images.get(path_of(filesystem))
        if image is None:
            raise DeviceUnavailableError(f"{filesystem.dataset_name} does not exist")
        return self._loop_of(filesystem) or FakeLoop(
            image, self._free_minor(), image.size_bytes, dataset_name=filesystem.dataset_name
        )

    def _drop_unmounted(self) -> None:
        """A native file system is open only as long as it is mounted."""
        shown = {id(mount.loop) for mount in self._mounts}
        for loop in [loop for loop in self._loops if loop.dataset_name]:
            if id(loop) not in shown:
                self._loops.remove(loop)
                loop.image.is_attached = False

    def _loop(self, device: Device) -> FakeLoop:
        for loop in self._loops:
            if loop.number == device.number:
                return loop
        raise DeviceUnavailableError(f"{device.path} serves nothing")

    def _free_minor(self) -> int:
        taken = {loop.minor for loop in self._loops}
        return next(minor for minor in itertools.count() if minor not in taken)

    def _require_unmounted(self, loop: FakeLoop) -> None:
        if any(mount.loop is loop and mount.fs_type for mount in self._mounts):
            raise DeviceBusyError(f"{loop.device().path} is mounted")

    def _require_unused(self, loop: FakeLoop) -> None:
        if any(mount.loop is loop for mount in self._mounts):
            raise DeviceBusyError(f"{loop.device().path} is in use")

    def _top(self, mount_point: Path) -> FakeMount | None:
        here = [mount for mount in self._mounts if mount.mount_point == mount_point]
        return here[-1] if here else None

    def _at(self, target: Path) -> FakeMount:
        mount = self._top(Path(self._tree.mount_point_of(target)))
        if mount is None:
            raise TargetNotFoundError(f"nothing is mounted at {target}")
        return mount

    def _is_free_for(self, wanted: FakeMount) -> bool:
        """Whether nothing is mounted there; the same mount takes its wanted read-only state."""
        found = self._top(wanted.mount_point)
        if found is None:
            return True
        if (found.loop, found.fs_type) != (wanted.loop, wanted.fs_type):
            raise TargetBusyError(f"something else is mounted at {wanted.mount_point}")
        found.is_read_only = wanted.is_read_only
        return False

    def _require_mountable(self, wanted: FakeMount, request: MountRequest) -> None:
        image = wanted.loop.image
        if request.fs_type == "xfs":
            for flag in request.flags:
                if flag.startswith(_EXT4_FLAGS):
                    raise MountFlagError(f"xfs refuses the mount flag {flag!r}")
        if image.is_half_formatted or image.fs_type != request.fs_type:
            raise FilesystemDamagedError(f"{request.device.path} holds no {request.fs_type}")
        if wanted.claims_uuid and self._is_claimed(image):
            raise FilesystemDamagedError(f"{request.device.path} has the UUID of a mounted xfs")
        if request.device.is_read_only and not wanted.is_read_only:
            raise DeviceUnavailableError(f"{request.device.path} is read-only")

    def _is_claimed(self, image: FakeImage) -> bool:
        return any(
            mount.claims_uuid
            and mount.loop.image is not image
            and mount.loop.image.fs_generation == image.fs_generation
            for mount in self._mounts
        )

    def _freeze(self, image: FakeImage) -> bool:
        """Whether this froze it: one that somebody else has frozen is theirs to thaw."""
        if image.fs_type == NATIVE_FS_TYPE:
            raise DeviceUnavailableError("a native file system does not freeze")
        if image.is_frozen:
            return False
        with self._effect("freeze"):
            image.is_frozen = True
        return True

    def _thaw(self, images: Iterable[FakeImage]) -> None:
        for image in images:
            if image.is_frozen:
                with self._effect("thaw"):
                    image.is_frozen = False


def probe_image(image: FakeImage, *, is_formatted: bool = False) -> Probe:
    """What `Mounter.probe` says of an image."""
    if image.is_half_formatted or (image.has_foreign_mark and not is_formatted):
        return Probe.OTHER
    if image.fs_type:
        return Probe(image.fs_type)
    return Probe.OTHER if image.raw.strip(b"\0") else Probe.BLANK
