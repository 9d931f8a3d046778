"""The settings of a router."""

from pathlib import Path

import pytest

from csi_zfs.settings import (
    Address,
    AgentSettings,
    ControllerSettings,
    ObjectName,
    SettingsError,
    load_controller_settings,
)
from tests.unit.settings.support import write

STATIC = """
[[agents]]
node_id = "node1"
address = "10.0.0.1:9809"

[[agents]]
node_id = "node2"
address = "10.0.0.2:9809"
"""


def test_router_is_told_of_its_agents_one_by_one(tmp_path: Path) -> None:
    settings = load_controller_settings(write(tmp_path, STATIC), {})

    assert settings == ControllerSettings(
        agents=(
            AgentSettings("node1", Address("10.0.0.1", 9809)),
            AgentSettings("node2", Address("10.0.0.2", 9809)),
        )
    )


def test_router_is_told_of_the_service_of_its_agents(tmp_path: Path) -> None:
    text = '''agents_service = "kube-system/csi-zfs-agents"'''
    environ = {"CSI_ZFS_FORGOTTEN_CONFIG_MAP": "kube-system/csi-zfs.forgotten"}

    settings = load_controller_settings(write(tmp_path, text), environ)

    assert settings.agents_service == ObjectName("kube-system", "csi-zfs-agents")
    assert settings.forgotten_config_map == ObjectName("kube-system", "csi-zfs.forgotten")
    assert settings.agents == ()


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "agents", "are missing: name them, or give agents_service"),
        (f'agents_service = "a/b"\n{STATIC}', "agents", "are those of agents_service already"),
        ("agents = 3", "agents", "must be a list of tables"),
        ("agents = [3]", "agents[0]", "must be a table with a node_id and an address"),
        (STATIC.replace("node2", "node1"), "agents[1].node_id", "is that of agents[0] already"),
        (STATIC.replace("0.2:", "0.1:"), "agents[1].address", "is that of agents[0] already"),
        (STATIC.replace("10.0.0.2:9809", ""), "agents[1].address", "is not a host and a port"),
        (STATIC + 'pool = "fast"', "agents[1].pool", "there is no such setting"),
        ('agents_service = "csi-zfs"', "agents_service", "is not a namespace and a name"),
        ('agents_service = "a/B"', "agents_service", "is not a namespace and a name"),
        (f"pools = []\n{STATIC}", "pools", "there is no such setting"),
    ],
)
def test_router_refuses_settings_that_cannot_be_meant(
    tmp_path: Path, text: str, where: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_controller_settings(write(tmp_path, text), {})

    assert (where, True) in [
        (problem.where, words in problem.message) for problem in caught.value.problems
    ]
