"""A phone changes its network in the middle of a call: its address changes, or its way is gone and it offers anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from parley_client.calls import ACTIVE, ENDED
from parley_client.session import Session
from parley_client.waiting import DeadlineMissedError
from tests.integration.sfu.relay import Address, Relay, through, worker_of
from tests.support.stack import RunningStack
from tests.support.talk import Talk, talking
from tests.support.waiting import PATIENCE_S

# Until the first answer names a worker.
NOWHERE: Address = ("127.0.0.1", 9)


class Network:
    """The way that a phone's packets take. On another way it has another address, and the former one leads nowhere."""

    def __init__(self) -> None:
        self._front: Address = NOWHERE
        self.way = Relay(NOWHERE)

    async def enter(self) -> None:
        """Connections that are made from now on take a new way."""
        self.way = Relay(NOWHERE)
        self._front = await self.way.start()

    def lead(self, answer: str) -> str:
        """The SFU's answer as the phone is to read it. The way leads to the worker that it names."""
        self.way.worker = worker_of(answer)
        return through(answer, self._front)


@dataclass
class Trip:
    """Ann talks to Bob from a phone that changes its network."""

    talk: Talk
    network: Network

    @property
    def ann(self) -> Session:
        return self.talk.sides[0]

    @property
    def bob(self) -> Session:
        return self.talk.sides[1]

    async def until_more_media(self) -> None:
        """See Talk. One that is waited for in vain says what the way has carried since the change."""
        try:
            await self.talk.until_more_media(1000)
        except DeadlineMissedError as error:
            error.add_note(f"the way of {self.ann.user_id}: {dict(self.network.way.carried)}")
            raise

    async def hang_up_and_find_one_record(self) -> None:
        await self.ann.phone.hang_up()
        for side in (self.ann, self.bob):
            await side.phone.until_state(ENDED, PATIENCE_S)
            await side.stream.until(
                lambda side=side: side.call_record(self.talk.conversation_id, side.phone.call_id) is not None,  # type: ignore[misc]
                PATIENCE_S,
                "the record of the call",
            )
            records = [entry.call for entry in side.history(self.talk.conversation_id).shown if entry.call]
            assert [record.outcome for record in records] == ["COMPLETED"]


@pytest.fixture
async def trip(stack: RunningStack) -> AsyncIterator[Trip]:
    network = Network()
    await network.enter()
    try:
        async with talking(stack.record, pictures_per_s=5, reroute=network.lead) as talk:
            yield Trip(talk, network)
    finally:
        network.way.close()


async def test_the_call_goes_on_when_a_phones_address_changes_and_signaling_hears_nothing_of_it(trip: Trip) -> None:
    before = trip.ann.stream.inbox.calls[trip.ann.phone.call_id]
    connections = [side.phone.media for side in (trip.ann, trip.bob)]
    for _ in range(2):
        await trip.network.way.move()
        await trip.until_more_media()
    assert [side.phone.media for side in (trip.ann, trip.bob)] == connections
    assert trip.ann.stream.inbox.calls[trip.ann.phone.call_id] == before
    await trip.hang_up_and_find_one_record()


async def test_a_phone_whose_way_is_gone_offers_anew_and_is_in_the_same_call(trip: Trip) -> None:
    call_id = trip.ann.phone.call_id
    trip.network.way.close()
    await trip.network.enter()
    await trip.ann.phone.rejoin()
    await trip.ann.phone.media.until_media(PATIENCE_S)
    await trip.until_more_media()
    assert (trip.ann.phone.call_id, trip.ann.phone.state, trip.bob.phone.state) == (call_id, ACTIVE, ACTIVE)
    await trip.hang_up_and_find_one_record()
