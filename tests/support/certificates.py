"""An authority of certificates for tests, and what it signs."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM
_DAY = timedelta(days=1)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; each one is another authority."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    def write(self, directory: Path, *dns_names: str, is_expired: bool = False) -> Path:
        """A directory as a mounted Secret is: a certificate for these names, signed by this."""
        directory.mkdir(parents=True, exist_ok=True)
        key = _key()
        certificate = self._signed(key, "anyone", is_expired=is_expired).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names]), critical=False
        )
        files = {
            "ca.crt": self._certificate(),
            "tls.crt": certificate.sign(self.key, hashes.SHA256()).public_bytes(_PEM),
            "tls.key": key.private_bytes(
                _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        }
        for name, data in files.items():
            (directory / name).write_bytes(data)
        return directory

    def _certificate(self) -> bytes:
        own = self._signed(self.key, "authority").add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        return own.sign(self.key, hashes.SHA256()).public_bytes(_PEM)

    @staticmethod
    def _signed(
        key: ec.EllipticCurvePrivateKey, subject: str, *, is_expired: bool = False
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_subject(subject))
            .issuer_name(_subject("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * _DAY)
            .not_valid_after(now + (-_DAY if is_expired else _DAY))
        )
