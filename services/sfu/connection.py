"""One participant's transport: DTLS, then SRTP, and the data channel over it."""

import asyncio

from services.sfu.channel import MuteState
from services.sfu.core.selection.video_requests import VideoRequests
from services.sfu.core.session.addresses import Route
from services.sfu.core.session.participants import Participant
from services.sfu.core.session.quality import QualityMeter
from services.sfu.dtls import Channel, DtlsConnection
from services.sfu.egress import Outlet


class Connection(Outlet):
    """`srtp` is None until DTLS is up, `channel` when the client offers none; `destination` is the route's selected
    address."""

    def __init__(
        self,
        participant: Participant,
        route: Route,
        meter: QualityMeter,
        quality_due: float,
        dtls: DtlsConnection,
        sctp_port: int | None,
    ) -> None:
        super().__init__()
        self.participant = participant
        self.route = route
        self.meter = meter
        self.quality_due = quality_due
        self.dtls = dtls
        self.sctp_port = sctp_port
        self.channel: Channel | None = None
        self.starting: asyncio.Task[None] | None = None
        # What the client said last and has not taken effect yet, and when something last did.
        self.muted: MuteState | None = None
        self.video_requests: VideoRequests | None = None
        self.applied_at = -1.0
        # The raw addresses that the worker knows it by.
        self.sources: set[bytes] = set()

    async def close(self) -> None:
        """End the channel, then tell the client through DTLS."""
        if self.starting is not None:
            self.starting.cancel()
        if self.channel is not None:
            await self.channel.stop()
        await self.dtls.close()
