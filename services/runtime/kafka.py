"""What our producer and consumers share: how they reach the broker, with TLS or without, and how they wait."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from services.runtime.config import KafkaConfig

MAX_BACKOFF_S = 5.0


def connection(config: KafkaConfig) -> dict[str, Any]:
    """The arguments that every client of aiokafka takes.

    The files are read anew for each client, so that a renewed certificate counts at the next connection.
    Raises OSError (ssl.SSLError is one) when they cannot be read.
    """
    if not config.tls.enabled:
        return {"bootstrap_servers": config.bootstrap}
    context = ssl.create_default_context(cafile=config.tls.ca_file or None)
    if config.tls.certificate_file:
        context.load_cert_chain(config.tls.certificate_file, config.tls.key_file)
    return {"bootstrap_servers": config.bootstrap, "security_protocol": "SSL", "ssl_context": context}


async def cancel(task: asyncio.Task[None] | None) -> None:
    """End a client's task, whatever it was about to do or to say."""
    if task:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
