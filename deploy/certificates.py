"""A throw-away authority: certificates for the processes of an embedded stack, and for tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.runtime.config import TlsConfig

# A stack is started anew long before.
LIFE = timedelta(days=30)


@dataclass(frozen=True)
class Pem:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; `ca` is its own. Its key is in memory alone."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = _subject(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(self._name, self._key.public_key(), is_ca=True, names=[])
        self.ca = folder / f"{name}.pem"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.ca.write_bytes(certificate)

    def issue(self, name: str, names: Sequence[str] = ("127.0.0.1",), *, user: str = "", group: str = "") -> Pem:
        """A certificate for these names or IP addresses, in the files `<name>.crt` and `<name>.key`.

        Its subject is `user`, or else `name`, of the organization `group`, if there is one.
        """
        pem = Pem(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        self._write(_subject(user or name, group), names, pem.certificate, pem.key)
        return pem

    def issue_to(self, service: str, life: timedelta = LIFE) -> TlsConfig:
        """What a service is given: a folder of its own, with files as cert-manager names them."""
        folder = self._folder / service
        folder.mkdir(exist_ok=True, mode=0o700)
        files = TlsConfig.in_folder(folder)
        self._write(_subject(service), [service], Path(files.certificate_file), Path(files.key_file), life)
        Path(files.ca_file).write_bytes(self.ca.read_bytes())
        return files

    def _write(
        self, subject: x509.Name, names: Sequence[str], certificate: Path, key: Path, life: timedelta = LIFE
    ) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        general = [_general_name(each) for each in names]
        certificate.write_bytes(self._sign(subject, private.public_key(), is_ca=False, names=general, life=life))
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(private.private_bytes(encoding, form, serialization.NoEncryption()))

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        is_ca: bool,
        names: list[x509.GeneralName],
        life: timedelta = LIFE,
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            # By these, of two authorities of one name, whoever believes both finds the one that signed.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(usages, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _subject(user: str, group: str = "") -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def environment(tls: TlsConfig) -> dict[str, str]:
    """What a process is told of its files."""
    files = {"CERTIFICATE": tls.certificate_file, "KEY": tls.key_file, "CA": tls.ca_file}
    return {f"PARLEY_TLS_{name}_FILE": file for name, file in files.items()}
