"""Removes replicas from the consumer group that the gateways report dead."""

import asyncio
from collections.abc import Collection

import structlog

from services.presence import metrics
from services.presence.core.failure_reports import MEMBERS_LIMIT, FailureReports
from services.presence.core.model import StreamId
from services.presence.ports import Group
from services.runtime.errors import BusUnavailable
from services.runtime.observability.failures import describe

log = structlog.get_logger()


class FailedReplicas:
    """Removes a member from the group once enough gateways report it dead."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._reports = FailureReports()
        self._confirmed: asyncio.Queue[str] = asyncio.Queue(MEMBERS_LIMIT)

    def report(self, stream: StreamId, member_id: str, attached: Collection[StreamId]) -> None:
        """A gateway reports a member dead."""
        if self._reports.report(stream, member_id, attached) and not self._confirmed.full():
            self._confirmed.put_nowait(member_id)

    async def run(self) -> None:
        """Remove the reported members, for ever. While the broker is away, the session timeout does it."""
        while True:
            member_id = await self._confirmed.get()
            try:
                await self._group.expel(member_id)
            except BusUnavailable as error:
                log.warning("member_not_expelled", member_id=member_id, error=describe(error))
            else:
                metrics.EXPELLED.inc()
                log.info("member_expelled", member_id=member_id)
