"""The proof: what was acknowledged stands once, at its place, in one order for all members."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Any

import grpc
from parley.messaging.v1 import service_pb2
from parley.messaging.v1.service_pb2_grpc import MessagingServiceStub

from loadtests.evening.handset import Person
from loadtests.evening.state import Evening
from parley_client.delivery_checks import delivery_faults, order_differences
from parley_client.history import Arrival, History
from parley_client.inbox import to_entry
from parley_client.retries import retrying

# Members of each conversation whose history is read. More read more; two see whether the order is one.
_MEMBERS = 2
_PAGE = 200
_AT_ONCE = 8


async def compare(evening: Evening, chance: random.Random) -> dict[str, Any]:
    """Reads what members of each conversation have, all of it, and compares it with what senders were told.

    `compared`: messages that were looked at.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    async with grpc.aio.insecure_channel(evening.edge.address) as channel:
        stub = MessagingServiceStub(channel)

        async def of_place(number: int, conversation_id: str) -> tuple[int, int, list[str]]:
            async with gate:
                members = evening.town.places[number].members
                chosen = chance.sample(members, min(_MEMBERS, len(members)))
                histories = [await _read(stub, evening.persons[one], conversation_id) for one in chosen]
            return _compare(evening, conversation_id, histories)

        found = await asyncio.gather(*(of_place(*place) for place in enumerate(evening.conversation_ids)))
    faults = [fault for _, _, told in found for fault in told]
    twice = sum("stands twice" in fault for fault in faults)
    return {
        "compared": sum(compared for compared, _, _ in found),
        "lost": sum(lost for _, lost, _ in found),
        "duplicated": twice,
        "reordered": sum("order" in fault for fault in faults),
        "faults": faults,
    }


def _compare(evening: Evening, conversation_id: str, histories: list[History]) -> tuple[int, int, list[str]]:
    acknowledged = evening.on_their_way.acknowledged[conversation_id]
    lost = sum(history.entry(seq) is None for history in histories for _, seq in acknowledged)
    faults = [fault for history in histories for fault in delivery_faults(history, acknowledged)]
    faults += [f"order: {fault}" for fault in order_differences(histories[0], histories[-1])]
    return sum(history.cursor for history in histories), lost, faults


async def _read(stub: Any, person: Person, conversation_id: str) -> History:
    """All of a conversation as one member sees it."""
    history = History(conversation_id)
    metadata = (("authorization", f"Bearer {await person.tokens.token()}"),)
    before_seq = 0
    while True:
        request = service_pb2.ListMessagesRequest(
            conversation_id=conversation_id, before_seq=before_seq, page_size=_PAGE
        )
        answer = await retrying(partial(stub.ListMessages, request, metadata=metadata, timeout=30.0))
        for message in answer.messages:
            if history.add(to_entry(message)) is Arrival.CONFLICT:
                break
        if not answer.has_more or not answer.messages:
            return history
        before_seq = answer.messages[-1].seq
