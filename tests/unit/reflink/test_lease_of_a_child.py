import fcntl
import os
import signal
from pathlib import Path

import pytest

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.reflink.kernel import held_alone
from tests.support.clock import FakeClock


class ReleasingClock(FakeClock):
    """After some waits, a descriptor is closed: the child process has started its program."""

    def __init__(self, descriptor: int, *, waits: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waits = waits

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self._waits -= 1
        if self._waits == 0:
            os.close(self._descriptor)


def leased(path: Path) -> int:
    """A descriptor with a write lease, as a child process has a copy of it until it starts."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    return descriptor


def test_held_alone_waits_for_a_lease_to_end(tmp_path: Path) -> None:
    """A parallel DeleteVolume met EAGAIN here while mkfs was started: that is no bug to report."""
    image = tmp_path / "image"
    image.touch()
    clock = ReleasingClock(leased(image), waits=3)
    with held_alone(image, clock):
        pass
    assert 0 < clock.monotonic_s() <= 0.2


def test_held_alone_gives_up_where_the_lease_stays(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.touch()
    descriptor = leased(image)
    try:
        with pytest.raises(DatasetBusyError, match="is open"), held_alone(image, FakeClock()):
            pytest.fail("it is not alone")
    finally:
        os.close(descriptor)
