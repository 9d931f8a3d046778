"""`make bench-router`: the router before many simulated nodes, and beside direct calls.

It fails on no figure.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.router.connection import AgentConnection
from csi_zfs.rpc.router.methods import GET_VOLUME
from csi_zfs.rpc.tls import TlsDirectory, agent_name, client_credentials, controller_name
from tests.bench.figures import Batch, Figure, Section, Series, Table, Target
from tests.bench.footprint import rss_bytes
from tests.bench.rendering import ROUTER_TITLE, milliseconds, to_markdown, to_text, with_section
from tests.bench.simulated_agents import DRIVER, HOST, TOPOLOGY_KEY, node_name, volume_id_on
from tests.support.certificates import Authority
from tests.support.csi_messages import mount_capability
from tests.support.leftovers import scratch_directory
from tests.support.process import DriverPaths, RealDriver, running_driver

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
LIMIT_S = 120.0
CALLS = 300
FEW_CALLS = 20


@dataclass(slots=True)
class Agents:
    """One process with many agents."""

    tls_dir: Path
    first: int
    count: int
    volumes: int
    ports: list[int] = field(default_factory=list)
    _process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Start it, at the ports of the time before."""
        command = [sys.executable, "-m", "tests.bench.simulated_agents", "--tls", str(self.tls_dir)]
        command += ["--first", str(self.first), "--count", str(self.count)]
        command += ["--volumes", str(self.volumes), "--ports", json.dumps(self.ports)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.ports = json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@dataclass(frozen=True, slots=True)
class Stand:
    """A router before its nodes."""

    router: RealDriver
    agents: Sequence[Agents]
    direct: AgentConnection
    nodes: int


@contextmanager
def standing(root: Path, *, nodes: int, volumes: int, processes: int) -> Iterator[Stand]:
    """Start everything; the router is ready when this returns."""
    authority = Authority()
    agent_tls = authority.write(root / "agent-tls", agent_name(DRIVER))
    router_tls = authority.write(root / "router-tls", controller_name(DRIVER))
    each = nodes // processes
    with ExitStack() as stack:
        agents = [Agents(agent_tls, each * part, each, volumes) for part in range(processes)]
        for one in agents:
            stack.callback(one.kill)
            one.start()
        paths = DriverPaths(root / "router")
        paths.root.mkdir()
        ports = itertools.chain.from_iterable(one.ports for one in agents)
        settings = {
            "endpoint": f"unix://{paths.socket}",
            "tls_dir": str(router_tls),
            "agents": [
                {"node_id": node_name(number), "address": f"{HOST}:{port}"}
                for number, port in enumerate(ports)
            ],
        }
        paths.config.write_text(json.dumps(settings))
        router = stack.enter_context(running_driver(paths, role="controller"))
        direct = AgentConnection(
            node_name(0),
            f"{HOST}:{agents[0].ports[0]}",
            client_credentials(TlsDirectory(router_tls).read()),
            agent_name(DRIVER),
        )
        stack.callback(direct.close)
        yield Stand(router, agents, direct, each * processes)


def timed(call: Callable[[], object], count: int) -> Series:
    """So many calls, one after the other; the first is not counted."""
    call()
    latencies = []
    for _ in range(count):
        begin = time.perf_counter_ns()
        call()
        latencies.append(time.perf_counter_ns() - begin)
    series = Series()
    series.add(Batch.in_turn(latencies))
    return series


def create_request(names: Iterator[int], nodes: Sequence[int]) -> csi_pb2.CreateVolumeRequest:
    """A volume of a new name on one of these nodes."""
    places = [csi_pb2.Topology(segments={TOPOLOGY_KEY: node_name(node)}) for node in nodes]
    return csi_pb2.CreateVolumeRequest(
        name=f"new-{next(names)}",
        volume_capabilities=[mount_capability()],
        accessibility_requirements=csi_pb2.TopologyRequirement(requisite=places),
    )


def measure(stand: Stand) -> Section:
    """Everything that the page tells."""
    client, controller = stand.router.client, stand.router.client.controller
    get = csi_pb2.ControllerGetVolumeRequest(volume_id=volume_id_on(0, 0))
    names = itertools.count()
    idle_bytes = rss_bytes(stand.router.pid)

    def capacity(node: int | None) -> object:
        place = None if node is None else csi_pb2.Topology(segments={TOPOLOGY_KEY: node_name(node)})
        request = csi_pb2.GetCapacityRequest(accessible_topology=place)
        return controller.GetCapacity(request, timeout=LIMIT_S)

    def create(nodes: Sequence[int]) -> object:
        return controller.CreateVolume(create_request(names, nodes), timeout=LIMIT_S)

    first_list_s, found = _listed(stand)
    direct = timed(lambda: stand.direct.call(GET_VOLUME, get, LIMIT_S), CALLS)
    routed = timed(lambda: controller.ControllerGetVolume(get, timeout=LIMIT_S), CALLS)
    probe = timed(lambda: client.is_ready(within_s=LIMIT_S), CALLS)
    one = timed(lambda: create([0]), CALLS)
    many = timed(lambda: create(range(stand.nodes)), FEW_CALLS)
    room = timed(lambda: capacity(0), CALLS)
    all_room = timed(lambda: capacity(None), FEW_CALLS)
    second_list_s, _ = _listed(stand)
    away_s, back_s = _flap(stand)
    busy_bytes = rss_bytes(stand.router.pid)
    rows = [
        ("first list of all volumes, nobody known before", f"{found:,} in {first_list_s:.1f} s"),
        ("the same again", f"{second_list_s:.1f} s"),
        ("Probe of the router", milliseconds(probe.p50_s)),
        ("ControllerGetVolume, direct", milliseconds(direct.p50_s)),
        ("ControllerGetVolume, through the router", milliseconds(routed.p50_s)),
        ("CreateVolume, one node allowed", milliseconds(one.p50_s)),
        (f"CreateVolume, all {stand.nodes:,} allowed and asked", milliseconds(many.p50_s)),
        ("GetCapacity of one node", milliseconds(room.p50_s)),
        (f"GetCapacity of all {stand.nodes:,}", milliseconds(all_room.p50_s)),
        ("a list is refused, once a quarter of the nodes is away", f"{away_s:.1f} s"),
        ("a list is whole again, once they are back", f"{back_s:.1f} s"),
        ("memory (RSS) before the first call", f"{idle_bytes / MIB:.0f} MiB"),
        ("memory (RSS) with connections to all nodes", f"{busy_bytes / MIB:.0f} MiB"),
    ]
    own_s = routed.p50_s - direct.p50_s
    return Section(
        title=ROUTER_TITLE,
        note=(
            f"Measured by `make bench-router`: {stand.nodes:,} simulated nodes with"
            f" {found // stand.nodes} volumes each in {len(stand.agents)} processes on this"
            " machine, real gRPC and TLS between, one client; p50. The simulated nodes do nothing."
        ),
        tables=[Table(("what", "measured"), rows)],
        figures=[
            Figure(
                "the router's own part of a call, p50",
                milliseconds(own_s),
                "1.5 ms",
                own_s / 0.0015,
                Target(1.0),
            ),
        ],
    )


def _listed(stand: Stand) -> tuple[float, int]:
    begin = time.monotonic()
    found = sum(len(page) for page in stand.router.client.list_volumes())
    return time.monotonic() - begin, found


def _flap(stand: Stand) -> tuple[float, float]:
    """Seconds until a list is refused after nodes went, and whole after they are back."""
    stand.agents[0].kill()
    away_s = _until(lambda: not _is_whole(stand))
    stand.agents[0].start()
    return away_s, _until(lambda: _is_whole(stand))


def _until(is_so: Callable[[], bool]) -> float:
    begin = time.monotonic()
    while not is_so():
        if time.monotonic() - begin > LIMIT_S:
            raise TimeoutError
    return time.monotonic() - begin


def _is_whole(stand: Stand) -> bool:
    try:
        _listed(stand)
    except grpc.RpcError:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the section of the page; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.router", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--volumes", type=int, default=100)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="write the section there")
    asked = parser.parse_args(arguments)
    with (
        scratch_directory("csi-zfs-router-") as root,
        standing(
            root, nodes=asked.nodes, volumes=asked.volumes, processes=asked.processes
        ) as stand,
    ):
        section = measure(stand)
    print(to_text(section))
    if asked.markdown:
        page = asked.markdown.read_text(encoding="utf-8")
        asked.markdown.write_text(with_section(page, to_markdown(section)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
