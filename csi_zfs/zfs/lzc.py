"""What the engine asks of OpenZFS's own library: `LibzfsCore`.

Names are whole (`pool/parent/v/x`, `pool/parent/v/x@s`).  Properties have the kernel's values:
numbers for sizes and for words such as `compression` or `keyformat`, texts for user properties.
Values are plain Python ones, so that a call can cross into another process.

An error is an errno and nothing else.  What it means depends on the call: see errors.py.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from csi_zfs.datasets.api import DatasetKind

Properties: TypeAlias = Mapping[str, int | str]
# What goes into a channel program and what it returns.
ProgramValue: TypeAlias = "bool | int | str | list[ProgramValue] | dict[str, ProgramValue] | None"
Arguments: TypeAlias = Mapping[str, ProgramValue]

DEFAULT_INSTRUCTION_LIMIT = 10 * 1000 * 1000
DEFAULT_MEMORY_LIMIT_BYTES = 10 * 1024 * 1024
NO_PROPERTIES: Properties = {}
NO_USER_PROPERTIES: Mapping[str, str] = {}
NO_ARGUMENTS: Arguments = {}


class ZfsErrno(enum.IntEnum):
    """OpenZFS's own error numbers (`zfs_errno_t` in sys/fs/zfs.h), beside those of the system."""

    CHECKPOINT_EXISTS = 1024
    DISCARDING_CHECKPOINT = 1025
    NO_CHECKPOINT = 1026
    DEVRM_IN_PROGRESS = 1027
    VDEV_TOO_BIG = 1028
    IOC_CMD_UNAVAIL = 1029
    IOC_ARG_UNAVAIL = 1030
    IOC_ARG_REQUIRED = 1031
    IOC_ARG_BADTYPE = 1032
    WRONG_PARENT = 1033
    FROM_IVSET_GUID_MISSING = 1034
    FROM_IVSET_GUID_MISMATCH = 1035
    SPILL_BLOCK_FLAG_MISSING = 1036
    UNKNOWN_SEND_STREAM_FEATURE = 1037
    EXPORT_IN_PROGRESS = 1038
    BOOKMARK_SOURCE_NOT_ANCESTOR = 1039
    STREAM_TRUNCATED = 1040
    STREAM_LARGE_BLOCK_MISMATCH = 1041
    RESILVER_IN_PROGRESS = 1042
    REBUILD_IN_PROGRESS = 1043
    BADPROP = 1044
    VDEV_NOTSUP = 1045
    NOT_USER_NAMESPACE = 1046
    RESUME_EXISTS = 1047
    CRYPTO_NOTSUP = 1048
    RAIDZ_EXPAND_IN_PROGRESS = 1049


class SendFlag(enum.StrEnum):
    """What a send stream may contain; without any, every machine can receive it."""

    EMBEDDED_DATA = "embedded_data"
    LARGE_BLOCKS = "large_blocks"
    COMPRESSED = "compress"
    RAW = "raw"


class LzcError(Exception):
    """The library refused a call; nothing was changed unless the call's docstring says so.

    Attributes:
        call: the name of the method.
        errno: why, by number: the system's, or one of `ZfsErrno`.
        names: the datasets, snapshots or pools that were asked for.
        errno_of: for a call on several names, why each of those that failed did.
        detail: the words of a channel program that failed, for people only.
    """

    def __init__(
        self,
        call: str,
        errno: int,
        names: Sequence[str],
        *,
        errno_of: Mapping[str, int] | None = None,
        detail: str = "",
    ) -> None:
        """Keep the facts; the text is made of them."""
        self.call = call
        self.errno = errno
        self.names = tuple(names)
        self.errno_of = dict(errno_of or {})
        self.detail = detail
        super().__init__(self._text())

    def _text(self) -> str:
        of_each = "".join(f"; {name}: errno {number}" for name, number in self.errno_of.items())
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.call} {', '.join(self.names)}: errno {self.errno}{of_each}{detail}"


