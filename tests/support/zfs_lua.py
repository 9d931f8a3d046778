"""Channel programs outside the kernel: the real text, run by Lua on a `FakeZpool`.

OpenZFS's Lua is 5.2 with whole numbers of 64 bits.  So the grammar is that of Lua 5.2, and what
runs is Lua 5.3, whose numbers are those.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ECHRNG, EINVAL, ENOSPC, ETIME, errorcode
from functools import cache
from typing import Any, TypeAlias
from zlib import crc32

from lupa import lua52, lua53

from csi_zfs.zfs.lzc import Arguments, ProgramValue
from csi_zfs.zfs.nvlists import to_nvlist
from tests.support import zfs_changes as changes
from tests.support.zfs_properties import get_property, is_user_property, set_property
from tests.support.zfs_state import BeyondFakeError, FakeSnapshot, FakeZpool, RefusedError

# A value of Lua's.
LuaValue: TypeAlias = Any

_NAME = '[string "channel program"]'
_TIMED_OUT = "Channel program timed out."
# What the kernel leaves of Lua's own functions.
_STANDARD = (
    *("assert", "collectgarbage", "error", "getmetatable", "ipairs", "next", "pairs", "rawequal"),
    *("rawget", "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring", "type"),
    *("coroutine", "string", "table"),
)
_LOAD = f"function(source, env) return load(source, '={_NAME}', 't', env) end"
_LIMIT = f"function(n) debug.sethook(function() error('{_TIMED_OUT}', 0) end, '', n) end"


class ProgramError(Exception):
    """A program is refused, or ended half-way: `errno` says how, the text why."""

    def __init__(self, number: int, words: str) -> None:
        """Keep the number."""
        super().__init__(words)
        self.errno = number


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run, by `run_program` or by `read_program`, in which it may change nothing."""

    call: str
    source: str
    arguments: Arguments
    instruction_limit: int
    memory_limit_bytes: int

    @property
    def is_syncing(self) -> bool:
        """Whether it may change anything."""
        return self.call == "run_program"


def run_program(pool: FakeZpool, program: Program) -> ProgramValue:
    """Run a program and return what it returned; raises `ProgramError`."""
    _require_passable(program.arguments)
    _require_grammar(program.source)
    lua = lua53.LuaRuntime(
        register_eval=False,
        register_builtins=False,
        unpack_returned_tuples=True,
        max_memory=program.memory_limit_bytes,
    )
    with _failures():
        names: dict[str, LuaValue] = {name: lua.globals()[name] for name in _STANDARD}
        names |= {name: number for number, name in errorcode.items()}
        names["zfs"] = lua.table_from(_api(pool, lua, program), recursive=True)
        main = lua.eval(_LOAD)(program.source, lua.table_from(names))
        argument = lua.table_from({"argv": dict(program.arguments)}, recursive=True)
        lua.eval(_LIMIT)(program.instruction_limit)
        returned = main(argument)
    if isinstance(returned, tuple):
        raise ProgramError(ECHRNG, "Multiple return values not supported")
    return _from_lua(returned)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except lua53.LuaMemoryError as exc:
        raise ProgramError(ENOSPC, "Memory limit exhausted.") from exc
    except lua53.LuaError as exc:
        number = ETIME if _TIMED_OUT in str(exc) else ECHRNG
        raise ProgramError(number, str(exc)) from exc


@cache
def _require_grammar(source: str) -> None:
    try:
        lua52.LuaRuntime(register_eval=False, register_builtins=False).compile(source)
    except lua52.LuaSyntaxError as exc:
        raise ProgramError(EINVAL, str(exc)) from exc


def _require_passable(arguments: Arguments) -> None:
    """As the binding and the kernel take them: of lists, those of texts or of numbers alone."""
    to_nvlist(arguments)
    for key, value in arguments.items():
        match value:
            case dict():
                _require_passable(value)
            case list() if not (_are_all(str, value) or _are_all(int, value)):
                raise ProgramError(EINVAL, f"Unhandled nvpair type for key '{key}'")
            case None:
                raise BeyondFakeError("nothing as a value becomes something else in the kernel")


def _are_all(kind: type, values: Iterable[object]) -> bool:
    return all(type(value) is kind for value in values)


