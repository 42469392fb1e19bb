"""What our producer and consumers share: how they reach the broker, with TLS or without, and how they wait."""

import ssl
from pathlib import Path
from typing import Any

import structlog

from services.runtime.config import KafkaConfig, KafkaTls

log = structlog.get_logger()

MAX_BACKOFF_S = 5.0


def client_options(config: KafkaConfig) -> dict[str, Any]:
    """The arguments that every client of aiokafka takes.

    Renewed files count at the next connection, also of the same client (`FollowedFiles`).
    Raises OSError (ssl.SSLError is one) when they cannot be read.
    """
    if not config.tls.enabled:
        return {"bootstrap_servers": config.bootstrap}
    return {"bootstrap_servers": config.bootstrap, "security_protocol": "SSL", "ssl_context": followed(config.tls)}


def followed(tls: KafkaTls) -> "FollowedFiles":
    """A context for many connections. Raises OSError when the files cannot be read."""
    context = FollowedFiles(ssl.PROTOCOL_TLS_CLIENT)
    context.follow(tls)
    return context


class FollowedFiles(ssl.SSLContext):
    """Makes each connection with the files as they are then, since a client keeps its context for life."""

    _tls: KafkaTls
    _seen: tuple[tuple[int, int, int], ...]
    _latest: ssl.SSLContext

    def follow(self, tls: KafkaTls) -> None:
        """Read the files. Raises OSError."""
        self._tls = tls
        seen = self._stamps()
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.certificate_file:
            context.load_cert_chain(tls.certificate_file, tls.key_file)
        self._seen, self._latest = seen, context

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """What the event loops call for each connection."""
        try:
            if self._stamps() != self._seen:
                self.follow(self._tls)
                log.info("kafka_certificates_read")
        except OSError as error:
            # Half written, or gone for the moment: the ones before are good still.
            self._seen = ()
            log.warning("kafka_certificates_unreadable", error=type(error).__name__)
        return self._latest.wrap_bio(*args, **kwargs)

    def _stamps(self) -> tuple[tuple[int, int, int], ...]:
        names = (self._tls.ca_file, self._tls.certificate_file, self._tls.key_file)
        stats = [Path(name).stat() for name in names if name]
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)
