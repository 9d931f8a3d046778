"""What the sidecars' own metrics say of their calls to the driver."""

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from e2e.cluster.kubectl import Kubectl
from e2e.cluster.tests.release import Release

_OPERATIONS = "csi_sidecar_operations_seconds"
_CONTROLLER = "--selector=app.kubernetes.io/component=controller"


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of a sidecar, and the port at which that sidecar tells its metrics."""

    name: str
    port: int

    @property
    def method(self) -> str:
        """Its name in the metrics."""
        return f"/csi.v1.Controller/{self.name}"


CREATE_VOLUME = Operation("CreateVolume", 9811)
CREATE_SNAPSHOT = Operation("CreateSnapshot", 9812)


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls that have succeeded: how many, and how long all of them took."""

    count: float = 0
    seconds: float = 0

    def __add__(self, other: "Calls") -> "Calls":
        return Calls(self.count + other.count, self.seconds + other.seconds)

    def __sub__(self, other: "Calls") -> "Calls":
        return Calls(self.count - other.count, self.seconds - other.seconds)

    @property
    def mean_s(self) -> float:
        """Seconds that one took."""
        return self.seconds / self.count


def calls_so_far(release: Release, operation: Operation) -> Calls:
    """The calls since the start of the sidecars, of all replicas."""
    kubectl = release.kubectl
    names = [pod["metadata"]["name"] for pod in kubectl.items("pods", _CONTROLLER)]
    told = [parse_calls(_metrics(kubectl, name, operation.port), operation) for name in names]
    return sum(told, start=Calls())


def parse_calls(text: str, operation: Operation) -> Calls:
    """What the metrics of one sidecar say of an operation."""
    found = Calls()
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.name == _OPERATIONS else ():
            labels = sample.labels
            if labels["method_name"] == operation.method and labels["grpc_status_code"] == "OK":
                if sample.name.endswith("_count"):
                    found += Calls(count=sample.value)
                elif sample.name.endswith("_sum"):
                    found += Calls(seconds=sample.value)
    return found


def _metrics(kubectl: Kubectl, pod: str, port: int) -> str:
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}:{port}/proxy/metrics"
    return kubectl.run("get", f"--raw={path}")
