"""What keeps a volume or snapshot from going: as pools and nodes see it, and as people are told."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from csi_zfs.domain.model import DataPath


@dataclass(frozen=True, slots=True)
class SnapshotTies:
    """A snapshot of a dataset, and what keeps it.

    Attributes:
        clones: the names of the datasets that need it, also of those made by hand.
        holds: since when each tag holds it, in nanoseconds since 1970; 0 where nobody knows.
        is_deferred: its destroy waits for these.
        is_ours: the driver took it; the others were made by hand.
    """

    name: str
    clones: tuple[str, ...] = ()
    holds: Mapping[str, int] = field(default_factory=dict)
    is_deferred: bool = False
    is_ours: bool = True


@dataclass(frozen=True, slots=True)
class Ties:
    """What keeps a dataset on its pool.

    Attributes:
        data: what others open or mount for its data; None where there is nothing.
        snapshots: all of them, also those made by hand, the oldest first.
        children: the names of the datasets below it, which somebody made by hand.
    """

    data: DataPath | None
    snapshots: tuple[SnapshotTies, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """A process: `pod_uid` is empty where its cgroup names no pod."""

    pid: int
    command: str
    pod_uid: str = ""


class UseKind(enum.StrEnum):
    """How data is used."""

    MOUNT = "mount"
    OPEN = "open"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Use:
    """One use of data on this machine.

    Attributes:
        what: where it is mounted, the device or file that is open, or the device above it.
        processes: those that see the mount, at most a few of `process_count`, or that have it open.
        namespace: the mount namespace, such as `mnt:[4026531841]`.
    """

    kind: UseKind
    what: str
    processes: tuple[Process, ...] = ()
    process_count: int = 0
    namespace: str = ""


class KeeperKind(enum.StrEnum):
    """What kind of thing keeps an object."""

    SNAPSHOT = "snapshot"
    CLONE = "clone"
    HOLD = "hold"
    CHILD = "child"
    GROUP = "group"
    STAGED = "staged"
    PUBLISHED = "published"
    MOUNT = "mount"
    OPEN = "open"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Keeper:
    """One thing that keeps an object.

    Attributes:
        name: the object that is kept by it, in the words of `zfs list`, or a directory.
        words: what it is.
        advice: what to do so that it keeps nothing any more.
        processes: who is behind it, where that are processes.
        since_ns: nanoseconds since 1970; 0 where nobody knows.
    """

    kind: KeeperKind
    name: str
    words: str
    advice: str
    processes: tuple[Process, ...] = ()
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """An object, and all that keeps it.

    Attributes:
        id: the volume or snapshot id; empty where there is none.
        title: what it is: `volume`, `deleted volume`, `snapshot`, `deleted snapshot`, and so on.
        name: its dataset or snapshot, or its directory.
        pool_name: the pool by the name of the settings.
    """

    id: str
    title: str
    name: str
    pool_name: str
    keepers: tuple[Keeper, ...]
