"""The one table of what the cluster is made of: modules, versions, programs, packages, images.

The sidecars are the newest ones that share one version of k8s.io, which saves minutes of compiling.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Module:
    """A Go module at a version."""

    path: str
    version: str

    def __str__(self) -> str:
        return f"{self.path}@{self.version}"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of a module; `package` is its import path."""

    name: str
    module: Module
    package: str
    # What the linker writes into variables of the program: its own version, mostly.
    variables: tuple[str, ...] = ()
    is_test: bool = False


KUBERNETES = Module("k8s.io/kubernetes", "v1.35.4")
ETCD = Module("go.etcd.io/etcd/server/v3", "v3.6.8")
CONTAINERD = Module("github.com/containerd/containerd/v2", "v2.4.2")
CNI_PLUGINS = Module("github.com/containernetworking/plugins", "v1.9.1")
PROVISIONER = Module("github.com/kubernetes-csi/external-provisioner/v6", "v6.3.0")
SNAPSHOTTER = Module("github.com/kubernetes-csi/external-snapshotter/v8", "v8.6.0")
SNAPSHOT_CLIENT = Module("github.com/kubernetes-csi/external-snapshotter/client/v8", "v8.6.0")
RESIZER = Module("github.com/kubernetes-csi/external-resizer/v2", "v2.2.0")
HELM = Module("helm.sh/helm/v3", "v3.22.0")

_MAJOR, _MINOR, _ = KUBERNETES.version.removeprefix("v").split(".")
_KUBERNETES_VARIABLES = tuple(
    f"k8s.io/{package}/version.{name}={value}"
    for package in ("component-base", "client-go/pkg")
    for name, value in (
        ("gitVersion", KUBERNETES.version),
        ("gitMajor", _MAJOR),
        ("gitMinor", _MINOR),
        ("gitTreeState", "clean"),
    )
)


def _kubernetes(name: str) -> Program:
    return Program(name, KUBERNETES, f"{KUBERNETES.path}/cmd/{name}", _KUBERNETES_VARIABLES)


def _containerd(name: str) -> Program:
    variable = f"{CONTAINERD.path}/version.Version={CONTAINERD.version}"
    return Program(name, CONTAINERD, f"{CONTAINERD.path}/cmd/{name}", (variable,))


def _plugin(kind: str, name: str) -> Program:
    return Program(f"cni-{name}", CNI_PLUGINS, f"{CNI_PLUGINS.path}/plugins/{kind}/{name}")


def _sidecar(module: Module, name: str) -> Program:
    return Program(name, module, f"{module.path}/cmd/{name}", (f"main.version={module.version}",))


CONTROL_PLANE_PROGRAMS = (
    Program("etcd", ETCD, ETCD.path),
    *map(_kubernetes, ("kube-apiserver", "kube-controller-manager", "kube-scheduler")),
    _sidecar(SNAPSHOTTER, "snapshot-controller"),
)
NODE_PROGRAMS = (
    *map(_kubernetes, ("kubelet", "kube-proxy")),
    *map(_containerd, ("containerd", "containerd-shim-runc-v2", "ctr")),
)
PLUGINS = (
    _plugin("main", "bridge"),
    _plugin("main", "loopback"),
    _plugin("ipam", "host-local"),
)
SIDECARS = (
    _sidecar(PROVISIONER, "csi-provisioner"),
    _sidecar(SNAPSHOTTER, "csi-snapshotter"),
    _sidecar(RESIZER, "csi-resizer"),
)
CLIENTS = (
    _kubernetes("kubectl"),
    Program(
        "helm",
        HELM,
        f"{HELM.path}/cmd/helm",
        (f"{HELM.path}/internal/version.version={HELM.version}",),
    ),
)
# Kubernetes' own suite, and what it runs in pods: only who runs the suite has it built.
CONFORMANCE = (
    Program(
        "e2e.test",
        KUBERNETES,
        f"{KUBERNETES.path}/test/e2e",
        _KUBERNETES_VARIABLES,
        is_test=True,
    ),
    Program("ginkgo", KUBERNETES, "github.com/onsi/ginkgo/v2/ginkgo"),
    Program("agnhost", KUBERNETES, f"{KUBERNETES.path}/test/images/agnhost"),
)
PROGRAMS = (*NODE_PROGRAMS, *CONTROL_PLANE_PROGRAMS, *PLUGINS, *CLIENTS, *SIDECARS)

# Unpacked into the cache; nothing of them is installed on the machine.
PACKAGES = (
    "busybox-static",
    *("runc", "libseccomp2"),
    *("nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4"),
    *("libedit2", "libbsd0", "libmd0"),
)

PAUSE_IMAGE = "localhost/pause:1"
BUSYBOX_IMAGE = "localhost/busybox:1"
