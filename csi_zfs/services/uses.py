"""Which uses of a volume on one node go together (rules.md D, the access modes)."""

from pathlib import Path

from csi_zfs.domain.capabilities import AccessType, VolumeCapability
from csi_zfs.domain.errors import IncompatibleError, InUseError, InvalidRequestError
from csi_zfs.domain.model import PublishSpec
from csi_zfs.services.entries import VolumeEntry
from csi_zfs.services.node_state import NodeState, Use, VolumeState


class DifferentUseError(IncompatibleError):
    """The path is staged or published already, with other arguments."""


class PublishedElsewhereError(InUseError):
    """The access modes allow one target path only, and there is another."""


class PathOfOtherVolumeError(InUseError):
    """The path belongs to another volume."""


class CapabilityMismatchError(InvalidRequestError):
    """The volume was made for another kind of use."""


def require_fit(entry: VolumeEntry, capability: VolumeCapability) -> None:
    """Raise `CapabilityMismatchError` if the volume was made for another kind of use."""
    disk = entry.record.disk
    if capability.access_type is not disk.access_type:
        msg = f"the volume was made as a {disk.access_type} volume, not {capability.access_type}"
        raise CapabilityMismatchError(msg)
    if capability.fs_type not in ("", disk.fs_type):
        msg = f"the volume holds {disk.fs_type}, not {capability.fs_type}"
        raise CapabilityMismatchError(msg)


def require_own_path(path: Path, volume_id: str, node_state: NodeState) -> None:
    """Raise `PathOfOtherVolumeError` if another volume is staged or published at the path."""
    owner = node_state.owner_of(path)
    if owner not in ("", volume_id):
        msg = f"{path} belongs to volume {owner}"
        raise PathOfOtherVolumeError(msg)


def require_same_use(path: Path, existing: Use | None, wanted: Use) -> None:
    """Raise `DifferentUseError` if the path is in use already, in another way."""
    if existing is None or existing == wanted:
        return
    before, now = existing.capability, wanted.capability
    differences = {
        "access mode": before.access_mode is not now.access_mode,
        "access type": before.access_type is not now.access_type,
        "fs_type": before.fs_type != now.fs_type,
        "mount flags": before.mount_flags != now.mount_flags,
        "readonly": existing.is_read_only is not wanted.is_read_only,
    }
    different = ", ".join(what for what, is_different in differences.items() if is_different)
    msg = f"{path} is in use already, with a different {different}"
    raise DifferentUseError(msg)


def require_shareable(spec: PublishSpec, state: VolumeState) -> None:
    """Raise `PublishedElsewhereError` if this publish and the others exclude each other."""
    others = {path: use for path, use in state.published.items() if path != spec.target_path}
    modes = [spec.capability.access_mode, *(use.capability.access_mode for use in others.values())]
    if others and not all(mode.allows_many_targets for mode in modes):
        where = ", ".join(map(str, others))
        msg = (
            f"volume {spec.volume_id} is published at {where}, and {', '.join(sorted(set(modes)))} "
            "allows one path only"
        )
        raise PublishedElsewhereError(msg)
    is_block = spec.capability.access_type is AccessType.BLOCK
    if is_block and any(use.is_read_only is not spec.is_read_only for use in others.values()):
        msg = (
            f"volume {spec.volume_id} is one device: it is published read-only, or writable, "
            "at all paths alike"
        )
        raise PublishedElsewhereError(msg)
