"""Calls are kept in line with their conversations, whatever changes between two readings."""

from collections.abc import Callable

import pytest

from services.signaling.core.errors import CallEnded, CallNotFound, ConversationNotFound, MembersUnavailable
from services.signaling.core.model import Call, CallId, CallState, ConversationId, EndReason, UserId
from services.signaling.ports import Callees, Membership
from services.signaling.starting import StartRequest
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, DAVE, GROUP_TALK, PHONE, TABLET, TALK, FakeMembers, World


class ShiftingMembers(FakeMembers):
    """Runs `then` once, after the next reading and before its reader does anything with it."""

    then: Callable[[], None] | None = None

    async def members_of(self, conversation_id: ConversationId) -> Membership:
        read = await super().members_of(conversation_id)
        self._shift()
        return read

    async def callees_of(self, conversation_id: ConversationId, caller_id: UserId) -> Callees:
        then, self.then = self.then, None
        read = await super().callees_of(conversation_id, caller_id)
        self.then = then
        self._shift()
        return read

    def _shift(self) -> None:
        then, self.then = self.then, None
        if then:
            then()


@pytest.fixture
def members() -> ShiftingMembers:
    return ShiftingMembers({TALK: [ALICE, BOB], GROUP_TALK: [ALICE, BOB, CAROL, DAVE]})


@pytest.fixture
def world(members: ShiftingMembers) -> World:
    return World(members)


def leaves(members: FakeMembers, user_id: UserId) -> Callable[[], None]:
    return lambda: members.conversations[GROUP_TALK].remove(user_id)


async def stored(world: World, call: Call) -> Call:
    found = await world.store.find(call.call_id)
    assert found is not None
    return found


async def test_who_leaves_while_the_call_begins_is_not_rung(world: World, members: ShiftingMembers) -> None:
    """The event of the leaving comes before there is a call that it could change."""
    members.then = leaves(members, BOB)
    call = await world.start(talk=GROUP_TALK)
    assert call == await stored(world, call)
    assert BOB not in call.audience
    assert call.leg_of(CAROL) is not None


async def test_a_late_reading_brings_nobody_back_who_left_meanwhile(world: World, members: ShiftingMembers) -> None:
    call = await world.start(talk=GROUP_TALK)
    erin = UserId("erin")
    members.conversations[GROUP_TALK].append(erin)

    def bob_leaves() -> None:
        members.conversations[GROUP_TALK].remove(BOB)

    members.then = bob_leaves
    joined, _ = await world.service.join_call(call.call_id, erin, TABLET)
    assert joined.has_device(erin, TABLET)
    assert BOB not in joined.audience


async def test_the_call_of_a_group_that_everybody_left_ends(world: World) -> None:
    call = await world.start(talk=GROUP_TALK)
    await world.service.accept_call(call.call_id, BOB, TABLET)
    # Messaging knows of no conversation without members.
    del world.members.conversations[GROUP_TALK]
    await world.service.roster.sync_call_of_group(GROUP_TALK)
    ended = await stored(world, call)
    assert (ended.state, ended.end_reason) == (CallState.ENDED, EndReason.HUNG_UP)
    with pytest.raises(CallNotFound):
        await world.service.join_call(call.call_id, UserId("erin"), TABLET)


@pytest.mark.parametrize(("answered", "reason"), [(False, EndReason.MISSED), (True, EndReason.HUNG_UP)])
async def test_two_who_may_not_talk_any_more_are_in_no_call(world: World, answered: bool, reason: EndReason) -> None:
    call = await world.start()
    if answered:
        await world.service.accept_call(call.call_id, BOB, TABLET)
    world.members.severed.add(TALK)
    await world.service.roster.end_closed_pair(TALK)
    assert (await stored(world, call)).end_reason is reason
    assert await world.store.find_busy_with(ALICE) is None


async def test_a_block_that_was_taken_back_ends_nothing(world: World) -> None:
    call = await world.start()
    await world.service.roster.end_closed_pair(TALK)
    assert (await stored(world, call)).state is CallState.RINGING


