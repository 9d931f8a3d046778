import http.client
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.monitoring import MonitoringServer, PortInUseError, _Server
from csi_zfs.services.statistics import PoolStatistics

HOST = "127.0.0.1"


def get(port: int, path: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


@contextmanager
def monitored(*, is_ready: bool = True, metrics: Metrics | None = None) -> Iterator[int]:
    server = MonitoringServer(metrics or Metrics(), is_ready=lambda: is_ready)
    try:
        yield server.start(HOST, 0)
    finally:
        server.stop()


def test_metrics_are_served_in_the_format_of_prometheus() -> None:
    with monitored() as port:
        status, content_type, body = get(port, "/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=0.0.4")
    assert "# TYPE csi_zfs_calls_total counter" in body


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_metrics_are_served_by_ipv6_and_ipv4_at_once() -> None:
    server = MonitoringServer(Metrics(), is_ready=lambda: True)
    try:
        port = server.start("[::]", 0)
        assert get(port, "/healthz")[0] == 200
        with socket.create_connection(("::1", port), timeout=10):
            pass
    finally:
        server.stop()


@pytest.mark.parametrize(("is_ready", "expected"), [(True, 200), (False, 503)])
def test_healthz_says_whether_the_driver_is_ready(*, is_ready: bool, expected: int) -> None:
    with monitored(is_ready=is_ready) as port:
        assert get(port, "/healthz")[0] == expected


@pytest.mark.parametrize("path", ["/", "/metrics/../etc", "/metrics?x"])
def test_anything_else_is_not_found(path: str) -> None:
    with monitored() as port:
        assert get(port, path)[0] == 404


@pytest.mark.expected_logs("GET /metrics met an unexpected error")
def test_unreadable_figures_are_a_server_error_and_no_end() -> None:
    def unreadable() -> list[PoolStatistics]:
        raise ZeroDivisionError

    metrics = Metrics()
    metrics.watch_pools(unreadable)
    with monitored(metrics=metrics) as port:
        assert get(port, "/metrics") == (
            500,
            "text/plain; charset=utf-8",
            "internal error: see the log\n",
        )
        assert get(port, "/healthz")[0] == 200


def test_peer_that_leaves_in_the_middle_harms_nobody() -> None:
    with monitored() as port:
        with socket.create_connection((HOST, port), timeout=10) as peer:
            peer.sendall(b"GET /metr")
        with socket.create_connection((HOST, port), timeout=10) as peer:
            peer.sendall(b"\xff\xfe\r\n\r\n")
        assert get(port, "/healthz")[0] == 200


def test_connection_that_breaks_is_no_matter_for_standard_error(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server = _Server((HOST, 0), metrics=Metrics(), is_ready=lambda: True)
    server.server_close()
    with caplog.at_level(logging.DEBUG, logger="csi_zfs.rpc"), socket.socket() as peer:
        server.handle_error(peer, (HOST, 1))
    assert caplog.records[-1].levelno == logging.DEBUG
    assert capsys.readouterr().err == ""


def test_port_that_is_taken_is_said() -> None:
    with monitored() as port, pytest.raises(PortInUseError, match=str(port)):
        MonitoringServer(Metrics(), is_ready=lambda: True).start(HOST, port)


def test_stop_frees_the_port_and_can_be_repeated() -> None:
    server = MonitoringServer(Metrics(), is_ready=lambda: True)
    port = server.start(HOST, 0)
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        get(port, "/healthz")
