import json
import re
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from e2e.cluster.certificates import Authority
from e2e.cluster.layout import Address
from e2e.cluster.node_files import NodeFiles, Place

SCRIPTS = Path(__file__).parents[3] / "e2e" / "cluster" / "files"
PLACE = Place("/p/bin", "/p/packages", "/p/conf", "/p/it's kept", "/p/logs", "eth0")
FILES = NodeFiles("node2", Address(2), PLACE)


def test_environment_is_read_by_a_shell_as_it_was_meant(tmp_path: Path) -> None:
    (tmp_path / "environment").write_text(FILES.environment())
    script = 'source "$1"; printf "%s\\n" "$NODE" "$KEPT" "$ADDRESS"'
    done = subprocess.run(
        ["bash", "-euc", script, "sh", str(tmp_path / "environment")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["node2", "/p/it's kept", "10.77.0.12"]


@pytest.mark.parametrize("name", ["native-node", "guest-node", "services"])
def test_every_variable_that_a_script_reads_is_set(name: str) -> None:
    text = (SCRIPTS / name).read_text()
    told = {line.partition("=")[0] for line in FILES.environment().splitlines()}
    names = set(re.findall(r"\$\{?([A-Z_]+)", text))
    assert names - {"PATH"} <= told
    assert names


def test_nodes_that_share_a_kernel_have_their_own_control_groups_and_pods() -> None:
    other = NodeFiles("node1", Address(1), PLACE)
    assert FILES.kubelet()["cgroupRoot"] != other.kubelet()["cgroupRoot"]
    assert FILES.pod_network() != other.pod_network()


def test_directory_of_the_pod_network_has_nothing_else(tmp_path: Path) -> None:
    """Containerd takes every JSON file there for a network."""
    authority = Authority(tmp_path)
    authority.make(["node2"])
    names = FILES.texts(authority)
    assert [name for name in names if name.startswith("cni/")] == ["cni/pods.conflist"]
    assert f'conf_dir = "{PLACE.configuration}/cni"' in names["containerd.toml"]


def test_kubeconfig_names_no_file_and_is_the_nodes_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.make(["node2"])
    kubeconfig = json.loads(FILES.texts(authority)["kubelet.kubeconfig"])
    assert str(tmp_path) not in json.dumps(kubeconfig)
    (user,) = kubeconfig["users"]
    assert set(user["user"]) == {"client-certificate-data", "client-key-data"}
    certificate = x509.load_pem_x509_certificate(authority.certificate_of("node2").read_bytes())
    trusted = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    certificate.verify_directly_issued_by(trusted)
    assert certificate.subject.rfc4514_string() == "CN=system:node:node2,O=system:nodes"


def test_server_is_known_by_every_address_that_clients_use(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.make([])
    certificate = x509.load_pem_x509_certificate(authority.certificate_of("server").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"10.77.0.1", "127.0.0.1", "10.96.0.1"}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.make(["node2"])
    keys = [*tmp_path.glob("*.key"), *tmp_path.glob("*.kubeconfig")]
    assert keys
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)
