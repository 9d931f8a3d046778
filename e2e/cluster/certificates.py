"""An authority for one cluster, its certificates, and the kubeconfigs that hold them."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.errors import StartFailedError
from e2e.cluster.layout import API, FIRST_SERVICE, MACHINE

_LIMIT_S = 60.0
_DAYS = "365"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
SERVER_NAMES = (
    *(f"IP:{address}" for address in (MACHINE, "127.0.0.1", FIRST_SERVICE)),
    *("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:localhost"),
)
USERS = {
    "admin": "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
}


@dataclass(frozen=True, slots=True)
class Authority:
    """The certificates of a cluster, in a directory that only root can read."""

    directory: Path

    @property
    def certificate(self) -> Path:
        """What everybody trusts."""
        return self.certificate_of("ca")

    @property
    def key(self) -> Path:
        """What signs."""
        return self.key_of("ca")

    @property
    def token_key(self) -> Path:
        """What signs the tokens of service accounts."""
        return self.key_of("tokens")

    def certificate_of(self, name: str) -> Path:
        """The certificate of a name."""
        return self.directory / f"{name}.crt"

    def key_of(self, name: str) -> Path:
        """The key of a name."""
        return self.directory / f"{name}.key"

    def make(self, nodes: list[str]) -> None:
        """Make the authority, everybody's certificate and kubeconfig."""
        self._request("ca", "/CN=csi-zfs-cluster", "-addext", "keyUsage=critical,keyCertSign")
        self._request("tokens", "/CN=tokens")
        self._sign("server", "/CN=kube-apiserver", ",".join(SERVER_NAMES))
        subjects = USERS | {node: f"/O=system:nodes/CN=system:node:{node}" for node in nodes}
        for user, subject in subjects.items():
            self._sign(user, subject, f"DNS:{user}")
            text = json.dumps(self.kubeconfig(user), indent=1)
            (self.directory / f"{user}.kubeconfig").write_text(text, encoding="utf-8")

    def kubeconfig(self, user: str) -> dict[str, object]:
        """A kubeconfig that names no file, so that it works on every machine."""
        cluster = {"server": API, "certificate-authority-data": _base64(self.certificate)}
        credentials = {
            "client-certificate-data": _base64(self.certificate_of(user)),
            "client-key-data": _base64(self.key_of(user)),
        }
        name = "csi-zfs"
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
        }

    def _sign(self, name: str, subject: str, names: str) -> None:
        signer = ("-CA", str(self.certificate), "-CAkey", str(self.key))
        limits = ("basicConstraints=critical,CA:FALSE", f"subjectAltName={names}")
        extensions = [word for limit in limits for word in ("-addext", limit)]
        self._request(name, subject, *signer, *extensions)

    def _request(self, name: str, subject: str, *options: str) -> None:
        done = subprocess.run(
            [
                *("openssl", "req", "-x509", *_NEW_KEY, "-days", _DAYS, "-subj", subject),
                *("-keyout", str(self.key_of(name)), "-out", str(self.certificate_of(name))),
                *options,
            ],
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_LIMIT_S,
        )
        if done.returncode != 0:
            raise StartFailedError(f"openssl makes no certificate of {name}: {done.stderr}")


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
