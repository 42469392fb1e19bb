"""Scheduled calls: who plans, changes and answers; what their time brings, once; links to them."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence_events

from services.signaling.core.errors import (
    CallEnded,
    CallNotAllowed,
    CallNotFound,
    ConversationNotFound,
    JoinLinkClosed,
    LobbyFull,
    MembersUnavailable,
    NotGroupCall,
    NotHost,
    ScheduledCallLimit,
    ScheduledCallNotFound,
    ScheduledCallOver,
)
from services.signaling.core.model import (
    Call,
    CallId,
    CallState,
    ConversationId,
    EndReason,
    LegState,
    ScheduledId,
    UserId,
)
from services.signaling.publisher import ScheduledEvents
from services.signaling.scheduled.core import (
    MAX_OF_CONVERSATION,
    MAX_WAITING,
    Answer,
    Draft,
    Notice,
    ScheduledCall,
    State,
    Waiting,
    find_fault,
)
from services.signaling.scheduled.due import CLAIM_LEASE
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    GROUP_TALK,
    PHONE,
    START,
    TABLET,
    TALK,
    WORKER,
    FakeMembers,
    World,
)
from tests.unit.signaling.meeting import EVE, FAY, told

HOUR_S = 3600


class Office(World):
    """Alice, the group's admin, Bob and Carol. Dave, Eve and others are not in the group."""

    def __init__(self) -> None:
        super().__init__(FakeMembers({GROUP_TALK: [ALICE, BOB, CAROL], TALK: [ALICE, BOB]}, admins={ALICE}))

    def draft(self, in_s: int = HOUR_S, reminder_s: int = 600, title: str = "Rehearsal") -> Draft:
        return Draft(title, False, self.clock.now() + timedelta(seconds=in_s), 1800, reminder_s)

    async def plan(
        self, maker: UserId = BOB, talk: ConversationId = GROUP_TALK, key: str = "", in_s: int = HOUR_S
    ) -> ScheduledCall:
        return await self.scheduled.schedule(maker, talk, self.draft(in_s), key)

    async def now(self, call: ScheduledCall) -> ScheduledCall:
        found = await self.scheduled_store.find(call.scheduled_id)
        assert found is not None
        return found

    async def pass_time(self, seconds: int) -> None:
        """The worker is well, and every replica looks, twice."""
        self.clock.advance(seconds)
        self.hear(WORKER)
        for _ in range(2):
            await self.due.sweep()

    async def held(self, call: ScheduledCall) -> Call:
        call_id = (await self.now(call)).call_id
        assert call_id is not None
        found = await self.store.find(call_id)
        assert found is not None
        return found

    def notices(self) -> Counter[tuple[str, str]]:
        """How often each was told that it is near, or begins."""
        words = [(record.topic, record.value.decode().split(" ")[2]) for record in self.scheduled_store.records]
        return Counter((user, kind) for user, kind in words if kind)


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "\u200b"}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"title": "a\u202eb"}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"start_time": START}, "start_time"),
        ({"start_time": START + timedelta(days=367)}, "start_time"),
        ({"length_s": 299}, "length_s"),
        ({"length_s": 86_401}, "length_s"),
        ({"reminder_s": 59}, "reminder_s"),
        ({"reminder_s": -1}, "reminder_s"),
        ({"reminder_s": 604_801}, "reminder_s"),
    ],
)
def test_what_cannot_be_planned_is_told_with_its_field(change: dict[str, object], field: str) -> None:
    fine = Draft("Choir, \u0628\u0631\u0648\u0641\u0629 \U0001f3b6", True, START + timedelta(hours=1), 300, 0)
    assert find_fault(fine, START) is None
    fault = find_fault(replace(fine, **change), START)  # type: ignore[arg-type]
    assert fault is not None
    assert fault[0] == field


async def test_a_retry_of_planning_gives_the_same_and_tells_all_members_once(office: Office) -> None:
    first = await office.plan(key="once")
    assert await office.plan(key="once") == first
    assert [record.topic for record in office.scheduled_store.records] == [ALICE, BOB, CAROL]
    assert await office.scheduled.list_in(GROUP_TALK, CAROL) == [first]
    # Another person's same id is another request.
    assert (await office.plan(ALICE, key="once")).scheduled_id != first.scheduled_id


