"""OpenZFS's calls made by a helper process, so that none of them can hold the driver."""

from collections.abc import Mapping, Sequence
from typing import cast

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.zfs.calls import Calls
from csi_zfs.zfs.lzc import (
    DEFAULT_INSTRUCTION_LIMIT,
    DEFAULT_MEMORY_LIMIT_BYTES,
    NO_ARGUMENTS,
    NO_PROPERTIES,
    NO_USER_PROPERTIES,
    Arguments,
    ProgramValue,
    Properties,
    SendFlag,
)


class RemoteLibzfsCore:
    """`LibzfsCore` in a helper process; see `Calls` for what else its methods may raise."""

    def __init__(self, calls: Calls) -> None:
        """Make all calls through `calls`."""
        self._calls = calls

    def close(self) -> None:
        """End the helper process; a later call starts another."""
        self._calls.close()

    def create(
        self, name: str, kind: DatasetKind, properties: Properties, *, key: bytes = b""
    ) -> None:
        """See `LibzfsCore`."""
        self._calls.make("create", name, name=name, kind=kind, properties=properties, key=key)

    def clone(self, name: str, origin: str, properties: Properties) -> None:
        """See `LibzfsCore`."""
        self._calls.make("clone", name, name=name, origin=origin, properties=properties)

    def snapshot(
        self, names: Sequence[str], user_properties: Mapping[str, str] = NO_USER_PROPERTIES
    ) -> None:
        """See `LibzfsCore`."""
        self._calls.make("snapshot", names[0], names=names, user_properties=user_properties)

    def destroy(self, name: str) -> None:
        """See `LibzfsCore`."""
        self._calls.make("destroy", name, name=name)

    def destroy_snapshots(self, names: Sequence[str], *, is_deferred: bool = False) -> None:
        """See `LibzfsCore`."""
        self._calls.make("destroy_snapshots", names[0], names=names, is_deferred=is_deferred)

    def rename(self, name: str, new_name: str) -> None:
        """See `LibzfsCore`."""
        self._calls.make("rename", name, name=name, new_name=new_name)

    def promote(self, name: str) -> None:
        """See `LibzfsCore`."""
        self._calls.make("promote", name, name=name)

    def hold(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        self._calls.make("hold", name, name=name, tag=tag)

    def hold_while_open(self, name: str, tag: str, descriptor: int) -> None:
        """See `LibzfsCore`; the helper process keeps no copy of it."""
        self._calls.make("hold_while_open", name, name=name, tag=tag, descriptor=descriptor)

    def release(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        self._calls.make("release", name, name=name, tag=tag)

    def holds(self, name: str) -> Mapping[str, int]:
        """See `LibzfsCore`."""
        return cast("Mapping[str, int]", self._calls.make("holds", name, name=name))

    def bookmark(self, bookmarks: Mapping[str, str]) -> None:
        """See `LibzfsCore`."""
        self._calls.make("bookmark", next(iter(bookmarks)), bookmarks=bookmarks)

    def load_key(self, name: str, key: bytes, *, is_noop: bool = False) -> None:
        """See `LibzfsCore`."""
        self._calls.make("load_key", name, name=name, key=key, is_noop=is_noop)

    def unload_key(self, name: str) -> None:
        """See `LibzfsCore`."""
        self._calls.make("unload_key", name, name=name)

    def change_key(self, name: str, key: bytes, properties: Properties = NO_PROPERTIES) -> None:
        """See `LibzfsCore`."""
        self._calls.make("change_key", name, name=name, key=key, properties=properties)

    def send(
        self,
        snapshot_name: str,
        from_name: str,
        descriptor: int,
        flags: frozenset[SendFlag] = frozenset(),
    ) -> None:
        """See `LibzfsCore`."""
        self._calls.make(
            "send",
            snapshot_name,
            snapshot_name=snapshot_name,
            from_name=from_name,
            descriptor=descriptor,
            flags=flags,
        )

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
        self._calls.make(
            "receive",
            snapshot_name,
            snapshot_name=snapshot_name,
            descriptor=descriptor,
            origin=origin,
            properties=properties,
            is_forced=is_forced,
            is_resumable=is_resumable,
            is_raw=is_raw,
        )

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
        found = self._calls.make(
            "run_program",
            pool_name,
            pool_name=pool_name,
            source=source,
            arguments=arguments,
            instruction_limit=instruction_limit,
            memory_limit_bytes=memory_limit_bytes,
        )
        return cast("ProgramValue", found)

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
        found = self._calls.make(
            "read_program",
            pool_name,
            pool_name=pool_name,
            source=source,
            arguments=arguments,
            instruction_limit=instruction_limit,
            memory_limit_bytes=memory_limit_bytes,
        )
        return cast("ProgramValue", found)

    def exists(self, name: str) -> bool:
        """See `LibzfsCore`."""
        return cast("bool", self._calls.make("exists", name, name=name))
