"""Two volumes that are to come to one path at once: one of them is refused (rules.md B1)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from csi_zfs.domain.ids import EphemeralId
from csi_zfs.services.locks import LockTakenError
from tests.support import builders
from tests.support.node import FakeNode
from tests.support.points import once


def publish_at_target(node: FakeNode, name: str, pod: str) -> None:
    volume_id = node.volumes.create(builders.volume_spec(name)).volume_id
    spec = builders.publish_spec(node.kubelet_dir, volume_id)
    node.publishing.publish(replace(spec, target_path=node.kubelet_dir / "pods" / pod))


def stage_at_target(node: FakeNode, name: str, pod: str) -> None:
    volume_id = node.volumes.create(builders.volume_spec(name)).volume_id
    spec = builders.stage_spec(node.kubelet_dir, volume_id)
    node.publishing.stage(replace(spec, staging_target_path=node.kubelet_dir / "pods" / pod))


def publish_ephemeral_at_target(node: FakeNode, _name: str, pod: str) -> None:
    spec = builders.ephemeral_spec(node.kubelet_dir)
    node.publishing.publish_ephemeral(replace(spec, target_path=node.kubelet_dir / "pods" / pod))


def unpublish_ephemeral_at_target(node: FakeNode, _name: str, pod: str) -> None:
    ephemeral_id = EphemeralId.parse(builders.EPHEMERAL_ID)
    node.publishing.unpublish(ephemeral_id, node.kubelet_dir / "pods" / pod)


@pytest.mark.parametrize(
    "other",
    [
        publish_at_target,
        stage_at_target,
        publish_ephemeral_at_target,
        unpublish_ephemeral_at_target,
    ],
)
def test_call_at_path_to_which_another_volume_comes_is_refused(
    node: FakeNode, other: Callable[[FakeNode, str, str], None]
) -> None:
    refused: list[LockTakenError] = []

    def call_other() -> None:
        with pytest.raises(LockTakenError) as caught:
            other(node, "pvc-2", "one")
        refused.append(caught.value)

    node.effects = once("bind:before", call_other)
    publish_at_target(node, "pvc-1", "one")
    assert refused
    assert node.mounter.mounted_at(node.kubelet_dir / "pods/one")
