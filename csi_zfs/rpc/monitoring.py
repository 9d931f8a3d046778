"""A small HTTP server for metrics and liveness: GET /metrics and GET /healthz."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, socket

from csi_zfs.domain.errors import UnavailableError
from csi_zfs.rpc.metrics import CONTENT_TYPE, Metrics

_POLL_S = 0.1

_log = logging.getLogger(__name__)


class PortInUseError(UnavailableError):
    """The address for metrics cannot be listened at."""


@dataclass(frozen=True, slots=True)
class _Page:
    """What a GET is answered with."""

    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: "_Server"
    # A peer that says nothing keeps a thread for no longer than this.
    timeout = 10.0
    server_version = "csi-zfs"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET."""
        try:
            page = self._page()
        except Exception:  # noqa: BLE001 - the peer gets an answer, the log the rest
            _log.exception("GET %s met an unexpected error", self.path)
            page = _Page(HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error: see the log\n")
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        self.wfile.write(page.body)

    def _page(self) -> _Page:
        match self.path:
            case "/metrics":
                return _Page(HTTPStatus.OK, self.server.metrics.render(), CONTENT_TYPE)
            case "/healthz" if self.server.is_ready():
                return _Page(HTTPStatus.OK, b"ok\n")
            case "/healthz":
                return _Page(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    b"the driver is starting, or no pool can be reached\n",
                )
            case _:
                return _Page(HTTPStatus.NOT_FOUND, b"there are /metrics and /healthz\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log a request where the driver logs."""
        _log.debug(format, *args)


class _Server(ThreadingHTTPServer):
    """Ends without waiting for its connections."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], *, metrics: Metrics, is_ready: Callable[[], bool]
    ) -> None:
        self.metrics = metrics
        self.is_ready = is_ready
        host, port = address
        if host.startswith("["):
            # `[::]` takes connections by IPv4 too, unless the machine says otherwise.
            self.address_family = AF_INET6
        super().__init__((host.strip("[]"), port), _Handler)

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: object) -> None:
        """Log what the base would print: a peer that went away, mostly."""
        _log.debug("a connection from %s broke", client_address, exc_info=True)


class MonitoringServer:
    """Serves the metrics of a driver at a local address."""

    def __init__(self, metrics: Metrics, *, is_ready: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._is_ready = is_ready
        self._server: _Server | None = None

    def start(self, host: str, port: int) -> int:
        """Begin to serve; returns the port, a free one for `port` 0; raises `PortInUseError`."""
        try:
            server = _Server((host, port), metrics=self._metrics, is_ready=self._is_ready)
        except OSError as exc:
            raise PortInUseError(f"metrics cannot be served at {host}:{port}: {exc}") from exc
        serve = partial(server.serve_forever, poll_interval=_POLL_S)
        threading.Thread(target=serve, name="monitoring", daemon=True).start()
        self._server = server
        return server.server_port

    def stop(self) -> None:
        """Stop serving.  Safe to repeat."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