class LibzfsCore(Protocol):
    """OpenZFS's calls.  Thread-safe.  Durable when they return, and atomic but for what is said.

    Every method may raise `LzcError`; in a helper process also what `Calls.make` says.
    """

    def create(
        self, name: str, kind: DatasetKind, properties: Properties, *, key: bytes = b""
    ) -> None:
        """Make a file system or a zvol; `key` is the raw wrapping key of a new encryption root.

        A crash may leave it without some of its `properties` (a zvol always has its volsize): they
        are set in transactions of their own, after it was made.  ENOENT is the parent.
        """

    def clone(self, name: str, origin: str, properties: Properties) -> None:
        """Make a dataset from the snapshot `origin`; ENOENT is the parent or the origin.

        A crash may leave it without some of its `properties`, as with `create`.
        """

    def snapshot(
        self, names: Sequence[str], user_properties: Mapping[str, str] = NO_USER_PROPERTIES
    ) -> None:
        """Take all snapshots at one instant, or none; each gets the same `user_properties`."""

    def destroy(self, name: str) -> None:
        """Destroy one file system or zvol; EEXIST: it has children.

        EBUSY: it has snapshots, or is open or mounted.  What an interrupted `receive` left hidden
        below it goes along.
        """

    def destroy_snapshots(self, names: Sequence[str], *, is_deferred: bool = False) -> None:
        """Destroy all snapshots of one pool, or none; missing ones are passed over in silence.

        EEXIST: clones need it; EBUSY: it is held, or being read by a `send`.  With `is_deferred`,
        one that is held or has clones goes when the last of them goes.
        """

    def rename(self, name: str, new_name: str) -> None:
        """Rename a dataset with its snapshots, or one snapshot within its dataset."""

    def promote(self, name: str) -> None:
        """Make a clone the owner of its origin, and of the snapshots before that.

        EEXIST: one of them has the name of a snapshot of the clone.
        """

    def hold(self, name: str, tag: str) -> None:
        """Keep a snapshot; repeating it is no error; ENOENT where the snapshot is missing."""

    def hold_while_open(self, name: str, tag: str, descriptor: int) -> None:
        """Keep a snapshot for as long as any copy of a descriptor of /dev/zfs is open.

        So it goes with the last process that has one, however that ends, and at the latest with the
        next import of the pool.  EEXIST: the tag holds the snapshot already, whoever set it.
        ENOENT where the snapshot is missing; EBADF: it is no descriptor of /dev/zfs.
        """

    def release(self, name: str, tag: str) -> None:
        """Take a hold away; a missing one is no error; ENOENT where the snapshot is missing.

        The last one destroys a snapshot whose destroy was deferred.
        """

    def holds(self, name: str) -> Mapping[str, int]:
        """The tags that hold a snapshot, and when each was set: seconds since 1970."""

    def bookmark(self, bookmarks: Mapping[str, str]) -> None:
        """Make bookmarks (`dataset#name`) of snapshots or other bookmarks, all or none."""

    def load_key(self, name: str, key: bytes, *, is_noop: bool = False) -> None:
        """Load an encryption root's key, or with `is_noop` only check that it is the right one.

        EEXIST: it is loaded; EACCES: it is the wrong one.
        """

    def unload_key(self, name: str) -> None:
        """Forget an encryption root's key; EBUSY: it is in use; EACCES: it is not loaded."""

    def change_key(self, name: str, key: bytes, properties: Properties = NO_PROPERTIES) -> None:
        """Wrap an encryption root's master key anew; a dataset below a root becomes one itself."""

    def send(
        self,
        snapshot_name: str,
        from_name: str,
        descriptor: int,
        flags: frozenset[SendFlag] = frozenset(),
    ) -> None:
        """Write a stream of a snapshot to a file descriptor and return at its end.

        `from_name` is an earlier snapshot or bookmark, empty for a full stream.
        """

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
        """Make a snapshot, and its dataset where there is none, of a stream.

        `properties` are set locally, over those of the stream.  `is_forced` rolls the dataset back
        to the stream's base first.  With `is_resumable`, what arrived of a stream that broke off
        stays, and `receive_resume_token` says how to go on.
        """

    def run_program(
        self,
        pool_name: str,
        source: str,
        arguments: Arguments = NO_ARGUMENTS,
        *,
        instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT,
        memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    ) -> ProgramValue:
        """Run a channel program in one transaction, and return what it returned.

        It sees `arguments` as `(...)["argv"]`.  Whole numbers arrive there as signed 64 bits, and
        come back so: `& (1 << 64) - 1` makes a GUID of one.  A list goes in as one (of texts or of
        numbers, nothing else) and comes back as a dict of "1", "2" and so on.

        A program that fails half-way keeps what it has changed: check first (`zfs.check.*`), change
        then.

        EINVAL: it is not Lua; ECHRNG: it failed, or the pool took no transaction, with the words
        in `detail`; ETIME: `instruction_limit`; ENOSPC: `memory_limit_bytes`, not the pool.
        """

    def read_program(
        self,
        pool_name: str,
        source: str,
        arguments: Arguments = NO_ARGUMENTS,
        *,
        instruction_limit: int = DEFAULT_INSTRUCTION_LIMIT,
        memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    ) -> ProgramValue:
        """As `run_program`, for a program that changes nothing: faster, and without waiting."""

    def exists(self, name: str) -> bool:
        """Whether a dataset or snapshot is there; False also for one in a pool not imported."""