async def test_who_is_outside_plans_sees_and_changes_nothing(office: Office) -> None:
    call = await office.plan()
    unknown = ScheduledId("0190f000-0000-7000-8000-00000000dead")
    for scheduled_id in (call.scheduled_id, unknown):
        for attempt in (
            office.scheduled.change(scheduled_id, DAVE, office.draft()),
            office.scheduled.cancel(scheduled_id, DAVE),
            office.scheduled.answer(scheduled_id, DAVE, Answer.YES),
        ):
            with pytest.raises(ScheduledCallNotFound):
                await attempt
        with pytest.raises(CallNotFound):
            await office.links.create_link(CallId(scheduled_id), DAVE, 0, "")
    with pytest.raises(ConversationNotFound):
        await office.plan(DAVE)
    with pytest.raises(ConversationNotFound):
        await office.scheduled.list_in(GROUP_TALK, DAVE)


async def test_where_no_call_may_be_placed_none_is_planned(office: Office) -> None:
    office.members.frozen.add(GROUP_TALK)
    with pytest.raises(CallNotAllowed):
        await office.plan()
    office.members.severed.add(TALK)
    with pytest.raises(CallNotAllowed):
        await office.plan(ALICE, TALK)


async def test_a_conversation_has_so_many_and_what_is_over_makes_room(office: Office) -> None:
    made = [await office.plan() for _ in range(MAX_OF_CONVERSATION)]
    with pytest.raises(ScheduledCallLimit):
        await office.plan()
    await office.scheduled.cancel(made[0].scheduled_id, BOB)
    await office.plan()


async def test_its_maker_and_admins_change_and_cancel_and_others_do_not(office: Office) -> None:
    call = await office.plan()
    later = office.draft(2 * HOUR_S, title="Concert")
    with pytest.raises(NotHost):
        await office.scheduled.change(call.scheduled_id, CAROL, later)
    for leader in (ALICE, BOB):
        assert (await office.scheduled.change(call.scheduled_id, leader, later)).draft == later
    # What stands already changes nothing, and needs no role.
    assert (await office.scheduled.change(call.scheduled_id, CAROL, later)).version == call.version + 1
    for leader in (ALICE, BOB):
        assert (await office.scheduled.cancel(call.scheduled_id, leader)).state is State.CANCELLED
    with pytest.raises(ScheduledCallOver):
        await office.scheduled.change(call.scheduled_id, BOB, later)
    with pytest.raises(ScheduledCallOver):
        await office.scheduled.answer(call.scheduled_id, CAROL, Answer.YES)
    assert await office.scheduled.list_in(GROUP_TALK, BOB) == []
    await office.pass_time(3 * HOUR_S)
    assert office.notices() == Counter()


async def test_the_last_answer_holds_and_goes_with_who_leaves(office: Office) -> None:
    call = await office.plan()
    for said in (Answer.YES, Answer.NO, Answer.NO):
        await office.scheduled.answer(call.scheduled_id, CAROL, said)
    seen = await office.scheduled.answer(call.scheduled_id, ALICE, Answer.MAYBE)
    assert seen.answers == {CAROL: Answer.NO, ALICE: Answer.MAYBE}
    assert seen.version == call.version + 3
    office.members.conversations[GROUP_TALK].remove(CAROL)
    (listed,) = await office.scheduled.list_in(GROUP_TALK, BOB)
    assert listed.answers == {ALICE: Answer.MAYBE}


async def test_everybody_but_who_said_no_is_reminded_and_told_of_the_beginning_once(office: Office) -> None:
    call = await office.plan()
    await office.scheduled.answer(call.scheduled_id, CAROL, Answer.NO)
    await office.pass_time(HOUR_S - 601)
    assert office.notices() == Counter()
    await office.pass_time(1)
    assert office.notices() == Counter({(ALICE, "reminder"): 1, (BOB, "reminder"): 1})
    await office.pass_time(600)
    await office.pass_time(60)
    kinds = ("reminder", "begins")
    assert office.notices() == Counter({(user, kind): 1 for user in (ALICE, BOB) for kind in kinds})


async def test_who_moves_it_reminds_anew_and_a_reminder_that_is_late_by_then_is_left_out(office: Office) -> None:
    call = await office.plan()
    await office.pass_time(HOUR_S - 600)
    await office.scheduled.change(call.scheduled_id, BOB, office.draft(2 * HOUR_S))
    await office.pass_time(600)
    assert (await office.now(call)).state is State.PLANNED
    await office.pass_time(2 * HOUR_S - 1200)
    assert office.notices()[ALICE, "reminder"] == 2
    await office.scheduled.change(call.scheduled_id, BOB, office.draft(300))
    await office.pass_time(100)
    assert office.notices()[ALICE, "reminder"] == 2
    await office.pass_time(200)
    assert office.notices()[ALICE, "begins"] == 1


