"""Envoy itself checks the rendered configuration: as the embedded stack has it, without metrics, and with all on."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.embedded.envoy import binary
from deploy.envoy.render import write
from deploy.envoy.values import EdgeValues

FOLDER = Path("build") / "envoy"


def variants(certificate: Path, key: Path) -> dict[str, EdgeValues]:
    """The two ends of what the template can become."""
    embedded = EdgeValues(
        gateway="127.0.0.1:7001",
        messaging="127.0.0.1:7002",
        signaling="127.0.0.1:7003",
        web="127.0.0.1:7004",
        jwks_url="http://127.0.0.1:7005/.well-known/jwks.json",
        jwt_issuer="https://dev-issuer.parley.invalid",
        dev_login=True,
        health_interval_s=1,
        push="127.0.0.1:7006",
        previews="127.0.0.1:7007",
    )
    kubernetes = EdgeValues(
        gateway="gateway.parley.svc.cluster.local:7000",
        messaging="messaging-a.parley.svc.cluster.local:7000,messaging-b.parley.svc.cluster.local:7000",
        signaling="signaling.parley.svc.cluster.local:7000",
        web="web.parley.svc.cluster.local:8080",
        jwks_url="https://login.example.com/.well-known/jwks.json",
        jwt_issuer="https://login.example.com/",
        tls_certificate_file=str(certificate.absolute()),
        tls_key_file=str(key.absolute()),
        upstream_certificate_file=str(certificate.absolute()),
        upstream_key_file=str(key.absolute()),
        upstream_ca_file=str(certificate.absolute()),
        ca_file=str(certificate.absolute()),
        cors_origin_regex=r"^https://([a-z]+\.)?example\.com$",
        trusted_proxies=1,
        metrics_port=9100,
        push="push.parley.svc.cluster.local:7000",
        previews="previews.parley.svc.cluster.local:7000",
    )
    return {"embedded": embedded, "kubernetes": kubernetes}


def main() -> int:
    """Returns 0 when Envoy accepts both."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    certificate, key = FOLDER / "tls.crt", FOLDER / "tls.key"
    write_certificate(certificate, key)
    accepted = [accepts(name, values) for name, values in variants(certificate, key).items()]
    return 0 if all(accepted) else 1


def accepts(name: str, values: EdgeValues) -> bool:
    """Whether Envoy takes the configuration with these values; says so."""
    config = write(values, FOLDER / name)
    command = [str(binary()), "--mode", "validate", "-c", str(config), "--log-level", "warning"]
    result = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - our own Envoy
    if result.returncode != 0:
        sys.stderr.write(f"{config}: refused by Envoy\n{result.stderr}{result.stdout}\n")
        return False
    sys.stdout.write(f"{config}: accepted by Envoy\n")
    return True


def write_certificate(certificate: Path, key: Path) -> None:
    """A certificate for nobody, so that Envoy finds the files that it shall load."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "edge.invalid")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


if __name__ == "__main__":
    sys.exit(main())
