"""What a user meets of the chart beside its objects: the notes, the test, the way out."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.cases import CASES, DEFAULT
from tests.chart.helm import (
    CHART,
    NAMESPACE,
    SNAPSHOTS,
    Case,
    Manifest,
    container,
    render,
    run_helm,
)

HOOK, WEIGHT = "helm.sh/hook", "helm.sh/hook-weight"
CHECK = "csi-zfs-uninstall-check"


@pytest.fixture(scope="module")
def talking_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that renders its notes as an object: without a cluster Helm keeps them to itself."""
    chart = tmp_path_factory.mktemp("chart") / CHART.name
    shutil.copytree(CHART, chart)
    (chart / "templates" / "NOTES.txt").rename(chart / "notes.txt")
    shown = '{"notes": {{ tpl (.Files.Get "notes.txt") . | toJson }}}'
    (chart / "templates" / "shown.yaml").write_text(shown, encoding="utf-8")
    return chart


@pytest.fixture
def notes(talking_chart: Path) -> Callable[[Case], str]:
    """What Helm says after an installation."""

    def said(case: Case) -> str:
        arguments = [str(talking_chart) if word == str(CHART) else word for word in case.arguments]
        text = run_helm(*arguments, "--show-only=templates/shown.yaml")
        return str(yaml.safe_load(text)["notes"])

    return said


def here_document(text: str) -> list[Manifest]:
    """The objects that the notes tell to apply."""
    return list(yaml.safe_load_all(text.partition("<<EOF\n")[2].partition("\nEOF\n")[0]))


def test_notes_show_a_claim_that_fits_what_was_installed(notes: Callable[[Case], str]) -> None:
    said = notes(DEFAULT)
    claim, pod = here_document(said)
    assert claim["spec"]["storageClassName"] in render(DEFAULT).names("StorageClass")
    (volume,) = pod["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    # The image of the driver is where its pods are; no other one is known to be.
    driver = render(DEFAULT).one("DaemonSet", "csi-zfs-node")["spec"]["template"]["spec"]
    assert pod["spec"]["containers"][0]["image"] == container(driver, "driver")["image"]


def test_notes_say_where_the_data_is(notes: Callable[[Case], str]) -> None:
    assert "the directory /var/lib/csi-zfs/local" in notes(DEFAULT)
    assert "label csi-zfs.io/pools=tank" in notes(CASES["two-kinds-of-nodes"])


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (CASES["no-apis"], "no VolumeSnapshots"),
        (CASES["no-group-snapshots"], "no VolumeGroupSnapshots"),
        (Case(("openzfs",), apis=(SNAPSHOTS,)), "no VolumeAttributesClasses"),
    ],
)
def test_notes_say_what_was_left_out(notes: Callable[[Case], str], case: Case, words: str) -> None:
    assert words in notes(case)
    assert words not in notes(DEFAULT)


def test_notes_say_that_the_image_comes_from_nowhere(notes: Callable[[Case], str]) -> None:
    words = "is pulled from nowhere"
    assert words in notes(DEFAULT)
    assert words not in notes(Case(sets=('image.repository="registry.example.com/csi-zfs"',)))


def test_test_of_the_release_writes_to_a_claim_of_the_first_class() -> None:
    pod = render(DEFAULT).one("Pod", "csi-zfs-test-claim")
    assert pod["metadata"]["annotations"][HOOK] == "test"
    (volume,) = pod["spec"]["volumes"]
    template = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert template["storageClassName"] in render(DEFAULT).names("StorageClass")
    compile(container(pod["spec"], "claim")["command"][2], "the test's program", "exec")


def test_test_of_the_release_leaves_no_volume() -> None:
    """It would keep an uninstallation back; what the pod says Helm prints before it goes."""
    annotations = render(DEFAULT).one("Pod", "csi-zfs-test-claim")["metadata"]["annotations"]
    assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]
    assert "hook-succeeded" in annotations["helm.sh/hook-output-log-policy"]


def test_no_class_leaves_the_test_out() -> None:
    assert not render(Case(sets=("storageClasses=[]",))).of("Pod")


def hooks() -> dict[str, dict[str, Any]]:
    """The annotations of what an uninstallation runs before anything is deleted, by kind."""
    return {
        item["kind"]: item["metadata"]["annotations"]
        for item in render(DEFAULT)
        if item["metadata"].get("annotations", {}).get(HOOK) == "pre-delete"
    }


def test_uninstall_asks_first_whether_volumes_exist() -> None:
    """rules.md A14: nothing could unmount or delete the volumes any more."""
    job = render(DEFAULT).one("Job", CHECK)
    item = container(job["spec"]["template"]["spec"], "uninstall-check")
    assert item["args"] == ["uninstall-check", "--driver-name", "csi-zfs.io"]
    # One answer is enough, and Helm shows it.
    assert job["spec"]["backoffLimit"] == 0
    assert hooks()["Job"]["helm.sh/hook-output-log-policy"] == "hook-failed"


def test_uninstall_check_has_its_permissions_before_it_runs_and_not_for_longer() -> None:
    weights = {kind: int(annotations[WEIGHT]) for kind, annotations in hooks().items()}
    assert weights.keys() == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Job"}
    assert weights["ServiceAccount"] == weights["ClusterRole"] < weights["ClusterRoleBinding"]
    assert weights["ClusterRoleBinding"] < weights["Job"]
    for annotations in hooks().values():
        assert "hook-succeeded" in annotations["helm.sh/hook-delete-policy"]


def test_confirmed_uninstall_asks_nobody() -> None:
    rendered = render(CASES["uninstall-confirmed"])
    assert not rendered.of("Job")
    assert CHECK not in rendered.names("ClusterRole") | rendered.names("ServiceAccount")


@pytest.mark.parametrize("name", CASES)
def test_uninstall_touches_no_data(name: str) -> None:
    """rules.md A14: nothing runs when the release goes but the check, which only reads."""
    for item in render(CASES[name]):
        hook = item["metadata"].get("annotations", {}).get(HOOK)
        assert hook in {None, "test", "pre-delete"}
        assert item["kind"] not in {"PersistentVolume", "PersistentVolumeClaim", "VolumeSnapshot"}


@pytest.mark.parametrize("name", CASES)
def test_everything_lies_in_the_namespace_of_the_release(name: str) -> None:
    cluster_wide = {
        *("CSIDriver", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "StorageClass"),
        *("VolumeSnapshotClass", "VolumeGroupSnapshotClass", "VolumeAttributesClass"),
    }
    for item in render(CASES[name]):
        # Secrets of volumes lie where the values say.
        if item["metadata"]["name"] != "csi-zfs-secrets":
            expected = None if item["kind"] in cluster_wide else NAMESPACE
            assert item["metadata"].get("namespace") == expected, item["metadata"]["name"]


def test_only_the_router_reaches_the_nodes() -> None:
    """rules.md C9: beside TLS on both sides."""
    spec = render(DEFAULT).one("NetworkPolicy", "csi-zfs-node")["spec"]
    agent = next(rule for rule in spec["ingress"] if rule["ports"] == [{"port": "agent"}])
    (peer,) = agent["from"]
    deployment = render(DEFAULT).one("Deployment", "csi-zfs-controller")["spec"]
    assert peer["podSelector"] == deployment["selector"]
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [])
