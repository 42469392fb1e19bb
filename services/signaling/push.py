"""Push requests as signed webhooks, to a provider that wakes sleeping phones."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import aiohttp
import structlog
from google.protobuf.message import DecodeError
from parley.calls.v1 import events_pb2 as calls_events

from services.runtime.clock import Clock
from services.runtime.http.webhooks import headers_as_before, signed_headers
from services.runtime.kafka.bus import Incoming, PoisonRecord, require_key
from services.signaling.metrics import PUSHES

log = structlog.get_logger()

GROUP = "signaling-push"
POST_TIMEOUT_S = 3.0
# How often one request is tried, and the wait after the first try, doubled each time. Raising them rings phones late,
# which helps nobody; lowering them gives up on a provider that is away for a moment.
ATTEMPTS = 4
BACKOFF_S = 0.25
# Posts at once. Raising it reaches phones sooner in a burst; lowering it gives a slow provider fewer connections.
PARALLEL = 16
# How late the news that a ring has ended is still of use. Raising it wakes phones for old news; lowering it leaves
# phones ringing.
ENDED_USE_S = 60.0
_KINDS = {
    calls_events.PUSH_KIND_RING: "ring",
    calls_events.PUSH_KIND_RING_ENDED: "ring_ended",
}


@dataclass(frozen=True)
class PushRequest:
    """One webhook: its body, the id by which the receiver drops repeats, and the time until which it is of use."""

    event_id: str
    body: bytes
    useful_until: datetime


def read_request(record: Incoming) -> PushRequest | None:
    """The push that an event of calls.events.v1 asks for; None for other events. Raises PoisonRecord."""
    try:
        event = calls_events.CallEvent.FromString(record.value or b"")
        call_id = str(UUID(event.call_id))
    except (DecodeError, ValueError) as error:
        raise PoisonRecord(f"not a call event: {type(error).__name__}") from error
    require_key(record, event.call_id, "call_id")
    push = event.push_requested
    if not event.HasField("push_requested") or push.kind not in _KINDS:
        return None
    body = {
        "event_id": event.event_id,
        "kind": _KINDS[push.kind],
        "call_id": call_id,
        "conversation_id": push.call.conversation_id,
        "caller_id": push.call.caller_id,
        "video": push.call.video,
        "user_ids": list(push.user_ids),
        "ring_deadline": push.call.ring_deadline_time.ToJsonString(),
    }
    deadline: datetime = push.call.ring_deadline_time.ToDatetime(None)
    if push.kind == calls_events.PUSH_KIND_RING_ENDED:
        deadline += timedelta(seconds=ENDED_USE_S)
    return PushRequest(event.event_id, json.dumps(body, separators=(",", ":")).encode(), deadline)


class WebhookPusher:
    """calls.events.v1 → POSTs. At least once while of use: the receiver drops repeats by `event_id`."""

    name = "push-webhook"

    def __init__(
        self,
        url: str,
        secret: bytes | Sequence[bytes],
        clock: Clock,
        backoff_s: float = BACKOFF_S,
        timeout_s: float = POST_TIMEOUT_S,
    ) -> None:
        self._url = url
        self._secrets = (secret,) if isinstance(secret, bytes) else tuple(secret)
        self._clock = clock
        self._backoff_s = backoff_s
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(PARALLEL)

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s))

    async def stop(self) -> None:
        if self._session:
            await self._session.close()

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Post what a batch asks for. Raises PoisonRecord; a provider that refuses or is away is counted."""
        requests = [read_request(record) for record in records]
        await asyncio.gather(*(self.deliver(request) for request in requests if request))

    async def deliver(self, request: PushRequest) -> None:
        """Post one request, as often as it takes; a provider that does not take it is counted."""
        async with self._slots:
            for attempt in range(ATTEMPTS):
                if attempt:
                    await asyncio.sleep(self._backoff_s * 2 ** (attempt - 1))
                if self._clock.now().replace(tzinfo=None) >= request.useful_until:
                    return self._note("late", request)
                status = await self._post(request)
                if status and status < 300:
                    return self._note("sent", request)
                # What the provider calls our fault is no better at the next try; 429 is about the moment.
                if status and 400 <= status < 500 and status != 429:
                    return self._note("refused", request, status)
            return self._note("failed", request)

    async def _post(self, request: PushRequest) -> int | None:
        """The answer's status; None when there was none."""
        assert self._session
        at_s = int(self._clock.now().timestamp())
        headers = headers_as_before(self._secrets, at_s, request.body)
        headers |= signed_headers(self._secrets, request.event_id, at_s, request.body)
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(
                self._url, data=request.body, headers=headers, allow_redirects=False
            ) as response:
                return response.status
        return None

    def _note(self, outcome: str, request: PushRequest, status: int | None = None) -> None:
        PUSHES.labels(outcome).inc()
        if outcome != "sent":
            log.warning("push_not_sent", outcome=outcome, event_id=request.event_id, status=status)
