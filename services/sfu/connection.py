"""One participant's transport: DTLS, then SRTP, and the data channel over it."""

import asyncio
from dataclasses import dataclass

from services.sfu.core.addresses import Route
from services.sfu.core.participants import Participant
from services.sfu.core.quality import QualityMeter
from services.sfu.dtls import Channel, DtlsConnection
from services.sfu.srtp import SrtpSession


@dataclass(eq=False, slots=True)
class Connection:
    """`srtp` is None until DTLS is up, `channel` when the client offers none; `destination` is the route's selected
    address as the kernel wants it."""

    participant: Participant
    route: Route
    meter: QualityMeter
    quality_due: float
    dtls: DtlsConnection
    sctp_port: int | None
    srtp: SrtpSession | None = None
    destination: bytes | None = None
    channel: Channel | None = None
    starting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """End the channel, then tell the client through DTLS."""
        if self.starting is not None:
            self.starting.cancel()
        if self.channel is not None:
            await self.channel.stop()
        await self.dtls.close()
