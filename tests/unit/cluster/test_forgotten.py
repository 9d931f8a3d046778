"""Pools that are gone for good, and what a cluster still has of a driver."""

import pytest

from csi_zfs.cluster.client import ClusterForbidsError, ClusterUnavailableError
from csi_zfs.cluster.forgotten import ForgottenPools, NoListError
from csi_zfs.cluster.leftovers import Leftovers, leftovers_of
from csi_zfs.domain.errors import UnavailableError
from tests.support.api_server import FakeApiServer, Json

POOL = "0123456789abcdef"
NAME = "kube-system/csi-zfs-forgotten"
OURS = "csi-zfs.io"


def pools_in(api: FakeApiServer) -> ForgottenPools:
    return ForgottenPools(api.client(), *NAME.split("/"))


def test_pool_is_forgotten_once_somebody_has_said_so(api: FakeApiServer) -> None:
    api.config_maps[NAME] = {"f" * 16: "long ago"}
    pools = pools_in(api)
    assert POOL not in pools

    pools.add(POOL, "node burnt")

    assert POOL in pools
    assert pools.read() == {"f" * 16: "long ago", POOL: "node burnt"}


def test_list_that_the_chart_did_not_make_is_told(api: FakeApiServer) -> None:
    with pytest.raises(NoListError, match=f"ConfigMap {NAME} does not exist"):
        pools_in(api).add(POOL, "")
    with pytest.raises(NoListError):
        pools_in(api).read()


@pytest.mark.expected_logs(f"whether pool {POOL} is forgotten cannot be read")
@pytest.mark.parametrize("status", [403, 404, 500])
def test_pool_is_not_forgotten_where_nobody_can_tell(api: FakeApiServer, status: int) -> None:
    """A delete must never succeed because a question failed."""
    api.config_maps[NAME] = {POOL: "gone"}
    api.refusal = status

    assert POOL not in pools_in(api)


def test_forgetting_that_did_not_work_is_told(api: FakeApiServer) -> None:
    api.config_maps[NAME] = {}
    for status, error in ((403, ClusterForbidsError), (500, ClusterUnavailableError)):
        api.refusal = status
        with pytest.raises(error, match=f"ConfigMap {NAME}"):
            pools_in(api).add(POOL, "")
    api.refusal = 409
    with pytest.raises(UnavailableError, match="changed by somebody else"):
        pools_in(api).add(POOL, "")


def volume(name: str, driver: str = OURS) -> Json:
    return {"metadata": {"name": name}, "spec": {"csi": {"driver": driver}}}


def snapshot(name: str, driver: str = OURS) -> Json:
    return {"metadata": {"name": name}, "spec": {"driver": driver}}


def test_leftovers_are_the_objects_of_this_driver_on_all_pages(api: FakeApiServer) -> None:
    api.volumes = [volume(f"pv-{number}") for number in range(501)]
    api.volumes[250:250] = [
        volume("other", "other.example.io"),
        {"metadata": {"name": "nfs"}, "spec": {"nfs": {}}},
    ]
    api.snapshots = [snapshot("s-1"), snapshot("s-2", "other.example.io")]

    left = leftovers_of(api.client(), OURS)

    assert left.volumes == tuple(f"pv-{number}" for number in range(501))
    assert left.snapshots == ("s-1",)
    assert left


def test_cluster_without_snapshots_has_none(api: FakeApiServer) -> None:
    left = leftovers_of(api.client(), OURS)

    assert left == Leftovers((), ())
    assert not left


def test_what_cannot_be_read_is_not_nothing(api: FakeApiServer) -> None:
    for status, error in ((403, ClusterForbidsError), (500, ClusterUnavailableError)):
        api.refusal = status
        with pytest.raises(error, match="PersistentVolumes"):
            leftovers_of(api.client(), OURS)
