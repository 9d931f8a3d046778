"""The real driver, which ends itself with SIGKILL at a planned effect.

`python -m tests.support.crashing_driver node --config FILE` does what `csi-zfs node` does.  While a
plan lies beside FILE, the effects on the disk, on devices and on mounts are counted, and noted.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.app.node import Machine, linux_mounter, serve_node
from csi_zfs.domain.model import DataPath, NativeFilesystem
from csi_zfs.mount.api import Device, Mounted, Mounter, MountRequest, NativeMountRequest
from csi_zfs.reflink.place import Tools
from csi_zfs.settings import Settings, load_settings
from csi_zfs.system.runner import Runner, SystemRunner
from tests.support.files import CrashingFiles, CrashingRunner, Effects, Stop


class Plan:
    """At which effect to end, counted from 0; it lies in a file, and its notes beside it."""

    def __init__(self, config: Path) -> None:
        """Find the plan of the driver with these settings."""
        self._plan = config.with_name("crash-plan")
        self._notes = config.with_name("crash-notes")

    def make(self, number: int = -1, stop: Stop = Stop.BEFORE) -> None:
        """Count from now on, and end at this effect; at none if it is negative."""
        self._notes.write_text("")
        self._plan.write_text(f"{number} {stop.name}")

    def drop(self) -> list[str]:
        """End the plan; returns the effects that were begun under it."""
        self._plan.unlink()
        return self._notes.read_text().splitlines()

    def read(self) -> tuple[int, Stop] | None:
        """The plan, while there is one."""
        try:
            number, stop = self._plan.read_text().split()
        except FileNotFoundError:
            return None
        return int(number), Stop[stop]

    def note(self, effect: str) -> None:
        """Note an effect that begins."""
        with self._notes.open("a") as notes:
            notes.write(f"{effect}\n")


class PlannedEffects(Effects):
    """Counts effects while there is a plan; the one that it names is the last of the process."""

    def __init__(self, plan: Plan) -> None:
        """Follow this plan."""
        super().__init__()
        self._plan = plan
        self._followed: tuple[int, Stop] | None = None

    @contextmanager
    def around(self, verb: str, what: str) -> Iterator[None]:
        """Do one effect in the block."""
        planned = self._plan.read()
        if planned != self._followed:
            self.done.clear()
            self._followed = planned
        if planned is None:
            yield
            return
        self.stop_at, self.stop = planned
        self._plan.note(f"{verb} {what}")
        with super().around(verb, what):
            yield

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class CrashingMounter:
    """A `Mounter` whose effects are counted and can end the process."""

    def __init__(self, mounter: Mounter, effects: Effects) -> None:
        """Work through `mounter`, count in `effects`."""
        self._mounter = mounter
        self._effects = effects
        self.find_device = mounter.find_device
        self.probe = mounter.probe
        self.mounted_at = mounter.mounted_at
        self.targets_of = mounter.targets_of
        self.usage = mounter.usage

    def attach(self, data_path: DataPath, *, is_read_only: bool = False) -> Device:
        """See `Mounter`."""
        with self._effects.around("attach", _name_of(data_path)):
            return self._mounter.attach(data_path, is_read_only=is_read_only)

    def detach(self, data_path: DataPath) -> None:
        """See `Mounter`."""
        with self._effects.around("detach", _name_of(data_path)):
            self._mounter.detach(data_path)

    def wipe(self, device: Device) -> None:
        """See `Mounter`."""
        with self._effects.around("wipe", device.path.name):
            self._mounter.wipe(device)

    def format(self, device: Device, fs_type: str) -> None:
        """See `Mounter`."""
        with self._effects.around("format", device.path.name):
            self._mounter.format(device, fs_type)

    def mount(self, request: MountRequest) -> Mounted:
        """See `Mounter`."""
        with self._effects.around("mount", request.target.name):
            return self._mounter.mount(request)

    def mount_native(self, request: NativeMountRequest) -> Mounted:
        """See `Mounter`."""
        with self._effects.around("mount", request.target.name):
            return self._mounter.mount_native(request)

    def bind(
        self, source: Path, target: Path, *, flags: Sequence[str] = (), is_read_only: bool
    ) -> Mounted:
        """See `Mounter`."""
        with self._effects.around("bind", target.name):
            return self._mounter.bind(source, target, flags=flags, is_read_only=is_read_only)

    def bind_device(self, device: Device, target: Path) -> Mounted:
        """See `Mounter`."""
        with self._effects.around("bind_device", target.name):
            return self._mounter.bind_device(device, target)

    def unmount(self, target: Path) -> None:
        """See `Mounter`."""
        with self._effects.around("unmount", target.name):
            self._mounter.unmount(target)

    def grow(self, device: Device, mounted: Mounted) -> None:
        """See `Mounter`."""
        with self._effects.around("grow", mounted.target.name):
            self._mounter.grow(device, mounted)

    @contextmanager
    def frozen(self, targets: Sequence[Path], *, limit_s: float) -> Iterator[None]:
        """See `Mounter`; the end of the block is within the freeze."""
        with (
            self._mounter.frozen(targets, limit_s=limit_s),
            self._effects.around("freeze", targets[0].name),
        ):
            yield

    def thaw(self, target: Path) -> None:
        """See `Mounter`."""
        with self._effects.around("thaw", target.name):
            self._mounter.thaw(target)


def _name_of(data_path: DataPath) -> str:
    if isinstance(data_path, NativeFilesystem):
        return data_path.dataset_name
    return data_path.path.name


def crashing_machine(effects: Effects) -> Machine:
    """This machine, with doors at which the process can end."""

    def make_mounter(runner: Runner, settings: Settings) -> Mounter:
        mounter = linux_mounter(CrashingRunner(runner, effects), settings)
        return CrashingMounter(mounter, effects)

    runner = CrashingRunner(SystemRunner(), effects)
    return Machine(Tools(CrashingFiles(effects), runner), make_mounter)


def main() -> int:
    """Serve as `csi-zfs node` does."""
    config = Path(sys.argv[sys.argv.index("--config") + 1])
    return serve_node(load_settings(config), crashing_machine(PlannedEffects(Plan(config))))


if __name__ == "__main__":
    sys.exit(main())
