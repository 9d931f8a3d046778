"""The control plane: plain processes of this machine."""

from collections.abc import Mapping
from dataclasses import dataclass

from e2e.cluster.certificates import Authority
from e2e.cluster.layout import API_PORT, MACHINE, SERVICES, Layout
from e2e.cluster.node_files import FEATURES
from e2e.cluster.plan import Plan
from e2e.cluster.processes import Processes

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
SNAPSHOT_CONTROLLER = "snapshot-controller"
# Long enough for an emulated node, short enough for a test that kills one.
_GRACE = "20s"
_FEATURES = ",".join(f"{name}={str(value).lower()}" for name, value in FEATURES.items())


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The programs of a cluster's control plane."""

    layout: Layout
    plan: Plan

    def start(self, *names: str) -> None:
        """Start some of them."""
        commands = self.commands()
        for name in names:
            log = self.layout.log(name)
            command = [self.layout.program(name), *commands[name]]
            Processes(self.layout.processes).start(name, command, log)

    def commands(self) -> Mapping[str, list[str]]:
        """The arguments of each program, in the order in which they are started."""
        return {
            ETCD: self._etcd(),
            API_SERVER: self._api_server(),
            CONTROLLER_MANAGER: self._controller_manager(),
            SCHEDULER: [*self._user("scheduler"), *_ALONE, f"--feature-gates={_FEATURES}"],
            SNAPSHOT_CONTROLLER: [
                *self._user("admin"),
                "--feature-gates=CSIVolumeGroupSnapshot=true",
            ],
        }

    def _etcd(self) -> list[str]:
        clients = f"http://127.0.0.1:{self.plan.etcd_port}"
        peers = f"http://127.0.0.1:{self.plan.etcd_peer_port}"
        return [
            # What it holds is thrown away with the cluster.
            *(f"--data-dir={self.layout.etcd}", "--unsafe-no-fsync"),
            *(f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}"),
            *(f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"),
            f"--initial-cluster=default={peers}",
        ]

    def _api_server(self) -> list[str]:
        secrets = Authority(self.layout.secrets)
        return [
            f"--etcd-servers=http://127.0.0.1:{self.plan.etcd_port}",
            *(f"--advertise-address={MACHINE}", f"--bind-address={MACHINE}"),
            *(f"--secure-port={API_PORT}", f"--service-cluster-ip-range={SERVICES}"),
            *("--allow-privileged", "--authorization-mode=Node,RBAC"),
            f"--client-ca-file={secrets.certificate}",
            f"--tls-cert-file={secrets.certificate_of('server')}",
            f"--tls-private-key-file={secrets.key_of('server')}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={secrets.certificate_of('admin')}",
            f"--kubelet-client-key={secrets.key_of('admin')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={secrets.token_public_key}",
            f"--service-account-signing-key-file={secrets.token_key}",
            "--enable-admission-plugins=NodeRestriction",
            # Group snapshots and the like are used as soon as their definitions are there.
            f"--feature-gates={_FEATURES}",
        ]

    def _controller_manager(self) -> list[str]:
        secrets = Authority(self.layout.secrets)
        return [
            *(*self._user("controller-manager"), *_ALONE, "--use-service-account-credentials"),
            f"--service-account-private-key-file={secrets.token_key}",
            f"--root-ca-file={secrets.certificate}",
            f"--cluster-signing-cert-file={secrets.certificate}",
            f"--cluster-signing-key-file={secrets.key}",
            *("--node-monitor-period=2s", f"--node-monitor-grace-period={_GRACE}"),
            f"--feature-gates={_FEATURES}",
        ]

    def _user(self, name: str) -> list[str]:
        return [f"--kubeconfig={self.layout.kubeconfig(name)}"]


# One of each runs, and nobody asks them anything: they listen nowhere.
_ALONE = ("--leader-elect=false", "--secure-port=0")
