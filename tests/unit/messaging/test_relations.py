"""What the contract says of who may reach whom, sentence by sentence, through the use-cases."""

from datetime import timedelta

import pytest

from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import (
    ConversationNotFound,
    InvalidField,
    InviteNotFound,
    NotAllowed,
)
from services.messaging.kernel.model import UserId
from services.messaging.kernel.request import RequestState
from services.messaging.relations.core.errors import (
    ConversationQuota,
    TooManyBlocks,
)
from services.messaging.relations.core.graph import GraphEvent, GraphEventKind
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.service import RelationLimits, Relations
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, said, send

CAROL = UserId("carol")


async def setting(world: World, user: UserId, **audiences: Audience) -> None:
    await world.relations.update_settings(user, SettingsChange(**audiences))


async def follow(world: World, user: UserId, other: UserId, *, stands: bool = True) -> None:
    world.clock.advance(1)
    await world.relations.apply_graph_events(
        [GraphEvent(GraphEventKind.FOLLOWS, user, other, stands, world.clock.now())]
    )


async def request_of(world: World, conversation_id: str, user: UserId) -> RequestState:
    conversation = await world.conversations.get_conversation(user, conversation_id)
    member = conversation.member(user)
    assert member is not None
    return member.request


async def callees(world: World, conversation: str, caller: UserId) -> list[UserId]:
    return list((await world.relations.callees_of(conversation, caller)).user_ids)


async def typing_reaches(world: World, conversation: str, typist: UserId) -> list[UserId]:
    _, members = await world.relations.members_of(conversation, typist)
    return [member for member in members if member != typist]


async def seen_by(world: World, user: UserId, *others: UserId) -> list[UserId]:
    return list(await world.relations.filter_contacts(user, others))


# Blocks.


@pytest.mark.parametrize("blocker", [ALICE, BOB])
async def test_blocked_user_cannot_write_call_or_see_presence_or_typing_in_either_direction(
    world: World, blocker: UserId
) -> None:
    conversation = await said(world, ALICE, BOB, both=True)
    assert [await callees(world, conversation, ALICE), await seen_by(world, ALICE, BOB)] == [[BOB], [BOB]]
    await world.relations.block_user(blocker, BOB if blocker == ALICE else ALICE)
    for user, other in ((ALICE, BOB), (BOB, ALICE)):
        with pytest.raises(NotAllowed):
            await send(world, user, conversation, "k", "hello")
        with pytest.raises(NotAllowed):
            await world.changing.edit_message(user, conversation, 1 if user == ALICE else 2, Text("other"))
        with pytest.raises(NotAllowed):
            await world.changing.set_reaction(user, conversation, 1, "👍", present=True)
        with pytest.raises(NotAllowed):
            await world.conversations.open_direct(user, other)
        assert await callees(world, conversation, user) == []
        assert await seen_by(world, user, other) == []
        assert await typing_reaches(world, conversation, user) == []


async def test_under_a_block_one_can_still_take_back_what_one_wrote_and_read_what_was_written(world: World) -> None:
    conversation = await said(world, ALICE, BOB)
    await world.relations.block_user(BOB, ALICE)
    await world.changing.unsend_message(ALICE, conversation, 1)
    assert len((await world.history.list_messages(BOB, conversation, 0, 0))[0]) == 1


async def test_after_unblocking_all_is_as_before(world: World) -> None:
    conversation = await said(world, ALICE, BOB, both=True)
    await world.relations.block_user(BOB, ALICE)
    await world.relations.unblock_user(BOB, ALICE)
    await world.relations.unblock_user(BOB, ALICE)
    assert (await send(world, ALICE, conversation, "k", "hello")).seq == 3
    assert await callees(world, conversation, ALICE) == await seen_by(world, ALICE, BOB) == [BOB]
    assert await typing_reaches(world, conversation, ALICE) == [BOB]


