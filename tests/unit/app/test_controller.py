"""The router beside its calls: new certificates, agents asked again, pools that are gone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.app import forgetting
from csi_zfs.app.controller import Link, LookingAround
from csi_zfs.app.forgetting import (
    NotInAClusterError,
    PoolMayBeThereError,
    PoolServedError,
    forget_pool,
)
from csi_zfs.cluster import client
from csi_zfs.rpc.router.fleet import Fleet
from csi_zfs.rpc.tls import agent_name, controller_name
from csi_zfs.settings import ControllerSettings, ObjectName
from tests.support.api_server import FakeApiServer, endpoint, endpoint_slice, serving
from tests.support.certificates import Authority
from tests.support.clock import FakeClock
from tests.support.node import FakeNode
from tests.support.routed import DRIVER, HOST, Agent

GONE = "0123456789abcdef"
LIST = "kube-system/forgotten"


@pytest.fixture(name="authority")
def fixture_authority() -> Authority:
    return Authority()


@pytest.fixture(name="settings")
def fixture_settings(authority: Authority, tmp_path: Path) -> ControllerSettings:
    return ControllerSettings(
        tls_dir=authority.write(tmp_path / "tls", controller_name(DRIVER)),
        agents_service=ObjectName("kube-system", "csi-zfs"),
        forgotten_config_map=ObjectName(*LIST.split("/")),
    )


@pytest.fixture(name="agent")
def fixture_agent(authority: Authority, tmp_path: Path) -> Iterator[Agent]:
    node = FakeNode(tmp_path)
    agent = Agent(node, authority.write(tmp_path / "agent-tls", agent_name(DRIVER)))
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture(name="api")
def fixture_api(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApiServer]:
    """A cluster with one agent."""
    one = endpoint_slice("a", endpoint("node-1", HOST, ready=True))
    one["ports"] = [{"name": "agent", "port": agent.port}]
    with serving(FakeApiServer(slices=[one], config_maps={LIST: {}})) as api:
        monkeypatch.setattr(client, "connect", api.client)
        yield api


def test_router_with_a_new_certificate_connects_anew(
    settings: ControllerSettings, agent: Agent, authority: Authority, tmp_path: Path
) -> None:
    link = Link(settings)
    fleet = Fleet(link.connect)
    around = LookingAround(fleet, link, (), FakeClock())
    around.look()  # nobody is known yet
    fleet.know({"node-1": agent.address})
    around.look()
    first = fleet.member("node-1")
    before = first.connection
    assert first.is_described

    authority.write(settings.tls_dir, controller_name(DRIVER))
    around.look()

    assert first.connection is not before
    assert first.is_described


@pytest.mark.expected_logs("the certificate that was read before is used")
def test_router_keeps_its_certificate_while_there_is_none(
    settings: ControllerSettings, agent: Agent
) -> None:
    link = Link(settings)
    (settings.tls_dir / "tls.crt").unlink()

    assert not link.renew()


def test_pool_that_nobody_has_is_forgotten(
    settings: ControllerSettings, api: FakeApiServer
) -> None:
    forget_pool(settings, GONE, is_sure=False, clock=FakeClock())

    assert list(api.config_maps[LIST]) == [GONE]


def test_pool_that_is_served_is_not_forgotten(
    settings: ControllerSettings, api: FakeApiServer, agent: Agent
) -> None:
    with pytest.raises(PoolServedError, match="is served by node node-1"):
        forget_pool(settings, agent.node.pool.pool_id, is_sure=True, clock=FakeClock())

    assert api.config_maps[LIST] == {}


@pytest.mark.expected_logs("agent of node node-1")
def test_pool_that_may_be_on_a_node_that_is_away_is_forgotten_by_whoever_is_sure(
    settings: ControllerSettings, api: FakeApiServer, agent: Agent
) -> None:
    agent.stop()
    with pytest.raises(PoolMayBeThereError, match=r"node-1: .*--even-if-away"):
        forget_pool(settings, GONE, is_sure=False, clock=FakeClock())
    assert api.config_maps[LIST] == {}

    forget_pool(settings, GONE, is_sure=True, clock=FakeClock())

    assert list(api.config_maps[LIST]) == [GONE]


def test_pool_that_its_node_may_just_not_have_opened_is_forgotten_by_whoever_is_sure(
    settings: ControllerSettings, api: FakeApiServer, agent: Agent
) -> None:
    """A disk that is not there today keeps its data, which nothing would delete any more."""
    agent.stop()
    agent.node.away_pool_names = ("slow",)
    agent.node.restart()
    agent.start()

    with pytest.raises(PoolMayBeThereError, match=r"could not open \(node-1: slow\)"):
        forget_pool(settings, GONE, is_sure=False, clock=FakeClock())
    forget_pool(settings, GONE, is_sure=True, clock=FakeClock())

    assert list(api.config_maps[LIST]) == [GONE]


def test_pools_are_forgotten_in_a_cluster_only(settings: ControllerSettings) -> None:
    alone = ControllerSettings(tls_dir=settings.tls_dir)

    with pytest.raises(NotInAClusterError, match="run this in a pod of the controller"):
        forget_pool(alone, GONE, is_sure=True, clock=FakeClock())


def test_leftovers_are_those_of_the_cluster(api: FakeApiServer) -> None:
    api.volumes = [{"metadata": {"name": "pv"}, "spec": {"csi": {"driver": DRIVER}}}]

    assert forgetting.find_leftovers(DRIVER).volumes == ("pv",)
