"""The values of the Helm chart: its schema and its defaults are whole, and of this version."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from csi_zfs.settings import CONTROLLER_TABLE, POOL_TABLE, SETTINGS_TABLE
from tests.chart.helm import CHART

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
# What is Kubernetes' own form is checked by the API server.
FREE = {
    *("affinity", "allowedTopologies", "global", "metricsFrom", "resources", "tolerations"),
    "updateStrategy",
}
PROJECT = CHART.parents[1] / "pyproject.toml"


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


def test_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (project, project)
