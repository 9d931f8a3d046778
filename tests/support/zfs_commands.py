"""The commands of OpenZFS that the driver runs, on a fake pool, and no others."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from csi_zfs.system.runner import CommandFailedError, CommandResult
from tests.support.zfs_dev import FakeDev
from tests.support.zfs_properties import (
    is_inheritable,
    is_text,
    is_user_property,
    set_properties,
    values_of,
)
from tests.support.zfs_state import (
    BeyondFakeError,
    FakeEntry,
    FakeZpool,
    RefusedError,
    Value,
)

# What `zfs set` ends with where the kernel or its own tables refuse a value.
_REFUSED = 255
_NO_SUCH = 1
ONE_FILE: Mapping[str, object] = MappingProxyType(
    {"/vdev": {"vdev_type": "file", "state": "ONLINE"}}
)


class _EndedError(Exception):
    """A command ends, with a status and what it says."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class FakeZfsCommands:
    """A `Runner` of `zfs set`, `zfs inherit`, `zpool status -j` and `zpool get ashift`."""

    def __init__(
        self,
        pool: FakeZpool,
        dev: FakeDev,
        *,
        vdevs: Mapping[str, object] = ONE_FILE,
        ashifts: Mapping[str, int] = MappingProxyType({"/vdev": 9}),
    ) -> None:
        """Change the pool; `vdevs` are what `zpool status -j` shows of it."""
        self._pool = pool
        self._dev = dev
        self._vdevs = vdevs
        self._ashifts = ashifts

    def run(
        self, argv: Sequence[str], *, timeout_s: float | None = None, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        """See `Runner`."""
        with self._pool.lock:
            try:
                result = CommandResult(0, self._command(tuple(argv))(), "")
            except _EndedError as exc:
                result = CommandResult(exc.status, "", str(exc))
            finally:
                self._dev.follow()
        if result.status not in expected:
            raise CommandFailedError(argv, result.status, result.error_text)
        return result

    def _command(self, argv: tuple[str, ...]) -> Callable[[], str]:
        match argv:
            # `-u`: what is mounted stays so; the fake never unmounts.
            case ("zfs", "set", "-u", *settings, name) | ("zfs", "set", *settings, name):
                return lambda: self._set(name, settings)
            case ("zfs", "inherit", property_name, name):
                return lambda: self._inherit(name, property_name)
            case ("zpool", "status", "-j", name) | ("zpool", "status", "-j", "--json-int", name):
                return lambda: self._status(name)
            case ("zpool", "get", "-Hp", "-o", "name,value", "ashift", name, "all-vdevs"):
                return lambda: self._shown_ashifts(name)
            case _:
                raise BeyondFakeError(f"the fake OpenZFS has no command {' '.join(argv)}")

    def _set(self, name: str, settings: Sequence[str]) -> str:
        entry = self._entry(name)
        values = dict(_parsed(setting) for setting in settings)
        self._pool.txg += 1
        refused: RefusedError | None = set_properties(self._pool, entry, values)
        if refused is not None:
            raise _EndedError(_REFUSED, f"cannot set property for '{name}': {refused.errno}")
        return ""

    def _inherit(self, name: str, property_name: str) -> str:
        entry = self._entry(name)
        if not is_inheritable(property_name):
            raise _EndedError(1, f"'{property_name}' property cannot be inherited")
        self._pool.txg += 1
        entry.properties.pop(property_name, None)
        return ""

    def _status(self, name: str) -> str:
        self._require_pool(name)
        root = {"vdev_type": "root", "state": "ONLINE", "vdevs": dict(self._vdevs)}
        return json.dumps({"pools": {name: {"state": "ONLINE", "vdevs": {name: root}}}})

    def _shown_ashifts(self, name: str) -> str:
        self._require_pool(name)
        return "".join(f"{vdev}\t{ashift}\n" for vdev, ashift in self._ashifts.items())

    def _require_pool(self, name: str) -> None:
        if not self._pool.is_imported or name != self._pool.name:
            raise _EndedError(_NO_SUCH, f"cannot open '{name}': no such pool")

    def _entry(self, name: str) -> FakeEntry:
        entry = self._pool.find(name) if self._pool.is_imported else None
        if entry is None:
            raise _EndedError(_NO_SUCH, f"cannot open '{name}': dataset does not exist")
        return entry


def _parsed(setting: str) -> tuple[str, Value]:
    name, _, text = setting.partition("=")
    if is_user_property(name) or is_text(name):
        return name, text
    values = values_of(name)
    number = values.number_of(text) if values is not None else None
    if number is None:
        raise _EndedError(_REFUSED, f"invalid property {setting}")
    return name, number
