"""What an `OSError` of the kernel means to the caller: said in this one place."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from csi_zfs.mount.api import Device, DeviceBusyError, DeviceUnavailableError
from csi_zfs.mount.holders import Holders


@contextmanager
def translating(doing: str) -> Iterator[None]:
    """Raise `DeviceUnavailableError` for any errno that has found no better meaning before."""
    try:
        yield
    except OSError as exc:
        raise DeviceUnavailableError(f"{doing}: {exc.strerror}") from exc


@contextmanager
def naming_holders(device: Device, holders: Holders) -> Iterator[None]:
    """Raise `DeviceBusyError` for EBUSY, with the words for who uses the device (rules.md B4)."""
    try:
        yield
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            raise
        msg = f"{device.path} is in use: {holders.of_device(device)}"
        raise DeviceBusyError(msg) from exc
