"""A certificate authority of the test cluster's own, and what it signs.

Keys are P-256: made in a millisecond. Certificates live for a year; a cluster lives for a run.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from recio.runtime.clock import wall_us

LIFETIME: Final = dt.timedelta(days=365)
BACKDATED: Final = dt.timedelta(hours=1)
"""A clock that is a little behind still takes the certificate."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates into a folder; made anew, or read back when the folder has one.

    Args:
        directory: where the files lie; made if missing.
        name: the authority's name in its certificate.
    """

    def __init__(self, directory: Path, name: str = "recio-test") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.pair = Pair(directory / "ca.crt", directory / "ca.key")
        if self.pair.key.exists():
            self._key = _read_key(self.pair.key)
            self._certificate = x509.load_pem_x509_certificate(self.pair.certificate.read_bytes())
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())
            self._certificate = self._sign_itself(name)
            _write(self.pair, self._certificate, self._key)

    def _sign_itself(self, name: str) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        return (
            _builder(subject, subject, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(key_id, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def issue(
        self,
        file_name: str,
        common_name: str,
        *,
        groups: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> Pair:
        """Return a certificate for servers and clients, made if it is not there.

        Args:
            file_name: the files' name without an ending.
            common_name: the user, for the API server.
            groups: the user's groups.
            names: host names and addresses that a server goes by.
        """
        pair = Pair(self._directory / f"{file_name}.crt", self._directory / f"{file_name}.key")
        if pair.certificate.exists():
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        builder = _leaf(subject, self._certificate.subject, key.public_key(), names)
        key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(key_id, critical=False)
        _write(pair, builder.sign(self._key, hashes.SHA256()), key)
        return pair


def self_signed(directory: Path, common_name: str, names: Sequence[str] = ()) -> Pair:
    """Return a certificate that vouches for itself, made if it is not there.

    For programs that are handed the other side's very certificate to trust: they ask for one whose
    issuer is its own name.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pair = Pair(directory / f"{common_name}.crt", directory / f"{common_name}.key")
    if not pair.certificate.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _leaf(subject, subject, key.public_key(), names)
        _write(pair, builder.sign(key, hashes.SHA256()), key)
    return pair


def signing_key(directory: Path) -> Pair:
    """Return the key pair that service account tokens are signed with (public key, key)."""
    pair = Pair(directory / "service-accounts.pub", directory / "service-accounts.key")
    if not pair.key.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pair.certificate.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        _write_key(pair.key, key)
    return pair


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.fromtimestamp(wall_us() // 1_000_000, dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
    )


def _leaf(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, names: Sequence[str]
) -> x509.CertificateBuilder:
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(subject, issuer, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
    )
    if names:
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"expected an elliptic-curve key in {path}, found {type(key).__name__}")
    return key


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    _write_key(pair.key, key)
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
