"""What follows the cluster: classes, sidecars, their flags and permissions."""

import pytest

from tests.chart.cases import CASES, DEFAULT
from tests.chart.helm import RELEASE, VALUES, Case, Rendered, container, render
from tests.chart.permissions import granted

SNAPSHOT_KINDS = ("VolumeSnapshotClass", "VolumeGroupSnapshotClass")
GATE = "--feature-gates=CSIVolumeGroupSnapshot=true"


def containers(rendered: Rendered) -> dict[str, list[str]]:
    (deployment,) = rendered.of("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    return {item["name"]: item["args"] for item in pod["containers"]}


def resources(rendered: Rendered) -> set[str]:
    """The API groups of snapshots for which there is a permission, with their resources."""
    # The check before an uninstallation looks for snapshots wherever they may be.
    grants = [grant for grant in granted(rendered, RELEASE) if grant.role != "uninstall-check"]
    return {grant.resource for grant in grants if "snapshot" in grant.resource}


def test_cluster_without_snapshots_has_neither_snapshotter_nor_classes() -> None:
    rendered = render(CASES["no-apis"])
    assert containers(rendered).keys() == {"driver", "csi-provisioner", "csi-resizer"}
    assert not any(rendered.of(kind) for kind in SNAPSHOT_KINDS)
    assert resources(rendered) == set()


def test_cluster_without_group_snapshots_has_no_gate_for_them() -> None:
    rendered = render(CASES["no-group-snapshots"])
    assert GATE not in containers(rendered)["csi-snapshotter"]
    assert rendered.of("VolumeSnapshotClass")
    assert not rendered.of("VolumeGroupSnapshotClass")
    assert not any("group" in resource for resource in resources(rendered))


def test_cluster_with_all_has_all() -> None:
    rendered = render(DEFAULT)
    assert GATE in containers(rendered)["csi-snapshotter"]
    assert all(rendered.of(kind) for kind in SNAPSHOT_KINDS)


def test_values_go_over_what_the_cluster_says() -> None:
    """`helm template` knows no cluster."""
    always, never = render(CASES["apis-always"]), render(CASES["apis-never"])
    assert all(always.of(kind) for kind in SNAPSHOT_KINDS)
    assert GATE in containers(always)["csi-snapshotter"]
    assert not any(never.of(kind) for kind in SNAPSHOT_KINDS)
    assert "csi-snapshotter" not in containers(never)


def test_classes_of_properties_need_their_api() -> None:
    assert render(CASES["openzfs"]).names("VolumeAttributesClass") == {"csi-zfs-smaller"}
    assert not render(CASES["no-attributes-classes"]).of("VolumeAttributesClass")


def test_sidecars_ask_for_classes_of_properties_unless_told_otherwise() -> None:
    """Both switch their gate by what the API server has, also after an upgrade of the cluster."""
    gate = "--feature-gates=VolumeAttributesClass=false"
    for name in ("csi-provisioner", "csi-resizer"):
        assert not any("feature-gates" in flag for flag in containers(render(DEFAULT))[name])
        assert gate in containers(render(CASES["apis-never"]))[name]


@pytest.mark.parametrize("name", CASES)
def test_chart_owns_no_definitions_of_others(name: str) -> None:
    """rules.md A14: whoever owns CRDs may take every object of them along."""
    rendered = render(CASES[name])
    assert "CustomResourceDefinition" not in {item["kind"] for item in rendered}
    assert not (VALUES.parent / "crds").exists()


def test_no_values_give_one_class_that_waits_for_the_pod() -> None:
    """A volume cannot follow a pod to its node, so the pod's node is chosen first."""
    (storage_class,) = render(DEFAULT).of("StorageClass")
    assert storage_class["volumeBindingMode"] == "WaitForFirstConsumer"
    assert storage_class["allowVolumeExpansion"] is True
    assert "annotations" not in storage_class["metadata"]


def test_driver_is_announced_as_it_is() -> None:
    spec = render(DEFAULT).one("CSIDriver", "csi-zfs.io")["spec"]
    assert spec == {
        "attachRequired": False,
        "podInfoOnMount": True,
        "fsGroupPolicy": "File",
        "volumeLifecycleModes": ["Persistent", "Ephemeral"],
        "storageCapacity": True,
        "requiresRepublish": False,
        "seLinuxMount": False,
    }


def test_sidecars_choose_a_leader_of_two_replicas() -> None:
    rendered = render(DEFAULT)
    assert rendered.one("Deployment", "csi-zfs-controller")["spec"]["replicas"] == 2
    flags = containers(rendered)
    assert all("--leader-election" in flags[name] for name in flags if name != "driver")


def test_provisioner_asks_for_the_pods_node_and_its_room() -> None:
    flags = containers(render(DEFAULT))["csi-provisioner"]
    # The second owner of the pod is the Deployment, with which what is said of the room goes.
    wanted = {"--strict-topology", "--enable-capacity", "--capacity-ownerref-level=2"}
    assert wanted | {"--extra-create-metadata"} <= set(flags)
    deployment = render(DEFAULT).one("Deployment", "csi-zfs-controller")
    item = container(deployment["spec"]["template"]["spec"], "csi-provisioner")
    assert {variable["name"] for variable in item["env"]} == {"NAMESPACE", "POD_NAME"}


def test_agents_are_found_before_they_are_ready() -> None:
    """The router says itself which node does not answer, so it must know of all of them."""
    spec = render(DEFAULT).one("Service", "csi-zfs-agents")["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is True
    assert [port["name"] for port in spec["ports"]] == ["agent"]


def test_agents_are_those_of_all_groups_and_nobody_else() -> None:
    rendered = render(CASES["two-kinds-of-nodes"])
    selector = rendered.one("Service", "csi-zfs-agents")["spec"]["selector"].items()
    for item in (*rendered.of("DaemonSet"), *rendered.of("Deployment"), *rendered.of("Job")):
        labels = item["spec"]["template"]["metadata"]["labels"].items()
        assert (selector <= labels) == (item["kind"] == "DaemonSet")


def test_extra_arguments_and_images_reach_a_sidecar() -> None:
    case = Case(
        sets=(
            'sidecars.resizer.extraArgs=["--extra-modify-metadata"]',
            'sidecars.resizer.image.repository="localhost/csi-resizer"',
        )
    )
    (deployment,) = render(case).of("Deployment")
    item = container(deployment["spec"]["template"]["spec"], "csi-resizer")
    assert item["args"][-1] == "--extra-modify-metadata"
    assert item["image"] == "localhost/csi-resizer:v2.2.0"
