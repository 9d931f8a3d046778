"""`python -m e2e.cluster`: a real Kubernetes cluster on this machine, for developers and `make`."""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.assets import cluster_cache, ensure_assets
from e2e.cluster.bench.section import bench as measure
from e2e.cluster.bench.stand import FULL, QUICK
from e2e.cluster.cluster import Cluster, end_cluster, find_cluster, start_cluster
from e2e.cluster.errors import ClusterError, NotRunningError
from e2e.cluster.kubectl import client_environment
from e2e.cluster.layout import Layout, state_directory
from e2e.cluster.making import Caches, Wish, is_same, prepare
from e2e.cluster.making import build as build_plan
from e2e.cluster.run import DEFAULT_LIMIT_S, Selection, run_pytest
from e2e.cluster.suites import SHORT_SUITES, SUITES, run_suites
from e2e.cluster.versions import CONFORMANCE, PROGRAMS
from e2e.image.archive import Archive
from e2e.image.build import image_cache
from e2e.vm.cache import cache_directory, locked
from e2e.vm.errors import VmError
from e2e.vm.progress import say
from tests.support.signals import interrupt_once, undisturbed

_CHECKOUT = Path(__file__).parents[2]
_CACHES = Caches(cluster_cache(os.environ), cache_directory(os.environ), image_cache(os.environ))
_LAYOUT = Layout(state_directory(os.environ))
_LOCK = Path("/run/csi-zfs-cluster.lock")
_RESULTS = _CHECKOUT / "build" / "e2e-cluster"
_INTERRUPTED_STATUS = 130
_TESTS = "e2e/cluster/tests"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    asked = _parsed(arguments)
    interrupt_once()
    command: Callable[[argparse.Namespace], int] = asked.command
    try:
        return command(asked)
    except KeyboardInterrupt:
        say("interrupted")
        return _INTERRUPTED_STATUS
    except (ClusterError, VmError) as exc:
        print(f"cluster: {exc}", file=sys.stderr)
        return 1


def build(asked: argparse.Namespace) -> int:
    """Build what is not in the cache, and say where it is."""
    programs = (*PROGRAMS, *CONFORMANCE) if asked.conformance else PROGRAMS
    assets = ensure_assets(_CHECKOUT, _CACHES.cluster, programs)
    build_plan(_wish(asked), _CHECKOUT, _CACHES)
    for name, path in assets.programs.items():
        say(f"{name}: {path}")
    return 0


def up(asked: argparse.Namespace) -> int:
    """Start a cluster and leave it running."""
    _start(_wish(asked))
    say("a cluster is up")
    say(f"  export KUBECONFIG={_LAYOUT.kubeconfig('admin')} PATH={_LAYOUT.programs}:$PATH")
    for words in ("run", "kubectl get nodes", "node node1", "load IMAGE.tar", "down"):
        say(f"  {sys.executable} -m e2e.cluster {words}")
    return 0


def down(_asked: argparse.Namespace) -> int:
    """End the cluster, with all that it started."""
    with _alone():
        was_there = end_cluster(_LAYOUT)
    say("the cluster is down" if was_there else "no cluster was up")
    return 0


def status(_asked: argparse.Namespace) -> int:
    """Say whether a cluster is up, and what its nodes are."""
    print(_running().kubectl.run("get", "nodes", "--output=wide"), end="")
    return 0


def kubectl(asked: argparse.Namespace) -> int:
    """Run kubectl as the administrator of the running cluster."""
    return _client("kubectl", asked.arguments)


def helm(asked: argparse.Namespace) -> int:
    """Run helm as the administrator of the running cluster."""
    return _client("helm", asked.arguments)


def node(asked: argparse.Namespace) -> int:
    """Run a command on a node, or a shell."""
    words = asked.arguments or ["bash"]
    return subprocess.run(_running().node(asked.name).command(*words), check=False).returncode


def kill(asked: argparse.Namespace) -> int:
    """End a node as a power cut does."""
    _running().node(asked.name).kill()
    return 0


def restart(asked: argparse.Namespace) -> int:
    """Start a node that was killed."""
    _running().restart(asked.name)
    return 0


def load(asked: argparse.Namespace) -> int:
    """Import the archive of an image into every node."""
    _running().load_image(asked.archive)
    return 0


def logs(_asked: argparse.Namespace) -> int:
    """Collect all logs of the running cluster."""
    target = _RESULTS / "logs"
    _running().collect(target)
    say(f"the logs are in {target}")
    return 0


def run(asked: argparse.Namespace) -> int:
    """Run pytest with these arguments against the running cluster, or one for this run alone."""
    arguments = tuple(word for word in asked.arguments if word != "--") or (_TESTS,)
    selection = Selection(arguments, _RESULTS / "run", asked.limit_s)
    if find_cluster(_LAYOUT) is not None:
        return run_pytest(_CHECKOUT, selection)
    with _started(_wish(asked)):
        return run_pytest(_CHECKOUT, selection)


