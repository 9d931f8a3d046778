"""What the chart renders is taken by a real API server, for every set of values that we show."""

import json
import uuid
from collections.abc import Iterator

import pytest
import yaml

from e2e.cluster.cluster import Cluster
from e2e.cluster.kubectl import Kubectl, Object
from tests.chart.cases import CASES

# Of other people's APIs, which this cluster does not have.
FOREIGN = {"Certificate", "Issuer", "PodMonitor", "ServiceMonitor"}


@pytest.fixture(scope="module", name="namespace")
def fixture_namespace(cluster: Cluster) -> Iterator[Kubectl]:
    name = f"chart-{uuid.uuid4().hex[:8]}"
    cluster.kubectl.run("create", "namespace", name)
    yield cluster.kubectl.in_namespace(name)
    cluster.kubectl.run("delete", "namespace", name, "--wait=false")


def rendered(cluster: Cluster, namespace: str, name: str) -> list[Object]:
    text = cluster.helm.run(*CASES[name].arguments, f"--namespace={namespace}")
    return [one for one in yaml.safe_load_all(text) if one]


@pytest.mark.parametrize("name", CASES)
def test_api_server_takes_what_is_rendered(cluster: Cluster, namespace: Kubectl, name: str) -> None:
    objects = rendered(cluster, namespace.namespace, name)
    own = [one for one in objects if one["kind"] not in FOREIGN]
    for one in own:
        if "namespace" in one["metadata"]:
            # Some are for a namespace of the user's, which is not there.
            one["metadata"]["namespace"] = namespace.namespace
    assert {"DaemonSet", "Deployment", "CSIDriver"} <= {one["kind"] for one in own}

    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": own})
    words = ("apply", "--server-side", "--dry-run=server", "--filename=-")
    answered = namespace.run(*words, data=text)

    assert answered.count("(server dry run)") == len(own)
