"""Which agents a cluster has, as its endpoints say."""

from collections.abc import Mapping
from urllib.parse import unquote

import pytest

from csi_zfs.cluster.agents import AgentDiscovery, addresses_in
from csi_zfs.cluster.client import ClusterForbidsError, ClusterUnavailableError
from tests.support.api_server import END_OF_WATCH, FakeApiServer, Json, endpoint, endpoint_slice
from tests.support.clock import FakeClock

NODE_1 = endpoint("node-1", "10.0.0.1", ready=True)
NODE_2 = endpoint("node-2", "10.0.0.2", ready=False)


class Told:
    """What the router heard."""

    def __init__(self) -> None:
        self.addresses: list[dict[str, str]] = []

    def __call__(self, addresses: Mapping[str, str]) -> None:
        self.addresses.append(dict(addresses))


class StoppedError(Exception):
    """Ends what runs for ever."""


def discovery(api: FakeApiServer, told: Told, clock: FakeClock | None = None) -> AgentDiscovery:
    return AgentDiscovery(api.client(), "kube-system", "csi-zfs", told, clock or FakeClock())


def test_agents_are_the_endpoints_of_their_service_ready_or_not(api: FakeApiServer) -> None:
    api.slices = [endpoint_slice("a", NODE_1), endpoint_slice("b", NODE_2)]
    told = Told()

    assert discovery(api, told).read() == "7"

    assert told.addresses == [{"node-1": "10.0.0.1:9809", "node-2": "10.0.0.2:9809"}]
    (method, path) = api.asked[0]
    assert method == "GET"
    assert "/namespaces/kube-system/endpointslices" in path
    assert "labelSelector=kubernetes.io/service-name=csi-zfs" in unquote(path)


@pytest.mark.parametrize(
    ("endpoints", "address"),
    [
        ([endpoint("n", "1.1.1.1", ready=False), endpoint("n", "2.2.2.2", ready=True)], "2.2.2.2"),
        (
            [
                endpoint("n", "1.1.1.1", ready=False, terminating=False),
                endpoint("n", "2.2.2.2", ready=False, terminating=True),
            ],
            "1.1.1.1",
        ),
        ([endpoint("n", "fd00::1", ready=True)], "[fd00::1]"),
        ([endpoint("n", "1.1.1.1")], "1.1.1.1"),
    ],
)
def test_node_has_one_address_while_its_pod_is_replaced(
    endpoints: list[Json], address: str
) -> None:
    for order in (endpoints, endpoints[::-1]):
        assert addresses_in([endpoint_slice("a", *order)]) == {"n": f"{address}:9809"}


def test_what_is_no_agent_of_a_node_is_passed_over() -> None:
    nowhere: Json = {"nodeName": None, "addresses": ["10.0.0.9"]}

    assert addresses_in([endpoint_slice("a", nowhere)]) == {}
    assert addresses_in([endpoint_slice("a", NODE_1, port_name="http")]) == {}
    assert addresses_in([{"metadata": {"name": "a"}, "ports": None, "endpoints": None}]) == {}


def test_changes_are_told_as_they_come(api: FakeApiServer) -> None:
    api.slices = [endpoint_slice("a", NODE_1)]
    told = Told()
    for kind, changed in (
        ("ADDED", endpoint_slice("b", NODE_2)),
        ("MODIFIED", endpoint_slice("a", endpoint("node-1", "10.0.0.7", ready=True))),
        ("BOOKMARK", endpoint_slice("c", endpoint("node-3", "10.0.0.3"))),
        ("DELETED", endpoint_slice("b")),
    ):
        changed["metadata"]["resourceVersion"] = "8"
        api.events.put({"type": kind, "object": changed})
    api.events.put(END_OF_WATCH)

    discovery(api, told).follow()

    assert [sorted(addresses) for addresses in told.addresses] == [
        ["node-1"],
        ["node-1", "node-2"],
        ["node-1", "node-2"],
        ["node-1", "node-2"],
        ["node-1"],
    ]
    assert told.addresses[-1] == {"node-1": "10.0.0.7:9809"}


def test_watch_that_is_too_old_has_to_be_begun_anew(api: FakeApiServer) -> None:
    too_old = {"code": 410, "reason": "Expired", "message": "too old"}
    api.events.put({"type": "ERROR", "object": too_old})

    with pytest.raises(ClusterUnavailableError, match="410"):
        discovery(api, Told()).follow()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, ClusterForbidsError),
        (500, ClusterUnavailableError),
        (404, ClusterUnavailableError),
    ],
)
def test_what_the_api_server_refuses_is_told_by_its_kind(
    api: FakeApiServer, status: int, error: type[Exception]
) -> None:
    api.refusal = status

    with pytest.raises(error, match="endpoints of service kube-system/csi-zfs"):
        discovery(api, Told()).follow()


@pytest.mark.expected_logs("the agents of the cluster are not followed now")
def test_while_the_api_server_is_away_what_was_told_holds_and_it_is_asked_again(
    api: FakeApiServer,
) -> None:
    told, pauses = Told(), list[float]()

    class Clock(FakeClock):
        def wait(self, seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 7:
                raise StoppedError

    api.refusal = 503
    with pytest.raises(StoppedError):
        discovery(api, told, Clock()).run_forever()

    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert told.addresses == []


def test_watches_that_end_at_once_are_begun_anew_after_a_pause(api: FakeApiServer) -> None:
    class Clock(FakeClock):
        def wait(self, seconds: float) -> None:
            assert seconds == 1
            raise StoppedError

    api.events.put(END_OF_WATCH)
    with pytest.raises(StoppedError):
        discovery(api, Told(), Clock()).run_forever()


def test_api_server_that_is_not_there_is_told_as_away() -> None:
    nobody = FakeApiServer(port=1)

    with pytest.raises(ClusterUnavailableError, match="does not answer"):
        discovery(nobody, Told()).read()
