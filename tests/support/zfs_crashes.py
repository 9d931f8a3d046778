"""A fake OpenZFS whose calls and commands are counted, and at one of which the driver dies."""

from collections.abc import Mapping, Sequence

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.zfs.lzc import (
    DEFAULT_INSTRUCTION_LIMIT,
    DEFAULT_MEMORY_LIMIT_BYTES,
    NO_ARGUMENTS,
    NO_USER_PROPERTIES,
    Arguments,
    ProgramValue,
    Properties,
)
from csi_zfs.zfs.pools import Doors
from tests.support.files import CrashingRunner, Effects
from tests.support.zfs_core import FakeLibzfsCore
from tests.support.zfs_fake_pools import FakeZfs


class CrashingCore(FakeLibzfsCore):
    """The calls that change something, each as an effect; with `cuts_power` also its inside.

    A process dies before or after a call, never in it: the kernel finishes what it began.  A power
    cut may come between the transactions of one call.
    """

    def __init__(self, zfs: FakeZfs, effects: Effects, *, cuts_power: bool = False) -> None:
        """Change what this machine has."""
        super().__init__(zfs.pool, zfs.dev)
        self._effects = effects
        if cuts_power:
            self.between = self._power

    def create(
        self, name: str, kind: DatasetKind, properties: Properties, *, key: bytes = b""
    ) -> None:
        """See `LibzfsCore`."""
        with self._effects.around("create", name):
            super().create(name, kind, properties, key=key)

    def clone(self, name: str, origin: str, properties: Properties) -> None:
        """See `LibzfsCore`."""
        with self._effects.around("clone", name):
            super().clone(name, origin, properties)

    def snapshot(
        self, names: Sequence[str], user_properties: Mapping[str, str] = NO_USER_PROPERTIES
    ) -> None:
        """See `LibzfsCore`."""
        with self._effects.around("snapshot", names[0]):
            super().snapshot(names, user_properties)

    def destroy_snapshots(self, names: Sequence[str], *, is_deferred: bool = False) -> None:
        """See `LibzfsCore`."""
        with self._effects.around("destroy_snapshots", names[0]):
            super().destroy_snapshots(names, is_deferred=is_deferred)

    def rename(self, name: str, new_name: str) -> None:
        """See `LibzfsCore`."""
        with self._effects.around("rename", name):
            super().rename(name, new_name)

    def hold(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        with self._effects.around("hold", name):
            super().hold(name, tag)

    def release(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        with self._effects.around("release", name):
            super().release(name, tag)

    def run_program(
        self,
        pool_name: str,
        source: str,
        arguments: Arguments = NO_ARGUMENTS,
        *,
        instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT,
        memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    ) -> ProgramValue:
        """See `LibzfsCore`."""
        with self._effects.around("run_program", str(arguments.get("name", pool_name))):
            return super().run_program(
                pool_name,
                source,
                arguments,
                instruction_limit=instruction_limit,
                memory_limit_bytes=memory_limit_bytes,
            )

    def _power(self) -> None:
        with self._effects.around("between", "two transactions"):
            pass


def crashing_doors(zfs: FakeZfs, effects: Effects, *, cuts_power: bool = False) -> Doors:
    """The doors of a driver that dies at one of its effects."""
    core = CrashingCore(zfs, effects, cuts_power=cuts_power)
    return Doors(core, CrashingRunner(zfs.commands, effects), zfs.clock, zfs.doors.devices)
