"""The use-cases over fakes: what users get, what others are told, and what is left to the background."""

from datetime import timedelta

import pytest

from services.runtime.clock import CLOCK_SKEW_S
from services.runtime.errors import StoreUnavailable
from services.signaling.changes import MAX_ATTEMPTS
from services.signaling.core.errors import (
    AlreadyInCall,
    AnsweredElsewhere,
    CallEnded,
    CallNotAllowed,
    CallNotFound,
    Contended,
    ConversationNotFound,
    JoinTokenExpired,
    JoinTokenInvalid,
    MediaUnavailable,
    MembersUnavailable,
    NoMediaWorker,
    NotInCall,
    SdpInvalid,
    VersionConflict,
)
from services.signaling.core.inputs import MediaConnected, MediaDisconnected
from services.signaling.core.model import CallId, CallState, ConversationId, EndReason, UserId
from services.signaling.starting import StartRequest
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    GRANTS,
    LAPTOP,
    OTHER_WORKER,
    PHONE,
    START,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
    World,
)

OTHER_TALK = ConversationId("0190f000-0000-7000-8000-000000000002")
THIRD_TALK = ConversationId("0190f000-0000-7000-8000-000000000003")
NOBODY = CallId("00000000-0000-0000-0000-00000000ffff")


@pytest.fixture
def crowd(world: World) -> World:
    """Carol too has conversations with both."""
    world.members.conversations.update({OTHER_TALK: [CAROL, BOB], THIRD_TALK: [CAROL, ALICE]})
    return world


async def test_starting_rings_announces_and_sets_the_alarm(world: World) -> None:
    call, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "first"))
    assert call.state is CallState.RINGING
    assert world.told() == ["1 ringing"]
    assert world.alarms.pop_due(call.ring_deadline) == [call.call_id]
    assert grant is not None
    assert (grant.audio_slots, grant.video_slots) == (GRANTS.audio_slots, GRANTS.video_slots)
    claims = world.read(grant.join_token)
    assert (claims.call_id, claims.user_id, claims.device_id) == (call.call_id, ALICE, PHONE)
    assert (claims.worker_id, claims.expire_time) == (WORKER.worker_id, grant.expire_time)


async def test_starting_again_with_the_same_id_gives_the_same_call_and_rings_nobody(world: World) -> None:
    first = await world.start()
    asked = world.members.asked
    again, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "first"))
    assert again == first
    assert grant is not None
    assert world.told() == ["1 ringing"]
    assert world.members.asked == asked


async def test_a_retry_after_the_end_gives_the_ended_call_without_a_grant(world: World) -> None:
    call = await world.start()
    await world.service.cancel_call(call.call_id, ALICE)
    again, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "first"))
    assert (again.call_id, again.state, grant) == (call.call_id, CallState.ENDED, None)


async def test_a_stranger_to_the_conversation_learns_nothing(world: World) -> None:
    with pytest.raises(ConversationNotFound):
        await world.start(CAROL)
    with pytest.raises(ConversationNotFound):
        await world.start(talk=ConversationId("another"))


async def test_who_may_not_be_rung_is_not_and_the_caller_is_told_no_reason(world: World) -> None:
    world.members.closed.add(BOB)
    with pytest.raises(CallNotAllowed):
        await world.start()
    assert world.told() == []


@pytest.mark.parametrize("members", [[ALICE, BOB], [ALICE, BOB, CAROL]], ids=["direct", "group"])
async def test_no_call_begins_where_moderation_has_frozen_the_conversation(world: World, members: list[UserId]) -> None:
    world.members.conversations[TALK] = members
    world.members.frozen.add(TALK)
    with pytest.raises(CallNotAllowed):
        await world.start()
    assert world.told() == []
    world.members.frozen.clear()
    assert (await world.start()).state is not CallState.ENDED


async def test_a_callee_in_another_call_is_busy(crowd: World) -> None:
    await crowd.answered()
    call, grant = await crowd.service.start_call(StartRequest(CAROL, LAPTOP, OTHER_TALK, False, "hers"))
    assert (call.state, call.end_reason, grant) == (CallState.ENDED, EndReason.BUSY, None)
    assert crowd.told()[-1] == "1 ended busy"
    assert crowd.metrics.ended == {"busy": 1}
    assert crowd.closer.closed == []
    # It took nobody: the caller is free at once.
    assert await crowd.service.list_active_calls(CAROL) == []


async def test_a_callee_who_is_being_rung_is_busy_too(crowd: World) -> None:
    await crowd.start()
    assert (await crowd.start(CAROL, LAPTOP, "hers", OTHER_TALK)).end_reason is EndReason.BUSY


async def test_a_busy_caller_is_refused(crowd: World) -> None:
    await crowd.answered()
    with pytest.raises(AlreadyInCall):
        await crowd.start(key="second")
    with pytest.raises(AlreadyInCall):
        await crowd.start(ALICE, PHONE, "third", THIRD_TALK)


