"""Mounts before they have a place: made, and proved to be the right ones, where nobody sees them.

Nobody ever sees a wrong or half-made mount at a target (rules.md A6).
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from csi_zfs.domain.capabilities import NATIVE_FS_TYPE
from csi_zfs.mount import syscalls
from csi_zfs.mount.api import (
    Device,
    DeviceUnavailableError,
    FilesystemDamagedError,
    FilesystemUnsupportedError,
    MountFlagError,
    MountRequest,
    NativeMountRequest,
)
from csi_zfs.mount.block import number_of
from csi_zfs.mount.syscalls import MOUNT_ATTR_RDONLY, closing_descriptor

# Flags that belong to one mount (<linux/mount.h>); all others belong to the file system.
_ATTRIBUTES = {
    "rw": 0x00,
    "ro": MOUNT_ATTR_RDONLY,
    "nosuid": 0x02,
    "nodev": 0x04,
    "noexec": 0x08,
    "relatime": 0x00,
    "noatime": 0x10,
    "strictatime": 0x20,
    "nodiratime": 0x80,
}
_ACCESS_TIME_CHOICES = {"relatime", "noatime", "strictatime"}
_ACCESS_TIME_MASK = 0x70

_DAMAGED = {errno.EINVAL, errno.EUCLEAN, errno.EBADMSG}
_READ_ONLY = {errno.EROFS, errno.EACCES}


@contextmanager
def new_mount(request: MountRequest) -> Iterator[int]:
    """A detached mount of the device's file system, for the length of a `with` block.

    A read-only mount is read-only by itself: the file system below stays writable, so that its log
    is replayed (`norecovery` would show a state that no application ever synced), and so that it
    can be mounted writable elsewhere.  Only on a read-only device the file system is read-only too.

    Raises:
        MountFlagError: the file system does not know a flag, or not together with the others.
        FilesystemUnsupportedError: the kernel does not know the file system.
        FilesystemDamagedError: the kernel refuses it, or shows another device's.
        DeviceUnavailableError: it has to be written to, and the device is read-only.
    """
    with closing_descriptor(_open_filesystem(request.fs_type)) as context:
        _set_options(context, request)
        _create_superblock(context, request)
        attributes = _attributes_of(request.flags, is_read_only=request.is_read_only)
        with closing_descriptor(syscalls.create_mount(context, attributes)) as mount:
            _require_device(mount, request.device)
            yield mount


@contextmanager
def native_mount(request: NativeMountRequest) -> Iterator[int]:
    """A detached mount of a native ZFS file system, for the length of a `with` block.

    Raises:
        MountFlagError: a flag is not one of a mount: ZFS would pass over it in silence.
        FilesystemUnsupportedError: the kernel does not know ZFS.
        DeviceUnavailableError: there is no such file system, or its pool is away.
    """
    unknown = [flag for flag in request.flags if flag not in _ATTRIBUTES]
    if unknown:
        msg = f"zfs has no mount flag {unknown[0]!r}: set a property of the class instead"
        raise MountFlagError(msg)
    with closing_descriptor(_open_filesystem(NATIVE_FS_TYPE)) as context:
        syscalls.set_option(context, "source", request.filesystem.dataset_name)
        try:
            syscalls.create_superblock(context)
        except OSError as exc:
            msg = f"{request.filesystem.dataset_name} does not mount: {_reason(exc, context)}"
            raise DeviceUnavailableError(msg) from exc
        attributes = _attributes_of(request.flags, is_read_only=request.is_read_only)
        with closing_descriptor(syscalls.create_mount(context, attributes)) as mount:
            yield mount


@contextmanager
def second_mount(
    descriptor: int, *, flags: Sequence[str] = (), is_read_only: bool
) -> Iterator[int]:
    """A detached second mount of what a descriptor refers to, for the length of a `with` block.

    Flags of the file system have no meaning for it: it is mounted already.
    """
    has_choice = not _ACCESS_TIME_CHOICES.isdisjoint(flags)
    with closing_descriptor(syscalls.clone_mount(descriptor)) as mount:
        syscalls.set_mount_attributes(
            mount,
            to_set=_attributes_of(flags, is_read_only=is_read_only),
            to_clear=(_ACCESS_TIME_MASK if has_choice else 0) | MOUNT_ATTR_RDONLY,
        )
        yield mount


def is_read_only_by(flags: Sequence[str], *, is_read_only: bool) -> bool:
    """Whether a mount is to be read-only, by its own argument or by a flag."""
    return is_read_only or "ro" in flags


def _attributes_of(flags: Sequence[str], *, is_read_only: bool) -> int:
    attributes = MOUNT_ATTR_RDONLY if is_read_only else 0
    for flag in flags:
        attributes |= _ATTRIBUTES.get(flag, 0)
    return attributes


def _open_filesystem(fs_type: str) -> int:
    try:
        return syscalls.open_filesystem(fs_type)
    except OSError as exc:
        if exc.errno != errno.ENODEV:
            raise
        raise FilesystemUnsupportedError(f"this node's kernel does not know {fs_type}") from exc


def _set_options(context: int, request: MountRequest) -> None:
    options = _filesystem_flags(request)
    if request.has_twin_uuid and request.fs_type == "xfs":
        options.append("nouuid")
    if request.device.is_read_only and is_read_only_by(
        request.flags, is_read_only=request.is_read_only
    ):
        options.append("ro")
    syscalls.set_option(context, "source", str(request.device.path))
    for option in options:
        name, separator, value = option.partition("=")
        try:
            syscalls.set_option(context, name, value if separator else None)
        except OSError as exc:
            msg = f"{request.fs_type} refuses the mount flag {option!r}: {_reason(exc, context)}"
            raise MountFlagError(msg) from exc


def _filesystem_flags(request: MountRequest) -> list[str]:
    return [flag for flag in request.flags if flag not in _ATTRIBUTES]


def _create_superblock(context: int, request: MountRequest) -> None:
    try:
        syscalls.create_superblock(context)
    except OSError as exc:
        msg = f"{request.fs_type} on {request.device.path} does not mount: {_reason(exc, context)}"
        if exc.errno == errno.EINVAL and (flags := _filesystem_flags(request)):
            raise MountFlagError(f"{msg} (with {', '.join(flags)})") from exc
        if exc.errno in _DAMAGED:
            raise FilesystemDamagedError(msg) from exc
        if exc.errno in _READ_ONLY:
            raise DeviceUnavailableError(
                f"{msg}: attach it writable, its log is to be replayed"
            ) from exc
        raise


def _reason(exc: OSError, context: int) -> str:
    return "; ".join(filter(None, (os.strerror(exc.errno or 0), syscalls.messages_of(context))))


def _require_device(mount: int, device: Device) -> None:
    shown = number_of(os.fstat(mount).st_dev)
    if shown != device.number:
        msg = f"{device.path} led to device {shown} instead of {device.number}"
        raise FilesystemDamagedError(msg)