def _from_lua(value: LuaValue) -> ProgramValue:
    kind = lua53.lua_type(value)
    if kind == "table":
        return {_key(key): _from_lua(item) for key, item in value.items()}
    if kind is not None or not isinstance(value, bool | int | str | None):
        raise ProgramError(ECHRNG, f"Invalid value type '{kind or type(value).__name__}'")
    return value


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _api(pool: FakeZpool, lua: LuaValue, program: Program) -> Mapping[str, object]:
    """The table `zfs`; what is not here is not known to the fake."""

    def function(call: Callable[..., object], *names: str) -> Callable[..., object]:
        """Takes its arguments by their order, or one table of them."""

        def called(*arguments: LuaValue) -> object:
            if len(arguments) == 1 and lua53.lua_type(arguments[0]) == "table":
                given = dict(arguments[0].items())
                ordered = [given.pop(place) for place, _ in enumerate(names, start=1)]
                return call(*ordered, **given)
            return call(*arguments)

        return called

    def listing(call: Callable[[str], Iterable[str]]) -> Callable[[str], object]:
        def listed(name: str) -> object:
            # In no order that anybody could rely on.
            found = iter(sorted(call(name), key=lambda one: crc32(one.encode())))
            return lambda *_: next(found, None)

        return listed

    look, change = _Looks(pool), _Changes(pool, program)
    checks = {
        "destroy": function(change.check_destroy, "name"),
        "rollback": function(change.check_rollback, "name"),
        "snapshot": function(change.check_snapshot, "name"),
    }
    syncs = {
        "destroy": function(change.destroy, "name"),
        "promote": function(change.promote, "name"),
        "set_prop": function(change.set_prop, "name", "property", "value"),
        "snapshot": function(change.snapshot, "name"),
    }
    lists = {
        "children": listing(look.children),
        "clones": listing(look.clones),
        "snapshots": listing(look.snapshots),
    }
    return {
        "exists": function(look.exists, "name"),
        "get_prop": function(look.get_prop, "name", "property"),
        "list": lists,
        "check": checks,
        "sync": syncs,
    }


class _Looks:
    """The functions that change nothing."""

    def __init__(self, pool: FakeZpool) -> None:
        self._pool = pool

    def exists(self, name: str) -> bool:
        if name.partition("/")[0].partition("@")[0] != self._pool.name:
            raise ProgramError(ECHRNG, f"dataset '{name}' is not in the target pool")
        return self._pool.find(name) is not None

    def get_prop(self, name: str, property_name: str) -> object:
        entry = self._pool.find(name)
        if entry is None:
            raise _no_such(name)
        if name in self._pool.unreadable and not is_user_property(property_name):
            return ()
        return get_property(self._pool, entry, property_name) or ()

    def children(self, name: str) -> list[str]:
        return [one.name for one in self._pool.children_of(self._dataset(name))]

    def snapshots(self, name: str) -> list[str]:
        return [one.name for one in self._dataset(name).snapshots.values()]

    def clones(self, name: str) -> list[str]:
        entry = self._pool.find(name)
        if entry is None:
            raise _no_such(name)
        if not isinstance(entry, FakeSnapshot):
            raise ProgramError(ECHRNG, f"{name} is not a snapshot")
        return [one.name for one in self._pool.clones_of(entry)]

    def _dataset(self, name: str) -> LuaValue:
        entry = self._pool.find(name)
        if entry is None:
            raise _no_such(name)
        if isinstance(entry, FakeSnapshot):
            raise ProgramError(ECHRNG, f"argument {name} cannot be a snapshot")
        return entry


class _Changes:
    """The functions that check and change: each returns an errno, 0 where nothing is wrong."""

    def __init__(self, pool: FakeZpool, program: Program) -> None:
        self._pool = pool
        self._is_syncing = program.is_syncing

    def check_snapshot(self, name: str) -> int:
        check = changes.check_snapshot if self._is_syncing else changes.check_snapshot_unsynced
        return _errno(lambda: check(self._pool, name))

    def check_destroy(self, name: str, *, defer: bool = False) -> int:
        self._require_snapshot(name, is_deferred=defer)
        return _errno(lambda: changes.check_destroy(self._pool, name, is_deferred=defer))

    def check_rollback(self, name: str) -> int:
        return _errno(lambda: changes.check_rollback(self._pool, name))

    def snapshot(self, name: str) -> int:
        self._require_syncing()
        return _errno(lambda: changes.take_snapshot(self._pool, name))

    def destroy(self, name: str, *, defer: bool = False) -> int:
        self._require_syncing()
        self._require_snapshot(name, is_deferred=defer)
        return _errno(lambda: changes.destroy(self._pool, name, is_deferred=defer))

    def promote(self, name: str) -> int:
        self._require_syncing()
        return _errno(lambda: changes.promote(self._pool, name))

    def set_prop(self, name: str, property_name: str, value: str) -> int:
        self._require_syncing()
        if not isinstance(value, str):
            raise ProgramError(ECHRNG, "arg 3 wrong type: set_prop takes texts")
        if not is_user_property(property_name):
            return EINVAL

        def act() -> None:
            entry = changes.entry_of(self._pool, name)
            set_property(self._pool, entry, property_name, value)

        return _errno(act)

    def _require_syncing(self) -> None:
        if not self._is_syncing:
            raise ProgramError(ECHRNG, "running functions from the zfs.sync submodule needs a sync")

    @staticmethod
    def _require_snapshot(name: str, *, is_deferred: bool) -> None:
        if is_deferred and "@" not in name:
            raise ProgramError(ECHRNG, f"'deferred' kwarg only supported for snapshots: {name}")


def _no_such(name: str) -> ProgramError:
    return ProgramError(ECHRNG, f"no such dataset '{name}'")


def _errno(act: Callable[[], object]) -> int:
    try:
        act()
    except RefusedError as exc:
        return exc.errno
    return 0