async def test_in_a_group_a_block_hides_presence_and_typing_and_stops_no_message(world: World) -> None:
    conversation = await group(world, BOB, CAROL)
    await world.relations.block_user(BOB, ALICE)
    await send(world, ALICE, conversation, "k", "hello")
    assert await seen_by(world, ALICE, BOB, CAROL) == await typing_reaches(world, conversation, ALICE) == [CAROL]
    assert await callees(world, conversation, ALICE) == [CAROL]


async def test_a_block_of_the_network_acts_like_one_of_parley_and_ends_there(world: World) -> None:
    conversation = await said(world, ALICE, BOB)
    await world.relations.apply_graph_events([GraphEvent(GraphEventKind.BLOCKS, BOB, ALICE, True, world.clock.now())])
    await world.relations.unblock_user(BOB, ALICE)
    with pytest.raises(NotAllowed):
        await send(world, ALICE, conversation, "k", "hello")
    assert [block.user_id for block in (await world.relations.list_blocks(BOB, 0, ""))[0]] == [ALICE]


async def test_a_fact_of_a_host_whose_clock_is_ahead_is_outweighed_by_the_next(world: World) -> None:
    conversation = await said(world, ALICE, BOB)
    for ahead in (timedelta(hours=1), timedelta(days=365 * 7_000)):
        await world.relations.apply_graph_events(
            [GraphEvent(GraphEventKind.BLOCKS, BOB, ALICE, False, world.clock.now() + ahead)]
        )
        world.clock.advance(1)
        await world.relations.apply_graph_events(
            [GraphEvent(GraphEventKind.BLOCKS, BOB, ALICE, True, world.clock.now())]
        )
        with pytest.raises(NotAllowed):
            await send(world, ALICE, conversation, "k", "hello")


async def test_nobody_blocks_oneself_or_a_name_that_is_none(world: World) -> None:
    for name in (ALICE, "", "a b", "x" * 65):
        with pytest.raises(InvalidField):
            await world.relations.block_user(ALICE, name)


async def test_blocks_come_in_pages_and_only_ones_own(world: World) -> None:
    for number in range(5):
        world.clock.advance(1)
        await world.relations.block_user(ALICE, f"p{number}")
    seen, token = [], ""
    while True:
        page, token = await world.relations.list_blocks(ALICE, 2, token)
        seen += [block.user_id for block in page]
        if not token:
            break
    assert seen == ["p4", "p3", "p2", "p1", "p0"]
    assert await world.relations.list_blocks(BOB, 0, "") == ([], "")
    with pytest.raises(InvalidField):
        await world.relations.list_blocks(ALICE, 0, "nonsense")


async def test_a_user_cannot_block_more_people_than_is_allowed(world: World) -> None:
    relations = Relations(
        world.store, world.store.relations, world.store.relations, world.clock, RelationLimits(blocks=1)
    )
    await relations.block_user(ALICE, BOB)
    await relations.block_user(ALICE, BOB)
    with pytest.raises(TooManyBlocks):
        await relations.block_user(ALICE, CAROL)


async def test_who_has_a_block_with_the_inviter_finds_no_invite_and_others_join(world: World) -> None:
    conversation = await group(world)
    token, _ = await world.groups.create_invite(ALICE, conversation)
    await world.relations.block_user(ALICE, BOB)
    await world.relations.block_user(CAROL, ALICE)
    for user in (BOB, CAROL):
        with pytest.raises(InviteNotFound):
            await world.groups.join_by_invite(user, token)
    assert (await world.groups.join_by_invite(MALLORY, token)).member(MALLORY)


# Requests.


