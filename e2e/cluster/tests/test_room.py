"""Room: what the scheduler is told of it, and what happens when there is too little for all."""

from collections.abc import Iterator

import pytest

from e2e.cluster.kubectl import Object
from e2e.cluster.tests.kinds import native_nodes
from e2e.cluster.tests.release import Release
from e2e.cluster.tests.volumes import STORAGE_CLASS, claim, mounted, storage_class, using
from e2e.cluster.tests.workloads import Workloads, pod
from e2e.cluster.waiting import wait_until

_THICK = "thick"
_MIB = 1 << 20
_CLAIMS, _ROOM_FOR = 50, 30
_LIMIT_S = 540.0


@pytest.fixture(scope="module", name="thick")
def fixture_thick(release: Release) -> Iterator[str]:
    """A class whose volumes are reserved whole, so that room means something."""
    release.kubectl.apply(storage_class(_THICK, {"provisioning": "thick"}))
    yield _THICK
    release.kubectl.delete(f"storageclass/{_THICK}")


def room_bytes(release: Release, node: str, class_name: str) -> int:
    """The room of a class on a node as the scheduler knows it; 0 before it was told."""
    for one in release.kubectl.items("csistoragecapacities"):
        labels = one.get("nodeTopology", {}).get("matchLabels", {})
        if one["storageClassName"] == class_name and node in labels.values():
            return bytes_of(one.get("maximumVolumeSize") or one["capacity"])
    return 0


def bytes_of(quantity: str) -> int:
    """A quantity of Kubernetes, of those that a driver's numbers become."""
    for suffix, factor in (("Ki", 1 << 10), ("Mi", _MIB), ("Gi", 1 << 30), ("Ti", 1 << 40)):
        if quantity.endswith(suffix):
            return int(quantity.removesuffix(suffix)) * factor
    return int(quantity)


def known_room(release: Release, node: str, class_name: str) -> int:
    wait_until(
        lambda: room_bytes(release, node, class_name) > 0,
        f"the room on {node} is told",
        limit_s=_LIMIT_S,
    )
    return room_bytes(release, node, class_name)


def phases(claims: list[Object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"Bound": [], "Pending": []}
    for one in claims:
        found[one["status"]["phase"]].append(one["metadata"]["name"])
    return found


def test_room_is_told_for_each_node_and_class(release: Release) -> None:
    for node in native_nodes(release.cluster):
        assert known_room(release, node, STORAGE_CLASS) > 1 << 30


def test_claim_that_fits_one_node_only_lands_there(
    release: Release, workloads: Workloads, thick: str
) -> None:
    kubectl, nodes = workloads.kubectl, native_nodes(release.cluster)
    rooms = {node: known_room(release, node, thick) for node in nodes}
    fullest, *_ = nodes
    most = rooms[fullest] * 3 // 4 // _MIB
    kubectl.apply(claim("first", f"{most}Mi", storage_class=thick))
    workloads.start_pod("first", node=fullest, container=mounted(), spec=using("first"))
    left = {node: room // 2 // _MIB for node, room in rooms.items() if node != fullest}
    size = min(left.values())
    assert size * _MIB > rooms[fullest] // 4

    # No selector: the scheduler chooses, by what it knows or by what the driver then refuses.
    kubectl.apply(claim("second", f"{size}Mi", storage_class=thick))
    workloads.start_pod("second", container=mounted(), spec=using("second"), limit_s=_LIMIT_S)

    assert kubectl.get("pod/second")["spec"]["nodeName"] != fullest


def test_of_fifty_claims_just_those_are_bound_that_there_is_room_for(
    release: Release, workloads: Workloads, thick: str
) -> None:
    """The rest waits, is not stuck, and comes in as soon as there is room."""
    kubectl = workloads.kubectl
    node = native_nodes(release.cluster)[0]
    kubectl.wait_until_none("persistentvolumes", limit_s=_LIMIT_S)
    room = known_room(release, node, thick)
    # Thirty and a half: the last half is what nobody gets.
    size = f"{room * 2 // (2 * _ROOM_FOR + 1) // _MIB}Mi"
    names = [f"c-{number}" for number in range(_CLAIMS)]
    kubectl.apply(*(claim(name, size, storage_class=thick, volume_mode="Block") for name in names))
    kubectl.apply(*(_user(name, node) for name in names))

    wait_until(
        lambda: len(phases(kubectl.items("pvc"))["Bound"]) >= _ROOM_FOR,
        f"{_ROOM_FOR} of {_CLAIMS} claims are bound",
        limit_s=_LIMIT_S,
    )
    bound = phases(kubectl.items("pvc"))["Bound"]
    assert len(bound) == _ROOM_FOR
    kubectl.wait("condition=Ready", *(f"pod/{name}" for name in bound), limit_s=_LIMIT_S)
    assert len(phases(kubectl.items("pvc"))["Bound"]) == _ROOM_FOR

    kubectl.delete(*(f"pod/{name}" for name in bound), limit_s=_LIMIT_S)
    kubectl.delete(*(f"pvc/{name}" for name in bound), limit_s=_LIMIT_S)
    rest = [name for name in names if name not in bound]
    kubectl.wait(
        "jsonpath={.status.phase}=Bound", *(f"pvc/{name}" for name in rest), limit_s=_LIMIT_S
    )


def _user(name: str, node: str) -> Object:
    device = {"volumeDevices": [{"name": "volume", "devicePath": "/dev/volume"}]}
    return pod(name, node=node, container=device, spec=using(name))
