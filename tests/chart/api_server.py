"""An API server that has nothing but Secrets: what Helm's `lookup` asks."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_DISCOVERY: Mapping[str, Mapping[str, Any]] = {
    "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "secrets", "kind": "Secret", "namespaced": True, "verbs": ["get", "list"]}
        ],
    },
}


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        found = _DISCOVERY.get(path) or self.server.secrets.get(path)
        body = found or {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        data = json.dumps(body).encode()
        self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        self.secrets = secrets
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def api_server(*secrets: Mapping[str, Any]) -> Iterator[str]:
    """Serve Secrets as they were rendered; yields the address."""
    by_path = {
        "/api/v1/namespaces/{namespace}/secrets/{name}".format_map(secret["metadata"]): secret
        for secret in secrets
    }
    server = _Server(by_path)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
