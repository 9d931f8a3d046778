"""What the pods of the chart may do to the machines they run on."""

from typing import Any

import pytest

from tests.chart.cases import CASES, DEFAULT
from tests.chart.helm import Manifest, Rendered, container, render

# Of the Pod Security level "restricted"; https://kubernetes.io/docs/concepts/security/pod-security-standards/
RESTRICTED_VOLUMES = {"configMap", "emptyDir", "ephemeral", "projected", "secret"}
HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")


def breaches_of_restricted(pod: Manifest) -> list[str]:
    """Why the Pod Security level "restricted" would refuse a pod."""
    found = [name for name in HOST_NAMESPACES if pod.get(name)]
    for volume in pod.get("volumes", []):
        found += [f"volume {kind}" for kind in volume if kind not in {"name", *RESTRICTED_VOLUMES}]
    if pod["securityContext"].get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("seccompProfile")
    if not pod["securityContext"].get("runAsNonRoot") or not pod["securityContext"]["runAsUser"]:
        found.append("runAsNonRoot")
    for item in pod["containers"]:
        found += [f"{item['name']}: {words}" for words in breaches_of_container(item)]
    return found


def breaches_of_container(item: Manifest) -> list[str]:
    context: dict[str, Any] = item["securityContext"]
    wanted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    found = [name for name, value in wanted.items() if context.get(name) != value]
    found += [name for name in ("privileged", "procMount", "runAsUser") if context.get(name)]
    found += ["hostPort" for port in item.get("ports", []) if "hostPort" in port]
    return found


@pytest.mark.parametrize("name", CASES)
def test_all_but_the_node_pass_the_restricted_level(name: str) -> None:
    """rules.md C10: controller, check and test run as nobody, with nothing."""
    pods = {who: pod for who, pod in render(CASES[name]).pods() if not who.startswith("DaemonSet/")}
    assert len(pods) >= 2
    for who, pod in pods.items():
        assert breaches_of_restricted(pod) == [], who


def test_restricted_level_is_told_from_others() -> None:
    """The check of the test above finds what it looks for."""
    node = render(DEFAULT).one("DaemonSet", "csi-zfs-node")["spec"]["template"]["spec"]
    found = breaches_of_restricted(node | {"securityContext": {}})
    assert {"volume hostPath", "seccompProfile", "runAsNonRoot", "driver: privileged"} <= set(found)


@pytest.mark.parametrize("name", CASES)
def test_every_root_file_system_is_read_only(name: str) -> None:
    """rules.md C10."""
    for who, pod in render(CASES[name]).pods():
        for item in pod["containers"]:
            assert item["securityContext"]["readOnlyRootFilesystem"] is True, (who, item["name"])


@pytest.mark.parametrize("name", CASES)
def test_node_shares_of_its_machine_only_what_it_needs(name: str) -> None:
    """rules.md C10: privileged, but without the machine's network, processes or root directory."""
    rendered = render(CASES[name])
    for daemon_set in rendered.of("DaemonSet"):
        pod = daemon_set["spec"]["template"]["spec"]
        assert not any(pod.get(namespace) for namespace in HOST_NAMESPACES)
        paths = {volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
        assert not paths & {"/", "/etc", "/root", "/run", "/var", "/var/lib", "/sys"}
        (proc,) = [
            mount
            for mount in container(pod, "driver")["volumeMounts"]
            if mount["mountPath"] == "/host/proc"
        ]
        assert proc["readOnly"] is True


@pytest.mark.parametrize("name", CASES)
def test_node_is_one_container_unless_others_are_asked_for(name: str) -> None:
    expected = 3 if name == "upstream-sidecars" else 1
    for daemon_set in render(CASES[name]).of("DaemonSet"):
        assert len(daemon_set["spec"]["template"]["spec"]["containers"]) == expected


def mounts(rendered: Rendered) -> dict[str, str | None]:
    pod = rendered.one("DaemonSet", "csi-zfs-node")["spec"]["template"]["spec"]
    return {
        mount["mountPath"]: mount.get("mountPropagation")
        for mount in container(pod, "driver")["volumeMounts"]
    }


def test_mounts_that_must_outlive_the_container_reach_the_machine() -> None:
    """A pool or a volume that is mounted in the container's own namespace would go with it."""
    of_default = mounts(render(DEFAULT))
    assert of_default["/var/lib/kubelet"] == of_default["/var/lib/csi-zfs"] == "Bidirectional"
    of_talos = mounts(render(CASES["talos"]))
    assert of_talos["/var/mnt/csi-zfs"] == "Bidirectional"


@pytest.mark.parametrize("name", CASES)
def test_every_image_has_a_version(name: str) -> None:
    for who, pod in render(CASES[name]).pods():
        for item in pod["containers"]:
            tag = item["image"].rpartition(":")[2]
            assert tag[0].isdigit() or tag[0] == "v", (who, item["image"])
            assert "resources" in item or who.startswith("Pod/"), (who, item["name"])
            assert "limits" not in item.get("resources", {})


@pytest.mark.parametrize("name", CASES)
def test_every_probe_asks_a_port_that_is_there(name: str) -> None:
    """A name is looked for in the probe's own container, a number in the whole pod."""
    for who, pod in render(CASES[name]).pods():
        ports = [port for item in pod["containers"] for port in item.get("ports", [])]
        numbers = {port["containerPort"] for port in ports}
        assert len(numbers) == len(ports), who
        for item in pod["containers"]:
            own = {port["name"] for port in item.get("ports", [])}
            probes = [item[key] for key in item if key.endswith("Probe")]
            assert {probe["httpGet"]["port"] for probe in probes} <= own | numbers, who
