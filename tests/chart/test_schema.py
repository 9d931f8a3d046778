"""What the chart refuses of its values, before it renders anything."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from csi_zfs.settings import POOL_TABLE, SETTINGS_TABLE
from csi_zfs.settings.model import CONTROLLER_TABLE
from tests.chart.helm import CHART, Case, HelmRefusedError, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
# What is Kubernetes' own form is checked by the API server.
FREE = {"global", "resources", "tolerations", "affinity", "updateStrategy", "metricsFrom"} | {
    "allowedTopologies"
}

REFUSED = [
    ("pool=[]", "additional properties 'pool' not allowed"),
    ("node.options={}", "additional properties 'options' not allowed"),
    ('node.settings={"rpc_thread": 3}', "additional properties 'rpc_thread' not allowed"),
    ('node.settings={"rpc_threads": "3"}', "got string, want integer"),
    ('node.settings={"rpc_threads": 3.5}', "want integer"),
    ('node.settings={"freeze_limit_s": 61}', "/node/settings/freeze_limit_s"),
    ('controller.settings={"freeze_limit_s": 6}', "not allowed"),
    ('controller.replicas="two"', "got string, want integer"),
    ("controller.replicas=0", "/controller/replicas"),
    ('kubeletDir="var/lib/kubelet"', "/kubeletDir"),
    ('kubeletDir="/var/lib/../kubelet"', "/kubeletDir"),
    ('driverName="Zfs"', "/driverName"),
    ('image.tag="latest"', "/image/tag"),
    ('sidecars.resizer.image.tag="latest"', "/sidecars/resizer/image"),
    ('image.digest="sha256:12"', "/image/digest"),
    ('pools=[{"path": "/srv/a/b"}]', "missing property 'name'"),
    ('pools=[{"name": "a"}]', "/pools/0"),
    ('pools=[{"name": "a", "path": "/srv/a/b", "dataset": "tank/csi"}]', "/pools/0"),
    ('pools=[{"name": "a", "pth": "/srv/a/b"}]', "'pth' not allowed"),
    ('pools=[{"name": "a", "path": "/srv/a/b", "create": "yes"}]', "want boolean"),
    ('nodeGroups=[{"name": "tank"}]', "missing property 'pools'"),
    ('nodeGroups=[{"name": "tank", "pools": []}]', "/nodeGroups/0/pools"),
    ('tls.mode="none"', "/tls/mode"),
    ('apis.snapshots="yes"', "/apis/snapshots"),
    ('storageClasses=[{"name": "a", "fstype": "xfs"}]', "'fstype' not allowed"),
    ('storageClasses=[{"name": "a", "fsType": "btrfs"}]', "/storageClasses/0/fsType"),
    ('storageClasses=[{"name": "a", "parameters": {"thick": true}}]', "want string"),
    ('volumeAttributesClasses=[{"name": "a"}]', "missing property 'parameters'"),
    ('sidecars.provisioner.timeout="60"', "/sidecars/provisioner/timeout"),
    ('controller.secretAccess=[{"names": ["a"]}]', "missing property 'namespace'"),
]
REFUSED_BY_TEMPLATES = [
    ("pools=[]", "no node would have a pool"),
    ('pools=[{"name": "a", "path": "/pool"}]', "one directory deeper than /pool"),
    ('pools=[{"name": "a", "path": "/var/lib/pool"}]', "/var/lib is not one to show"),
    ('tls.mode="existingSecret"', "needs tls.agentSecret"),
]


@pytest.mark.parametrize(("text", "words"), [*REFUSED, *REFUSED_BY_TEMPLATES])
def test_wrong_value_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(HelmRefusedError) as refused:
        render(Case(sets=(text,)))
    assert words in str(refused.value)


def objects(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of an object with its place."""
    if schema.get("type") == "object":
        yield place, schema
    for name, child in (schema.get("properties", {}) | schema.get("definitions", {})).items():
        yield from objects(child, f"{place}/{name}")
    if "items" in schema:
        yield from objects(schema["items"], f"{place}[]")


def test_schema_knows_every_key_of_every_object() -> None:
    """An object that takes any key would take a misspelt one."""
    for place, schema in objects(SCHEMA):
        name = place.rpartition("/")[2]
        is_map = schema.get("additionalProperties") == {"type": "string"}
        assert schema.get("additionalProperties") is False or is_map or name in FREE, place


def described(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{place}/{name}", child.get("description", "")
        yield from described(child, f"{place}/{name}")
    if "items" in schema:
        yield from described(schema["items"], f"{place}[]")


def test_schema_says_what_every_value_means() -> None:
    # The name of a Secret for the registry says it all.
    silent = [place for place, words in described(SCHEMA) if not words.endswith((".", "."))]
    assert silent == ["/imagePullSecrets[]/name"]


def leaves(schema: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, child in schema.get("properties", {}).items():
        yield (*place, name)
        yield from leaves(child, (*place, name))


@pytest.mark.parametrize("place", sorted(leaves(SCHEMA)), ids="/".join)
def test_every_value_has_a_default(place: tuple[str, ...]) -> None:
    """values.yaml shows all there is; what is left to the driver is not said twice."""
    if place[0] == "global" or "settings" in place[:-1] or "issuerRef" in place[:-1]:
        return
    value: Any = VALUES
    for name in place:
        assert name in value
        value = value[name]


def names_of(*path: str) -> set[str]:
    schema: dict[str, Any] = SCHEMA
    for name in path:
        schema = schema[name]
    return set(schema["properties"])


def test_settings_of_the_chart_are_those_of_the_driver() -> None:
    """A setting that the driver gains is one that the chart gives or passes on."""
    assert names_of("definitions", "pool") == {spec.key for spec in POOL_TABLE}
    given_by_the_chart = {
        *("driver_name", "endpoint", "topology_key", "tls_dir", "metrics_address", "log_format"),
        *("log_level", "node_id", "agent_address", "registration_dir", "kubelet_dir", "state_dir"),
        *("proc_dir", "agents_service", "forgotten_config_map"),
    }
    of_node = {spec.key for spec in SETTINGS_TABLE} - given_by_the_chart
    of_controller = {spec.key for spec in CONTROLLER_TABLE} - given_by_the_chart
    assert names_of("properties", "node", "properties", "settings") == of_node
    assert names_of("properties", "controller", "properties", "settings") == of_controller
