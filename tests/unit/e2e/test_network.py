import json

import pytest

from e2e.cluster.network import taken_networks


def routes(*names: str) -> str:
    return json.dumps([{"dst": name, "dev": "eth0"} for name in names])


@pytest.mark.parametrize("name", ["10.77.0.0/24", "10.77.0.64/26", "10.244.1.0/24", "10.96.0.10"])
def test_machine_that_uses_addresses_of_the_cluster_is_told(name: str) -> None:
    (taken,) = taken_networks(routes("default", name))
    assert taken.startswith(name)


def test_other_networks_and_wider_ones_are_left_alone() -> None:
    assert taken_networks(routes("default", "10.0.0.0/8", "192.168.1.0/24")) == []


def test_machine_without_routes_is_free() -> None:
    assert taken_networks("") == []