async def test_who_is_not_let_write_lands_in_requests(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    await follow(world, BOB, CAROL)
    assert await request_of(world, await said(world, ALICE, BOB), BOB) is RequestState.PENDING
    assert await request_of(world, await said(world, CAROL, BOB), BOB) is RequestState.ACCEPTED


async def test_verified_people_may_write_where_they_are_let(world: World) -> None:
    await setting(world, BOB, messages=Audience.VERIFIED)
    await world.relations.apply_graph_events(
        [GraphEvent(GraphEventKind.VERIFIED, CAROL, UserId(""), True, world.clock.now())]
    )
    assert await request_of(world, await said(world, ALICE, BOB), BOB) is RequestState.PENDING
    assert await request_of(world, await said(world, CAROL, BOB), BOB) is RequestState.ACCEPTED


async def test_who_takes_messages_of_nobody_gets_none_from_new_people_and_goes_on_with_old_ones(world: World) -> None:
    conversation = await said(world, ALICE, BOB)
    await setting(world, BOB, messages=Audience.NOBODY)
    with pytest.raises(NotAllowed):
        await world.conversations.open_direct(CAROL, BOB)
    assert (await send(world, ALICE, conversation, "k", "goes on")).seq == 2
    assert str((await world.conversations.open_direct(ALICE, BOB)).id) == conversation
    # The setting is about who comes, not about whom one goes to.
    assert await world.conversations.open_direct(BOB, CAROL)


async def test_before_acceptance_nothing_is_marked_read_and_no_presence_typing_or_call_passes(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    conversation = await said(world, ALICE, BOB)
    events = len(world.store.events)
    assert await world.receipts.mark_read(BOB, conversation, 1) == 1
    assert len(world.store.events) == events
    for user, other in ((ALICE, BOB), (BOB, ALICE)):
        assert await seen_by(world, user, other) == []
        assert await typing_reaches(world, conversation, user) == []
        assert await callees(world, conversation, user) == []
    with pytest.raises(NotAllowed):
        await world.changing.set_reaction(BOB, conversation, 1, "👍", present=True)


async def test_accepting_lets_all_of_it_pass(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    conversation = await said(world, ALICE, BOB)
    await world.relations.accept_request(BOB, conversation)
    await world.relations.accept_request(BOB, conversation)
    assert await seen_by(world, ALICE, BOB) == await typing_reaches(world, conversation, ALICE) == [BOB]
    assert await callees(world, conversation, ALICE) == [BOB]
    await world.changing.set_reaction(BOB, conversation, 1, "👍", present=True)


async def test_writing_accepts_also_what_was_declined(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    conversation = await said(world, ALICE, BOB)
    await world.relations.decline_request(BOB, conversation, block=False)
    assert await request_of(world, conversation, BOB) is RequestState.DECLINED
    await send(world, BOB, conversation, "k", "so be it")
    assert await request_of(world, conversation, BOB) is RequestState.ACCEPTED


async def test_declining_with_a_block_blocks_who_brought_the_conversation(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    direct, conversation = await said(world, ALICE, BOB), await group(world, BOB)
    await world.relations.decline_request(BOB, conversation, block=True)
    assert await request_of(world, conversation, BOB) is RequestState.DECLINED
    with pytest.raises(NotAllowed):
        await send(world, ALICE, direct, "k", "hello")
    await send(world, ALICE, conversation, "k", "groups go on")


async def test_a_group_waits_with_who_would_not_let_the_adder_write_and_leaves_out_who_cannot_be_reached(
    world: World,
) -> None:
    dave, erin = UserId("dave"), UserId("erin")
    await setting(world, BOB, messages=Audience.FOLLOWED)
    await setting(world, CAROL, messages=Audience.NOBODY)
    await world.relations.block_user(dave, ALICE)
    conversation_id = await group(world, BOB, CAROL, dave, erin)
    conversation = await world.conversations.get_conversation(ALICE, conversation_id)
    assert {member.user_id: member.request for member in conversation.members} == {
        ALICE: RequestState.ACCEPTED,
        BOB: RequestState.PENDING,
        erin: RequestState.ACCEPTED,
    }
    later = await world.groups.add_members(ALICE, conversation_id, [CAROL, dave, MALLORY])
    assert {member.user_id for member in later.members} == {ALICE, BOB, erin, MALLORY}


async def test_who_answered_a_person_lets_that_person_bring_groups(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    await said(world, ALICE, BOB, both=True)
    assert await request_of(world, await group(world, BOB), BOB) is RequestState.ACCEPTED


async def test_joining_by_an_invite_lets_the_group_in(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    conversation = await group(world, BOB)
    token, _ = await world.groups.create_invite(ALICE, conversation)
    await world.groups.join_by_invite(BOB, token)
    assert await request_of(world, conversation, BOB) is RequestState.ACCEPTED


async def test_a_group_is_not_handed_to_somebody_who_has_not_let_it_in(world: World) -> None:
    await setting(world, BOB, messages=Audience.FOLLOWED)
    conversation_id = await group(world, BOB, CAROL)
    await world.groups.leave_group(ALICE, conversation_id)
    conversation = await world.conversations.get_conversation(CAROL, conversation_id)
    assert {member.user_id: member.role.value for member in conversation.members} == {BOB: "member", CAROL: "owner"}


async def test_a_stranger_accepts_and_declines_nothing(world: World) -> None:
    conversation = await said(world, ALICE, BOB)
    with pytest.raises(ConversationNotFound):
        await world.relations.accept_request(MALLORY, conversation)
    with pytest.raises(ConversationNotFound):
        await world.relations.decline_request(MALLORY, conversation, block=True)


# Calls and presence by the settings.


async def test_only_who_was_written_to_may_call_where_that_is_wished(world: World) -> None:
    await setting(world, BOB, calls=Audience.CONTACTED)
    conversation = await said(world, ALICE, BOB)
    assert await callees(world, conversation, ALICE) == []
    await send(world, BOB, conversation, "k", "call me")
    assert await callees(world, conversation, ALICE) == [BOB]


async def test_only_who_is_followed_may_call_where_that_is_wished(world: World) -> None:
    await setting(world, BOB, calls=Audience.FOLLOWED)
    conversation = await said(world, ALICE, BOB)
    assert await callees(world, conversation, ALICE) == []
    await follow(world, BOB, ALICE)
    assert await callees(world, conversation, ALICE) == [BOB]
    # Whom one calls is not asked of one's own setting.
    assert await callees(world, conversation, BOB) == [ALICE]


async def test_who_hides_presence_sees_nobodys(world: World) -> None:
    await said(world, ALICE, BOB)
    await said(world, ALICE, CAROL)
    await setting(world, ALICE, presence=Audience.NOBODY)
    assert [await seen_by(world, *pair) for pair in ((ALICE, BOB, CAROL), (BOB, ALICE))] == [[], []]
    await setting(world, ALICE, presence=Audience.FOLLOWED)
    await follow(world, ALICE, BOB)
    assert await seen_by(world, ALICE, BOB, CAROL) == [BOB]
    assert await seen_by(world, BOB, ALICE) == [ALICE]
    await follow(world, ALICE, BOB, stands=False)
    assert await seen_by(world, BOB, ALICE) == []


async def test_only_those_who_share_a_conversation_see_each_other(world: World) -> None:
    await said(world, ALICE, BOB)
    assert await seen_by(world, ALICE, BOB, MALLORY, ALICE) == [BOB]


async def test_members_are_told_to_other_services_and_only_of_conversations_that_there_are(world: World) -> None:
    conversation_id = await group(world, BOB)
    conversation, members = await world.relations.members_of(conversation_id, "")
    assert (str(conversation.id), members) == (conversation_id, [ALICE, BOB])
    for wrong in (
        world.relations.members_of(conversation_id, MALLORY),
        world.relations.callees_of(conversation_id, MALLORY),
    ):
        with pytest.raises(ConversationNotFound):
            await wrong


# Quotas.


async def test_beyond_the_days_quota_no_new_conversation_is_opened(world: World) -> None:
    for number in range(500):
        await world.conversations.open_direct(ALICE, f"p{number}")
    with pytest.raises(ConversationQuota) as raised:
        await world.conversations.open_direct(ALICE, "one-too-many")
    assert raised.value.retry_delay_s > 0