def suites(asked: argparse.Namespace) -> int:
    """Run the suites against a cluster of their own, and end with a summary."""

    @contextmanager
    def start() -> Iterator[Cluster]:
        if find_cluster(_LAYOUT) is not None:
            raise ClusterError("a cluster is up, and these suites want their own: `down` ends it")
        with _started(_wish(asked)) as cluster:
            yield cluster

    chosen = SHORT_SUITES if asked.short else SUITES
    return run_suites(_CHECKOUT, start, _RESULTS, limit_s=asked.limit_s, chosen=chosen)


def bench(asked: argparse.Namespace) -> int:
    """Measure the driver on the running cluster, or one for this run alone."""
    amount = QUICK if asked.quick else FULL
    running = find_cluster(_LAYOUT)
    with contextlib.nullcontext(running) if running else _started(_wish(asked)) as cluster:
        measure(cluster, amount, asked.markdown)
    return 0


@contextmanager
def _started(wish: Wish) -> Iterator[Cluster]:
    try:
        yield _start(wish)
    finally:
        with undisturbed(), _alone():
            end_cluster(_LAYOUT)


def _start(wish: Wish) -> Cluster:
    """Start the cluster, unless the same one runs; one that does not come up leaves its logs."""
    assets, plan = build_plan(wish, _CHECKOUT, _CACHES)
    with _alone():
        running = find_cluster(_LAYOUT)
        if running is not None and is_same(running.plan, plan):
            running.provide(Archive(Path(plan.driver_archive)))
            return running
        if end_cluster(_LAYOUT):
            say("ended the cluster that was there, which was another one")
        try:
            prepare(_LAYOUT, assets)
            return start_cluster(_LAYOUT, plan)
        except BaseException as exc:
            say(f"the cluster does not come up: {str(exc) or type(exc).__name__}")
            with undisturbed():
                _give_up(Cluster(_LAYOUT, plan))
            raise


def _give_up(cluster: Cluster) -> None:
    target = _RESULTS / "did-not-come-up"
    if cluster.layout.logs.exists():
        cluster.collect(target)
        say(f"the logs are in {target}")
    end_cluster(cluster.layout)


@contextmanager
def _alone() -> Iterator[None]:
    if os.geteuid() != 0:
        raise ClusterError("a cluster needs root: nodes have namespaces and mounts of their own")
    with locked(_LOCK, "another command that starts or ends the cluster"):
        yield


def _running() -> Cluster:
    cluster = find_cluster(_LAYOUT)
    if cluster is None:
        raise NotRunningError("no cluster is up: python -m e2e.cluster up")
    return cluster


def _client(name: str, arguments: Sequence[str]) -> int:
    layout = _running().layout
    command = [layout.program(name), *arguments]
    return subprocess.run(command, check=False, env=client_environment(layout)).returncode


def _wish(asked: argparse.Namespace) -> Wish:
    return Wish(asked.nodes, with_openzfs=asked.zfs == "1")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (
        *(build, up, down, status, kubectl, helm, node, kill, restart, load, logs),
        *(run, suites, bench),
    ):
        words = (command.__doc__ or "").splitlines()[0]
        parsed = commands.add_parser(command.__name__, help=words, description=words)
        parsed.set_defaults(command=command)
        _add_arguments(parsed, command)
    return parser.parse_args(arguments)


def _add_arguments(
    parsed: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int]
) -> None:
    if command in {build, up, run, suites, bench}:
        parsed.add_argument("--nodes", type=int, default=2, help="native nodes (2)")
        parsed.add_argument(
            "--zfs", choices=("0", "1"), default="1", help="with a node on real OpenZFS (1)"
        )
    if command is build:
        parsed.add_argument("--conformance", action="store_true", help="Kubernetes' own suite too")
    if command in {run, suites}:
        parsed.add_argument(
            "--limit-s", type=float, default=DEFAULT_LIMIT_S, help="end it after so long"
        )
    if command is suites:
        parsed.add_argument("--short", action="store_true", help="what CI has the time for")
    if command in {node, kill, restart}:
        parsed.add_argument("name", help="of the node")
    if command is bench:
        parsed.add_argument("--quick", action="store_true", help="measure less")
        parsed.add_argument("--markdown", type=Path, metavar="PAGE", help="write the section there")
    if command is load:
        parsed.add_argument("archive", type=Path, help="an OCI archive")
    if command in {kubectl, helm, node, run}:
        parsed.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...")


if __name__ == "__main__":
    sys.exit(main())
