"""What servers do in messaging: as accounts that their keys name, by the use-cases of users, and no more than those."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from parley.messaging.v1 import events_pb2

from services.messaging.accounts.service.accounts import AccountAdmission
from services.messaging.back_office.service import BackOffice
from services.messaging.groups.core.changes import Settings
from services.messaging.groups.service import GroupRequest
from services.messaging.hooks.service.reviewing import Reviews
from services.messaging.kernel.content import CallOutcome, CallRecord, Poll, Text, Unsent
from services.messaging.kernel.errors import (
    AccountDeleted,
    AccountRestricted,
    ConversationFrozen,
    ConversationNotFound,
    InvalidField,
    MessageNotFound,
    NotAllowed,
    NotEditable,
)
from services.messaging.kernel.model import ConversationId, Role, UserId
from services.messaging.messages.service.requests import SendRequest, TextRequest
from services.runtime.errors import CallerNotAllowed
from services.runtime.identity import scopes
from services.runtime.identity.server_keys import Server
from tests.support.accounts import FakeJobs
from tests.support.hooks import MemoryHeld
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, said, send

BOT = UserId("bot")
GREETER = Server("greeter", scopes.ALL, frozenset({BOT}))
ANYBODY = Server("anybody", scopes.ALL, None)
CHECK_S = 5
NOWHERE = "01a00000-0000-7000-8000-000000000000"


class Moderation:
    """What moderation decides, in memory."""

    def __init__(self, world: World, jobs: FakeJobs) -> None:
        self.set_frozen = world.store.set_frozen
        self._jobs = jobs

    async def set_restriction(self, user_id: UserId, until: datetime | None) -> None:
        self._jobs.restrictions.pop(user_id, None)
        if until:
            self._jobs.restrictions[user_id] = until


class Office:
    """The use-cases over a world in memory, in which restricted accounts write nothing."""

    def __init__(self, world: World) -> None:
        jobs = FakeJobs()
        self.admission = AccountAdmission(jobs, world.clock, CHECK_S)
        world.rates.require_may_write = self.admission.require_may_write
        self.invite = ""
        self.cases = BackOffice(
            *(world.conversations, world.sending, world.history, world.groups, world.store, world.store),
            *(Moderation(world, jobs), self.admission),
            *(Reviews(MemoryHeld(world.store), world.sending, world.changing, world.clock), world.clock),
        )
        # Of another replica.
        self.elsewhere = AccountAdmission(jobs, world.clock, CHECK_S)


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def text(key: str = "k", words: str = "welcome") -> TextRequest:
    return TextRequest(key, Text(words))


async def test_a_bot_is_an_account_as_any_other(world: World, office: Office) -> None:
    conversation = str((await office.cases.open_direct(GREETER, BOT, ALICE)).id)
    sent = await office.cases.send(GREETER, BOT, conversation, text())
    messages, _ = await world.history.list_messages(ALICE, conversation, 0, 10)
    assert [(message.id, message.sender_id, message.content) for message in messages] == [
        (sent.id, BOT, Text("welcome"))
    ]
    # The account's own devices see, and may change, what the server said for it.
    assert (await world.changing.unsend_message(BOT, conversation, sent.seq)).content == Unsent()


async def test_a_repeated_send_is_stored_once_whoever_repeats_it(world: World, office: Office) -> None:
    conversation = str((await office.cases.open_direct(GREETER, BOT, ALICE)).id)
    first = await office.cases.send(GREETER, BOT, conversation, text())
    assert await office.cases.send(GREETER, BOT, conversation, text(words="other words")) == first
    assert await office.cases.send(ANYBODY, BOT, conversation, text()) == first
    assert await send(world, BOT, conversation, "k", "again") == first


async def test_what_refuses_the_account_refuses_the_server(world: World, office: Office) -> None:
    conversation = await said(world, ALICE, BOB)
    with pytest.raises(ConversationNotFound):
        await office.cases.send(GREETER, BOT, conversation, text())
    world.store.set_blocked((await world.conversations.get_conversation(ALICE, conversation)).id, True)
    with pytest.raises(NotAllowed):
        await office.cases.send(ANYBODY, ALICE, conversation, text())
    with pytest.raises(InvalidField):
        await office.cases.open_direct(GREETER, BOT, BOT)


async def test_a_group_is_made_and_kept_on_behalf(world: World, office: Office) -> None:
    wanted = GroupRequest("k", "Help", [ALICE], "", False)
    made = await office.cases.create_group(GREETER, BOT, wanted)
    assert (await office.cases.create_group(GREETER, BOT, wanted)).id == made.id
    both = await office.cases.add_members(GREETER, BOT, str(made.id), [BOB], "add")
    assert {member.user_id for member in both.members} == {BOT, ALICE, BOB}
    left = await office.cases.remove_members(GREETER, BOT, str(made.id), [ALICE, BOB, ALICE, "nobody"], "spam")
    assert [member.user_id for member in left.members] == [BOT]
    # Idempotent, and the ban stands.
    assert await office.cases.remove_members(GREETER, BOT, str(made.id), [ALICE, BOB], "spam") == left
    assert await office.cases.add_members(GREETER, BOT, str(made.id), [BOB], "add") == left


@pytest.mark.parametrize("reason", ["", " ", "x" * 201, "two\nlines", "\0"])
async def test_whoever_is_taken_out_is_so_for_a_reason(world: World, office: Office, reason: str) -> None:
    made = await office.cases.create_group(GREETER, BOT, GroupRequest("k", "Help", [ALICE], "", False))
    with pytest.raises(InvalidField) as refused:
        await office.cases.remove_members(GREETER, BOT, str(made.id), [ALICE], reason)
    assert refused.value.field == "reason"


@pytest.mark.parametrize("people", [[], ["x"] * 101, ["a user"]])
async def test_some_people_are_taken_out_at_once_and_not_any_number(
    world: World, office: Office, people: list[str]
) -> None:
    made = await office.cases.create_group(GREETER, BOT, GroupRequest("k", "Help", [ALICE], "", False))
    with pytest.raises(InvalidField) as refused:
        await office.cases.remove_members(GREETER, BOT, str(made.id), people, "spam")
    assert refused.value.field == "user_ids"


# Each use-case, as an account.
Ask = Callable[[BackOffice, Server, str, str], Awaitable[object]]
AS_ACCOUNT: dict[str, Ask] = {
    "send": lambda cases, server, user, where: cases.send(server, user, where, text()),
    "open_direct": lambda cases, server, user, _: cases.open_direct(server, user, BOB),
    "create_group": lambda cases, server, user, _: cases.create_group(
        server, user, GroupRequest("n", "New", [], "", False)
    ),
    "add_members": lambda cases, server, user, where: cases.add_members(server, user, where, [BOB], ""),
    "remove_members": lambda cases, server, user, where: cases.remove_members(server, user, where, [BOB], "spam"),
    "get_conversation": lambda cases, server, user, where: cases.get_conversation(server, user, where),
    "list_messages": lambda cases, server, user, where: cases.list_messages(server, user, where, 0, 0),
}


# Of moderation: as no account.
AS_NOBODY = {"take_down_message", "freeze_conversation", "restrict_account", "lift_restriction"}
AS_NOBODY |= {"list_held", "release_held", "refuse_held"}


def test_each_use_case_is_asked_as_an_account_or_as_nobody() -> None:
    cases = {name for name in vars(BackOffice) if not name.startswith("_")}
    assert set(AS_ACCOUNT) | AS_NOBODY == cases


@pytest.mark.parametrize("case", AS_ACCOUNT)
async def test_a_server_acts_as_the_accounts_of_its_key_alone(world: World, office: Office, case: str) -> None:
    conversation = await group(world, BOT, BOB)
    ask = AS_ACCOUNT[case]
    with pytest.raises(CallerNotAllowed):
        await ask(office.cases, GREETER, ALICE, conversation)
    with pytest.raises(CallerNotAllowed):
        await ask(office.cases, Server("nobody", scopes.ALL), BOT, conversation)
    await ask(office.cases, ANYBODY, ALICE, conversation)
    office.admission.note_deletion(ALICE)
    with pytest.raises(AccountDeleted):
        await ask(office.cases, ANYBODY, ALICE, conversation)
    with pytest.raises(InvalidField) as refused:
        await ask(office.cases, ANYBODY, "a user", conversation)
    assert refused.value.field == "as_user_id"


async def test_without_an_account_only_who_may_act_as_everybody_reads(world: World, office: Office) -> None:
    conversation = await said(world, ALICE, BOB, both=True)
    for ask in (AS_ACCOUNT["get_conversation"], AS_ACCOUNT["list_messages"]):
        await ask(office.cases, ANYBODY, "", conversation)
        with pytest.raises(CallerNotAllowed):
            await ask(office.cases, GREETER, "", conversation)
        with pytest.raises(ConversationNotFound):
            await ask(office.cases, ANYBODY, "", NOWHERE)
    found = await office.cases.get_conversation(ANYBODY, "", conversation)
    assert {member.user_id for member in found.members} == {ALICE, BOB}


async def test_history_is_read_in_pages(world: World, office: Office) -> None:
    conversation = await said(world, ALICE, BOB, both=True)
    for number in range(5):
        await send(world, ALICE, conversation, f"k{number}", str(number))
    first, more = await office.cases.list_messages(ANYBODY, "", conversation, 0, 4)
    rest, end = await office.cases.list_messages(ANYBODY, "", conversation, first[-1].seq, 4)
    assert ([message.seq for message in (*first, *rest)], more, end) == ([7, 6, 5, 4, 3, 2, 1], True, False)


async def test_what_is_gone_for_people_is_gone_for_servers(world: World, office: Office) -> None:
    conversation = await said(world, ALICE, BOB, both=True)
    kept = await send(world, ALICE, conversation, "kept", "kept")
    gone = await send(world, ALICE, conversation, "gone", "gone")
    await world.changing.unsend_message(ALICE, conversation, gone.seq)
    await world.vanishing.set_vanishing(ALICE, conversation, timedelta(minutes=5))
    await send(world, ALICE, conversation, "brief", "brief")
    world.clock.advance(301)
    for as_user in ("", ALICE):
        messages, _ = await office.cases.list_messages(ANYBODY, as_user, conversation, 0, 10)
        contents = [message.content for message in messages]
        assert Text("gone") not in contents
        assert Text("brief") not in contents
        assert kept.content in contents


async def test_a_message_is_taken_down_for_everybody_whoever_wrote_it(world: World, office: Office) -> None:
    conversation = await said(world, ALICE, BOB, both=True)
    bad = await send(world, ALICE, conversation, "bad", "bad words")
    await world.changing.edit_message(ALICE, conversation, bad.seq, Text("worse words"))
    await world.changing.set_reaction(BOB, conversation, bad.seq, "👍", present=True)
    # Nobody's time for changes stands in the way.
    world.clock.advance(365 * 86_400)
    events = len(world.store.events)
    gone = await office.cases.take_down_message(conversation, bad.seq, "spam")
    assert (gone.content, gone.seq, gone.reactions, gone.edit_count) == (Unsent(), bad.seq, (), 0)
    for user in (ALICE, BOB):
        messages, _ = await world.history.list_messages(user, conversation, 0, 10)
        assert [message.content for message in messages if message.seq == bad.seq] == [Unsent()]
        assert await world.history.list_edits(user, conversation, bad.seq) == []
    # One event, that of a message which changed.
    (event,) = world.store.events[events:]
    told = events_pb2.ConversationEvent.FromString(event)
    assert told.message_changed.message.WhichOneof("content") == "unsent"
    assert await office.cases.take_down_message(conversation, bad.seq, "spam") == gone
    assert len(world.store.events) == events + 1


async def test_what_nobody_wrote_or_is_gone_is_not_taken_down(world: World, office: Office) -> None:
    conversation = await group(world, BOB)
    own = await send(world, ALICE, conversation, "own", "own")
    taken_back = await world.changing.unsend_message(ALICE, conversation, own.seq)
    assert await office.cases.take_down_message(conversation, own.seq, "spam") == taken_back
    with pytest.raises(NotEditable):
        # Who made the group.
        await office.cases.take_down_message(conversation, 1, "spam")
    with pytest.raises(MessageNotFound):
        await office.cases.take_down_message(conversation, 99, "spam")
    with pytest.raises(ConversationNotFound):
        await office.cases.take_down_message(NOWHERE, 1, "spam")
    for seq, reason, field in ((-1, "spam", "seq"), (2, "", "reason")):
        with pytest.raises(InvalidField) as refused:
            await office.cases.take_down_message(conversation, seq, reason)
        assert refused.value.field == field


# All ways to put something into a conversation, or into what all its people see of it. A group of Alice's with Bob, in
# which message 2 is hers, 3 is his, and 4 is a poll; Carol has an invite.
Way = Callable[[World, Office, str], Awaitable[object]]
CAROL = UserId("carol")
RECORD = CallRecord(UUID(int=5), False, CallOutcome.COMPLETED, timedelta(minutes=1), (ALICE, BOB))
WAYS: dict[str, Way] = {
    "a text": lambda world, _, where: send(world, ALICE, where, "new", "hello"),
    "an answer": lambda world, _, where: world.sending.send(BOB, where, TextRequest("a", Text("hello"), 2)),
    "an edit": lambda world, _, where: world.changing.edit_message(ALICE, where, 2, Text("other words")),
    "a reaction": lambda world, _, where: world.changing.set_reaction(BOB, where, 2, "👍", present=True),
    "a reaction less": lambda world, _, where: world.changing.set_reaction(ALICE, where, 3, "👍", present=False),
    "a vote": lambda world, _, where: world.changing.vote_poll(BOB, where, 4, [0]),
    "a vote less": lambda world, _, where: world.changing.vote_poll(ALICE, where, 4, []),
    "a server's text": lambda _, office, where: office.cases.send(ANYBODY, ALICE, where, text()),
    "the record of a call": lambda world, _, where: world.sending.record_call(
        ConversationId(UUID(where)), ALICE, RECORD
    ),
    "when messages vanish": lambda world, _, where: world.vanishing.set_vanishing(ALICE, where, timedelta(hours=1)),
}
GROUP_WAYS: dict[str, Way] = {
    "a title": lambda world, _, where: world.groups.update_group(ALICE, where, Settings(title="Words")),
    "a picture": lambda world, _, where: world.groups.update_group(ALICE, where, Settings(avatar_ref="words")),
    "a member": lambda world, _, where: world.groups.add_members(BOB, where, [UserId("dave")]),
    "a server's member": lambda _, office, where: office.cases.add_members(ANYBODY, ALICE, where, ["dave"], ""),
    "a role": lambda world, _, where: world.groups.set_role(ALICE, where, BOB, Role.ADMIN),
    "an invite": lambda world, _, where: world.groups.create_invite(ALICE, where),
    "who has an invite": lambda world, office, _: world.groups.join_by_invite(CAROL, office.invite),
}


async def talked_in(world: World, office: Office, kind: str) -> str:
    """A conversation for the ways above."""
    if kind == "group":
        conversation = await group(world, BOB)
        office.invite, _ = await world.groups.create_invite(ALICE, conversation)
    else:
        conversation = await said(world, BOB, ALICE)
    for user in (ALICE, BOB):
        await send(world, user, conversation, f"of {user}", "words")
    await world.changing.set_reaction(ALICE, conversation, 3, "👍", present=True)
    await world.sending.send(ALICE, conversation, SendRequest("poll", Poll("Where?", ("here", "there"))))
    await world.changing.vote_poll(ALICE, conversation, 4, [1])
    return conversation


def stands(world: World, conversation: str) -> object:
    """All that a conversation holds, and what was told."""
    target = ConversationId(UUID(conversation))
    return [*world.store.messages_of(target)], len(world.store.events)


CASES = [*(("direct", way) for way in WAYS), *(("group", way) for way in WAYS | GROUP_WAYS)]


@pytest.mark.parametrize(("kind", "way"), CASES)
async def test_a_frozen_conversation_takes_nothing_by_any_way(
    world: World, office: Office, kind: str, way: str
) -> None:
    conversation = await talked_in(world, office, kind)
    put = (WAYS | GROUP_WAYS)[way]
    for _ in range(2):
        await office.cases.freeze_conversation(conversation, "under attack", frozen=True)
        before = stands(world, conversation)
        with pytest.raises(ConversationFrozen):
            await put(world, office, conversation)
        assert stands(world, conversation) == before
    await office.cases.freeze_conversation(conversation, "it is over", frozen=False)
    await put(world, office, conversation)


async def test_people_read_take_back_and_go_where_it_is_frozen(world: World, office: Office) -> None:
    conversation = await talked_in(world, office, "group")
    kept = await send(world, BOB, conversation, "kept", "words")
    await office.cases.freeze_conversation(conversation, "under attack", frozen=True)
    messages, _ = await world.history.list_messages(ALICE, conversation, 0, 10)
    assert len(messages) == 5
    assert (await world.changing.unsend_message(ALICE, conversation, 2)).content == Unsent()
    assert (await office.cases.take_down_message(conversation, 3, "spam")).content == Unsent()
    # What was done before is answered as it was.
    assert await send(world, BOB, conversation, "kept", "words") == kept
    assert (await world.groups.update_group(ALICE, conversation, Settings(title="Trip"))).frozen
    await world.groups.remove_member(ALICE, conversation, BOB)
    await world.groups.leave_group(ALICE, conversation)


async def test_who_is_out_is_not_told_that_it_is_frozen(world: World, office: Office) -> None:
    conversation = await talked_in(world, office, "group")
    await office.cases.freeze_conversation(conversation, "under attack", frozen=True)
    for name in ("an edit", "a reaction", "a member", "a role", "an invite", "a title"):
        mallory: dict[str, Callable[[], Awaitable[object]]] = {
            "an edit": lambda: world.changing.edit_message(MALLORY, conversation, 2, Text("other words")),
            "a reaction": lambda: world.changing.set_reaction(MALLORY, conversation, 2, "👍", present=True),
            "a member": lambda: world.groups.add_members(MALLORY, conversation, [MALLORY]),
            "a role": lambda: world.groups.set_role(MALLORY, conversation, BOB, Role.ADMIN),
            "an invite": lambda: world.groups.create_invite(MALLORY, conversation),
            "a title": lambda: world.groups.update_group(MALLORY, conversation, Settings(title="Words")),
        }
        with pytest.raises(ConversationNotFound):
            await mallory[name]()
    with pytest.raises(ConversationNotFound):
        await send(world, MALLORY, conversation, "k", "words")


async def test_nobody_is_rung_where_it_is_frozen(world: World, office: Office) -> None:
    conversation = await talked_in(world, office, "group")
    assert (await world.relations.callees_of(conversation, ALICE)).user_ids == [BOB]
    await office.cases.freeze_conversation(conversation, "under attack", frozen=True)
    found = await world.relations.callees_of(conversation, ALICE)
    assert (found.user_ids, found.frozen) == ([], True)


async def test_a_freeze_names_a_conversation_and_a_reason(office: Office) -> None:
    with pytest.raises(ConversationNotFound):
        await office.cases.freeze_conversation(NOWHERE, "spam", frozen=True)
    for conversation, reason, field in (("x", "spam", "conversation_id"), (NOWHERE, "", "reason")):
        with pytest.raises(InvalidField) as refused:
            await office.cases.freeze_conversation(conversation, reason, frozen=True)
        assert refused.value.field == field


# What a restricted account does not do. Of the ways above those of Alice; a call that took place is recorded all the
# same, and when messages vanish says nothing.
WRITTEN = {
    **{way: WAYS[way] for way in ("a text", "an edit", "a reaction less", "a server's text")},
    **{way: GROUP_WAYS[way] for way in ("a title", "a picture", "a server's member")},
    "a group": lambda world, _, where: world.groups.create_group(ALICE, GroupRequest("n", "Words", [BOB], "", False)),
}


@pytest.mark.parametrize("way", WRITTEN)
async def test_a_restricted_account_writes_nothing_until_its_time_is_over(
    world: World, office: Office, way: str
) -> None:
    conversation = await talked_in(world, office, "group")
    await office.cases.restrict_account(ALICE, world.clock.now() + timedelta(minutes=5), "spam")
    before = stands(world, conversation)
    for _ in range(2):
        with pytest.raises(AccountRestricted, match="may write again from"):
            await WRITTEN[way](world, office, conversation)
        # As each call of hers does.
        world.clock.advance(CHECK_S + 1)
        await office.admission.require_not_deleted(ALICE)
    assert stands(world, conversation) == before
    await send(world, BOB, conversation, "others", "may write")
    world.clock.advance(300)
    await WRITTEN[way](world, office, conversation)


async def test_a_restriction_is_lifted_or_made_longer(world: World, office: Office) -> None:
    conversation = await talked_in(world, office, "direct")
    hour, day = (world.clock.now() + timedelta(hours=length) for length in (1, 24))
    await office.cases.restrict_account(ALICE, hour, "spam")
    await office.cases.restrict_account(ALICE, day, "more spam")
    world.clock.advance(7_200)
    await office.admission.require_not_deleted(ALICE)
    with pytest.raises(AccountRestricted):
        await send(world, ALICE, conversation, "new", "hello")
    for _ in range(2):
        await office.cases.lift_restriction(ALICE, "a mistake")
        await send(world, ALICE, conversation, "new", "hello")


async def test_a_restricted_account_reads_takes_back_and_goes(world: World, office: Office) -> None:
    conversation = await talked_in(world, office, "group")
    earlier = await send(world, ALICE, conversation, "earlier", "words")
    await office.cases.restrict_account(ALICE, world.clock.now() + timedelta(hours=1), "spam")
    await world.history.list_messages(ALICE, conversation, 0, 10)
    # The retry of what was stored gets it, and what stands already is answered.
    assert await send(world, ALICE, conversation, "earlier", "words") == earlier
    await world.groups.update_group(ALICE, conversation, Settings(title="Trip"))
    await world.changing.set_reaction(ALICE, conversation, 3, "👍", present=True)
    assert (await world.changing.unsend_message(ALICE, conversation, 2)).content == Unsent()
    await world.groups.leave_group(ALICE, conversation)


async def test_another_replica_notices_a_restriction_and_its_end_in_time(world: World, office: Office) -> None:
    await office.elsewhere.require_not_deleted(ALICE)
    await office.cases.restrict_account(ALICE, world.clock.now() + timedelta(hours=1), "spam")
    world.clock.advance(CHECK_S)
    await office.elsewhere.require_not_deleted(ALICE)
    with pytest.raises(AccountRestricted):
        office.elsewhere.require_may_write(ALICE)
    await office.cases.lift_restriction(ALICE, "a mistake")
    world.clock.advance(CHECK_S)
    await office.elsewhere.require_not_deleted(ALICE)
    office.elsewhere.require_may_write(ALICE)


async def test_a_deletion_is_not_undone_by_a_restriction(world: World, office: Office) -> None:
    office.admission.note_deletion(ALICE)
    for call in (
        office.cases.restrict_account(ALICE, world.clock.now() + timedelta(hours=1), "spam"),
        office.cases.lift_restriction(ALICE, "a mistake"),
    ):
        with pytest.raises(AccountDeleted):
            await call
    office.admission.note_restriction(ALICE, None)
    with pytest.raises(AccountDeleted):
        await office.admission.require_not_deleted(ALICE)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-1), timedelta(days=4_000)])
async def test_a_restriction_ends_in_the_future_and_not_never(world: World, office: Office, length: timedelta) -> None:
    with pytest.raises(InvalidField) as refused:
        await office.cases.restrict_account(ALICE, world.clock.now() + length, "spam")
    assert refused.value.field == "until_time"


async def test_a_restriction_names_an_account_and_a_reason(world: World, office: Office) -> None:
    until = world.clock.now() + timedelta(hours=1)
    for user, reason, field in (("a user", "spam", "user_id"), ("", "spam", "user_id"), (ALICE, "", "reason")):
        for call in (
            office.cases.restrict_account(user, until, reason),
            office.cases.lift_restriction(user, reason),
        ):
            with pytest.raises(InvalidField) as refused:
                await call
            assert refused.value.field == field
