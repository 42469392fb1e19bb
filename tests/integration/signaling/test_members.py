"""A conversation for which messaging never answers, beside a messaging that is away: told apart by its readiness."""

from collections.abc import AsyncIterator

import pytest
from parley.messaging.v1 import events_pb2

from services.runtime.clock import SystemClock
from services.runtime.errors import StoreUnavailable
from services.runtime.grpc.server import RpcServer
from services.runtime.kafka.bus import Incoming, TransientFailure
from services.signaling.clients import GrpcMembers
from services.signaling.consumer import MembersConsumer
from services.signaling.core.errors import ConversationNotFound, MembersUnavailable
from services.signaling.core.model import ConversationId
from tests.integration.signaling.neighbours import membership_server
from tests.support.identities import tokens_of

GOOD, BAD, SLOW = (ConversationId(f"0190f000-0000-7000-8000-00000000000{number}") for number in range(3))


class Rooms(dict[str, list[str]]):
    """What messaging has; some of it fails every time."""

    def __getitem__(self, conversation_id: str) -> list[str]:
        if conversation_id == BAD:
            raise RuntimeError("a bug that one conversation meets")
        if conversation_id == SLOW:
            raise StoreUnavailable("cut off")
        return super().__getitem__(conversation_id)


@pytest.fixture
async def server() -> AsyncIterator[RpcServer]:
    server = membership_server(Rooms({GOOD: ["alice", "bob"], BAD: [], SLOW: []}), set())
    await server.start()
    await server.set_ready(True)
    yield server
    await server.stop()


@pytest.fixture
async def members(server: RpcServer) -> AsyncIterator[GrpcMembers]:
    members = GrpcMembers(f"127.0.0.1:{server.port}", tokens_of("signaling"))
    await members.start()
    yield members
    await members.stop()


async def refusal(members: GrpcMembers, conversation_id: ConversationId) -> MembersUnavailable:
    with pytest.raises(MembersUnavailable) as raised:
        await members.members_of(conversation_id)
    return raised.value


@pytest.mark.parametrize("conversation_id", [BAD, SLOW])
async def test_what_one_conversation_meets_is_told_from_an_outage(
    server: RpcServer, members: GrpcMembers, conversation_id: ConversationId
) -> None:
    asked = (await refusal(members, conversation_id)).others_pass
    assert asked
    assert await asked()
    assert (await members.members_of(GOOD)).user_ids == ("alice", "bob")
    await server.set_ready(False)
    assert not await asked()


async def test_a_messaging_that_is_not_there_is_an_outage(server: RpcServer, members: GrpcMembers) -> None:
    await server.stop()
    asked = (await refusal(members, GOOD)).others_pass
    assert asked
    assert not await asked()


async def test_a_token_that_messaging_does_not_take_is_no_conversations_fault(server: RpcServer) -> None:
    strangers = GrpcMembers(f"127.0.0.1:{server.port}", tokens_of("messaging"))
    await strangers.start()
    try:
        assert (await refusal(strangers, GOOD)).others_pass is None
    finally:
        await strangers.stop()


async def test_the_reader_of_conversations_hands_the_question_on(members: GrpcMembers) -> None:
    class FakeRoster:
        async def sync_call_of_group(self, conversation_id: ConversationId) -> None:
            try:
                await members.members_of(conversation_id)
            except ConversationNotFound:
                return

    event = events_pb2.ConversationEvent(conversation_id=SLOW)
    event.conversation_changed.SetInParent()
    record = Incoming("messaging.events.v1", 0, 0, SLOW.encode(), event.SerializeToString(), SystemClock().now(), None)
    with pytest.raises(TransientFailure) as raised:
        await MembersConsumer(FakeRoster()).handle([record])  # type: ignore[arg-type]
    assert raised.value.others_pass
    assert await raised.value.others_pass()
