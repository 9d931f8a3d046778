"""An authority for one cluster, its certificates, and the kubeconfigs that hold them."""

import base64
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from e2e.cluster.layout import API, FIRST_SERVICE, MACHINE

_LIFE = timedelta(days=365)
# The clock of a machine that just booted may be a little behind.
_BEFORE = timedelta(hours=1)
_PEM = serialization.Encoding.PEM
_OURS = 0o600
_AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "csi-zfs-cluster")])
SERVER_ADDRESSES = (MACHINE, "127.0.0.1", FIRST_SERVICE)
SERVER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


@dataclass(frozen=True, slots=True)
class User:
    """Who somebody is to the API server: a name, and perhaps a group."""

    name: str
    group: str | None = None

    def subject(self) -> x509.Name:
        """The subject of their certificate."""
        group = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.group)] if self.group else []
        return x509.Name([*group, x509.NameAttribute(NameOID.COMMON_NAME, self.name)])


USERS = {
    "admin": User("admin", "system:masters"),
    "controller-manager": User("system:kube-controller-manager"),
    "scheduler": User("system:kube-scheduler"),
    "proxy": User("system:kube-proxy"),
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

    @property
    def token_public_key(self) -> Path:
        """What tokens of service accounts are checked with."""
        return self.directory / "tokens.pub"

    def certificate_of(self, name: str) -> Path:
        """The certificate of a name."""
        return self.directory / f"{name}.crt"

    def key_of(self, name: str) -> Path:
        """The key of a name."""
        return self.directory / f"{name}.key"

    def make(self, nodes: Sequence[str]) -> None:
        """Make the authority, everybody's certificate and kubeconfig."""
        key = self._new_key("ca")
        own = _builder(_AUTHORITY, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._sign(own, key, "ca")
        public = self._new_key("tokens").public_key()
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        self.token_public_key.write_bytes(public.public_bytes(_PEM, info))
        server = _builder(User("kube-apiserver").subject(), self._new_key("server"))
        self._sign(server.add_extension(_server_names(), critical=False), key, "server")
        users = USERS | {node: User(f"system:node:{node}", "system:nodes") for node in nodes}
        for name, user in users.items():
            self._sign(_builder(user.subject(), self._new_key(name)), key, name)
            text = json.dumps(self.kubeconfig(name), indent=1)
            _write_secret(self.directory / f"{name}.kubeconfig", text.encode())

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

    def _new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        _write_secret(self.key_of(name), key.private_bytes(_PEM, pkcs8, plain))
        return key

    def _sign(
        self, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, name: str
    ) -> None:
        data = builder.sign(key, hashes.SHA256()).public_bytes(_PEM)
        self.certificate_of(name).write_bytes(data)


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_AUTHORITY)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _LIFE)
    )


def _server_names() -> x509.SubjectAlternativeName:
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVER_ADDRESSES]
    return x509.SubjectAlternativeName([*addresses, *map(x509.DNSName, SERVER_NAMES)])


def _write_secret(path: Path, data: bytes) -> None:
    path.touch(mode=_OURS)
    path.write_bytes(data)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