async def test_at_its_time_a_groups_call_can_be_joined_and_rings_nobody(office: Office) -> None:
    call = await office.plan()
    await office.pass_time(HOUR_S)
    held = await office.held(call)
    assert (held.state, held.scheduled_id, held.caller_id) == (CallState.RINGING, call.scheduled_id, BOB)
    assert {leg.state for leg in held.legs} == {LegState.NOT_IN_CALL}
    assert (await office.now(call)).state is State.OPEN
    joined, grant = await office.service.join_call(held.call_id, CAROL, PHONE)
    assert grant is not None
    assert joined.state is CallState.ACTIVE
    # It ends as calls do, and the scheduled one with it: the store sets its time.
    await office.service.leave_call(held.call_id, CAROL, PHONE)
    await office.due.look(call.scheduled_id)
    assert (await office.now(call)).state is State.ENDED


async def test_where_nobody_comes_it_ends_by_itself(office: Office) -> None:
    call = await office.plan()
    await office.pass_time(HOUR_S)
    held = await office.held(call)
    assert held.ring_deadline == call.draft.start_time + timedelta(minutes=30)
    office.clock.advance(1800)
    await office.upkeep.tick(held.call_id)
    assert (await office.held(call)).end_reason is EndReason.MISSED
    await office.pass_time(0)
    over = await office.now(call)
    assert (over.state, over.due_time) == (State.UNATTENDED, None)


async def test_a_call_that_runs_longer_is_looked_at_until_it_ends(office: Office) -> None:
    call = await office.plan()
    await office.pass_time(HOUR_S)
    held = await office.held(call)
    await office.service.join_call(held.call_id, CAROL, PHONE)
    before = await office.now(call)
    await office.pass_time(1800)
    standing = await office.now(call)
    assert (standing.state, standing.version) == (State.OPEN, before.version)
    await office.service.leave_call(held.call_id, CAROL, PHONE)
    await office.pass_time(HOUR_S)
    assert (await office.now(call)).state is State.ENDED


async def test_a_call_that_runs_at_its_time_is_the_scheduled_one(office: Office) -> None:
    call = await office.plan()
    running = await office.start(talk=GROUP_TALK)
    await office.pass_time(HOUR_S)
    assert (await office.now(call)).call_id == running.call_id


async def test_what_is_away_at_its_time_delays_it_and_it_is_given_up_when_its_time_is_over(office: Office) -> None:
    call = await office.plan()
    office.clock.advance(HOUR_S)
    # No worker was heard of for so long.
    await office.due.sweep()
    assert (await office.now(call)).state is State.PLANNED
    await office.pass_time(int(CLAIM_LEASE.total_seconds()))
    assert (await office.now(call)).state is State.OPEN
    other = await office.plan(in_s=HOUR_S)
    office.clock.advance(HOUR_S + 1800)
    await office.due.sweep()
    assert (await office.now(other)).state is State.UNATTENDED


@pytest.mark.parametrize("step", ["place", "open_to", "list_waiting", "save"])
async def test_a_replica_that_ends_at_any_step_of_the_beginning_leaves_it_to_the_next(
    office: Office, step: str
) -> None:
    call = await office.plan()
    _, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "")
    await office.lobby.open_link(secret, EVE)

    async def die(*_: object) -> None:
        raise MembersUnavailable

    owner: object = {
        "place": type(office.due.beginner),
        "open_to": type(office.lobby),
        "list_waiting": type(office.scheduled_store),
        "save": type(office.scheduled_store),
    }[step]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, step, die)
        await office.pass_time(HOUR_S)
    assert (await office.now(call)).state is State.PLANNED
    await office.pass_time(int(CLAIM_LEASE.total_seconds()))
    held = await office.held(call)
    assert [(guest.user_id, guest.state) for guest in held.lobby] == [(EVE, LegState.LOBBY)]
    assert office.notices()[ALICE, "begins"] == 1
    assert len(await office.store.list_running_in(GROUP_TALK)) == 1


async def test_one_that_is_cancelled_while_it_begins_leaves_no_call(office: Office) -> None:
    call = await office.plan()

    async def cancel_first(_: ScheduledId) -> list[Waiting]:
        await office.scheduled.cancel(call.scheduled_id, BOB)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.scheduled_store, "list_waiting", cancel_first)
        await office.pass_time(HOUR_S)
    assert (await office.now(call)).state is State.CANCELLED
    assert await office.store.list_running_in(GROUP_TALK) == []
    assert (ALICE, "begins") not in office.notices()


