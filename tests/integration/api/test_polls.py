"""Polls and their votes, from device to device."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import grpc
from parley.messaging.v1 import accounts_pb2 as accounts
from parley.messaging.v1 import accounts_pb2_grpc
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import service_pb2 as messaging

from deploy.embedded.record import StackRecord
from parley_client.client import Device, http_login
from parley_client.entries import Poll
from tests.integration.api.conftest import DEADLINE_S, Online, World, new_user, refused
from tests.integration.api.test_tokens import bearer
from tests.support.waiting import PATIENCE_S

INVALID = grpc.StatusCode.INVALID_ARGUMENT
QUESTION, OPTIONS = "Where do we eat?", ("Tapas", "Ramen", "At home")


async def ask(device: Device, conversation_id: str, *, multiple: bool = False) -> messages.Message:
    poll = messages.PollContent(question=QUESTION, options=OPTIONS, multiple=multiple)
    request = messaging.SendMessageRequest(
        conversation_id=conversation_id, client_message_id=secrets.token_hex(8), poll=poll
    )
    return (await device.messaging.SendMessage(request)).message


async def vote(device: Device, conversation_id: str, seq: int, *options: int) -> messages.Message:
    request = messaging.VotePollRequest(conversation_id=conversation_id, seq=seq, option_indexes=options)
    return (await device.messaging.VotePoll(request)).message


async def found_group(device: Device, *user_ids: str) -> str:
    request = messaging.CreateGroupRequest(client_conversation_id=new_user(), title="Trip", user_ids=user_ids)
    return (await device.messaging.CreateGroup(request)).conversation.conversation_id


async def until_votes(online: Online, conversation_id: str, seq: int, votes: Sequence[Sequence[str]]) -> None:
    """Waits until the device shows these votes, option by option."""
    wanted = Poll(QUESTION, OPTIONS, True, tuple(tuple(users) for users in votes))

    def is_shown() -> bool:
        entry = online.stream.inbox.conversations.history(conversation_id).entry(seq)
        return entry is not None and entry.poll == wanted

    await online.stream.until(is_shown, DEADLINE_S, f"the votes {votes}")


async def test_two_people_vote_change_and_take_back_and_every_device_sees_it(world: World) -> None:
    alice, bob, conversation_id = await world.pair_online()
    sent = await ask(alice.device, conversation_id, multiple=True)
    one, other = alice.user_id, bob.user_id
    await vote(bob.device, conversation_id, sent.seq, 1, 2)
    after = await vote(alice.device, conversation_id, sent.seq, 1)
    assert [(each.option_index, list(each.user_ids)) for each in after.poll_votes] == [(1, [other, one]), (2, [other])]
    tablet = await world.online(alice.user_id)
    for online in (alice, bob, tablet):
        await until_votes(online, conversation_id, sent.seq, ((), (other, one), (other,)))
    changed = await vote(bob.device, conversation_id, sent.seq, 0)
    # The retry of it.
    assert await vote(bob.device, conversation_id, sent.seq, 0) == changed
    for online in (alice, bob, tablet):
        await until_votes(online, conversation_id, sent.seq, ((other,), (one,), ()))
    await vote(alice.device, conversation_id, sent.seq)
    for online in (alice, bob, tablet):
        await until_votes(online, conversation_id, sent.seq, ((other,), (), ()))
    unsend = messaging.UnsendMessageRequest(conversation_id=conversation_id, seq=sent.seq)
    gone = (await alice.device.messaging.UnsendMessage(unsend)).message
    assert (gone.WhichOneof("content"), list(gone.poll_votes)) == ("unsent", [])
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "NOT_EDITABLE"):
        await vote(bob.device, conversation_id, sent.seq, 0)


async def test_what_a_poll_does_not_have_is_refused_by_its_field(world: World) -> None:
    alice, bob, conversation_id = await world.pair()
    sent = await ask(alice, conversation_id)
    for options in ((3,), (-1,), (0, 1)):
        with refused(INVALID, "FIELD_INVALID") as refusal:
            await vote(bob, conversation_id, sent.seq, *options)
        assert refusal.fields == ("option_indexes",)
    poll = messages.PollContent(question="?", options=["one"])
    request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id="short", poll=poll)
    with refused(INVALID, "FIELD_INVALID") as refusal:
        await alice.messaging.SendMessage(request)
    assert refusal.fields == ("poll.options",)


async def test_who_is_blocked_or_removed_does_not_vote(world: World) -> None:
    alice, bob, conversation_id = await world.pair()
    sent = await ask(alice, conversation_id)
    group = await found_group(alice, bob.user_id)
    asked = await ask(alice, group)
    await vote(bob, group, asked.seq, 1)
    await alice.messaging.RemoveMember(messaging.RemoveMemberRequest(conversation_id=group, user_id=bob.user_id))
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await vote(bob, group, asked.seq, 0)
    await alice.relations.BlockUser(relations.BlockUserRequest(user_id=bob.user_id))
    with refused(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"):
        await vote(bob, conversation_id, sent.seq, 0)


async def test_a_deletion_takes_the_persons_votes_back_and_tells_the_others(world: World, record: StackRecord) -> None:
    alice, bob = await world.online(), world.device()
    group = await found_group(alice.device, bob.user_id)
    sent = await ask(alice.device, group, multiple=True)
    await vote(bob, group, sent.seq, 0, 2)
    await vote(alice.device, group, sent.seq, 2)
    await until_votes(alice, group, sent.seq, ((bob.user_id,), (), (bob.user_id, alice.user_id)))
    token = (await http_login(record.issuer_url)(bob.user_id)).value
    async with grpc.aio.insecure_channel(record.grpc_addresses["messaging"]) as channel:
        stub = accounts_pb2_grpc.AccountServiceStub(channel)
        request = accounts.DeleteAccountRequest(confirm_user_id=bob.user_id)
        await stub.DeleteAccount(request, metadata=bearer(token), timeout=PATIENCE_S)
    await until_votes(alice, group, sent.seq, ((), (), (alice.user_id,)))
