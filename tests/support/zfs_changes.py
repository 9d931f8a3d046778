"""What changes in the fake OpenZFS: the checks and the effects that calls and programs share."""

import re
from collections.abc import Callable, Iterator, Sequence
from errno import EAGAIN, EBADF, EBUSY, EEXIST, EINVAL, ENOENT, ENOSPC, ESRCH, EXDEV
from functools import partial

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.zfs.lzc import ZfsErrno
from tests.support import zfs_keys as keys
from tests.support.send_streams import increment_stream
from tests.support.zfs_state import (
    BLOCK_BYTES,
    FakeDataset,
    FakeEntry,
    FakeSnapshot,
    FakeZpool,
    RefusedError,
    unique_bytes,
)

_NAME = re.compile(r"[\w.:-]+(?:/[\w.:-]+)*(?:@[\w.:-]+)?", re.ASCII)
_MAX_NAME_BYTES = 255


def require_name(name: str) -> None:
    """The name is one of ZFS; EINVAL."""
    if _NAME.fullmatch(name) is None or len(name) > _MAX_NAME_BYTES:
        raise RefusedError(EINVAL)


def require_new(pool: FakeZpool, name: str) -> FakeDataset:
    """A dataset can get this name; returns its parent; EEXIST, ENOENT."""
    require_name(name)
    if name in pool.datasets:
        raise RefusedError(EEXIST)
    return pool.dataset(name.rpartition("/")[0])


def require_file_system(parent: FakeDataset) -> None:
    """Datasets are below file systems."""
    if parent.kind is not DatasetKind.FILESYSTEM:
        raise RefusedError(ZfsErrno.WRONG_PARENT)


def clone(pool: FakeZpool, name: str, origin_name: str) -> FakeDataset:
    """Make a dataset of a snapshot, without properties; the kernel forgets to ask for the parent.

    ENOENT, EEXIST.
    """
    require_new(pool, name)
    origin = pool.snapshot(origin_name)
    dataset = pool.new_dataset(name, origin.dataset.kind)
    dataset.origin = origin
    dataset.volsize_bytes = origin.volsize_bytes
    dataset.blocks = dict(origin.blocks)
    pool.datasets[name] = dataset
    return dataset


def check_snapshot(pool: FakeZpool, name: str) -> None:
    """A snapshot can be taken: ENOENT, EAGAIN: one was in this transaction, EEXIST, ENOSPC."""
    dataset = _dataset_of(pool, name)
    if any(snapshot.txg == pool.txg for snapshot in dataset.snapshots.values()):
        raise RefusedError(EAGAIN)
    if pool.find(name) is not None:
        raise RefusedError(EEXIST)
    # What is reserved is reserved anew for what is written from now on.
    again_bytes = min(unique_bytes(dataset), dataset.number("refreservation"))
    if again_bytes > pool.room_bytes(dataset):
        raise RefusedError(ENOSPC)


def check_snapshot_unsynced(pool: FakeZpool, name: str) -> None:
    """What of it is checked outside a transaction."""
    _dataset_of(pool, name)


def take_snapshot(pool: FakeZpool, name: str) -> FakeSnapshot:
    """Take a snapshot; see `check_snapshot`."""
    check_snapshot(pool, name)
    dataset_name, _, leaf = name.partition("@")
    dataset = pool.dataset(dataset_name)
    snapshot = pool.new_snapshot(dataset, leaf)
    dataset.snapshots[leaf] = snapshot
    return snapshot


def take_snapshots(pool: FakeZpool, names: Sequence[str]) -> list[FakeSnapshot]:
    """Take all or none; EXDEV for two of one dataset."""
    for name in names:
        require_name(name)
    if len({name.partition("@")[0] for name in names}) < len(names):
        raise RefusedError(EXDEV)
    # What is missing is told alone.
    _require_all(names, partial(check_snapshot_unsynced, pool))
    _require_all(names, partial(check_snapshot, pool))
    return [take_snapshot(pool, name) for name in names]