async def test_of_two_replicas_that_look_at_once_one_tells(office: Office) -> None:
    call = await office.plan()
    office.clock.advance(HOUR_S)
    office.hear(WORKER)
    read = await office.now(call)

    async def stale(_: ScheduledId) -> ScheduledCall:
        return read

    await office.due.look(call.scheduled_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.scheduled_store, "find", stale)
        await office.due.look(call.scheduled_id)
    assert office.notices()[ALICE, "begins"] == 1
    assert len(await office.store.list_running_in(GROUP_TALK)) == 1


async def test_in_a_direct_conversation_both_are_told_and_nothing_begins_by_itself(office: Office) -> None:
    call = await office.plan(ALICE, TALK)
    # Neither leads the other's.
    with pytest.raises(NotHost):
        await office.scheduled.cancel(call.scheduled_id, BOB)
    with pytest.raises(NotGroupCall):
        await office.links.create_link(CallId(call.scheduled_id), ALICE, 0, "")
    await office.pass_time(HOUR_S)
    assert office.notices() == Counter({(user, "begins"): 1 for user in (ALICE, BOB)})
    standing = await office.now(call)
    assert (standing.state, standing.call_id) == (State.OPEN, None)
    await office.pass_time(1799)
    assert (await office.now(call)).state is State.OPEN
    await office.pass_time(1)
    assert (await office.now(call)).state is State.ENDED


async def test_after_a_block_neither_sees_nor_hears_of_it(office: Office) -> None:
    call = await office.plan(ALICE, TALK)
    told_before = len(office.scheduled_store.records)
    office.members.severed.add(TALK)
    for user in (ALICE, BOB):
        with pytest.raises(ConversationNotFound):
            await office.scheduled.list_in(TALK, user)
        with pytest.raises(ScheduledCallNotFound):
            await office.scheduled.answer(call.scheduled_id, user, Answer.YES)
    await office.pass_time(HOUR_S)
    assert (await office.now(call)).state is State.CANCELLED
    assert len(office.scheduled_store.records) == told_before


async def test_where_everybody_left_or_the_maker_is_deleted_it_is_cancelled(office: Office) -> None:
    empty, orphan = await office.plan(), await office.plan()
    office.scheduled_store.calls[orphan.scheduled_id] = replace(orphan, maker_id=UserId(""), due_time=START)
    await office.pass_time(0)
    assert (await office.now(orphan)).state is State.CANCELLED
    assert office.scheduled_store.records[-1].value.decode().split(" ")[1] == "cancelled"
    del office.members.conversations[GROUP_TALK]
    await office.pass_time(HOUR_S)
    assert (await office.now(empty)).state is State.CANCELLED


async def test_the_call_of_one_whose_maker_left_is_placed_for_the_others(office: Office) -> None:
    office.members.conversations[GROUP_TALK].append(DAVE)
    call = await office.plan(BOB)
    office.members.conversations[GROUP_TALK].remove(BOB)
    await office.pass_time(HOUR_S)
    assert (await office.held(call)).caller_id == ALICE


async def test_what_was_over_long_ago_is_forgotten(office: Office) -> None:
    call = await office.plan()
    await office.scheduled.cancel(call.scheduled_id, BOB)
    office.clock.advance(timedelta(days=91).total_seconds())
    await office.due.prune()
    assert await office.scheduled_store.find(call.scheduled_id) is None


# Links.


async def test_a_link_opens_to_a_page_that_waits_and_to_the_lobby_at_its_time(office: Office) -> None:
    call = await office.plan()
    link, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "once")
    assert await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "once") == (link, secret)
    for who in (EVE, CAROL, EVE):
        early = await office.lobby.open_link(secret, who)
        assert (early.call, early.scheduled, early.host_id) == (None, call, BOB)
        assert early.is_part is (who == CAROL)
    await office.pass_time(HOUR_S)
    held = await office.held(call)
    # Members do not wait in a lobby.
    assert [(guest.user_id, guest.link_id) for guest in held.lobby] == [(EVE, link.link_id)]
    begun = replace(held, version=held.version - 1, legs=tuple(leg for leg in held.legs if leg.user_id != EVE))
    (place,) = told(begun, held)[EVE]
    assert getattr(place, "link_id", "") == link.link_id
    assert (await office.lobby.open_link(secret, CAROL)).is_part
    assert (await office.lobby.open_link(secret, FAY)).call is not None
    # By now it is a link to the call.
    assert [each.link_id for each in await office.links.list_links(held.call_id, BOB)] == [link.link_id]
    other, other_secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "by then")
    assert other.call_id == held.call_id
    assert await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "by then") == (other, other_secret)
    await office.service.join_call(held.call_id, CAROL, TABLET)
    await office.service.leave_call(held.call_id, CAROL, TABLET)
    with pytest.raises(CallEnded):
        await office.lobby.open_link(secret, FAY)


