"""What a test of this suite has: one way to OpenZFS, and a file system of its own there."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.domain.sizes import MIB
from csi_zfs.system.clock import Clock
from csi_zfs.system.files import write_all
from csi_zfs.system.runner import Runner
from csi_zfs.zfs.devices import ZvolDevices
from csi_zfs.zfs.lzc import LibzfsCore, LzcError, ProgramValue, Properties
from tests.support.commands import run
from tests.support.zfs_fake_pools import FakeZfs, write

ZVOL, FILESYSTEM = DatasetKind.ZVOL, DatasetKind.FILESYSTEM
VOLMODE_DEV, VOLMODE_NONE = 2, 3
_WAIT_S, _POLL_S = 10.0, 0.05


class Machine(Protocol):
    """What is done with devices beside the driver."""

    def settle(self) -> None:
        """Wait until udev has looked at all new devices."""

    def write(self, device: Path, data: bytes) -> None:
        """Write the first bytes of a device, durably."""

    def opened(self, device: Path) -> AbstractContextManager[object]:
        """A device is open for the length of a `with` block."""

    def open_control(self) -> int:
        """A descriptor of /dev/zfs, the caller's to close."""

    def import_again(self, zpool_name: str) -> None:
        """Export the pool, and import it."""


class RealMachine:
    """This machine."""

    def settle(self) -> None:
        """See `Machine`."""
        run("udevadm", "settle")

    def write(self, device: Path, data: bytes) -> None:
        """See `Machine`."""
        with device.open("r+b", buffering=0) as disk:
            write_all(disk.fileno(), data)
            os.fsync(disk.fileno())

    def opened(self, device: Path) -> AbstractContextManager[object]:
        """See `Machine`."""
        return device.open("r+b")

    def open_control(self) -> int:
        """See `Machine`."""
        return os.open("/dev/zfs", os.O_RDWR | os.O_CLOEXEC)

    def import_again(self, zpool_name: str) -> None:
        """See `Machine`."""
        (vdev,) = run("zpool", "list", "-HvP", "-o", "name", zpool_name).split()[1:2]
        run("zpool", "export", zpool_name)
        run("zpool", "import", "-N", "-d", str(Path(vdev).parent), zpool_name)


class FakeMachine:
    """A machine in memory, where udev is done at once."""

    def __init__(self, zfs: FakeZfs) -> None:
        """Look at the devices of a fake OpenZFS."""
        self._zfs = zfs

    def settle(self) -> None:
        """See `Machine`."""

    def write(self, device: Path, data: bytes) -> None:
        """See `Machine`."""
        write(self._zfs.dev.dataset_at(device), data)

    @contextmanager
    def opened(self, device: Path) -> Iterator[None]:
        """See `Machine`."""
        with self._zfs.opened(self._zfs.dev.dataset_at(device)):
            yield

    def open_control(self) -> int:
        """See `Machine`."""
        return self._zfs.pool.control.open()

    def import_again(self, zpool_name: str) -> None:
        """See `Machine`."""
        assert zpool_name == self._zfs.pool.name
        self._zfs.export()
        self._zfs.import_again()


@dataclass(frozen=True, slots=True)
class World:
    """One way to OpenZFS, and a file system of its own in it for one test."""

    core: LibzfsCore
    runner: Runner
    devices: ZvolDevices
    machine: Machine
    clock: Clock
    parent: str

    @property
    def zpool_name(self) -> str:
        """The pool."""
        return self.parent.partition("/")[0]

    def full(self, name: str) -> str:
        """The whole name of what is below the parent."""
        return f"{self.parent}/{name}"

    def make(self, name: str, **properties: int | str) -> str:
        """A zvol of 1 MiB; it has no device, so that nobody opens it."""
        given: Properties = {"volsize": MIB, "volmode": VOLMODE_NONE, **properties}
        self.core.create(self.full(name), ZVOL, given)
        return self.full(name)

    def make_with_device(self, name: str, **properties: int | str) -> Path:
        """A zvol with a device that nobody has open."""
        self.core.create(self.full(name), ZVOL, {"volsize": MIB, **properties})
        device = self.devices.await_device(self.full(name))
        self.machine.settle()
        return device

    def await_that(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; it does within ten seconds, or the test fails."""
        deadline_s = self.clock.monotonic_s() + _WAIT_S
        while not holds():
            assert self.clock.monotonic_s() < deadline_s
            self.clock.wait(_POLL_S)

    def await_idle(self, name: str) -> None:
        """Wait until the kernel's own look at a new zvol, which holds it, is over."""
        lua = "return zfs.check.destroy(p .. (...).argv.name)"
        self.await_that(lambda: self.act(lua, name=name) != errno.EBUSY)

    def take(self, name: str) -> str:
        """A snapshot."""
        self.core.snapshot([self.full(name)])
        return self.full(name)

    def ask(self, lua: str, **arguments: ProgramValue) -> ProgramValue:
        """What a program returns that changes nothing; `p` is the parent's name and a slash."""
        return self.core.read_program(self.zpool_name, self._with_parent(lua), arguments)

    def act(self, lua: str, **arguments: ProgramValue) -> ProgramValue:
        """What a program returns that may change something."""
        return self.core.run_program(self.zpool_name, self._with_parent(lua), arguments)

    def get(self, name: str, zfs_property: str) -> list[ProgramValue]:
        """All that `zfs.get_prop` returns, with the parent's name taken out."""
        found = self.ask(
            "local argv = (...).argv return {zfs.get_prop(argv.name, argv.property)}",
            name=self.full(name) if name else self.parent,
            property=zfs_property,
        )
        assert isinstance(found, dict)
        return [
            value.replace(self.parent, "p") if isinstance(value, str) else value
            for _, value in sorted(found.items())
        ]

    def listed(self, what: str, name: str) -> set[str]:
        """The names that `zfs.list.<what>` finds, below the parent."""
        found = self.ask(
            f"local names = {{}} for name in zfs.list.{what}((...).argv.name) do "
            "names[#names + 1] = name end return names",
            name=self.full(name) if name else self.parent,
        )
        assert isinstance(found, dict)
        return {str(one).removeprefix(f"{self.parent}/") for one in found.values()}

    def exists(self, name: str) -> bool:
        """Whether something is below the parent."""
        return self.core.exists(self.full(name))

    def _with_parent(self, lua: str) -> str:
        return f'local p = "{self.parent}/"\n{lua}'


def errno_of(call: Callable[[], object]) -> int:
    """With which errno a call is refused."""
    with pytest.raises(LzcError) as caught:
        call()
    return caught.value.errno


def errnos_of(calls: Mapping[str, Callable[[], object]]) -> dict[str, int]:
    """With which errno each call is refused."""
    return {words: errno_of(call) for words, call in calls.items()}
