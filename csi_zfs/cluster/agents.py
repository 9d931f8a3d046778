"""Which agents a cluster has: the endpoints of their headless service, followed as they change.

The cluster's own controllers write the endpoints from where pods really run, so a pod cannot say
that it is on another node than it is.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from kubernetes import client

from csi_zfs.cluster.client import (
    REQUEST_TIMEOUT_S,
    ClusterUnavailableError,
    Json,
    json_of,
    lines_of,
    translating,
)
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.system.clock import Clock

PORT_NAME = "agent"
_WATCH_S = 300
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    """One endpoint of a node; the best of a node sorts last."""

    is_ready: bool
    is_staying: bool
    address: str


def addresses_in(slices: Iterable[Json]) -> dict[str, str]:
    """The address of each node's agent, `host:port`, from EndpointSlices.

    A pod that is not ready yet has its address too.  While a pod is replaced its node has two
    endpoints: the one that is ready counts, or else the one that stays.
    """
    best: dict[str, _Candidate] = {}
    for one in slices:
        port = _port_of(one)
        for endpoint in (one.get("endpoints") or ()) if port else ():
            node_id = endpoint.get("nodeName")
            if node_id and endpoint["addresses"]:
                candidate = _candidate(endpoint, port)
                best[node_id] = max(candidate, best.get(node_id, candidate))
    return {node_id: candidate.address for node_id, candidate in best.items()}


def _port_of(one: Json) -> int:
    ports = [port.get("port") for port in one.get("ports") or () if port.get("name") == PORT_NAME]
    return ports[0] or 0 if ports else 0


def _candidate(endpoint: Json, port: int) -> _Candidate:
    conditions, host = endpoint.get("conditions") or {}, endpoint["addresses"][0]
    return _Candidate(
        is_ready=conditions.get("ready") is not False,
        is_staying=not conditions.get("terminating"),
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
    )


@dataclass(slots=True)
class AgentDiscovery:
    """Follows the endpoints of one service.

    `tell` hears all addresses whenever they may have changed.
    """

    api: client.ApiClient
    namespace: str
    service_name: str
    tell: Callable[[Mapping[str, str]], None]
    clock: Clock
    _slices: dict[str, Json] = field(default_factory=dict)

    def run_forever(self) -> None:
        """Follow them; while the API server is away, what was told last holds."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                self.follow()
            except CsiZfsError as exc:
                log.warning("the agents of the cluster are not followed now: %s", exc)
                self.clock.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                # Whoever ends each watch at once is not asked without end.
                pause_s = _FIRST_PAUSE_S
                self.clock.wait(pause_s)

    def read(self) -> str:
        """Tell the addresses as they are; returns the version from which changes can be followed.

        Raises `ClusterUnavailableError`, `ClusterForbidsError`.
        """
        with translating(self._what):
            found = json_of(
                client.DiscoveryV1Api(self.api).list_namespaced_endpoint_slice(
                    self.namespace,
                    label_selector=self._selector,
                    _request_timeout=REQUEST_TIMEOUT_S,
                    _preload_content=False,
                )
            )
        self._slices = {one["metadata"]["name"]: one for one in found["items"]}
        self.tell(addresses_in(self._slices.values()))
        return str(found["metadata"]["resourceVersion"])

    def follow(self) -> None:
        """Read, and then tell each change until the API server ends the connection.

        Raises as `read`, also where it no longer knows the changes since then.
        """
        version = self.read()
        with translating(self._what):
            for event in self._events(version):
                if event["type"] == "ERROR":
                    raise ClusterUnavailableError(f"the watch ended: {event['object']}")
                self._change(event["type"], event["object"])

    def _events(self, version: str) -> Iterator[Json]:
        """Changes since a version.

        Not by the client's own watch, which ends at a value that its models do not know.
        """
        response = client.DiscoveryV1Api(self.api).list_namespaced_endpoint_slice(
            self.namespace,
            label_selector=self._selector,
            resource_version=version,
            watch=True,
            timeout_seconds=_WATCH_S,
            # A server that lost its power says nothing more.
            _request_timeout=(REQUEST_TIMEOUT_S, _WATCH_S + REQUEST_TIMEOUT_S),
            _preload_content=False,
        )
        return lines_of(response)

    def _change(self, kind: str, one: Json) -> None:
        if kind == "DELETED":
            self._slices.pop(one["metadata"]["name"], None)
        elif kind in {"ADDED", "MODIFIED"}:
            self._slices[one["metadata"]["name"]] = one
        self.tell(addresses_in(self._slices.values()))

    @property
    def _selector(self) -> str:
        return f"kubernetes.io/service-name={self.service_name}"

    @property
    def _what(self) -> str:
        return f"endpoints of service {self.namespace}/{self.service_name}"
