"""Listings over all nodes: whole, in any pages, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.router.walking import Place
from csi_zfs.services.listing import BadTokenError
from tests.support.routed import RoutedCluster
from tests.unit.rpc.router.calls import Code, Refused, create
from tests.unit.rpc.router.conftest import MakeCluster


def fill(cluster: RoutedCluster, counts: dict[str, int]) -> set[str]:
    return {
        create(cluster, f"{node_id}-{number}", requisite=(node_id,)).volume_id
        for node_id, count in counts.items()
        for number in range(count)
    }


@pytest.mark.parametrize("page_entries", [0, 1, 2, 3, 5, 6, 100])
def test_listing_is_whole_in_any_pages(make_cluster: MakeCluster, page_entries: int) -> None:
    cluster = make_cluster(nodes=4)
    ids = fill(cluster, {"node-2": 3, "node-4": 2})

    pages = list(cluster.client.list_volumes(page_entries=page_entries))

    listed = [volume.volume_id for page in pages for volume in page]
    assert set(listed) == ids
    assert len(listed) == len(ids)
    assert all(pages), "no token may lead to an empty page"
    if page_entries:
        assert all(len(page) <= page_entries for page in pages)


def test_listing_of_nothing_is_one_empty_page(cluster: RoutedCluster) -> None:
    assert list(cluster.client.list_volumes(page_entries=5)) == [[]]


def test_listing_goes_on_behind_an_entry_that_was_deleted(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(nodes=2)
    ids = fill(cluster, {"node-1": 3, "node-2": 1})
    pages = cluster.client.list_volumes(page_entries=2)

    first = [volume.volume_id for volume in next(pages)]
    cluster.client.delete_volume(first[1])
    rest = [volume.volume_id for page in pages for volume in page]

    assert {*first, *rest} == ids


def test_list_with_a_gap_is_never_passed_off_as_whole(cluster: RoutedCluster) -> None:
    fill(cluster, {"node-1": 2, "node-2": 1})

    with cluster.away(2):
        for page_entries in (0, 1):
            with Refused(Code.UNAVAILABLE, "node-2"):
                next(cluster.client.list_volumes(page_entries=page_entries))


def test_snapshots_are_listed_over_all_nodes_and_by_what_they_are_of(
    cluster: RoutedCluster,
) -> None:
    client = cluster.client
    volumes = [create(cluster, node_id, requisite=(node_id,)) for node_id in ("node-1", "node-2")]
    snapshots = [
        client.create_snapshot(f"s-{one.volume_id[-4:]}", one.volume_id) for one in volumes
    ]

    def listed(*, source_volume_id: str = "", snapshot_id: str = "") -> list[str]:
        request = csi_pb2.ListSnapshotsRequest(
            source_volume_id=source_volume_id, snapshot_id=snapshot_id
        )
        answer = client.call(client.controller.ListSnapshots, request)
        return [entry.snapshot.snapshot_id for entry in answer.entries]

    assert sorted(listed()) == sorted(one.snapshot_id for one in snapshots)
    assert listed(source_volume_id=volumes[1].volume_id) == [snapshots[1].snapshot_id]
    assert listed(snapshot_id=snapshots[0].snapshot_id) == [snapshots[0].snapshot_id]
    assert listed(snapshot_id="nothing") == []
    with cluster.away(2):
        assert listed(snapshot_id=snapshots[0].snapshot_id) == [snapshots[0].snapshot_id]
        with Refused(Code.UNAVAILABLE):
            listed(source_volume_id=volumes[1].volume_id)


def test_health_is_listed_over_all_nodes(cluster: RoutedCluster) -> None:
    request = csi_pb2.ControllerListVolumeHealthRequest()
    answer = cluster.client.call(cluster.client.controller.ControllerListVolumeHealth, request)

    assert list(answer.entries) == []


@pytest.mark.parametrize(
    "token", ["!", "!a", "node-1", "invalid-token", "node-9!zfs1", "node-1!nothing"]
)
def test_token_that_was_not_handed_out_begins_anew(cluster: RoutedCluster, token: str) -> None:
    request = csi_pb2.ListVolumesRequest(starting_token=token)

    with Refused(Code.ABORTED, "list again from the start"):
        cluster.client.call(cluster.client.controller.ListVolumes, request)


@given(st.text())
def test_any_text_is_a_place_or_a_bad_token(text: str) -> None:
    try:
        place = Place.parse(text)
    except BadTokenError:
        return
    assert Place.parse(str(place)) == place