async def test_two_who_call_each_other_end_up_in_one_call(world: World) -> None:
    call = await world.start()
    met, grant = await world.service.start_call(StartRequest(BOB, TABLET, TALK, True, "his"))
    assert (met.call_id, met.state) == (call.call_id, CallState.ACTIVE)
    assert grant is not None
    assert world.told() == ["1 ringing", "2 active"]
    # His id stands for that call from now on.
    assert await world.start(BOB, TABLET, "his") == met


async def test_without_a_worker_the_refusal_is_clear_and_nobody_rings(world: World) -> None:
    world.clock.advance(6)
    with pytest.raises(NoMediaWorker):
        await world.start()
    assert world.told() == []
    assert world.metrics.failures == {"placement": 1}


async def test_when_messaging_is_away_the_call_fails_as_such(world: World) -> None:
    async def away(conversation_id: ConversationId, caller_id: str) -> list[object]:
        raise MembersUnavailable

    world.members.callees_of = away  # type: ignore[method-assign, assignment]
    with pytest.raises(MembersUnavailable):
        await world.start()
    assert world.metrics.failures == {"members": 1}


async def test_the_first_to_accept_wins_and_gets_a_grant(world: World) -> None:
    call = await world.start()
    world.clock.advance(2.5)
    active, grant = await world.service.accept_call(call.call_id, BOB, TABLET)
    assert active.state is CallState.ACTIVE
    assert grant is not None
    assert world.read(grant.join_token).device_id == TABLET
    assert world.metrics.rings == (1, 2.5)
    with pytest.raises(AnsweredElsewhere):
        await world.service.accept_call(call.call_id, BOB, LAPTOP)
    again, _ = await world.service.accept_call(call.call_id, BOB, TABLET)
    assert again == active
    assert world.told() == ["1 ringing", "2 active"]


async def test_the_end_closes_the_media_and_frees_both(world: World) -> None:
    call = await world.answered()
    ended = await world.service.leave_call(call.call_id, BOB, TABLET)
    assert ended.end_reason is EndReason.HUNG_UP
    assert world.closer.closed == [(WORKER, call.call_id)]
    assert world.metrics.ended == {"hung_up": 1}
    assert await world.service.list_active_calls(ALICE) == []
    assert (await world.start(BOB, TABLET, "next")).state is CallState.RINGING


async def test_a_call_is_unknown_to_those_outside_of_it(world: World) -> None:
    call = await world.start()
    assert await world.service.get_call(call.call_id, BOB) == call
    for call_id, user_id in ((call.call_id, CAROL), (NOBODY, ALICE)):
        with pytest.raises(CallNotFound):
            await world.service.get_call(call_id, user_id)
        with pytest.raises(CallNotFound):
            await world.service.decline_call(call_id, user_id)


async def test_both_sides_find_the_call_in_their_list(world: World) -> None:
    call = await world.start()
    assert await world.service.list_active_calls(ALICE) == [call]
    assert await world.service.list_active_calls(BOB) == [call]


async def test_a_lost_race_is_decided_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call = await world.start()
    save = world.store.save
    raced: list[bool] = []

    async def save_late(*arguments: object, **named: object) -> None:
        if not raced:
            raced.append(True)
            await world.service.accept_call(call.call_id, BOB, LAPTOP)
        await save(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(world.store, "save", save_late)
    with pytest.raises(AnsweredElsewhere):
        await world.service.accept_call(call.call_id, BOB, TABLET)
    assert (await world.service.get_call(call.call_id, BOB)).has_device(BOB, LAPTOP)


async def test_endless_conflicts_end_in_a_refusal_to_retry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    call = await world.start()
    attempts: list[bool] = []

    async def conflict(*arguments: object, **named: object) -> None:
        attempts.append(True)
        raise VersionConflict

    monkeypatch.setattr(world.store, "save", conflict)
    with pytest.raises(Contended):
        await world.service.decline_call(call.call_id, BOB)
    assert len(attempts) == MAX_ATTEMPTS


async def test_an_offer_goes_to_the_calls_worker_and_its_answer_comes_back(world: World) -> None:
    _, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "first"))
    assert grant is not None
    assert await world.service.access.join_media(ALICE, grant.join_token, "offer") == "answer to offer"
    assert world.media.joined == [(WORKER, grant.join_token)]


async def test_a_join_token_serves_only_its_bearer_its_time_and_its_call(world: World) -> None:
    call, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "first"))
    assert grant is not None
    with pytest.raises(JoinTokenInvalid):
        await world.service.access.join_media(BOB, grant.join_token, "offer")
    with pytest.raises(JoinTokenInvalid):
        await world.service.access.join_media(ALICE, grant.join_token[:-2], "offer")
    world.clock.advance(GRANTS.token_ttl_s + CLOCK_SKEW_S)
    with pytest.raises(JoinTokenExpired):
        await world.service.access.join_media(ALICE, grant.join_token, "offer")
    world.hear(WORKER)
    fresh = await world.service.access.renew_grant(call.call_id, ALICE, PHONE)
    await world.service.cancel_call(call.call_id, ALICE)
    with pytest.raises(CallEnded):
        await world.service.access.join_media(ALICE, fresh.join_token, "offer")
    assert world.media.joined == []