def check_destroy(pool: FakeZpool, name: str, *, is_deferred: bool = False) -> None:
    """One dataset or snapshot can be destroyed; a missing snapshot is passed over in silence.

    EBUSY: it has snapshots, is open or held; EEXIST: it has children or clones.
    """
    entry = pool.find(name)
    if isinstance(entry, FakeSnapshot):
        if not is_deferred and entry.holds:
            raise RefusedError(EBUSY)
        if not is_deferred and pool.clones_of(entry):
            raise RefusedError(EEXIST)
    elif entry is not None:
        if entry.open_count or entry.snapshots:
            raise RefusedError(EBUSY)
        if pool.children_of(entry):
            raise RefusedError(EEXIST)
    elif "@" not in name:
        raise RefusedError(ENOENT)


def check_rollback(pool: FakeZpool, name: str) -> None:
    """A dataset can go back to its last snapshot: ENOENT, ESRCH: it has none, EBUSY: in use."""
    dataset = pool.dataset(name)
    if not dataset.snapshots:
        raise RefusedError(ESRCH)
    if dataset.open_count:
        raise RefusedError(EBUSY)


def destroy(pool: FakeZpool, name: str, *, is_deferred: bool = False) -> None:
    """Destroy one dataset or snapshot; see `check_destroy`."""
    check_destroy(pool, name, is_deferred=is_deferred)
    entry = pool.find(name)
    if isinstance(entry, FakeSnapshot):
        entry.is_deferred = is_deferred
        if not is_deferred or not _is_needed(pool, entry):
            del entry.dataset.snapshots[entry.leaf]
    elif entry is not None:
        del pool.datasets[name]
        if entry.origin is not None:
            drop_unneeded(pool, entry.origin)


def destroy_snapshots(pool: FakeZpool, names: Sequence[str], *, is_deferred: bool) -> None:
    """Destroy all or none."""
    _require_all(names, partial(check_destroy, pool, is_deferred=is_deferred))
    for name in names:
        destroy(pool, name, is_deferred=is_deferred)


def drop_unneeded(pool: FakeZpool, snapshot: FakeSnapshot) -> None:
    """Destroy a snapshot whose destroy was deferred, once nothing needs it."""
    if snapshot.is_deferred and not _is_needed(pool, snapshot):
        del snapshot.dataset.snapshots[snapshot.leaf]


def hold_while_open(pool: FakeZpool, snapshot: FakeSnapshot, tag: str, descriptor: int) -> None:
    """Hold a snapshot until the last copy of a descriptor is closed; EBADF, EEXIST."""
    try:
        key = pool.control.key_of(descriptor)
    except (KeyError, OSError):
        raise RefusedError(EBADF) from None
    if tag in snapshot.holds:
        raise RefusedError(EEXIST, {snapshot.name: EEXIST})
    snapshot.holds[tag] = pool.now_s()
    pool.holds_while_open.append((key, snapshot, tag))


def drop_closed_holds(pool: FakeZpool) -> None:
    """Release what was held by descriptors that are closed by now."""
    _drop_holds(pool, lambda key: not pool.control.is_open(key))


def drop_holds_at_import(pool: FakeZpool) -> None:
    """Release all that was held by descriptors, open or not: an import remembers none."""
    _drop_holds(pool, lambda _: True)


def _drop_holds(pool: FakeZpool, is_over: Callable[[int], bool]) -> None:
    for one in list(pool.holds_while_open):
        key, snapshot, tag = one
        if is_over(key):
            pool.holds_while_open.remove(one)
            snapshot.holds.pop(tag, None)
            drop_unneeded(pool, snapshot)


