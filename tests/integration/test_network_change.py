"""A phone changes its network in the middle of a call: its address changes, or its way is gone and it offers anew."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from parley.messaging.v1 import service_pb2 as messaging

from loadtests.headless.calls import ACTIVE, ENDED
from loadtests.headless.client import Edge
from loadtests.headless.person import Person, person
from loadtests.headless.tracks import SourceOptions
from tests.integration.sfu.relay import Address, Relay, through
from tests.support.stack import RunningStack

DEADLINE_S = 60.0
SOURCE = SourceOptions(width=160, height=90, pictures_per_s=5)


class Network:
    """The way that a phone's packets take. On another way it has another address, and the former one leads nowhere."""

    def __init__(self, worker: Address) -> None:
        self._worker = worker
        self._front: Address = worker
        self.way = Relay(worker)

    async def enter(self) -> None:
        """Connections that are made from now on take a new way."""
        self.way = Relay(self._worker)
        self._front = await self.way.start()

    def lead(self, answer: str) -> str:
        """The SFU's answer as the phone is to read it."""
        return through(answer, self._front)


@dataclass
class Trip:
    """Ann talks to Bob from a phone that changes its network."""

    ann: Person
    bob: Person
    network: Network
    conversation_id: str

    async def until_more(self) -> None:
        """Waits until each has heard a second more, and seen more pictures, on the connection it has now."""

        async def hears_more(side: Person) -> None:
            media = side.phone.media
            goal, frames = media.tone_ms_decoded + 1000, media.video_frames_decoded
            await media.until(
                lambda: media.tone_ms_decoded >= goal and media.video_frames_decoded > frames,
                DEADLINE_S,
                f"more of the other side at {side.user_id}",
            )

        await asyncio.gather(hears_more(self.ann), hears_more(self.bob))

    async def hang_up_and_find_one_record(self) -> None:
        await self.ann.phone.hang_up()
        for side in (self.ann, self.bob):
            await side.phone.until_state(ENDED, DEADLINE_S)
            await side.stream.until(
                lambda side=side: side.call_record(self.conversation_id, side.phone.call_id) is not None,  # type: ignore[misc]
                DEADLINE_S,
                "the record of the call",
            )
            records = [entry.call for entry in side.history(self.conversation_id).shown if entry.call]
            assert [record.outcome for record in records] == ["COMPLETED"]


@pytest.fixture
async def trip(stack: RunningStack) -> AsyncIterator[Trip]:
    edge = Edge(stack.record.edge_address, stack.record.issuer_url)
    (worker,) = stack.record.media_addresses.values()
    host, _, port = worker.rpartition(":")
    network = Network((host, int(port)))
    await network.enter()
    async with AsyncExitStack() as cleanup:
        cleanup.callback(lambda: network.way.close())
        ways = [network.lead, lambda answer: answer]
        ann, bob = [
            await cleanup.enter_async_context(
                person(edge, f"{name}-{secrets.token_hex(4)}", SOURCE, SOURCE.tone_hz, DEADLINE_S, reroute=reroute)
            )
            for name, reroute in zip(("ann", "bob"), ways, strict=True)
        ]
        request = messaging.CreateDirectConversationRequest(peer_user_id=bob.user_id)
        made = (await ann.device.messaging.CreateDirectConversation(request)).conversation
        call = await ann.phone.start(made.conversation_id)
        await ann.phone.join_media()
        await bob.phone.until_ring(DEADLINE_S)
        await bob.phone.accept(call.call_id)
        await bob.phone.join_media()
        await asyncio.gather(*(side.phone.media.until_media(DEADLINE_S) for side in (ann, bob)))
        yield Trip(ann, bob, network, made.conversation_id)


async def test_the_call_goes_on_when_a_phones_address_changes_and_signaling_hears_nothing_of_it(trip: Trip) -> None:
    before = trip.ann.stream.inbox.calls[trip.ann.phone.call_id]
    connections = [side.phone.media for side in (trip.ann, trip.bob)]
    for _ in range(2):
        await trip.network.way.move()
        await trip.until_more()
    assert [side.phone.media for side in (trip.ann, trip.bob)] == connections
    assert trip.ann.stream.inbox.calls[trip.ann.phone.call_id] == before
    await trip.hang_up_and_find_one_record()


async def test_a_phone_whose_way_is_gone_offers_anew_and_is_in_the_same_call(trip: Trip) -> None:
    call_id = trip.ann.phone.call_id
    trip.network.way.close()
    await trip.network.enter()
    await trip.ann.phone.rejoin()
    await trip.ann.phone.media.until_media(DEADLINE_S)
    await trip.until_more()
    assert (trip.ann.phone.call_id, trip.ann.phone.state, trip.bob.phone.state) == (call_id, ACTIVE, ACTIVE)
    await trip.hang_up_and_find_one_record()