@pytest.mark.parametrize("refusal", [SdpInvalid("no BUNDLE"), MediaUnavailable("down"), JoinTokenInvalid()])
async def test_what_the_worker_refuses_is_passed_on_and_counted(world: World, refusal: Exception) -> None:
    _, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "first"))
    world.media.refusal = refusal
    assert grant is not None
    with pytest.raises(type(refusal)):
        await world.service.access.join_media(ALICE, grant.join_token, "offer")
    assert world.metrics.failures == {"join": 1}


async def test_only_a_device_in_the_running_call_renews_its_grant(world: World) -> None:
    call = await world.start()
    for user_id, device_id, refusal in (
        (BOB, TABLET, NotInCall),
        (ALICE, LAPTOP, NotInCall),
        (CAROL, PHONE, CallNotFound),
    ):
        with pytest.raises(refusal):
            await world.service.access.renew_grant(call.call_id, user_id, device_id)
    await world.service.cancel_call(call.call_id, ALICE)
    with pytest.raises(CallEnded):
        await world.service.access.renew_grant(call.call_id, ALICE, PHONE)


async def test_renewing_moves_the_call_from_a_dead_worker_once_for_both(world: World) -> None:
    call = await world.answered()
    stale = await world.service.access.renew_grant(call.call_id, ALICE, PHONE)
    world.clock.advance(6)
    world.hear(OTHER_WORKER)
    world.media.unreachable.add(WORKER.worker_id)
    grants = [
        await world.service.access.renew_grant(call.call_id, user_id, device_id)
        for user_id, device_id in ((ALICE, PHONE), (BOB, TABLET))
    ]
    assert {world.read(grant.join_token).worker_id for grant in grants} == {OTHER_WORKER.worker_id}
    await world.service.access.join_media(ALICE, grants[0].join_token, "offer")
    assert world.media.joined == [(OTHER_WORKER, grants[0].join_token)]
    with pytest.raises(JoinTokenExpired):
        await world.service.access.join_media(ALICE, stale.join_token, "offer")


async def test_renewing_stays_on_a_worker_that_only_the_broker_keeps_silent_about(world: World) -> None:
    call = await world.answered()
    world.clock.advance(20)
    grant = await world.service.access.renew_grant(call.call_id, ALICE, PHONE)
    assert world.read(grant.join_token).worker_id == WORKER.worker_id


async def test_renewing_with_no_worker_left_is_refused(world: World) -> None:
    call = await world.answered()
    world.clock.advance(6)
    world.media.unreachable.add(WORKER.worker_id)
    with pytest.raises(NoMediaWorker):
        await world.service.access.renew_grant(call.call_id, ALICE, PHONE)


async def test_a_worker_that_came_back_elsewhere_is_found_at_its_new_address(world: World) -> None:
    _, grant = await world.service.start_call(StartRequest(ALICE, PHONE, TALK, True, "first"))
    moved = type(WORKER)(WORKER.worker_id, "127.0.0.1:7999")
    world.hear(moved)
    assert grant is not None
    await world.service.access.join_media(ALICE, grant.join_token, "offer")
    assert world.media.joined == [(moved, grant.join_token)]


async def test_media_reports_are_taken_in_and_measured_once(world: World) -> None:
    call = await world.answered()
    world.clock.advance(0.5)
    for _ in range(2):
        await world.service.note_media(call.call_id, MediaConnected(ALICE, PHONE, WORKER.worker_id))
        await world.service.note_media(call.call_id, MediaConnected(BOB, TABLET, WORKER.worker_id))
    assert world.metrics.media == (1, 0.5)
    # Nobody sees media in a Call: nothing is announced.
    assert world.told() == ["1 ringing", "2 active"]
    lost = world.clock.now() + timedelta(seconds=TIMEOUTS.media_lost_s)
    world.alarms.pop_due(lost)
    await world.service.note_media(call.call_id, MediaDisconnected(BOB, TABLET, WORKER.worker_id))
    assert world.alarms.pop_due(lost) == [call.call_id]
    await world.service.note_media(NOBODY, MediaConnected(ALICE, PHONE, WORKER.worker_id))


async def test_placements_count_against_a_worker_until_it_announces_them(world: World) -> None:
    world.hear(OTHER_WORKER)
    await world.start()
    assert world.workers.choose(2, world.clock.now()) == OTHER_WORKER


async def test_when_the_store_is_away_the_caller_learns_that(world: World) -> None:
    world.store.down = True
    with pytest.raises(StoreUnavailable):
        await world.start()
    assert world.clock.now() == START
