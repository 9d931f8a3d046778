"""The running cluster for the tests of this room; what it said is kept where one fails."""

import os
import re
import uuid
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.cluster.cluster import Cluster, find_cluster
from e2e.cluster.kubectl import Kubectl
from e2e.cluster.layout import Layout, state_directory
from e2e.cluster.tests.kinds import native_nodes
from e2e.cluster.tests.release import Release, installed
from e2e.cluster.tests.workloads import Workloads
from e2e.vm.cache import locked
from tests.conftest import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]

_LIMIT_S = 600
_CLUSTER = pytest.StashKey[Cluster]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the logs of tests that fail go."""
    parser.addoption("--results", type=Path, default=Path("build/e2e-cluster/run"))


def pytest_sessionstart(session: pytest.Session) -> None:
    """End at once, with words, where there is no cluster."""
    cluster = find_cluster(Layout(state_directory(os.environ)))
    if cluster is None:
        pytest.exit(
            "these tests need a cluster: `make cluster` starts one, `make e2e-cluster` runs them",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )
    session.config.stash[_CLUSTER] = cluster
    # Each installs the driver, and ends nodes: two at once would be in each other's way.
    stack = ExitStack()
    lock = cluster.layout.root / "tests.lock"
    stack.enter_context(locked(lock, "other tests in this cluster"))
    session.config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a cluster more time than a process."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LIMIT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect all logs while everything of a test that failed is still there."""
    report = yield
    if report.failed and call.when in {"setup", "call"}:
        target = item.config.getoption("results") / re.sub(r"[^\w.-]+", "_", item.name)
        item.config.stash[_CLUSTER].collect(target)
        report.sections.append(("the cluster", f"its logs are in {target}"))
    return report


@pytest.fixture(scope="session", name="cluster")
def fixture_cluster(request: pytest.FixtureRequest) -> Cluster:
    """The running cluster."""
    return request.config.stash[_CLUSTER]


@pytest.fixture(scope="module", name="release")
def fixture_release(cluster: Cluster) -> Iterator[Release]:
    """The driver, installed without values, for the tests of a module."""
    with installed(cluster) as release:
        yield release


@pytest.fixture(name="node")
def fixture_node(release: Release) -> str:
    """A native node with the driver, where a test is about one of any kind."""
    return native_nodes(release.cluster)[0]


@pytest.fixture(name="kubectl")
def fixture_kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    """A namespace, and kubectl in it, for one test; it goes with all that is in it."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl.run("create", "namespace", namespace)
    kubectl = cluster.kubectl.in_namespace(namespace)
    # The token of this account is mounted into every pod.
    kubectl.wait("create", "serviceaccount/default")
    yield kubectl
    cluster.kubectl.run("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(name="workloads")
def fixture_workloads(kubectl: Kubectl) -> Workloads:
    """Pods and claims in the test's own namespace."""
    return Workloads(kubectl)
