"""How a volume may be used: access type, file system, mount flags and access mode."""

import enum
from dataclasses import dataclass

from csi_zfs.domain.errors import InvalidRequestError

# A file system of ZFS itself, mounted without a block device: what pools that have it make where no
# file system is asked for.  The others make a block device, and a file system on it.
NATIVE_FS_TYPE = "zfs"
FS_TYPES = ("ext4", "xfs", NATIVE_FS_TYPE)
DEFAULT_FS_TYPE = "ext4"

# Flags of the VFS and of ext4 and xfs that can neither weaken the node (exec, suid, dev stay as the
# kubelet's policy wants them: only the restricting forms are here) nor point at other files or
# devices (logdev, journal_path...).
MOUNT_FLAGS = frozenset(
    {"ro", "rw", "sync", "dirsync", "noatime", "relatime", "strictatime", "nodiratime", "lazytime"}
    | {"nodev", "noexec", "nosuid", "discard", "nodiscard"}
    | {
        "user_xattr",
        "acl",
        "barrier",
        "nobarrier",
        "data=ordered",
        "data=writeback",
        "data=journal",
    }
    | {
        "errors=remount-ro",
        "errors=continue",
        "auto_da_alloc",
        "noauto_da_alloc",
        "delalloc",
        "nodelalloc",
    }
    | {
        "inode32",
        "inode64",
        "largeio",
        "nolargeio",
        "swalloc",
        "allocsize=64k",
        "allocsize=1m",
        "wsync",
    }
)


class UnsupportedCapabilityError(InvalidRequestError):
    """The capability is not one that the driver serves."""


class AccessMode(enum.StrEnum):
    """The CSI access modes that node-local storage can honour."""

    SINGLE_NODE_WRITER = "SINGLE_NODE_WRITER"
    SINGLE_NODE_READER_ONLY = "SINGLE_NODE_READER_ONLY"
    SINGLE_NODE_SINGLE_WRITER = "SINGLE_NODE_SINGLE_WRITER"
    SINGLE_NODE_MULTI_WRITER = "SINGLE_NODE_MULTI_WRITER"

    @property
    def allows_many_targets(self) -> bool:
        """Whether one node may publish the volume at several target paths at once."""
        return self is AccessMode.SINGLE_NODE_MULTI_WRITER

    @property
    def is_read_only(self) -> bool:
        """Whether nobody may write through this mode."""
        return self is AccessMode.SINGLE_NODE_READER_ONLY


class AccessType(enum.StrEnum):
    """What the workload sees: a mounted file system or a raw block device."""

    MOUNT = "mount"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class VolumeCapability:
    """One way to use a volume; `fs_type` is empty for "the default" and for block."""

    access_mode: AccessMode
    access_type: AccessType
    fs_type: str = ""
    mount_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse unknown file systems and mount flags outside the allow-list (rules.md C3)."""
        if self.fs_type and self.fs_type not in FS_TYPES:
            msg = (
                f"fs_type {self.fs_type[:32]!r} is not supported: use one of {', '.join(FS_TYPES)}"
            )
            raise UnsupportedCapabilityError(msg)
        for flag in self.mount_flags:
            if flag not in MOUNT_FLAGS:
                # CSI: flags may hold secrets, as in `password=...`; the name alone says enough.
                name = flag.partition("=")[0]
                msg = (
                    f"mount flag {name[:64]!r} is not allowed: allowed are "
                    f"{', '.join(sorted(MOUNT_FLAGS))}"
                )
                raise UnsupportedCapabilityError(msg)
