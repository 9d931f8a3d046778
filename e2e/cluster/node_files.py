"""What a node reads: settings of containerd, kubelet and network, and variables of scripts."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from e2e.cluster.certificates import Authority
from e2e.cluster.layout import MACHINE, NETWORK_BITS, PODS, Address
from e2e.cluster.versions import PAUSE_IMAGE

FEATURES = {
    "CrossNamespaceVolumeDataSource": True,
    "CSIVolumeHealth": True,
    "ImageVolume": True,
}
RUN = "/run/csi-zfs-node"
_CONTAINERD = "/run/containerd"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node has everything, as the node itself sees it."""

    programs: str
    packages: str
    configuration: str
    # What outlives a restart of the node.
    kept: str
    logs: str
    interface: str
    # Where the disk with the programs is mounted, in a virtual machine.
    disk: str = ""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The files of a node's configuration directory."""

    name: str
    address: Address
    place: Place
    labels: str = ""
    taints: tuple[Mapping[str, str], ...] = ()

    @property
    def cgroup(self) -> str:
        """The root of the node's control groups; each node that shares a kernel has its own."""
        return cgroup_of(self.name)

    def texts(self, authority: Authority) -> dict[str, str]:
        """Every file by name."""
        return {
            "environment": self.environment(),
            "containerd.toml": self.containerd(),
            "kubelet.json": json.dumps(self.kubelet(), indent=1),
            "cni/pods.conflist": json.dumps(self.pod_network(), indent=1),
            "ca.crt": authority.certificate.read_text(),
            "kubelet.kubeconfig": json.dumps(authority.kubeconfig(self.name), indent=1),
            "proxy.kubeconfig": json.dumps(authority.kubeconfig("proxy"), indent=1),
        }

    def environment(self) -> str:
        """The variables of the scripts."""
        variables = {
            "NODE": self.name,
            "ADDRESS": self.address.ip,
            "NETWORK_BITS": str(NETWORK_BITS),
            "GATEWAY": MACHINE,
            "INTERFACE": self.place.interface,
            "PODS": PODS,
            "CGROUP": self.cgroup,
            "LABELS": self.labels,
            "PROGRAMS": self.place.programs,
            "PACKAGES": self.place.packages,
            "CONFIGURATION": self.place.configuration,
            "KEPT": self.place.kept,
            "LOGS": self.place.logs,
            "DISK": self.place.disk,
        }
        return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())

    def containerd(self) -> str:
        """The settings of containerd."""
        # Who is root without CAP_SYS_RESOURCE may not lower a score.
        return f"""\
version = 3
root = "{self.place.kept}/containerd"
state = "{_CONTAINERD}"
[grpc]
  address = "{_CONTAINERD}/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{RUN}/plugins"]
  conf_dir = "{self.place.configuration}/cni"
"""

    def kubelet(self) -> dict[str, object]:
        """The settings of the kubelet."""
        authorities = {"clientCAFile": f"{self.place.configuration}/ca.crt"}
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": authorities,
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{_CONTAINERD}/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.cgroup}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "resolvConf": "",
            # A full disk is the tests' own affair, unless it is really full.
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            # There is no registry to fetch an image from again.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "volumePluginDir": "/var/lib/kubelet/volumeplugins",
            # With 10 s, the default, mounting and deleting of volumes take 5 to 10 s more.
            "nodeStatusUpdateFrequency": "2s",
            # With a minute, the default, a claim that grows is seen up to a minute later.
            "syncFrequency": "5s",
            "volumeStatsAggPeriod": "5s",
            "registerWithTaints": [dict(taint) for taint in self.taints],
            "featureGates": FEATURES,
        }

    def pod_network(self) -> dict[str, object]:
        """The network of the node's pods: a bridge, addresses from the node's own range."""
        addresses = {
            "type": "host-local",
            # It goes with the pods that hold the addresses.
            "dataDir": f"{RUN}/addresses",
            "ranges": [[{"subnet": self.address.pods}]],
        }
        bridge = {
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": True,
            "hairpinMode": True,
            "ipam": addresses,
        }
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def cgroup_of(node: str) -> str:
    """The root of the control groups of a node."""
    return f"csi-zfs-{node}"