def rename(pool: FakeZpool, name: str, new_name: str) -> None:
    """Rename a dataset with all that is below it, or a snapshot within its dataset."""
    require_name(new_name)
    if "@" in name:
        _rename_snapshot(pool, name, new_name)
        return
    dataset = pool.dataset(name)
    if new_name.partition("/")[0] != pool.name:
        raise RefusedError(EXDEV)
    if new_name.startswith(f"{name}/"):
        raise RefusedError(EINVAL)
    require_file_system(require_new(pool, new_name))
    below = [one for one in pool.datasets.values() if one.name.startswith(f"{name}/")]
    for one in (dataset, *below):
        del pool.datasets[one.name]
        one.name = new_name + one.name.removeprefix(name)
        pool.datasets[one.name] = one


def promote(pool: FakeZpool, name: str) -> None:
    """Make a clone the owner of its origin, and of what is older; EINVAL, EEXIST."""
    dataset = pool.dataset(name)
    origin = dataset.origin
    if origin is None:
        raise RefusedError(EINVAL)
    old_owner = origin.dataset
    moving: dict[str, FakeSnapshot] = {}
    for leaf, snapshot in old_owner.snapshots.items():
        moving[leaf] = snapshot
        if snapshot is origin:
            break
    if moving.keys() & dataset.snapshots.keys():
        raise RefusedError(EEXIST)
    for leaf, snapshot in moving.items():
        del old_owner.snapshots[leaf]
        snapshot.dataset = dataset
    dataset.snapshots = moving | dataset.snapshots
    dataset.origin, old_owner.origin = old_owner.origin, origin
    if old_owner.wrapping_key:
        keys.move(old_owner, dataset)


def _rename_snapshot(pool: FakeZpool, name: str, new_name: str) -> None:
    dataset_name, _, new_leaf = new_name.partition("@")
    if name.partition("@")[0] != dataset_name:
        raise RefusedError(EXDEV)
    snapshot = pool.snapshot(name)
    snapshots = snapshot.dataset.snapshots
    if new_leaf in snapshots:
        raise RefusedError(EEXIST)
    leaf, snapshot.leaf = snapshot.leaf, new_leaf
    # The order is that of their age.
    snapshot.dataset.snapshots = {
        new_leaf if key == leaf else key: one for key, one in snapshots.items()
    }


def _require_all(names: Sequence[str], check: Callable[[str], object]) -> None:
    """All pass a check, or none may go on."""
    errno_of: dict[str, int] = {}
    for name in names:
        try:
            check(name)
        except RefusedError as exc:
            errno_of[name] = exc.errno
    if errno_of:
        raise RefusedError(next(iter(errno_of.values())), errno_of)


def _dataset_of(pool: FakeZpool, snapshot_name: str) -> FakeDataset:
    dataset_name, at, _ = snapshot_name.partition("@")
    if not at:
        raise RefusedError(EINVAL)
    return pool.dataset(dataset_name)


def _is_needed(pool: FakeZpool, snapshot: FakeSnapshot) -> bool:
    return bool(snapshot.holds or pool.clones_of(snapshot))


def entry_of(pool: FakeZpool, name: str) -> FakeEntry:
    """The dataset or snapshot of this name; ENOENT."""
    entry = pool.find(name)
    if entry is None:
        raise RefusedError(ENOENT)
    return entry


def increment(old: FakeSnapshot, new: FakeSnapshot) -> bytes:
    """The stream between two snapshots of a zvol; EXDEV where the older is no ancestor."""
    if old not in _ancestors(new):
        raise RefusedError(EXDEV)
    numbers = sorted(old.blocks.keys() | new.blocks.keys())
    changed = [
        (number, number in new.blocks)
        for number in numbers
        if old.blocks.get(number) is not new.blocks.get(number)
    ]
    last_block = max(new.blocks, default=0)
    return increment_stream(changed, block_bytes=BLOCK_BYTES, last_block=last_block)


def _ancestors(snapshot: FakeSnapshot) -> Iterator[FakeSnapshot]:
    here: FakeSnapshot | None = snapshot
    while here is not None:
        siblings = list(here.dataset.snapshots.values())
        yield from siblings[: siblings.index(here)]
        here = here.dataset.origin
        if here is not None:
            yield here
