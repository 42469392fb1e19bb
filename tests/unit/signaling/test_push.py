"""Rings as signed webhooks: what is posted, how often it is tried, and when it is too late."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from aiohttp import web
from parley.calls.v1 import events_pb2 as calls_events
from prometheus_client import REGISTRY
from standardwebhooks import Webhook

from services.runtime.http.webhooks import sign_as_before
from services.runtime.kafka.bus import Incoming, PoisonRecord
from services.signaling.publisher import CALLS_TOPIC, CallEvents
from services.signaling.push import ATTEMPTS, WebhookPusher, read_request
from tests.support.clock import ManualClock
from tests.support.keyed import call_record
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, DAVE, GROUP_TALK, START, TABLET, TIMEOUTS, World

SECRET = b"w" * 32
PUBLISH = CallEvents(lambda now: UUID(int=9))


def incoming(value: bytes) -> Incoming:
    return call_record(value, CALLS_TOPIC)


@dataclass
class Provider:
    """The push provider: answers with the statuses it was told to, the last one for ever."""

    statuses: list[int] = field(default_factory=lambda: [204])
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def pusher(provider: Provider, clock: ManualClock) -> AsyncIterator[WebhookPusher]:
    app = web.Application()
    app.router.add_post("/ring", provider.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    made = WebhookPusher(f"http://{host}:{port}/ring", SECRET, clock, backoff_s=0)
    await made.start()
    yield made
    await made.stop()
    await runner.cleanup()


async def ring_events() -> list[Incoming]:
    """What is published when Alice rings Bob."""
    call = await World().start()
    return [incoming(record.value) for record in PUBLISH(None, call, START) if record.topic == CALLS_TOPIC]


async def test_a_ring_is_posted_once_signed_over_its_time_and_body(pusher: WebhookPusher, provider: Provider) -> None:
    await pusher.handle(await ring_events())
    ((headers, body),) = provider.seen
    told = json.loads(body)
    assert (told["kind"], told["user_ids"], told["caller_id"]) == ("ring", [BOB], ALICE)
    assert told["event_id"] == str(UUID(int=9))
    timestamp = headers["Parley-Timestamp"]
    assert int(timestamp) == int(START.timestamp())
    expected = hmac.new(SECRET, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["Parley-Signature"] == f"v1={expected}"
    assert headers["webhook-id"] == told["event_id"]
    assert headers["webhook-timestamp"] == timestamp
    assert headers["webhook-signature"] == Webhook(SECRET).sign(told["event_id"], START, body.decode())


async def test_while_the_secret_is_changed_each_signs(provider: Provider, clock: ManualClock) -> None:
    app = web.Application()
    app.router.add_post("/ring", provider.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    both = WebhookPusher(f"http://{host}:{port}/ring", (b"n" * 32, SECRET), clock, backoff_s=0)
    await both.start()
    await both.handle(await ring_events())
    await both.stop()
    await runner.cleanup()
    ((headers, body),) = provider.seen
    at = int(headers["Parley-Timestamp"])
    signatures = headers["Parley-Signature"].split(",")
    assert signatures == [f"v1={sign_as_before(secret, at, body)}" for secret in (b"n" * 32, SECRET)]
    assert len(headers["webhook-signature"].split(" ")) == 2


async def test_what_the_provider_cannot_take_now_is_tried_again(pusher: WebhookPusher, provider: Provider) -> None:
    provider.statuses = [503, 429, 200]
    await pusher.handle(await ring_events())
    assert len(provider.seen) == 3
    assert len({body for _, body in provider.seen}) == 1


async def test_tries_are_bounded_and_a_refusal_is_final(pusher: WebhookPusher, provider: Provider) -> None:
    provider.statuses = [500]
    await pusher.handle(await ring_events())
    assert len(provider.seen) == ATTEMPTS
    provider.statuses = [400]
    await pusher.handle(await ring_events())
    assert len(provider.seen) == ATTEMPTS + 1


async def test_a_ring_that_is_over_is_not_posted(pusher: WebhookPusher, provider: Provider, clock: ManualClock) -> None:
    events = await ring_events()
    clock.advance(TIMEOUTS.ring_s)
    await pusher.handle(events)
    assert provider.seen == []


async def test_a_provider_that_is_away_holds_nothing_up(clock: ManualClock) -> None:
    nowhere = WebhookPusher("http://127.0.0.1:9/ring", SECRET, clock, backoff_s=0)
    failed = REGISTRY.get_sample_value("signaling_pushes_total", {"outcome": "failed"}) or 0.0
    await nowhere.start()
    await nowhere.handle(await ring_events())
    await nowhere.stop()
    assert REGISTRY.get_sample_value("signaling_pushes_total", {"outcome": "failed"}) == failed + 1


def test_what_is_no_call_event_is_poison_and_other_events_ask_for_nothing() -> None:
    with pytest.raises(PoisonRecord):
        read_request(incoming(b"nonsense"))
    other = calls_events.CallEvent(call_id=str(UUID(int=1)), media_connected=calls_events.MediaConnected())
    assert read_request(incoming(other.SerializeToString())) is None


async def test_each_who_is_rung_is_pushed_and_told_once_when_the_ring_is_over() -> None:
    world = World()
    world.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL, DAVE]
    ringing = await world.start(talk=GROUP_TALK)
    answered, _ = await world.service.accept_call(ringing.call_id, BOB, TABLET)
    pushed = [
        (push.kind, list(push.user_ids))
        for before, call in ((None, ringing), (ringing, answered), (answered, answered))
        for record in PUBLISH(before, call, START)
        if record.topic == CALLS_TOPIC
        for event in [calls_events.CallEvent.FromString(record.value)]
        if event.HasField("push_requested")
        for push in [event.push_requested]
    ]
    assert pushed == [
        (calls_events.PUSH_KIND_RING, [BOB, CAROL, DAVE]),
        (calls_events.PUSH_KIND_RING_ENDED, [BOB]),
    ]
