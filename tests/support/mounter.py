"""`FakeMounter`: a `Mounter` in memory, held to the contract suite of the real one.

It stands for the kernel of a node: it outlives the driver, so a test that "restarts" the driver
hands the same object to the new one, and `reboot` is what a restart of the node does.  The targets
are real directories and files below the root; what is mounted at them is not.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from csi_zfs.domain.capabilities import NATIVE_FS_TYPE
from csi_zfs.domain.model import DataPath, NativeFilesystem, Usage, UsageUnit
from csi_zfs.mount.api import (
    Device,
    DeviceBusyError,
    DeviceUnavailableError,
    FreezeLimitError,
    Mounted,
    MountFlagError,
    MountRequest,
    NativeMountRequest,
    NotBlankError,
    Probe,
    TargetBusyError,
    TargetNotFoundError,
)
from tests.support.disk import path_of
from tests.support.mounter_core import FakeLoop, FakeMount, MounterCore, probe_image

if TYPE_CHECKING:
    from tests.support.disk import FakeImage

_BYTES_PER_INODE = 16384
_FLAGS_OF_OTHERS = {"discard", "data=ordered", "sync", "lazytime"}


class FakeMounter(MounterCore):
    """A `Mounter` in memory.  Thread-safe.

    Attributes:
        effects: called with `<method>:before` and `<method>:after` around each effect, and with
            `<method>:half` within a format, and between the making of a target and its mount; what
            it raises stops the call there.  A `BaseException` that is no `Exception` is the end of
            the process: what is frozen stays frozen.
        busy_targets: where a process keeps a file open: unmounting is refused.
        open_devices: the numbers of devices that a process keeps open: detaching is refused.
    """

    # --- devices ---

    def find_device(self, data_path: DataPath) -> Device | None:
        """See `Mounter`."""
        with self._lock:
            loop = self._loop_of(data_path)
            return None if loop is None or loop.dataset_name else loop.device()

    def attach(self, data_path: DataPath, *, is_read_only: bool = False) -> Device:
        """See `Mounter`."""
        with self._lock:
            if isinstance(data_path, NativeFilesystem):
                raise DeviceUnavailableError(f"{data_path.dataset_name} has no device")
            image = self._disk.images.get(data_path.path)
            if image is None or image.size_bytes != data_path.size_bytes:
                msg = f"{data_path.path} is not of {data_path.size_bytes} bytes"
                raise DeviceUnavailableError(msg)
            loop = self._loop_of(data_path)
            if loop is not None and is_read_only is not loop.is_read_only:
                self._require_unused(loop)
            if loop is None:
                with self._effect("attach"):
                    loop = FakeLoop(image, self._free_minor(), image.size_bytes)
                    self._loops.append(loop)
                    image.is_attached = True
            loop.size_bytes = image.size_bytes
            loop.is_read_only = is_read_only
            return loop.device()

    def detach(self, data_path: DataPath) -> None:
        """See `Mounter`."""
        with self._lock:
            loop = self._loop_of(data_path)
            if loop is None:
                return
            if targets := self.targets_of(loop.device()):
                raise DeviceBusyError(f"{path_of(data_path)} is in use at {targets}")
            if loop.number in self.open_devices:
                raise DeviceBusyError(f"{path_of(data_path)} is open")
            with self._effect("detach"):
                self._loops.remove(loop)
                loop.image.is_attached = False

    def targets_of(self, device: Device) -> list[Path]:
        """See `Mounter`."""
        with self._lock:
            return [
                mount.mount_point for mount in self._mounts if mount.loop.number == device.number
            ]

    # --- what is on them ---

    def probe(self, device: Device, *, is_formatted: bool = False) -> Probe:
        """See `Mounter`."""
        with self._lock:
            return probe_image(self._loop(device).image, is_formatted=is_formatted)

    def wipe(self, device: Device) -> None:
        """See `Mounter`."""
        with self._lock:
            loop = self._loop(device)
            self._require_unmounted(loop)
            with self._effect("wipe"):
                loop.image.fs_type, loop.image.raw = "", b""
                loop.image.content, loop.image.is_half_formatted = {}, False

    def format(self, device: Device, fs_type: str) -> None:
        """See `Mounter`."""
        with self._lock:
            image = self._loop(device).image
            if probe_image(image) is not Probe.BLANK:
                raise NotBlankError(f"{device.path} is not blank")
            with self._effect("format"):
                image.is_half_formatted = True
                self.effects("format:half")
                image.is_half_formatted = False
                image.fs_type, image.fs_size_bytes = fs_type, image.size_bytes
                image.fs_generation = next(self._generations)

    def grow(self, device: Device, mounted: Mounted) -> None:
        """See `Mounter`."""
        with self._lock:
            loop = self._at(mounted.target).loop
            if loop.number != device.number:
                raise TargetNotFoundError(f"{device.path} is not mounted at {mounted.target}")
            if loop.image.fs_size_bytes < device.size_bytes:
                with self._effect("grow"):
                    loop.image.fs_size_bytes = loop.size_bytes

    # --- mounts ---

    def mount(self, request: MountRequest) -> Mounted:
        """See `Mounter`."""
        with self._lock:
            wanted = FakeMount(
                Path(self._tree.mount_point_of(request.target)),
                self._loop(request.device),
                request.fs_type,
                is_read_only=request.is_read_only or "ro" in request.flags,
                claims_uuid=request.fs_type == "xfs" and not request.has_twin_uuid,
            )
            if self._is_free_for(wanted):
                self._require_mountable(wanted, request)
                with self._placing("mount", self._tree.made_directory(request.target)):
                    self._mounts.append(wanted)
            return self._shown(request.target)

    def mount_native(self, request: NativeMountRequest) -> Mounted:
        """See `Mounter`."""
        with self._lock:
            refused = [flag for flag in request.flags if flag in _FLAGS_OF_OTHERS]
            if refused:
                raise MountFlagError(f"zfs has no mount flag {refused[0]!r}")
            loop = self._native(request.filesystem)
            wanted = FakeMount(
                Path(self._tree.mount_point_of(request.target)),
                loop,
                NATIVE_FS_TYPE,
                is_read_only=request.is_read_only or "ro" in request.flags,
            )
            if self._is_free_for(wanted):
                with self._placing("mount", self._tree.made_directory(request.target)):
                    if loop not in self._loops:
                        self._loops.append(loop)
                        loop.image.is_attached = True
                    self._mounts.append(wanted)
            return self._shown(request.target)

    def bind(
        self, source: Path, target: Path, *, flags: Sequence[str] = (), is_read_only: bool
    ) -> Mounted:
        """See `Mounter`."""
        with self._lock:
            wanted = replace(
                self._at(source),
                mount_point=Path(self._tree.mount_point_of(target)),
                is_read_only=is_read_only or "ro" in flags,
            )
            if self._is_free_for(wanted):
                with self._placing("bind", self._tree.made_directory(target)):
                    self._mounts.append(wanted)
            return self._shown(target)

    def bind_device(self, device: Device, target: Path) -> Mounted:
        """See `Mounter`."""
        with self._lock:
            mount_point = Path(self._tree.mount_point_of(target))
            wanted = FakeMount(mount_point, self._loop(device), fs_type="")
            if self._is_free_for(wanted):
                with self._placing("bind_device", self._tree.made_file(target)):
                    self._mounts.append(wanted)
            return self._shown(target)

    def mounted_at(self, target: Path) -> Mounted | None:
        """See `Mounter`."""
        with self._lock:
            mount = self._top(Path(self._tree.mount_point_of(target)))
            return None if mount is None else mount.mounted(target)

    def unmount(self, target: Path) -> None:
        """See `Mounter`."""
        with self._lock:
            mount_point = Path(self._tree.mount_point_of(target))
            if self._top(mount_point) is not None:
                if target in self.busy_targets:
                    raise TargetBusyError(f"{target} is in use by process 4711 (a test)")
                with self._effect("unmount"):
                    self._mounts = [
                        mount for mount in self._mounts if mount.mount_point != mount_point
                    ]
                    self._drop_unmounted()
            if mount_point.exists():
                with self._effect("remove"):
                    self._tree.remove(target)

    @contextmanager
    def frozen(self, targets: Sequence[Path], *, limit_s: float) -> Iterator[None]:
        """See `Mounter`."""
        images = {id(image): image for image in (self._at(target).loop.image for target in targets)}
        started_s = self._clock.monotonic_s()
        held: list[FakeImage] = []
        try:
            held.extend(image for image in images.values() if self._freeze(image))
            yield
        except Exception:
            self._thaw(held)
            raise
        self._thaw(held)
        if self._clock.monotonic_s() - started_s >= limit_s:
            raise FreezeLimitError("the file systems were thawed before the work was done")

    def is_frozen(self, target: Path) -> bool:
        """Whether writes to what is mounted at a target are held back."""
        return self._at(target).loop.image.is_frozen

    def thaw(self, target: Path) -> None:
        """See `Mounter`."""
        self._thaw([self._at(target).loop.image])

    def usage(self, target: Path) -> tuple[Usage, ...]:
        """See `Mounter`."""
        with self._lock:
            mount = self._at(target)
            if not mount.fs_type:
                total = mount.loop.size_bytes
                return (Usage(UsageUnit.BYTES, total=total, used=0, available=0),)
            image = mount.loop.image
            used = sum(len(data) for data in image.content.values())
            return (
                _usage(UsageUnit.BYTES, image.fs_size_bytes, used),
                _usage(
                    UsageUnit.INODES, image.fs_size_bytes // _BYTES_PER_INODE, len(image.content)
                ),
            )

    def _shown(self, target: Path) -> Mounted:
        return self._at(target).mounted(target)


def _usage(unit: UsageUnit, total: int, used: int) -> Usage:
    return Usage(unit, total=total, used=used, available=total - used)
