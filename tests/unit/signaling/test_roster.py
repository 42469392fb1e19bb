"""Calls are kept in line with their conversations, whatever changes between two readings."""

from collections.abc import Callable

import pytest

from services.signaling.core.errors import CallNotFound, MembersUnavailable
from services.signaling.core.model import Call, CallState, ConversationId, EndReason, UserId
from services.signaling.ports import Callees, Membership
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
    await world.service.note_members(GROUP_TALK)
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
    await world.service.note_closed(TALK)
    assert (await stored(world, call)).end_reason is reason
    assert await world.store.find_holding(ALICE) is None


async def test_a_block_that_was_taken_back_ends_nothing(world: World) -> None:
    call = await world.start()
    await world.service.note_closed(TALK)
    assert (await stored(world, call)).state is CallState.RINGING


async def test_a_closed_pair_leaves_their_other_calls_alone(world: World) -> None:
    call = await world.start(talk=GROUP_TALK)
    await world.service.accept_call(call.call_id, BOB, TABLET)
    world.members.severed.add(TALK)
    await world.service.note_closed(TALK)
    assert len((await stored(world, call)).joined) == 2


async def test_a_call_begins_although_messaging_goes_away_meanwhile(world: World, members: ShiftingMembers) -> None:
    async def away(conversation_id: ConversationId) -> Membership:
        raise MembersUnavailable

    def goes_away() -> None:
        members.members_of = away  # type: ignore[method-assign]

    members.then = goes_away
    call = await world.start(device=PHONE, talk=GROUP_TALK)
    assert call.state is CallState.RINGING
