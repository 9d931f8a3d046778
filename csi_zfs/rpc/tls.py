"""Mutual TLS between the router of a cluster and the agents on its nodes (rules.md C9).

Both sides have a certificate of one authority.  It says which role its owner has, and for which
driver; which node an agent serves, the router learns from the cluster and compares with what the
agent says.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc

from csi_zfs.domain.errors import AccessDeniedError, UnavailableError

_SAN = "x509_subject_alternative_name"

_log = logging.getLogger(__name__)


class TlsFilesError(UnavailableError):
    """The files with the certificates cannot be read."""


class WrongPeerError(AccessDeniedError):
    """The caller's certificate is not that of the router of this driver."""


def agent_name(driver_name: str) -> str:
    """The DNS name in the certificate of every agent of a driver."""
    return f"agent.{driver_name}"


def controller_name(driver_name: str) -> str:
    """The DNS name in the certificate of the router of a driver."""
    return f"controller.{driver_name}"


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """An authority, and a certificate of it with its key: PEM."""

    authority: bytes
    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class TlsDirectory:
    """A directory laid out as a mounted Secret is: ca.crt, tls.crt, tls.key."""

    path: Path

    def read(self) -> TlsMaterial:
        """What is there now; raises `TlsFilesError`.

        A mounted Secret is replaced by turning one link, `..data`: it is followed once, so that the
        files fit together.
        """
        link = self.path / "..data"
        try:
            folder = link.resolve(strict=True) if link.is_symlink() else self.path
            return TlsMaterial(
                *((folder / name).read_bytes() for name in ("ca.crt", "tls.crt", "tls.key"))
            )
        except OSError as exc:
            raise TlsFilesError(f"{exc.filename} cannot be read: {exc.strerror}") from exc


def server_credentials(directory: TlsDirectory) -> grpc.ServerCredentials:
    """What a server shows and asks for; new files count from the next handshake on.

    Raises `TlsFilesError` if there is nothing to begin with.
    """
    shown = directory.read()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        try:
            found = directory.read()
        except TlsFilesError as exc:
            _log.error("%s: the certificate that was read before is used", exc)
            return None
        if found == shown:
            return None
        shown = found
        return _configuration(found)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown),
        changed,  # type: ignore[arg-type] # None is documented as "as before"
        require_client_authentication=True,
    )


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.authority
    )


def client_credentials(material: TlsMaterial) -> grpc.ChannelCredentials:
    """What a client shows and asks for."""
    return grpc.ssl_channel_credentials(
        material.authority, private_key=material.key, certificate_chain=material.certificate
    )


def only_for(name: str) -> Callable[[grpc.ServicerContext], None]:
    """Admit peers whose certificate has this DNS name; raises `WrongPeerError` for all others."""
    wanted = name.encode()

    def admit(context: grpc.ServicerContext) -> None:
        # The stubs say that a property has one value; it has as many as the certificate has names.
        peer = cast("Mapping[str, Sequence[bytes]]", context.auth_context())
        names = peer.get(_SAN, ())
        if wanted not in names:
            shown = ", ".join(one.decode("utf-8", "replace") for one in names) or "no name"
            raise WrongPeerError(f"this is for {name} only; the certificate shown is for {shown}")

    return admit
