"""`FakeLibzfsCore`: OpenZFS's calls on a pool in memory.

It is held to the same suite as the real one (tests/contract/zfs_core).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import E2BIG, EINVAL, ENOENT, EPIPE
from typing import NoReturn

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.system.files import write_all
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
)
from tests.support import zfs_changes as changes
from tests.support import zfs_keys as keys
from tests.support.points import nothing
from tests.support.zfs_dev import FakeDev
from tests.support.zfs_lua import Program, ProgramError, run_program
from tests.support.zfs_properties import (
    SPECIAL,
    require_short,
    set_properties,
    set_volsize,
)
from tests.support.zfs_state import (
    BeyondFakeError,
    FakeDataset,
    FakeSnapshot,
    FakeZpool,
    RefusedError,
    has_device,
)

_MAX_TAG_BYTES = 255


class FakeLibzfsCore:
    """`LibzfsCore` on a fake pool.  Thread-safe.

    Attributes:
        between: called between the transactions of `create` and `clone`; what it raises stops the
            call there, as a crash of the machine would.
        is_udev_slow: whether nobody opens a new zvol before its clone is refused and taken back.
    """

    def __init__(self, pool: FakeZpool, dev: FakeDev) -> None:
        """Serve one pool, whose zvols have devices in `dev`."""
        self._pool = pool
        self._dev = dev
        self.between: Callable[[], None] = nothing
        self.is_udev_slow = False

    def create(
        self, name: str, kind: DatasetKind, properties: Properties, *, key: bytes = b""
    ) -> None:
        """See `LibzfsCore`."""
        with self._calling("create", [name]) as pool:
            changes.require_file_system(changes.require_new(pool, name))
            dataset = pool.new_dataset(name, kind)
            keys.begin(dataset, properties, key)
            given = keys.without_keys(properties)
            if "volblocksize" in given:
                dataset.properties["volblocksize"] = given.pop("volblocksize")
            if kind is DatasetKind.ZVOL:
                set_volsize(dataset, int(given.pop("volsize", 0)))
            pool.datasets[name] = dataset
            try:
                self._set(dataset, given)
            except RefusedError:
                del pool.datasets[name]
                raise

    def clone(self, name: str, origin: str, properties: Properties) -> None:
        """See `LibzfsCore`."""
        with self._calling("clone", [name, origin]) as pool:
            dataset = changes.clone(pool, name, origin)
            try:
                self._set(dataset, properties)
            except RefusedError:
                if self.is_udev_slow or not has_device(pool, dataset):
                    changes.destroy(pool, name)
                raise

    def snapshot(
        self, names: Sequence[str], user_properties: Mapping[str, str] = NO_USER_PROPERTIES
    ) -> None:
        """See `LibzfsCore`."""
        with self._calling("snapshot", names) as pool:
            for value in user_properties.values():
                require_short(value)
            for snapshot in changes.take_snapshots(pool, names):
                snapshot.properties.update(user_properties)

    def destroy(self, name: str) -> None:
        """See `LibzfsCore`."""
        with self._calling("destroy", [name]) as pool:
            changes.destroy(pool, pool.dataset(name).name)

    def destroy_snapshots(self, names: Sequence[str], *, is_deferred: bool = False) -> None:
        """See `LibzfsCore`."""
        with self._calling("destroy_snapshots", names) as pool:
            changes.destroy_snapshots(pool, names, is_deferred=is_deferred)

    def rename(self, name: str, new_name: str) -> None:
        """See `LibzfsCore`."""
        with self._calling("rename", [name, new_name]) as pool:
            changes.rename(pool, name, new_name)

    def promote(self, name: str) -> None:
        """See `LibzfsCore`."""
        with self._calling("promote", [name]) as pool:
            changes.promote(pool, name)

    def hold(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        with self._calling("hold", [name]) as pool:
            if "@" not in name:
                raise RefusedError(EINVAL)
            snapshot = self._snapshot(pool, name)
            if len(tag.encode()) > _MAX_TAG_BYTES:
                raise RefusedError(E2BIG, {name: E2BIG})
            snapshot.holds.setdefault(tag, pool.now_s())

    def hold_while_open(self, name: str, tag: str, descriptor: int) -> None:
        """See `LibzfsCore`."""
        with self._calling("hold_while_open", [name]) as pool:
            snapshot = self._snapshot(pool, name)
            changes.hold_while_open(pool, snapshot, tag, descriptor)

    def release(self, name: str, tag: str) -> None:
        """See `LibzfsCore`."""
        with self._calling("release", [name]) as pool:
            if "@" not in name:
                raise RefusedError(EINVAL)
            snapshot = self._snapshot(pool, name)
            snapshot.holds.pop(tag, None)
            changes.drop_unneeded(pool, snapshot)

    def holds(self, name: str) -> Mapping[str, int]:
        """See `LibzfsCore`."""
        with self._reading("holds", [name]) as pool:
            entry = changes.entry_of(pool, name)
            return dict(entry.holds) if isinstance(entry, FakeSnapshot) else {}

    def exists(self, name: str) -> bool:
        """See `LibzfsCore`."""
        with self._pool.lock:
            changes.drop_closed_holds(self._pool)
            return self._pool.is_imported and self._pool.find(name) is not None

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
        with self._calling("run_program", [pool_name]) as pool:
            return self._run(pool, Program("run_program", source, arguments, *limits))

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
        with self._reading("read_program", [pool_name]) as pool:
            return self._run(pool, Program("read_program", source, arguments, *limits))

    def load_key(self, name: str, key: bytes, *, is_noop: bool = False) -> None:
        """See `LibzfsCore`."""
        with self._calling("load_key", [name]) as pool:
            keys.load(pool.dataset(name), key, is_noop=is_noop)

    def unload_key(self, name: str) -> None:
        """See `LibzfsCore`."""
        with self._calling("unload_key", [name]) as pool:
            keys.unload(pool, pool.dataset(name))

    def change_key(self, name: str, key: bytes, properties: Properties = NO_PROPERTIES) -> None:
        """See `LibzfsCore`."""
        with self._calling("change_key", [name]) as pool:
            keys.change(pool.dataset(name), key, properties)

    def bookmark(self, bookmarks: Mapping[str, str]) -> None:
        """Refuse: see `BeyondFakeError`, as all that follow."""
        self._unserved("bookmark")

    def send(
        self,
        snapshot_name: str,
        from_name: str,
        descriptor: int,
        flags: frozenset[SendFlag] = frozenset(),
    ) -> None:
        """See `LibzfsCore`; increments of zvols alone."""
        names = [snapshot_name, from_name]
        with self._reading("send", names) as pool:
            if not from_name or SendFlag.RAW not in flags:
                raise BeyondFakeError("only raw increments")
            old, new = self._snapshot(pool, from_name), self._snapshot(pool, snapshot_name)
            stream = changes.increment(old, new)
        try:
            write_all(descriptor, stream)
        except BrokenPipeError as exc:
            raise LzcError("send", EPIPE, names) from exc

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
        """Refuse."""
        self._unserved("receive")

    @staticmethod
    def _run(pool: FakeZpool, program: Program) -> ProgramValue:
        try:
            return run_program(pool, program)
        except ProgramError as exc:
            raise LzcError(program.call, exc.errno, [pool.name], detail=str(exc)) from exc

    def _set(self, dataset: FakeDataset, properties: Properties) -> None:
        """Each special property in a transaction, then all others in one."""
        refused: list[RefusedError | None] = []
        special = {name: value for name, value in properties.items() if name in SPECIAL}
        self.between()
        refused.append(set_properties(self._pool, dataset, special))
        self.between()
        others = {name: value for name, value in properties.items() if name not in SPECIAL}
        refused.append(set_properties(self._pool, dataset, others))
        for error in refused:
            if error is not None:
                raise error

    @contextmanager
    def _calling(self, call: str, names: Sequence[str]) -> Iterator[FakeZpool]:
        with self._reading(call, names) as pool:
            pool.txg += 1
            try:
                yield pool
            finally:
                self._dev.follow()

    @contextmanager
    def _reading(self, call: str, names: Sequence[str]) -> Iterator[FakeZpool]:
        with self._pool.lock:
            zpool_name = names[0].partition("/")[0].partition("@")[0]
            if not self._pool.is_imported or zpool_name != self._pool.name:
                raise LzcError(call, ENOENT, names)
            changes.drop_closed_holds(self._pool)
            try:
                yield self._pool
            except RefusedError as exc:
                raise LzcError(call, exc.errno, names, errno_of=exc.errno_of) from exc

    @staticmethod
    def _snapshot(pool: FakeZpool, name: str) -> FakeSnapshot:
        try:
            return pool.snapshot(name)
        except RefusedError as exc:
            raise RefusedError(exc.errno, {name: exc.errno}) from exc

    @staticmethod
    def _unserved(what: str) -> NoReturn:
        raise BeyondFakeError(f"the fake OpenZFS has no {what}")
