"""Holds on snapshots, kept in the snapshot's record, and the destroys that wait for them."""

from dataclasses import replace

from csi_zfs.reflink.engine import Engine
from csi_zfs.reflink.removal import remove_snapshot, snapshot_to_destroy


def destroy_snapshot(engine: Engine, name: str, *, uid: str, is_deferred: bool) -> None:
    """See `DatasetManager.destroy_snapshot`."""
    snapshot = snapshot_to_destroy(engine, name, uid=uid)
    if not (is_deferred and snapshot.holds):
        remove_snapshot(engine, snapshot)
        return
    with engine.root.working(name):
        engine.objects.rewrite_snapshot(replace(snapshot, is_deferred=True))


def hold(engine: Engine, name: str, tag: str) -> None:
    """See `DatasetManager.hold`."""
    snapshot = engine.objects.snapshot(name)
    if tag not in snapshot.holds:
        with engine.root.working(name):
            engine.objects.rewrite_snapshot(replace(snapshot, holds=snapshot.holds | {tag}))


def release(engine: Engine, name: str, tag: str) -> None:
    """See `DatasetManager.release`; the last release of a deferred snapshot destroys it at once."""
    snapshot = engine.objects.snapshot(name)
    if tag not in snapshot.holds:
        return
    left = replace(snapshot, holds=snapshot.holds - {tag})
    if left.is_deferred and not left.holds:
        remove_snapshot(engine, left)
        return
    with engine.root.working(name):
        engine.objects.rewrite_snapshot(left)
