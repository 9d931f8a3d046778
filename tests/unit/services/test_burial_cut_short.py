"""Deletions that were cut short: their repetition finishes them, without a restart."""

from contextlib import suppress

import pytest

from csi_zfs.datasets.api import DatasetBusyError
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.services.sources import SourceMovedError
from tests.support.lineage import Lineage
from tests.support.node import FakeNode
from tests.support.points import once, raising
from tests.support.pool_core import no_effects

LOST = OutcomeUnknownError("cut short")


@pytest.fixture
def lineage(node: FakeNode) -> Lineage:
    """A volume and its snapshot."""
    made = Lineage(node)
    made.snapshot("snapshot", of="volume")
    return made


def cut_short(node: FakeNode, lineage: Lineage, name: str, point: str) -> None:
    """Delete a member, and lose the answer at this point."""
    node.effects = once(point, raising(LOST))
    with pytest.raises(OutcomeUnknownError):
        lineage.delete(name)


@pytest.mark.parametrize("point", ["destroy:before", "retire:before", "retire:after"])
def test_delete_of_a_volume_with_a_snapshot_is_finished(
    node: FakeNode, lineage: Lineage, point: str
) -> None:
    """rules.md A3, B1."""
    cut_short(node, lineage, "volume", point)
    with suppress(SourceMovedError):  # "repeat this call": it finds where the snapshot is now
        lineage.content("snapshot")
    assert lineage.content("snapshot") == {"volume"}
    lineage.delete("volume")
    assert lineage.content("snapshot") == {"volume"}
    lineage.delete("snapshot")
    assert node.names() == set()


def test_delete_is_finished_and_a_new_volume_of_the_name_is_spared(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A2, B1: what the engine had yet to give back may be as large as the volume."""
    cut_short(node, lineage, "volume", "retire:after")
    points: list[str] = []
    node.effects = points.append
    lineage.delete("volume")
    assert "retire:before" in points
    new = Lineage(node)
    new.volume("volume")
    points.clear()
    lineage.delete("volume")
    assert not [point for point in points if point.startswith(("retire", "destroy"))]
    assert new.content("volume") == {"volume"}


def test_delete_that_finds_its_data_in_use_after_it_was_renamed_is_finished(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md B1, B4."""
    node.effects = once("retire:after", raising(DatasetBusyError("process 4711 reads it")))
    with pytest.raises(DatasetBusyError, match="4711"):
        lineage.delete("volume")
    lineage.delete("volume")
    lineage.delete("snapshot")
    assert node.names() == set()


@pytest.mark.parametrize(
    "point",
    [
        f"{verb}:{side}"
        for verb in ("destroy_snapshot", "rename_snapshot", "destroy")
        for side in ("before", "after")
    ],
)
@pytest.mark.parametrize("name", ["snapshot", "clone"])
def test_delete_of_the_last_but_one_is_finished(
    node: FakeNode, lineage: Lineage, point: str, name: str
) -> None:
    """rules.md A3, B1."""
    lineage.clone("clone", of="snapshot")
    lineage.delete("volume")
    node.effects = once(point, raising(LOST))
    with suppress(OutcomeUnknownError):  # not every delete comes to every point
        lineage.delete(name)
    node.effects = no_effects
    for again in (name, "clone", "snapshot"):
        lineage.delete(again)
    assert node.names() == set()


def test_snapshot_that_moved_in_this_moment_is_neither_absent_nor_lost(
    node: FakeNode, lineage: Lineage
) -> None:
    """rules.md A5: a delete of its volume was cut short after the snapshot had moved."""
    cut_short(node, lineage, "volume", "retire:after")
    entry = node.catalogue.read_snapshot(lineage.snapshot("snapshot", of="volume"))
    assert entry.dataset_name == f"v/D-{lineage.volume('volume').uid}"


def test_delete_of_the_last_clone_ends_what_was_deleted_before_it(openzfs_node: FakeNode) -> None:
    """rules.md A3, B1: the clone itself went, and the tombstone of its origin was not buried."""
    lineage = Lineage(openzfs_node)
    lineage.snapshot("snapshot", of="volume")
    lineage.clone("clone", of="snapshot")
    openzfs_node.effects = once("promote:before", raising(DatasetBusyError("it is mounted")))
    for name in ("volume", "snapshot"):
        lineage.delete(name)
    cut_short(openzfs_node, lineage, "clone", "destroy:after")
    assert openzfs_node.names() == {f"v/D-{lineage.volume('volume').uid}"}
    lineage.delete("clone")
    assert openzfs_node.names() == set()
