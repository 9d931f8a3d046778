"""A Kubernetes API server that knows just what the driver asks, over HTTP.

The real one stands in the cluster of e2e/cluster; this one can be away, refuse and lose a watch.
"""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

Json = dict[str, Any]
END_OF_WATCH: Json = {}


def endpoint_slice(name: str, *endpoints: Json, port_name: str = "agent") -> Json:
    """An EndpointSlice of a service whose agents listen at 9809."""
    return {
        "metadata": {"name": name},
        "ports": [{"name": "metrics", "port": 9808}, {"name": port_name, "port": 9809}],
        "endpoints": list(endpoints),
    }


def endpoint(node_id: str, address: str, **conditions: bool) -> Json:
    """One endpoint, in a state that its conditions tell."""
    return {"nodeName": node_id, "addresses": [address], "conditions": conditions}


@dataclass
class FakeApiServer:
    """What it has, and what it was asked; `refusal` is the status of every answer, if there is one.

    Attributes:
        events: what a watch gets, one by one; `END_OF_WATCH` ends it.
        asked: method and path of each request.
    """

    slices: list[Json] = field(default_factory=list)
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)
    volumes: list[Json] = field(default_factory=list)
    snapshots: list[Json] | None = None
    refusal: int = 0
    events: "queue.Queue[Json]" = field(default_factory=queue.Queue)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def client(self) -> client.ApiClient:
        """The real client, for this server."""
        configuration = client.Configuration()
        configuration.host = f"http://127.0.0.1:{self.port}"
        configuration.retries = False
        return client.ApiClient(configuration)

    def get(self, path: str, query: dict[str, list[str]]) -> tuple[int, Json]:
        """The answer to a GET that is no watch."""
        match path.strip("/").split("/"):
            case [*_, "endpointslices"]:
                return 200, {"metadata": {"resourceVersion": "7"}, "items": self.slices}
            case [*_, "persistentvolumes"]:
                return 200, _page(self.volumes, query)
            case [*_, "volumesnapshotcontents"] if self.snapshots is not None:
                return 200, {"metadata": {}, "items": self.snapshots}
            case [*_, namespace, "configmaps", name] if f"{namespace}/{name}" in self.config_maps:
                return 200, {"data": self.config_maps[f"{namespace}/{name}"]}
        return 404, {"reason": "NotFound"}

    def patch(self, path: str, change: Json) -> tuple[int, Json]:
        """The answer to a PATCH, a merge."""
        *_, namespace, _kind, name = path.strip("/").split("/")
        if f"{namespace}/{name}" not in self.config_maps:
            return 404, {"reason": "NotFound"}
        self.config_maps[f"{namespace}/{name}"] |= change["data"]
        return 200, {"data": self.config_maps[f"{namespace}/{name}"]}


def _page(items: list[Json], query: dict[str, list[str]]) -> Json:
    begin = int(query.get("continue", ["0"])[0] or 0)
    end = begin + int(query.get("limit", ["500"])[0])
    metadata = {"continue": str(end)} if end < len(items) else {}
    return {"metadata": metadata, "items": items[begin:end]}


class _Server(Protocol):
    api: FakeApiServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"  # type: ignore[assignment] # what `serving` makes

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        query = parse_qs(place.query)
        self.server.api.asked.append(("GET", self.path))
        if self.server.api.refusal:
            self._answer(self.server.api.refusal, {"reason": "Refused"})
        elif "watch" in query:
            self._watch()
        else:
            self._answer(*self.server.api.get(place.path, query))

    def do_PATCH(self) -> None:
        self.server.api.asked.append(("PATCH", self.path))
        change = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.api.refusal:
            self._answer(self.server.api.refusal, {"reason": "Refused"})
        else:
            self._answer(*self.server.api.patch(self.path, change))

    def _watch(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (event := self.server.api.events.get()) is not END_OF_WATCH:
            line = json.dumps(event).encode() + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def serving(api: FakeApiServer) -> Iterator[FakeApiServer]:
    """Serve it for the length of a `with` block; a watch that runs is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.api = api  # type: ignore[attr-defined]
    api.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        api.events.put(END_OF_WATCH)
        server.shutdown()
        thread.join()
        server.server_close()
