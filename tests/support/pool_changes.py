"""What changed between two snapshots of a fake pool: by the bytes of their images."""

from collections.abc import Iterator

from csi_zfs.datasets.api import DatasetKind, UnsupportedFeatureError
from csi_zfs.datasets.changes import UnrelatedSnapshotsError
from csi_zfs.datasets.names import split_snapshot
from csi_zfs.domain.model import ChangedRange
from tests.support.disk import FakeImage
from tests.support.pool_state import PoolState

_BLOCK_BYTES = 4096


def require_comparable(state: PoolState, old_name: str, new_name: str, *, is_lineal: bool) -> None:
    """Raise as `SnapshotChanges` says; `is_lineal`: only an ancestor can be compared with."""
    for name in (old_name, new_name):
        if state.snapshot(name).kind is not DatasetKind.ZVOL:
            raise UnsupportedFeatureError(f"{name} is a snapshot of a file system")
    if is_lineal and old_name not in (new_name, *_ancestors(state, new_name)):
        raise UnrelatedSnapshotsError(f"{old_name} is no ancestor of {new_name}")


def _ancestors(state: PoolState, name: str) -> Iterator[str]:
    while name:
        dataset_name = split_snapshot(name)[0]
        siblings = state.snapshots_of(dataset_name)
        yield from siblings[: siblings.index(name)]
        name = state.dataset(dataset_name).origin
        if name:
            yield name


def changes_of(old: FakeImage, new: FakeImage) -> list[ChangedRange]:
    """The blocks in which two images differ; all of them where their file systems do."""
    if (old.fs_type, old.fs_generation, old.content) != (
        new.fs_type,
        new.fs_generation,
        new.content,
    ):
        return [ChangedRange(0, new.size_bytes, is_zero=False)]
    length = min(max(len(old.raw), len(new.raw)), new.size_bytes)
    before, after = old.raw.ljust(length, b"\0"), new.raw.ljust(length, b"\0")
    changes: list[ChangedRange] = []
    for offset in range(0, length, _BLOCK_BYTES):
        end = min(offset + _BLOCK_BYTES, new.size_bytes)
        block = after[offset : min(end, length)]
        if block != before[offset : min(end, length)]:
            changes.append(ChangedRange(offset, end - offset, is_zero=not any(block)))
    return changes
