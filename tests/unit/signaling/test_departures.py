"""Calls and somebody who has left: every event meets every pending action, and each cell says what comes of it.

Bob acts, on his tablet. Alice is the other one: in a direct conversation with him, and in a group with him, Carol and
Dave. What happens happens in both.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import product

import pytest
from parley.messaging.v1 import events_pb2

from services.signaling.consumer import MembersConsumer
from services.signaling.core.errors import CallNotFound, CallsError, MediaUnavailable
from services.signaling.core.grants import Grant
from services.signaling.core.model import RUNG, Call, CallId, CallState, ConversationId, DeviceId, LegState, UserId
from services.signaling.starting import StartRequest
from tests.support.keyed import conversation_record
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    LAPTOP,
    OTHER_WORKER,
    PHONE,
    TABLET,
    TALK,
    WORKER,
    World,
)

DESK = DeviceId("desk-001")


@dataclass
class Town:
    """The two conversations, and the call that the action is about."""

    world: World
    call_id: CallId = field(default=CallId(""))
    # What Bob's first try gave him.
    token: str = ""
    answered: list[object] = field(default_factory=list)

    async def call(self) -> Call | None:
        return await self.world.store.find(self.call_id)

    async def ring(self, caller: UserId, talk: ConversationId) -> None:
        device = TABLET if caller == BOB else PHONE
        self.call_id = (await self.world.start(caller, device, "k", talk)).call_id

    async def enter(self, *user_ids: UserId) -> None:
        for user_id in user_ids:
            device = TABLET if user_id == BOB else PHONE
            _, grant = await self.world.service.accept_call(self.call_id, user_id, device)
            if user_id == BOB and grant:
                self.token = grant.join_token


# Where things stand before.
async def nothing(_: Town) -> None:
    """No call."""


async def rung_by_her(town: Town) -> None:
    await town.ring(ALICE, TALK)


async def ringing_her(town: Town) -> None:
    await town.ring(BOB, TALK)


async def talking(town: Town) -> None:
    await town.ring(ALICE, TALK)
    await town.enter(BOB)


async def she_takes_his_call(town: Town) -> None:
    await town.ring(BOB, TALK)
    await town.enter(ALICE)


async def rung_in_the_group(town: Town) -> None:
    await town.ring(ALICE, GROUP_TALK)


async def group_without_him(town: Town) -> None:
    await town.ring(ALICE, GROUP_TALK)
    await town.world.service.decline_call(town.call_id, BOB)
    await town.enter(CAROL)


async def talking_in_the_group(town: Town) -> None:
    await town.ring(ALICE, GROUP_TALK)
    await town.enter(BOB, CAROL)


async def they_take_his_group_call(town: Town) -> None:
    await town.ring(BOB, GROUP_TALK)
    await town.enter(ALICE, CAROL)


# What Bob does.
def start(talk: ConversationId) -> Callable[[Town], Awaitable[object]]:
    return lambda town: town.world.service.start_call(StartRequest(BOB, TABLET, talk, True, "k"))


def move(town: Town) -> Awaitable[object]:
    return town.world.moves.move_on_request(town.call_id, OTHER_WORKER.worker_id)


Act = Callable[[Town], Awaitable[object]]
ACTIONS: dict[str, tuple[Callable[[Town], Awaitable[None]], Act]] = {
    "ring her": (nothing, start(TALK)),
    "ring her and talk": (she_takes_his_call, start(TALK)),
    "accept": (rung_by_her, lambda town: town.world.service.accept_call(town.call_id, BOB, TABLET)),
    "decline": (rung_by_her, lambda town: town.world.service.decline_call(town.call_id, BOB)),
    "cancel": (ringing_her, lambda town: town.world.service.cancel_call(town.call_id, BOB)),
    "leave": (talking, lambda town: town.world.service.leave_call(town.call_id, BOB, TABLET)),
    "take over": (talking, lambda town: town.world.service.take_over(town.call_id, BOB, LAPTOP)),
    "join media": (talking, lambda town: town.world.service.access.join_media(BOB, town.token, "offer")),
    "renew the grant": (talking, lambda town: town.world.service.access.renew_grant(town.call_id, BOB, TABLET)),
    "move by an operator": (talking, move),
    "ring the group": (nothing, start(GROUP_TALK)),
    "ring the group and talk": (they_take_his_group_call, start(GROUP_TALK)),
    "come in by ringing": (group_without_him, start(GROUP_TALK)),
    "accept in the group": (
        rung_in_the_group,
        lambda town: town.world.service.accept_call(town.call_id, BOB, TABLET),
    ),
    "decline in the group": (rung_in_the_group, lambda town: town.world.service.decline_call(town.call_id, BOB)),
    "join": (group_without_him, lambda town: town.world.service.join_call(town.call_id, BOB, TABLET)),
    "leave the group's call": (
        talking_in_the_group,
        lambda town: town.world.service.leave_call(town.call_id, BOB, TABLET),
    ),
    "raise the hand": (talking_in_the_group, lambda town: town.world.service.set_hand(town.call_id, BOB, raised=True)),
    "ask her for silence": (
        talking_in_the_group,
        lambda town: town.world.service.request_mute(town.call_id, BOB, ALICE),
    ),
    "remove her": (talking_in_the_group, lambda town: town.world.service.remove_participant(town.call_id, BOB, ALICE)),
    "lock": (talking_in_the_group, lambda town: town.world.service.set_lock(town.call_id, BOB, locked=True)),
    "end for all": (talking_in_the_group, lambda town: town.world.service.end_for_all(town.call_id, BOB)),
    "move the group by an operator": (talking_in_the_group, move),
}


# What happens.
async def tell(town: Town, event: events_pb2.ConversationEvent) -> None:
    await MembersConsumer(town.world.service.roster).handle([conversation_record(event.SerializeToString())])


async def out_of_the_group(town: Town, user_id: UserId) -> None:
    town.world.members.conversations[GROUP_TALK].remove(user_id)
    changed = events_pb2.ConversationChanged(removed_user_ids=[user_id])
    await tell(town, events_pb2.ConversationEvent(conversation_id=GROUP_TALK, conversation_changed=changed))


async def close_the_pair(town: Town) -> None:
    town.world.members.severed.add(TALK)
    town.world.members.closed.add(ALICE)
    await tell(town, events_pb2.ConversationEvent(conversation_id=TALK, pair_closed=events_pb2.PairClosed()))


async def she_hangs_up(town: Town) -> None:
    call = await town.call()
    if call and call.leg_of(ALICE):
        await town.world.service.leave_call(town.call_id, ALICE, PHONE)


async def she_leaves(town: Town) -> None:
    await out_of_the_group(town, ALICE)


async def her_account_goes(town: Town) -> None:
    await out_of_the_group(town, ALICE)
    await close_the_pair(town)


async def he_leaves(town: Town) -> None:
    await out_of_the_group(town, BOB)


async def he_loses_his_role(town: Town) -> None:
    town.world.members.admins.discard(BOB)


async def all_hang_up(town: Town) -> None:
    call = await town.call()
    if call and call.group:
        for user_id, device in ((ALICE, PHONE), (CAROL, PHONE), (BOB, TABLET)):
            await town.world.service.leave_call(town.call_id, user_id, device)
    elif call:
        await town.world.service.leave_call(town.call_id, ALICE, PHONE)


async def she_ends_it_for_all(town: Town) -> None:
    call = await town.call()
    if call and call.group:
        await town.world.service.end_for_all(town.call_id, ALICE)


async def his_other_device(town: Town) -> None:
    call = await town.call()
    leg = call.leg_of(BOB) if call else None
    if call and call.state is not CallState.ENDED and leg and leg.state is LegState.JOINED:
        await town.world.service.take_over(town.call_id, BOB, DESK)


async def the_worker_is_lost(town: Town) -> None:
    call = await town.call()
    worker = call.worker if call and call.worker else WORKER
    town.world.workers.remove(worker.worker_id)
    town.world.media.unreachable.add(worker.worker_id)
    town.world.media.refusal = MediaUnavailable("gone")
    await town.world.moves.inspect_workers()


EVENTS = {
    "she hangs up": she_hangs_up,
    "she leaves the group": she_leaves,
    "a block": close_the_pair,
    "her account goes": her_account_goes,
    "he leaves the group": he_leaves,
    "he loses his role": he_loses_his_role,
    "all hang up": all_hang_up,
    "she ends it for all": she_ends_it_for_all,
    "his other device takes over": his_other_device,
    "the worker is lost": the_worker_is_lost,
}


def identity(answer: object) -> object:
    match answer:
        case (Call() as call, _) | (Call() as call):
            return call.call_id
        case Grant():
            return answer.media_epoch
    return answer


async def outcome(town: Town, act: Act) -> str:
    try:
        answer = await act(town)
    except CallsError as error:
        return type(error).__name__
    is_first = town.answered and identity(town.answered[0]) == identity(answer)
    granted = "" if not isinstance(answer, tuple) or answer[1] else ", no grant"
    return f"{'first' if is_first else 'done'}{granted}"


def make_town() -> Town:
    world = World()
    world.members.conversations[GROUP_TALK] = [ALICE, BOB, CAROL, DAVE]
    world.members.admins |= {ALICE, BOB}
    world.hear(OTHER_WORKER, cpu_ratio=0.5)
    return Town(world)


@pytest.fixture
def town() -> Town:
    return make_town()


# What comes of a cell, and why.
RULES = {
    "D": ("done", "nothing that happened stands against it"),
    "K": ("first", "a retry gets the first result, as it stands now, before anything is checked"),
    "E": ("first, no grant", "it was his call, and there is nothing left to be admitted to"),
    "O": ("first, no grant", "who is out learns what became of his own request, and nothing of the others"),
    "B": ("first", "taking over knows no key: it is a new wish, and takes the call back from the other device"),
    "C": ("CallEnded", "too late"),
    "X": ("CallNotFound", "who is out knows of no such call"),
    "Y": ("ConversationNotFound", "who is out knows of no such conversation"),
    "N": ("CallNotAllowed", "between the two stands a block, or one of them is deleted"),
    "A": ("NotAdmin", "his role allows it no more; asking for silence again is a new question"),
    "P": ("ParticipantNotFound", "she is not there to be asked"),
    "Z": ("AnsweredElsewhere", "his other device is in the call now"),
    "I": ("NotInCall", "his other device is in the call now"),
    "T": ("JoinTokenInvalid", "the token's device is not in the call any more"),
    "U": ("JoinTokenExpired", "the call goes on on another worker: with a new grant"),
    "W": ("NoMediaWorker", "the worker that was named is lost"),
}
# In the order of EVENTS: she hangs up, leaves the group; a block, her account goes; he leaves the group, loses his
# role; all hang up, she ends it for all; his other device takes over, the worker is lost.
NEW_CELLS = {
    "ring her": "DDNNDDDDDD",
    "accept": "CDCCDDCDDD",
    "decline": "DDDDDDDDDD",
    "cancel": "DDDDDDDDDD",
    "leave": "DDDDDDDDDD",
    "take over": "CDCCDDCDDD",
    "join media": "CDCCDDCDTU",
    "renew the grant": "CDCCDDCDID",
    "move by an operator": "CDCCDDCDDD",
    "ring the group": "DDDDYDDDDD",
    "come in by ringing": "DDDDYDDDDD",
    "accept in the group": "CCDCXDCCDD",
    "decline in the group": "DDDDDDDDDD",
    "join": "DDDDXDCCDD",
    "leave the group's call": "DDDDDDDDDD",
    "raise the hand": "DDDDXDCCDD",
    "ask her for silence": "PPDPXACCDD",
    "remove her": "DDDDXACCDD",
    "lock": "DDDDXACCDD",
    "end for all": "DDDDXADDDD",
    "move the group by an operator": "DDDDDDCCDD",
}
# Done before it happens, and asked again.
RETRY_CELLS = {
    "ring her": "EKEEKKEKEK",
    "ring her and talk": "EKEEKKEKEK",
    "accept": "EKEEKKEKZK",
    "decline": "KKKKKKKKKK",
    "cancel": "KKKKKKKKKK",
    "leave": "KKKKKKKKKK",
    "take over": "EKEEKKEKBK",
    # What it gives is an answer to an offer, which only a worker can make.
    "join media": "CKCCKKCKTU",
    "renew the grant": "CKCCKKCKID",
    "move by an operator": "KKKKKKKKKW",
    "ring the group": "KKKKOKEEEK",
    "ring the group and talk": "KKKKOKEEEK",
    "come in by ringing": "KKKKOKEEEK",
    "accept in the group": "KKKKXKEEZK",
    "decline in the group": "KKKKKKKKKK",
    "join": "KKKKXKEEZK",
    "leave the group's call": "KKKKKKKKKK",
    "raise the hand": "KKKKXKKKKK",
    "ask her for silence": "KKKKXAKKKK",
    "remove her": "KKKKXKKKKK",
    "lock": "KKKKXKKKKK",
    "end for all": "KKKKKKKKKK",
    "move the group by an operator": "KKKKKKKKKW",
}


def test_every_cell_is_stated() -> None:
    assert list(RETRY_CELLS) == list(ACTIONS)
    # The scenes of these are retries already.
    assert set(ACTIONS) - set(NEW_CELLS) == {"ring her and talk", "ring the group and talk"}
    assert {len(row) for row in (*NEW_CELLS.values(), *RETRY_CELLS.values())} == {len(EVENTS)}
    assert {rule for cells in (NEW_CELLS, RETRY_CELLS) for row in cells.values() for rule in row} == set(RULES)


@pytest.mark.parametrize(("action", "event"), list(product(NEW_CELLS, EVENTS)))
async def test_what_is_new_meets_who_has_left(town: Town, action: str, event: str) -> None:
    expected, reason = RULES[NEW_CELLS[action][list(EVENTS).index(event)]]
    scene, act = ACTIONS[action]
    await scene(town)
    await EVENTS[event](town)
    assert await outcome(town, act) == expected, reason
    await assert_nobody_is_left_behind(town)


@pytest.mark.parametrize(("action", "event"), list(product(RETRY_CELLS, EVENTS)))
async def test_a_retry_meets_who_has_left(town: Town, action: str, event: str) -> None:
    expected, reason = RULES[RETRY_CELLS[action][list(EVENTS).index(event)]]
    scene, act = ACTIONS[action]
    await scene(town)
    town.answered.append(answer := await act(town))
    if isinstance(answer, tuple):
        town.call_id = answer[0].call_id
    await EVENTS[event](town)
    known = await all_calls(town)
    assert await outcome(town, act) == expected, reason
    assert await all_calls(town) == known
    await assert_nobody_is_left_behind(town)


async def test_who_is_out_learns_of_nothing_that_came_after(town: Town) -> None:
    await they_take_his_group_call(town)
    await he_leaves(town)
    for answer in (
        (await town.world.service.start_call(StartRequest(BOB, TABLET, GROUP_TALK, True, "k")))[0],
        await town.world.service.leave_call(town.call_id, BOB, TABLET),
        await town.world.service.decline_call(town.call_id, BOB),
    ):
        assert [(leg.user_id, leg.state) for leg in answer.legs] == [(BOB, LegState.NOT_IN_CALL)]
    with pytest.raises(CallNotFound):
        await town.world.service.leave_call(town.call_id, UserId("mallory"), PHONE)


async def test_a_key_that_changed_nothing_stands_for_its_call_too(town: Town) -> None:
    await talking_in_the_group(town)
    # His device is in it already.
    await start(GROUP_TALK)(town)
    await all_hang_up(town)
    call, grant = await town.world.service.start_call(StartRequest(BOB, TABLET, GROUP_TALK, True, "k"))
    assert (call.call_id, call.state, grant) == (town.call_id, CallState.ENDED, None)


async def test_a_retry_that_overtakes_its_answer_by_ringing_is_not_refused(town: Town) -> None:
    """Both ring each other: the first try answers hers while the second is on its way to the store."""
    await rung_by_her(town)
    first = await town.world.service.start_call(StartRequest(BOB, TABLET, TALK, True, "k"))
    again = await town.world.service.starter.start(StartRequest(BOB, TABLET, TALK, True, "k"))
    assert again == first[0]


async def all_calls(town: Town) -> set[CallId]:
    """The calls that there ever were."""
    ended = [await town.world.store.list_ended(user_id, None, 99) for user_id in (ALICE, BOB, CAROL, DAVE)]
    return {call.call_id for calls in ended for call in calls} | {call.call_id for call in await running(town)}


async def running(town: Town) -> list[Call]:
    found = [await town.world.store.list_active(user_id) for user_id in (ALICE, BOB, CAROL, DAVE)]
    return [call for calls in found for call in calls]


async def assert_nobody_is_left_behind(town: Town) -> None:
    """Nobody is in, rung by, or shown a call of a conversation that they are not in, or that is closed."""
    for call in await running(town):
        assert call.conversation_id not in town.world.members.severed
        assert set(call.audience) <= set(town.world.members.conversations[call.conversation_id])
        assert {leg.user_id for leg in call.legs if leg.state in RUNG | {LegState.JOINED}} <= set(call.audience)
