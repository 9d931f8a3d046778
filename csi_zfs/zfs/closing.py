"""Waiting until nobody has a dataset open: udev opens a new zvol for a moment."""

from collections.abc import Callable

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.system.clock import Clock

# A pod or a mount keeps it open for longer.
_ATTEMPTS = 20
_PAUSE_S = 0.1


def when_closed(clock: Clock, attempt: Callable[[], object]) -> None:
    """Do what needs that nobody has the dataset open; `DatasetBusyError` after two seconds."""
    for _ in range(_ATTEMPTS - 1):
        try:
            attempt()
        except DatasetBusyError:
            clock.wait(_PAUSE_S)
        else:
            return
    attempt()
