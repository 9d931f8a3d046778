"""What keeps a volume or snapshot, in words: each line says what to do next."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from csi_zfs.domain.keepers import Keeper, KeeperKind, SnapshotTies, Ties, Use, UseKind
from csi_zfs.services.node_state import VolumeState


class Words(Protocol):
    """Says what the datasets and snapshots of a pool are, in the words of their users."""

    def place_of(self, name: str) -> str:
        """The whole name, or the directory."""

    def dataset(self, name: str) -> str:
        """`volume <id>`, or what else it is; empty for what was made by hand."""

    def snapshot(self, name: str) -> tuple[str, str]:
        """The ids of a snapshot and of its group; each empty where there is none."""


def keepers_of_ties(ties: Ties, *, words: Words) -> Iterator[Keeper]:
    """The snapshots of a dataset and what keeps them; what somebody made below it."""
    for snapshot in ties.snapshots:
        yield _keeper_of(snapshot, words)
        yield from keepers_of_snapshot(snapshot, words=words)
    for name in ties.children:
        place = words.place_of(name)
        yield Keeper(
            KeeperKind.CHILD,
            place,
            "a dataset below it, made by hand",
            f"`zfs destroy {place}` or `zfs rename` it to somewhere else",
        )


def keepers_of_snapshot(ties: SnapshotTies, *, words: Words) -> Iterator[Keeper]:
    """What keeps a snapshot: its group, its clones, its holds."""
    place = words.place_of(ties.name)
    group_id = words.snapshot(ties.name)[1] if ties.is_ours else ""
    if group_id and not ties.is_deferred:
        yield Keeper(
            KeeperKind.GROUP, place, f"belongs to group {group_id}", "delete the group snapshot"
        )
    for name in ties.clones:
        yield _clone(place, name, words)
    for tag, since_ns in ties.holds.items():
        yield Keeper(
            KeeperKind.HOLD,
            place,
            f"held with the tag {tag}",
            f"`zfs release {tag} {place}` once its holder needs it no more",
            since_ns=since_ns,
        )


def _keeper_of(ties: SnapshotTies, words: Words) -> Keeper:
    place = words.place_of(ties.name)
    if ties.is_deferred:
        what = "a deleted snapshot that waits for its clones and holds"
        return Keeper(KeeperKind.SNAPSHOT, place, what, "see what keeps it, in the next lines")
    snapshot_id = words.snapshot(ties.name)[0] if ties.is_ours else ""
    if snapshot_id:
        advice = f"delete snapshot {snapshot_id}"
        return Keeper(KeeperKind.SNAPSHOT, place, f"snapshot {snapshot_id}", advice)
    what = "a snapshot that the driver has no record of as one: made by hand"
    return Keeper(KeeperKind.SNAPSHOT, place, what, f"`zfs destroy {place}`")


def _clone(place: str, clone_name: str, words: Words) -> Keeper:
    what = words.dataset(clone_name)
    if not what:
        clone_place = words.place_of(clone_name)
        advice = f"`zfs destroy {clone_place}`"
        return Keeper(KeeperKind.CLONE, place, f"its clone {clone_place}, made by hand", advice)
    volume_id = what.rpartition(" ")[2]
    is_deleted = what.startswith("deleted")
    advice = f"`csi-zfs why {volume_id}` says why" if is_deleted else f"delete volume {volume_id}"
    return Keeper(KeeperKind.CLONE, place, f"{what} was made of it", advice)


def keepers_of_state(name: str, states: Sequence[VolumeState]) -> Iterator[Keeper]:
    """What the kubelet has asked of this node."""
    for state in states:
        for path in state.staged:
            advice = "delete the pods that use it: the kubelet unstages it then"
            yield Keeper(KeeperKind.STAGED, name, f"staged at {path}", advice)
        for path in state.published:
            advice = "delete its pod: the kubelet unpublishes it then"
            yield Keeper(KeeperKind.PUBLISHED, name, f"published at {path}", advice)


def keepers_of_use(name: str, use: Use) -> Keeper:
    """A mount, an open device, or a device above it."""
    first = use.processes[0] if use.processes else None
    pid = first.pid if first else 0
    match use.kind:
        case UseKind.MOUNT:
            words = f"mounted at {use.what} in namespace {use.namespace} of {_crowd(use)}"
            advice = f"end them, or `nsenter -t {pid} -m umount {use.what}`"
            return Keeper(KeeperKind.MOUNT, name, words, advice, use.processes)
        case UseKind.OPEN:
            words = f"{use.what} is open in {_crowd(use)}"
            return Keeper(KeeperKind.OPEN, name, words, f"end process {pid}", use.processes)
        case UseKind.DEVICE:
            return Keeper(KeeperKind.DEVICE, name, f"{use.what} is on it", _taking_away(use.what))


def _taking_away(device: str) -> str:
    if device.startswith("/dev/mapper/"):
        return f"`dmsetup remove {device.removeprefix('/dev/mapper/')}`"
    is_loop = device.startswith("/dev/loop")
    return f"`losetup -d {device}` once nobody uses it" if is_loop else f"let go of {device}"


def _crowd(use: Use) -> str:
    """The processes, by pid, command and pod."""
    told = [
        f"process {one.pid} ({one.command})" + (f" of pod {one.pod_uid}" if one.pod_uid else "")
        for one in use.processes
    ]
    more = use.process_count - len(told)
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")
