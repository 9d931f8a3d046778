"""All that is left of a node's past, as plain data in which two runs can be compared.

Ids and times differ from run to run; every uid is called by the name of what bears it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from csi_zfs.datasets.api import Dataset, DatasetSnapshot
from csi_zfs.datasets.names import is_tombstone, split_snapshot
from tests.support.disk import FakeImage
from tests.support.node import FakeNode

EndState = dict[str, Any]


def end_state_of(node: FakeNode) -> EndState:
    """What is on the pool, on the node and in the driver's mind."""
    seen = {
        "datasets": dict(_datasets(node)),
        "snapshots": dict(_snapshots(node)),
        "images": dict(_images(node)),
        "devices": sorted(_devices(node)),
        "mounts": sorted(_mounts(node)),
        "paths": sorted(_paths(node)),
        "node state": {key: json.loads(data) for key, data in node.state_store.documents.items()},
        "capacity": asdict(node.pool.capacity()),
        "listed": sorted([*_listed_volumes(node), *_listed_snapshots(node)]),
    }
    text = json.dumps(seen, sort_keys=True).replace(str(node.kubelet_dir), "<kubelet>")
    for uid, label in _labels(node).items():
        text = text.replace(uid, label)
    state: EndState = json.loads(text)
    return state


def _datasets(node: FakeNode) -> Iterator[tuple[str, object]]:
    state = node.pool._state
    for name, dataset in state.datasets.items():
        yield name, _told(dataset) | {"retired": dataset.uid in state.retired_uids}


def _snapshots(node: FakeNode) -> Iterator[tuple[str, object]]:
    for name, snapshot in node.pool._state.snapshots.items():
        yield name, _told(snapshot) | {"holds": sorted(snapshot.holds)}


def _told(entry: Dataset | DatasetSnapshot) -> dict[str, object]:
    return {key: value for key, value in asdict(entry).items() if key != "created_ns"}


def _images(node: FakeNode) -> Iterator[tuple[str, object]]:
    """A file system's generation is told by the images that share it."""
    images = node.disk.images
    for path, image in images.items():
        twins = [
            str(other)
            for other, image_there in images.items()
            if image_there.fs_generation == image.fs_generation
        ]
        yield (
            str(path),
            {
                "size": image.size_bytes,
                "fs_type": image.fs_type,
                "fs_size": image.fs_size_bytes,
                "twins": sorted(twins) if image.fs_generation else [],
                "is_half_formatted": image.is_half_formatted,
                "content": {name: data.decode() for name, data in image.content.items()},
                "raw": image.raw.decode(),
                "is_frozen": image.is_frozen,
                "is_attached": image.is_attached,
            },
        )


def _devices(node: FakeNode) -> Iterator[list[object]]:
    for loop in node.mounter._loops:
        yield [_path_of(node, loop.image), loop.size_bytes, loop.is_read_only]


def _mounts(node: FakeNode) -> Iterator[list[object]]:
    for mount in node.mounter._mounts:
        image = _path_of(node, mount.loop.image)
        yield [str(mount.mount_point), image, mount.fs_type, mount.is_read_only]


def _path_of(node: FakeNode, image: FakeImage) -> str:
    """Where the image is; one that was deleted while it was attached is nowhere."""
    return next((str(path) for path, one in node.disk.images.items() if one is image), "nowhere")


def _paths(node: FakeNode) -> Iterator[str]:
    for parent, directories, files in os.walk(node.kubelet_dir):
        yield from (f"{parent}/{name}" for name in (*directories, *files))


def _listed_volumes(node: FakeNode) -> Iterator[str]:
    for volume in node.volumes.list(max_entries=0, starting_token="").entries:
        yield f"{volume.volume_id} {volume.capacity_bytes} from {volume.content_source}"


def _listed_snapshots(node: FakeNode) -> Iterator[str]:
    page = node.snapshots.list(
        max_entries=0, starting_token="", source_volume_id=None, snapshot_id=None
    )
    for snapshot in page.entries:
        yield f"{snapshot.snapshot_id} {snapshot.size_bytes} of {snapshot.source_volume_id}"


def _labels(node: FakeNode) -> Mapping[str, str]:
    labels: dict[str, str] = {}
    for name, dataset in node.pool._state.datasets.items():
        record = dataset.user_properties
        end = ", deleted" if is_tombstone(name) else ""
        labels[dataset.uid] = f"<{record['volume_name'] or record['ephemeral_id']}{end}>"
    for name, snapshot in node.pool._state.snapshots.items():
        record = snapshot.user_properties
        clones = ", ".join(sorted(node.pool._state.clones_of(name)))
        of = split_snapshot(name)[0]
        labels[snapshot.uid] = f"<{record.get('snapshot_name') or f'of {of} for {clones}'}>"
        if group := record.get("group_snapshot_id"):
            labels[group.rpartition(":")[2]] = f"<group {record['group_snapshot_name']}>"
    return labels