async def test_a_closed_pair_leaves_their_other_calls_alone(world: World) -> None:
    call = await world.start(talk=GROUP_TALK)
    await world.service.accept_call(call.call_id, BOB, TABLET)
    world.members.severed.add(TALK)
    await world.service.roster.end_closed_pair(TALK)
    assert len((await stored(world, call)).joined) == 2


async def test_a_call_begins_although_messaging_goes_away_meanwhile(world: World, members: ShiftingMembers) -> None:
    async def away(conversation_id: ConversationId) -> Membership:
        raise MembersUnavailable

    def goes_away() -> None:
        members.members_of = away  # type: ignore[method-assign]

    members.then = goes_away
    call = await world.start(device=PHONE, talk=GROUP_TALK)
    assert call.state is CallState.RINGING


async def test_who_was_removed_comes_into_no_call_from_that_moment_on(world: World, members: ShiftingMembers) -> None:
    """No event has come yet."""
    call = await world.start(talk=GROUP_TALK)
    await world.service.accept_call(call.call_id, CAROL, TABLET)
    members.conversations[GROUP_TALK].remove(BOB)
    for comes_in in (
        world.service.join_call(call.call_id, BOB, TABLET),
        world.service.accept_call(call.call_id, BOB, TABLET),
    ):
        with pytest.raises(CallNotFound):
            await comes_in
    with pytest.raises(ConversationNotFound):
        await world.start(BOB, TABLET, "k", GROUP_TALK)
    assert BOB not in (await stored(world, call)).audience


async def test_while_messaging_is_away_who_is_rung_may_answer_and_nobody_else_comes_in(
    world: World, members: ShiftingMembers, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await world.start(talk=GROUP_TALK)
    await world.service.decline_call(call.call_id, DAVE)

    async def away(*_: object) -> Membership:
        raise MembersUnavailable

    monkeypatch.setattr(members, "members_of", away)
    await world.service.accept_call(call.call_id, BOB, TABLET)
    for comes_in in (world.service.join_call, world.service.accept_call):
        with pytest.raises(MembersUnavailable):
            await comes_in(call.call_id, DAVE, TABLET)
    # Whoever is in it goes on.
    assert (await world.service.join_call(call.call_id, BOB, TABLET))[1]
    assert await world.service.access.renew_grant(call.call_id, BOB, TABLET)


async def test_a_stranger_is_told_the_same_of_a_call_as_of_none_while_messaging_is_away(
    world: World, members: ShiftingMembers, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = await world.start(talk=GROUP_TALK)

    async def away(*_: object) -> Membership:
        raise MembersUnavailable

    monkeypatch.setattr(members, "members_of", away)
    for call_id in (call.call_id, CallId("0190f000-0000-7000-8000-00000000ffff")):
        with pytest.raises(MembersUnavailable):
            await world.service.join_call(call_id, UserId("mallory"), PHONE)


async def test_a_block_while_the_call_begins_ends_it(world: World, members: ShiftingMembers) -> None:
    """Its event comes before there is a call that it could end."""
    members.then = lambda: members.severed.add(TALK)
    call, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "k"))
    assert (call.end_reason, grant) == (EndReason.MISSED, None)
    assert call == await stored(world, call)
    assert await world.store.find_busy_with(BOB) is None


async def test_who_was_blocked_while_it_rang_is_not_answered(world: World, members: ShiftingMembers) -> None:
    call = await world.start()
    members.severed.add(TALK)
    with pytest.raises(CallEnded):
        await world.service.accept_call(call.call_id, BOB, TABLET)
    assert (await stored(world, call)).end_reason is EndReason.MISSED


async def test_who_answers_is_asked_for_no_setting(world: World, members: ShiftingMembers) -> None:
    call = await world.start()
    members.closed.add(BOB)
    assert (await world.service.accept_call(call.call_id, BOB, TABLET))[1]
