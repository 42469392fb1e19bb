"""A real coturn on loopback, over UDP, TCP and TLS, with the secret that signaling signs its credentials by."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.embedded.ports import Ports
from deploy.k8s.objects import find, load_base
from tests.support.needs import program
from tests.support.waiting import PATIENCE_S, poll

HOST = "127.0.0.1"
REALM = "parley.test"
_LIMITS = (
    "--user-quota",
    "--total-quota",
    "--max-bps",
    "--bps-capacity",
    "--denied-peer-ip",
    "--stale-nonce",
    "--no-rfc",
)


class Coturn:
    """One relay. Its addresses stay when it is started again; what it relayed is gone then.

    It believes credentials by each of `shared`, and makes a secret of its own where none is given.
    """

    def __init__(self, folder: Path, *shared: str) -> None:
        ports = Ports({})
        self._secrets = shared or (secrets.token_hex(16),)
        self.secret = self._secrets[0]
        self.port = ports.tcp("turn")
        self.tls_port = ports.tcp("turns")
        self.certificate = folder / "relay.crt"
        self._folder = folder
        # One of each start.
        self._logs: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        write_certificate(self.certificate, folder / "relay.key")

    @property
    def urls(self) -> dict[str, str]:
        """The addresses by transport, as PARLEY_TURN_URLS takes them."""
        return {
            "udp": f"turn:{HOST}:{self.port}?transport=udp",
            "tcp": f"turn:{HOST}:{self.port}?transport=tcp",
            "tls": f"turns:{HOST}:{self.tls_port}?transport=tcp",
        }

    @property
    def log(self) -> str:
        """What it said so far."""
        return "".join(log.read_text(errors="replace") for log in self._logs if log.exists())

    @property
    def allocations(self) -> int:
        """How many relayed addresses it has given out."""
        return self.log.count("ALLOCATE processed, success")

    def start(self) -> None:
        """Returns when it listens."""
        self._logs.append(self._folder / f"coturn-{len(self._logs)}.log")
        options = {
            "listening-ip": HOST,
            "relay-ip": HOST,
            "listening-port": str(self.port),
            "tls-listening-port": str(self.tls_port),
            "cert": str(self.certificate),
            "pkey": str(self._folder / "relay.key"),
            "realm": REALM,
            "log-file": str(self._logs[-1]),
            "pidfile": str(self._folder / "coturn.pid"),
            "userdb": str(self._folder / "coturn.db"),
        }
        # As in production: its limits, and no peer but the workers, which are on loopback here.
        limits = [*production_limits(), f"--allowed-peer-ip={HOST}"]
        flags = ("use-auth-secret", "allow-loopback-peers", "no-cli", "no-dtls", "simple-log", "verbose")
        command = [program("coturn"), "-n", *(f"--{name}={value}" for name, value in options.items())]
        command += limits
        command += [f"--static-auth-secret={secret}" for secret in self._secrets]
        self._process = subprocess.Popen(
            [*command, *(f"--{flag}" for flag in flags)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        poll(
            lambda: self.log.count("UDP listener opened") == len(self._logs),
            PATIENCE_S,
            lambda: f"coturn did not start:\n{self.log[-2000:]}",
        )

    def stop(self) -> None:
        """End it, and with it all that it relays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None


def production_limits() -> list[str]:
    """Those of the manifest: quotas, rates, and whom it never relays to."""
    deployment = find(load_base(), "Deployment", "parley-media", "coturn")
    assert deployment is not None
    given = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    return [argument for argument in given if argument.startswith(_LIMITS)]


@contextmanager
def run_coturn(folder: Path, *shared: str) -> Iterator[Coturn]:
    """A relay for the length of the block."""
    relay = Coturn(folder, *shared)
    try:
        relay.start()
        yield relay
    finally:
        relay.stop()


def write_certificate(certificate: Path, key: Path) -> None:
    """A certificate for loopback that is its own authority, good for a day."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, REALM)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
