"""libzfs_core in this process: the only module that knows it.

It calls the C functions through the declarations of pyzfs (python3-pyzfs) and converts nvlists with
it, but takes the errno from the C functions themselves: pyzfs's own functions turn it into
exceptions whose classes, names and numbers rest on guesses about the arguments.

A call into a pool that is suspended may never come back, and then keeps its process from ending: so
the driver asks `remote.py`, and only the helper process has one of these.
"""

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.zfs.lzc import (
    DEFAULT_INSTRUCTION_LIMIT,
    DEFAULT_MEMORY_LIMIT_BYTES,
    NO_ARGUMENTS,
    NO_PROPERTIES,
    NO_USER_PROPERTIES,
    Arguments,
    LzcError,
    ProgramValue,
    Properties,
    SendFlag,
    ZfsErrno,
)
from csi_zfs.zfs.nvlists import errno_of, from_nvlist, set_of, to_bytes, to_nvlist

# A value of C's.
Foreign: TypeAlias = Any

_NOTHING_FAILED: Mapping[bytes, object] = {}


class DirectLibzfsCore:
    """`LibzfsCore` on the library itself.  Thread-safe: cffi releases Python's lock in a call."""

    def __init__(self) -> None:
        """Load the library; raises `LzcError` (`initialize`) where OpenZFS is not there."""
        try:
            # Only a machine that has OpenZFS has them, and only the helper process needs them.
            from libzfs_core._nvlist import nvlist_in, nvlist_out
            from libzfs_core.bindings import libzfs_core
            from libzfs_core.ctypes import int64_t

            self._lib: Foreign = libzfs_core.lib
            number = self._lib.libzfs_core_init()
        except (ImportError, OSError) as exc:
            raise LzcError("initialize", errno.ELIBACC, (), detail=str(exc)) from exc
        _check("initialize", number, ())
        self._ffi: Foreign = libzfs_core.ffi
        self._nvlist_in = nvlist_in
        self._nvlist_out = nvlist_out
        self._int64 = int64_t

    def create(
        self, name: str, kind: DatasetKind, properties: Properties, *, key: bytes = b""
    ) -> None:
        """See `LibzfsCore`."""
        types = {
            DatasetKind.FILESYSTEM: self._lib.DMU_OST_ZFS,
            DatasetKind.ZVOL: self._lib.DMU_OST_ZVOL,
        }
        given = self._nvlist(properties)
        number = self._lib.lzc_create(to_bytes(name), types[kind], given, key, len(key))
        _check("create", number, [name])

    def clone(self, name: str, origin: str, properties: Properties) -> None:
        """See `LibzfsCore`."""
        number = self._lib.lzc_clone(to_bytes(name), to_bytes(origin), self._nvlist(properties))
        _check("clone", number, [name, origin])

    def snapshot(
        self, names: Sequence[str], user_properties: Mapping[str, str] = NO_USER_PROPERTIES
    ) -> None:
        """See `LibzfsCore`."""
        failed: dict[bytes, object] = {}
        with self._nvlist_out(failed) as errors:
            number = self._lib.lzc_snapshot(
                self._nvlist_in(set_of(names)), self._nvlist(user_properties), errors
            )
        _check("snapshot", number, names, failed)

    def destroy(self, name: str) -> None:
        """See `LibzfsCore`."""
        _check("destroy", self._lib.lzc_destroy(to_bytes(name)), [name])

    def destroy_snapshots(self, names: Sequence[str], *, is_deferred: bool = False) -> None:
        """See `LibzfsCore`."""
        failed: dict[bytes, object] = {}
        with self._nvlist_out(failed) as errors:
            number = self._lib.lzc_destroy_snaps(
                self._nvlist_in(set_of(names)), is_deferred, errors
            )
        _check("destroy_snapshots", number, names, failed)

    def rename(self, name: str, new_name: str) -> None:
        """See `LibzfsCore`."""
        number = self._lib.lzc_rename(to_bytes(name), to_bytes(new_name))
        _check("rename", number, [name, new_name])

    def promote(self, name: str) -> None:
        """See `LibzfsCore`."""
        # pyzfs declares no buffer for the name of a snapshot that is in the way.
        number = self._lib.lzc_promote(to_bytes(name), self._ffi.NULL, self._ffi.NULL)
        _check("promote", number, [name])

    def hold(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        failed: dict[bytes, object] = {}
        with self._nvlist_out(failed) as errors:
            number = self._lib.lzc_hold(self._nvlist({name: tag}), -1, errors)
        if number != errno.EEXIST:
            _check("hold", number or _first_errno(failed), [name], failed)

    def hold_while_open(self, name: str, tag: str, descriptor: int) -> None:
        """See `LibzfsCore`."""
        failed: dict[bytes, object] = {}
        with self._nvlist_out(failed) as errors:
            number = self._lib.lzc_hold(self._nvlist({name: tag}), descriptor, errors)
        _check("hold_while_open", number or _first_errno(failed), [name], failed)

    def release(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        failed: dict[bytes, object] = {}
        with self._nvlist_out(failed) as errors:
            number = self._lib.lzc_release(self._nvlist({name: {tag: None}}), errors)
        failed.pop(to_bytes(f"{name}#{tag}"), None)  # it had no such hold
        _check("release", number or _first_errno(failed), [name], failed)

    def holds(self, name: str) -> Mapping[str, int]:
        """See `LibzfsCore`."""
        found: dict[bytes, object] = {}
        with self._nvlist_out(found) as tags:
            number = self._lib.lzc_get_holds(to_bytes(name), tags)
        _check("holds", number, [name])
        return errno_of(found)

    def bookmark(self, bookmarks: Mapping[str, str]) -> None:
        """See `LibzfsCore`."""
        failed: dict[bytes, object] = {}
        with self._nvlist_out(failed) as errors:
            number = self._lib.lzc_bookmark(self._nvlist(bookmarks), errors)
        _check("bookmark", number, list(bookmarks.values()), failed)

    def load_key(self, name: str, key: bytes, *, is_noop: bool = False) -> None:
        """See `LibzfsCore`."""
        _check("load_key", self._lib.lzc_load_key(to_bytes(name), is_noop, key, len(key)), [name])

    def unload_key(self, name: str) -> None:
        """See `LibzfsCore`."""
        _check("unload_key", self._lib.lzc_unload_key(to_bytes(name)), [name])

    def change_key(self, name: str, key: bytes, properties: Properties = NO_PROPERTIES) -> None:
        """See `LibzfsCore`."""
        command = self._lib.DCP_CMD_NEW_KEY
        given = self._nvlist(properties)
        number = self._lib.lzc_change_key(to_bytes(name), command, given, key, len(key))
        _check("change_key", number, [name])

    def send(
        self,
        snapshot_name: str,
        from_name: str,
        descriptor: int,
        flags: frozenset[SendFlag] = frozenset(),
    ) -> None:
        """See `LibzfsCore`."""
        bits = {
            SendFlag.EMBEDDED_DATA: self._lib.LZC_SEND_FLAG_EMBED_DATA,
            SendFlag.LARGE_BLOCKS: self._lib.LZC_SEND_FLAG_LARGE_BLOCK,
            SendFlag.COMPRESSED: self._lib.LZC_SEND_FLAG_COMPRESS,
            SendFlag.RAW: self._lib.LZC_SEND_FLAG_RAW,
        }
        number = self._lib.lzc_send(
            to_bytes(snapshot_name),
            self._optional(from_name),
            descriptor,
            sum(bits[flag] for flag in flags),
        )
        _check("send", number, filter(None, [snapshot_name, from_name]))

    def receive(
        self,
        snapshot_name: str,
        descriptor: int,
        *,
        origin: str = "",
        properties: Properties = NO_PROPERTIES,
        is_forced: bool = False,
        is_resumable: bool = False,
        is_raw: bool = False,
    ) -> None:
        """See `LibzfsCore`."""
        names = [name for name in (snapshot_name, origin) if name]
        begin = self._begin_record(descriptor, names)
        number_out = self._ffi.new("uint64_t *")
        failed: dict[bytes, object] = {}
        with self._nvlist_out(failed) as errors:
            number = self._lib.lzc_receive_with_cmdprops(
                to_bytes(snapshot_name),
                self._nvlist({}),
                self._nvlist(properties),
                b"",
                0,
                self._optional(origin),
                is_forced,
                is_resumable,
                is_raw,
                descriptor,
                begin,
                -1,
                number_out,
                self._ffi.new("uint64_t *"),
                self._ffi.new("uint64_t *"),
                errors,
            )
        _check("receive", number or _first_errno(failed), names, failed)

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
        limits = (instruction_limit, memory_limit_bytes)
        run = self._lib.lzc_channel_program
        return self._program("run_program", run, (pool_name, source, *limits), arguments)

    def read_program(
        self,
        pool_name: str,
        source: str,
        arguments: Arguments = NO_ARGUMENTS,
        *,
        instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT,
        memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    ) -> ProgramValue:
        """See `LibzfsCore`."""
        limits = (instruction_limit, memory_limit_bytes)
        run = self._lib.lzc_channel_program_nosync
        return self._program("read_program", run, (pool_name, source, *limits), arguments)

    def exists(self, name: str) -> bool:
        """See `LibzfsCore`."""
        # lzc_exists says "no" whatever the errno was; a dataset that is no snapshot has no holds.
        try:
            self.holds(name)
        except LzcError as exc:
            if exc.errno != errno.ENOENT:
                raise LzcError("exists", exc.errno, exc.names) from exc
            return False
        return True

    def _program(
        self, call: str, run: Foreign, how: tuple[str, str, int, int], arguments: Arguments
    ) -> ProgramValue:
        pool_name, source, instruction_limit, memory_limit_bytes = how
        found: dict[bytes, object] = {}
        with self._nvlist_out(found) as output:
            number = run(
                to_bytes(pool_name),
                to_bytes(source),
                instruction_limit,
                memory_limit_bytes,
                self._nvlist_in({b"argv": to_nvlist(arguments, number=self._int64)}),
                output,
            )
        words = found.get(b"error", b"")
        _check(call, number, [pool_name], detail=str(from_nvlist(words)))
        return from_nvlist(found.get(b"return"))

    def _begin_record(self, descriptor: int, names: Sequence[str]) -> Foreign:
        record = self._ffi.new("dmu_replay_record_t *")
        buffer = self._ffi.buffer(record)
        filled = 0
        while filled < len(buffer):
            data = os.read(descriptor, len(buffer) - filled)
            if not data:
                raise LzcError("receive", ZfsErrno.STREAM_TRUNCATED, names)
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        return record

    def _nvlist(self, values: Mapping[str, object]) -> Foreign:
        return self._nvlist_in(to_nvlist(values))

    def _optional(self, name: str) -> Foreign:
        return to_bytes(name) if name else self._ffi.NULL


def _check(
    call: str,
    number: int,
    names: Iterable[str],
    failed: Mapping[bytes, object] = _NOTHING_FAILED,
    *,
    detail: str = "",
) -> None:
    if number != 0:
        raise LzcError(call, number, tuple(names), errno_of=errno_of(failed), detail=detail)


def _first_errno(failed: Mapping[bytes, object]) -> int:
    """Why the first of several failed: some calls skip what is missing, and succeed."""
    return next(iter(errno_of(failed).values()), 0)