async def test_a_link_that_was_made_while_its_time_came_leads_to_its_call(office: Office) -> None:
    call = await office.plan()
    link, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "")
    await office.pass_time(HOUR_S)
    office.link_store.change(replace(office.link_store.stored[link.link_id].link, call_id=None))
    assert (await office.lobby.open_link(secret, EVE)).call is not None
    assert [guest.user_id for guest in (await office.held(call)).lobby] == [EVE]


async def test_its_links_count_from_its_start_and_close_when_it_is_cancelled(office: Office) -> None:
    call = await office.plan()
    link, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 60, "")
    assert link.expire_time == call.draft.start_time + timedelta(seconds=60)
    later = office.draft(2 * HOUR_S)
    await office.scheduled.change(call.scheduled_id, BOB, later)
    (moved,) = await office.links.list_links(CallId(call.scheduled_id), BOB)
    assert moved.expire_time == later.start_time + timedelta(seconds=60)
    await office.scheduled.cancel(call.scheduled_id, BOB)
    with pytest.raises(JoinLinkClosed):
        await office.lobby.open_link(secret, EVE)
    with pytest.raises(ScheduledCallOver):
        await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "")


async def test_who_waits_by_a_link_that_was_revoked_does_not_come_into_the_lobby(office: Office) -> None:
    call = await office.plan()
    link, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "")
    await office.lobby.open_link(secret, EVE)
    office.members.blocks.add((BOB, FAY))
    with pytest.raises(JoinLinkClosed):
        await office.lobby.open_link(secret, FAY)
    await office.links.revoke_link(link.link_id, ALICE)
    assert link.link_id in office.link_store.closed
    await office.pass_time(HOUR_S)
    assert (await office.held(call)).lobby == ()


async def test_who_gives_up_the_wait_does_not_come_into_the_lobby(office: Office) -> None:
    call = await office.plan()
    _, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "")
    await office.lobby.open_link(secret, EVE)
    await office.lobby.leave_lobby(CallId(call.scheduled_id), EVE)
    with pytest.raises(CallNotFound):
        await office.lobby.leave_lobby(CallId(call.scheduled_id), FAY)
    await office.pass_time(HOUR_S)
    assert (await office.held(call)).lobby == ()


async def test_so_many_wait_outside(office: Office) -> None:
    call = await office.plan()
    _, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "")
    for number in range(MAX_WAITING):
        await office.lobby.open_link(secret, UserId(f"guest-{number}"))
    with pytest.raises(LobbyFull):
        await office.lobby.open_link(secret, EVE)
    await office.lobby.open_link(secret, UserId("guest-7"))


async def test_who_opens_a_link_while_it_begins_comes_into_the_lobby(office: Office) -> None:
    """After those who wait were read, and before it is written that it has begun."""
    call = await office.plan()
    _, secret = await office.links.create_link(CallId(call.scheduled_id), BOB, 0, "")
    save = office.scheduled_store.save
    opened = []

    async def open_first(*given: object) -> bool:
        opened.append(await office.lobby.open_link(secret, EVE))
        return await save(*given)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(office.scheduled_store, "save", open_first)
        await office.pass_time(HOUR_S)
    assert opened[0].call is not None
    assert [guest.user_id for guest in (await office.held(call)).lobby] == [EVE]


# What devices are told.


async def test_each_member_is_told_and_the_notice_goes_to_those_whom_it_is_for(office: Office) -> None:
    call = replace(await office.plan(), answers={CAROL: Answer.NO, DAVE: Answer.YES})
    events_of = ScheduledEvents(lambda now: UUID(int=7))
    records = events_of(call, [ALICE, BOB, CAROL], Notice.REMINDER, START)
    frames = {}
    for record in records:
        delivery = presence_events.Delivery.FromString(record.value)
        frames[delivery.user_id] = gateway_service.SubscribeResponse.FromString(delivery.frame).event.scheduled_call
    assert set(frames) == {ALICE, BOB, CAROL}
    assert {user: frame.notice for user, frame in frames.items()} == {ALICE: 1, BOB: 1, CAROL: 0}
    # Of who is not in the conversation nothing is told.
    assert {each.user_id for each in frames[ALICE].scheduled_call.answers} == {CAROL}
