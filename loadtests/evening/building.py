"""Makes a town at a stack: its direct conversations and groups, each with a first word of everybody in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import grpc
from parley.messaging.v1 import messages_pb2, service_pb2
from parley.messaging.v1.service_pb2_grpc import MessagingServiceStub

from loadtests.evening.handset import Person
from loadtests.evening.town import Place, Town
from parley_client.client import Edge
from parley_client.retries import retrying

T = TypeVar("T")

# Raising it makes the town sooner, and the stack busier before it is measured; lowering it the other way round.
_AT_ONCE = 16
_CHANNELS = 4
_TIMEOUT_S = 30.0
# Of a group, so many say something first.
_FIRST_WORDS = 5


async def build(
    edge: Edge,
    town: Town,
    people: Sequence[Person],
    say: Callable[[int, int], None],
    acknowledge: Callable[[str, str, int], None],
) -> list[str]:
    """The ids of the town's places. `say` is told how many of how many are there, `acknowledge` of each message."""
    async with AsyncExitStack() as cleanup:
        channels = [
            await cleanup.enter_async_context(
                grpc.aio.insecure_channel(edge.address, options=[("grpc.use_local_subchannel_pool", 1)])
            )
            for _ in range(_CHANNELS)
        ]
        stubs = [MessagingServiceStub(channel) for channel in channels]
        gate = asyncio.Semaphore(_AT_ONCE)
        done = 0

        async def make(number: int, place: Place) -> str:
            nonlocal done
            async with gate:
                builder = _Builder(stubs[number % _CHANNELS], acknowledge)
                conversation_id = await builder.make([people[member] for member in place.members], place.is_group)
            done += 1
            say(done, len(town.places))
            return conversation_id

        return list(await asyncio.gather(*(make(number, place) for number, place in enumerate(town.places))))


class _Builder:
    def __init__(self, stub: Any, acknowledge: Callable[[str, str, int], None]) -> None:
        self._stub = stub
        self._acknowledge = acknowledge

    async def make(self, members: Sequence[Person], is_group: bool) -> str:
        ids = [member.user_id for member in members[1:]]
        if is_group:
            request: Any = service_pb2.CreateGroupRequest(
                client_conversation_id=secrets.token_hex(16), title="evening", user_ids=ids
            )
            answer = await self._as(members[0], self._stub.CreateGroup, request)
        else:
            request = service_pb2.CreateDirectConversationRequest(peer_user_id=ids[0])
            answer = await self._as(members[0], self._stub.CreateDirectConversation, request)
        conversation_id: str = answer.conversation.conversation_id
        for member in members[:_FIRST_WORDS]:
            await self._say_hello(member, conversation_id)
        return conversation_id

    async def _say_hello(self, member: Person, conversation_id: str) -> None:
        client_message_id = secrets.token_hex(16)
        request = service_pb2.SendMessageRequest(
            conversation_id=conversation_id,
            client_message_id=client_message_id,
            text=messages_pb2.TextContent(text="hello"),
        )
        answer = await self._as(member, self._stub.SendMessage, request)
        self._acknowledge(client_message_id, conversation_id, answer.message.seq)

    async def _as(self, member: Person, rpc: Callable[..., Awaitable[T]], request: Any) -> T:
        metadata = (("authorization", f"Bearer {await member.tokens.token()}"),)
        return await retrying(lambda: rpc(request, metadata=metadata, timeout=_TIMEOUT_S))
