"""Mutual TLS between our processes, if configured: each shows a certificate of one authority, and demands one.

It says who may connect; who may call what is said by tokens (auth.py, callers.py). Renewed files count for each new
connection; connections that are open are not judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakSet

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.runtime.config import TlsConfig
from services.runtime.watched import Watched


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM: the certificate that we show (with its chain) and its key, and the authorities that we believe."""

    certificate: bytes
    key: bytes
    ca: bytes

    @classmethod
    def read(cls, files: Sequence[bytes]) -> TlsFiles:
        """Certificate, key, authorities. Raises ValueError when one is not PEM, or the key is another certificate's."""
        certificate, key, ca = files
        _certificates(ca, "the file of the authority")
        first = _certificates(certificate, "the file of the certificate")[0]
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("the file of the key holds none that can be read") from None
        if private.public_key() != first.public_key():
            raise ValueError("the key is not that of the certificate")
        return cls(certificate, key, ca)


def _certificates(pem: bytes, where: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{where} holds no certificate") from None


def watch(config: TlsConfig) -> Watched[TlsFiles]:
    """The files that are configured. Raises ConfigError."""
    return Watched("tls_files", [config.certificate_file, config.key_file, config.ca_file], TlsFiles.read)


def server_credentials(config: TlsConfig) -> grpc.ServerCredentials:
    """For a port that takes only connections with a certificate of the authority. Raises ConfigError."""
    files = watch(config)
    served = files.get()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        # Called by gRPC before each handshake, one after the other, in threads of its own.
        nonlocal served
        newest = files.get()
        if newest is served:
            return None
        served = newest
        return _certificate_configuration(newest)

    return grpc.dynamic_ssl_server_credentials(
        _certificate_configuration(served),
        renewed,  # type: ignore[arg-type]  # None is documented: as before
        require_client_authentication=True,
    )


def _certificate_configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(files.key, files.certificate)], root_certificates=files.ca)


def _let_go(_channel: grpc.aio.Channel, _call: object) -> None:
    """Called at a call's end; it is what holds the channel until then."""


@dataclass(frozen=True)
class Peer:
    """A service of ours that is called over mutual TLS: its certificate must be of our authority, and have its name.

    The name, and not the address: processes are called by addresses of pods too, which no certificate has.
    """

    name: str
    files: Watched[TlsFiles]

    @classmethod
    def of(cls, config: TlsConfig, name: str) -> Peer | None:
        """None where TLS is not configured. Raises ConfigError."""
        return cls(name, watch(config)) if config.is_on else None


class SecureChannel(grpc.aio.Channel):
    """A channel to a peer. Calls that begin after its files were renewed go over a new channel of gRPC.

    One of gRPC's keeps its certificate for life. What was replaced stays until its last call has ended.
    """

    def __init__(self, peer: Peer, make: Callable[[grpc.ChannelCredentials], grpc.aio.Channel]) -> None:
        self._peer = peer
        self._make = make
        self._files = peer.files.get()
        self._newest = self._made()
        # All that still have calls. A call holds its channel, which closes itself when nobody does any more.
        self._channels = WeakSet([self._newest])
        self._is_closed = False

    def _made(self) -> grpc.aio.Channel:
        files = self._files
        return self._make(grpc.ssl_channel_credentials(files.ca, files.key, files.certificate))

    def _current(self) -> grpc.aio.Channel:
        newest = self._peer.files.get()
        # What is closed stays so: its calls are refused by gRPC.
        if newest is not self._files and not self._is_closed:
            self._files = newest
            self._newest = self._made()
            self._channels.add(self._newest)
        return self._newest

    def _calling(self, shape: str, *arguments: Any, **more: Any) -> Any:
        def call(*arguments_of_call: Any, **more_of_call: Any) -> Any:
            channel = self._current()
            made = getattr(channel, shape)(*arguments, **more)(*arguments_of_call, **more_of_call)
            made.add_done_callback(partial(_let_go, channel))
            return made

        return call

    def unary_unary(self, *arguments: Any, **more: Any) -> Any:
        return self._calling("unary_unary", *arguments, **more)

    def unary_stream(self, *arguments: Any, **more: Any) -> Any:
        return self._calling("unary_stream", *arguments, **more)

    def stream_unary(self, *arguments: Any, **more: Any) -> Any:
        return self._calling("stream_unary", *arguments, **more)

    def stream_stream(self, *arguments: Any, **more: Any) -> Any:
        return self._calling("stream_stream", *arguments, **more)

    async def __aenter__(self) -> SecureChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        self._is_closed = True
        for channel in list(self._channels):
            await channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._current().channel_ready()
