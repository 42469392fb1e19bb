"""The state machine by itself: single steps, and random interleavings of everything against its invariants."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.signaling.core.calls import (
    CallAttempt,
    Decision,
    handle,
    is_glare,
    refuse_as_busy,
    ring,
)
from services.signaling.core.errors import (
    AlreadyAnswered,
    AnsweredElsewhere,
    CallEnded,
    CallNotFound,
    CallsError,
    NotCallee,
    NotCaller,
)
from services.signaling.core.inputs import (
    Accept,
    Cancel,
    Decline,
    DeviceReturned,
    Input,
    Leave,
    MediaConnected,
    MediaDisconnected,
    MediaSilent,
    Move,
    TakeOver,
    Tick,
    WorkerLost,
    WorkerRecovered,
)
from services.signaling.core.model import Call, CallId, CallState, EndReason, LegState, MoveReason
from services.signaling.core.rules import Effect
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    LAPTOP,
    OTHER_WORKER,
    PHONE,
    START,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
)

PLACED = CallAttempt(CallId("c"), TALK, ALICE, PHONE, {BOB: LegState.RINGING}, video=True)
SOON = START + timedelta(seconds=3)
RING_END = START + timedelta(seconds=TIMEOUTS.ring_s)
ALICE_UP = MediaConnected(ALICE, PHONE, WORKER.worker_id)
BOB_UP = MediaConnected(BOB, TABLET, WORKER.worker_id)
BOB_DOWN = MediaDisconnected(BOB, TABLET, WORKER.worker_id)


def ringing() -> Call:
    return ring(PLACED, WORKER, START, TIMEOUTS)


def after(*inputs: Input) -> Call:
    """A new call after some inputs, all of them soon."""
    call = ringing()
    for step in inputs:
        call = handle(call, step, SOON, TIMEOUTS).call
    return call


def connected() -> Call:
    return after(ALICE_UP, Accept(BOB, TABLET), BOB_UP)


def test_a_new_call_rings_with_the_callers_device_in_it() -> None:
    call = ringing()
    assert call.state is CallState.RINGING
    assert [leg.device_id for leg in call.legs] == [PHONE, None]
    assert call.due_time == RING_END


def test_the_accepting_device_is_seated_and_the_answer_announced() -> None:
    decision = handle(ringing(), Accept(BOB, TABLET), SOON, TIMEOUTS)
    assert decision.effects == (Effect.PUBLISH,)
    assert decision.call.state is CallState.ACTIVE
    assert decision.call.answer_time == SOON
    assert decision.call.has_device(BOB, TABLET)
    assert decision.call.version == 2


def test_the_second_device_to_accept_is_told_answered_elsewhere() -> None:
    with pytest.raises(AnsweredElsewhere):
        handle(after(Accept(BOB, TABLET)), Accept(BOB, LAPTOP), SOON, TIMEOUTS)


def test_accepting_again_on_the_same_device_changes_nothing() -> None:
    call = after(Accept(BOB, TABLET))
    assert handle(call, Accept(BOB, TABLET), SOON, TIMEOUTS) == Decision(call)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (Decline(BOB), EndReason.DECLINED),
        (Leave(BOB, LAPTOP), EndReason.DECLINED),
        (Cancel(ALICE), EndReason.CANCELLED),
        (Leave(ALICE, PHONE), EndReason.CANCELLED),
    ],
)
def test_a_ringing_call_ends_by_the_one_who_gives_up(step: Input, reason: EndReason) -> None:
    decision = handle(ringing(), step, SOON, TIMEOUTS)
    assert (decision.call.state, decision.call.end_reason, decision.call.end_time) == (CallState.ENDED, reason, SOON)
    assert decision.effects == (Effect.PUBLISH, Effect.CLOSE_MEDIA)
    # Again changes nothing.
    assert handle(decision.call, step, SOON, TIMEOUTS) == Decision(decision.call)


def test_either_side_hangs_up_an_answered_call() -> None:
    for step in (Leave(ALICE, PHONE), Leave(BOB, TABLET)):
        assert handle(connected(), step, SOON, TIMEOUTS).call.end_reason is EndReason.HUNG_UP


def test_a_device_that_is_not_in_the_call_cannot_hang_it_up() -> None:
    call = connected()
    assert handle(call, Leave(BOB, LAPTOP), SOON, TIMEOUTS) == Decision(call)
    assert handle(ringing(), Leave(ALICE, LAPTOP), SOON, TIMEOUTS) == Decision(ringing())


@pytest.mark.parametrize(
    ("step", "refusal"),
    [
        (Accept(ALICE, PHONE), NotCallee),
        (Decline(ALICE), NotCallee),
        (Cancel(BOB), NotCaller),
        (Accept(CAROL, PHONE), CallNotFound),
        (Leave(CAROL, PHONE), CallNotFound),
    ],
)
def test_the_wrong_person_is_refused_in_every_state(step: Input, refusal: type[CallsError]) -> None:
    for call in (ringing(), connected(), after(Decline(BOB))):
        with pytest.raises(refusal):
            handle(call, step, SOON, TIMEOUTS)


def test_an_answered_call_cannot_be_declined_or_cancelled() -> None:
    for step in (Decline(BOB), Cancel(ALICE)):
        with pytest.raises(AlreadyAnswered):
            handle(connected(), step, SOON, TIMEOUTS)


def test_an_ended_call_cannot_be_answered_or_moved() -> None:
    for step in (Accept(BOB, TABLET), Move(WORKER, OTHER_WORKER, MoveReason.WORKER_LOST)):
        with pytest.raises(CallEnded):
            handle(after(Cancel(ALICE)), step, SOON, TIMEOUTS)


def test_a_ring_ends_as_missed_at_its_deadline_and_not_before() -> None:
    call = ringing()
    assert handle(call, Tick(), RING_END - timedelta(microseconds=1), TIMEOUTS) == Decision(call)
    assert handle(call, Tick(), RING_END, TIMEOUTS).call.end_reason is EndReason.MISSED


def test_an_answered_call_has_a_deadline_until_all_media_flows() -> None:
    call = after(Accept(BOB, TABLET))
    assert call.due_time == SOON + timedelta(seconds=TIMEOUTS.media_lost_s)
    call = handle(call, ALICE_UP, SOON, TIMEOUTS).call
    assert call.due_time is not None
    call = handle(call, BOB_UP, SOON, TIMEOUTS).call
    assert call.due_time is None
    assert call.media_time == SOON


def test_media_that_never_comes_ends_the_call() -> None:
    call = after(Accept(BOB, TABLET))
    assert call.due_time is not None
    assert handle(call, Tick(), call.due_time, TIMEOUTS).call.end_reason is EndReason.MEDIA_LOST


def test_media_that_comes_back_in_time_keeps_the_call() -> None:
    lost = handle(connected(), BOB_DOWN, SOON, TIMEOUTS).call
    assert lost.due_time == SOON + timedelta(seconds=TIMEOUTS.media_lost_s)
    assert handle(lost, BOB_UP, SOON, TIMEOUTS).call.due_time is None


def test_repeated_bad_news_does_not_put_the_deadline_off() -> None:
    lost = handle(connected(), BOB_DOWN, SOON, TIMEOUTS).call
    for step in (BOB_DOWN, WorkerLost(WORKER.worker_id), Move(WORKER, OTHER_WORKER, MoveReason.WORKER_LOST)):
        later = handle(lost, step, SOON + timedelta(seconds=30), TIMEOUTS).call
        assert later.due_time == lost.due_time


def test_a_replaced_offer_is_no_loss() -> None:
    call = connected()
    assert handle(call, replace(BOB_DOWN, replaced=True), SOON, TIMEOUTS) == Decision(call)


def test_the_caller_may_have_media_while_it_rings_and_lose_it() -> None:
    call = after(ALICE_UP, MediaDisconnected(ALICE, PHONE, WORKER.worker_id))
    assert call.state is CallState.RINGING
    assert call.due_time == RING_END


def test_media_that_comes_up_after_the_end_is_closed_again() -> None:
    ended = after(Accept(BOB, TABLET), Leave(ALICE, PHONE))
    assert handle(ended, BOB_UP, SOON, TIMEOUTS) == Decision(ended, (Effect.CLOSE_MEDIA,))


def test_media_events_of_other_devices_and_workers_change_nothing() -> None:
    call = connected()
    for step in (
        MediaDisconnected(BOB, LAPTOP, WORKER.worker_id),
        MediaDisconnected(CAROL, TABLET, WORKER.worker_id),
        WorkerLost(OTHER_WORKER.worker_id),
        Move(OTHER_WORKER, WORKER, MoveReason.OPERATOR),
    ):
        assert handle(call, step, SOON, TIMEOUTS) == Decision(call)


def test_a_worker_that_only_stalled_is_believed_again_but_for_legs_that_it_reports_down() -> None:
    lost = handle(connected(), WorkerLost(WORKER.worker_id), SOON, TIMEOUTS).call
    found = handle(lost, WorkerRecovered(WORKER), SOON, TIMEOUTS).call
    assert [(leg.media_up, leg.media_deadline) for leg in found.legs] == [(True, None), (True, None)]
    gone = handle(lost, BOB_DOWN, SOON, TIMEOUTS).call
    assert handle(gone, WorkerRecovered(WORKER), SOON, TIMEOUTS).call.due_time == lost.due_time
    assert handle(lost, WorkerRecovered(OTHER_WORKER), SOON, TIMEOUTS) == Decision(lost)


def test_a_worker_that_stalls_while_it_rings_loses_nothing() -> None:
    call = after(ALICE_UP)
    assert handle(call, WorkerLost(WORKER.worker_id), SOON, TIMEOUTS) == Decision(call)


def test_a_dead_worker_puts_all_media_in_doubt_and_a_move_keeps_the_call() -> None:
    lost = handle(connected(), WorkerLost(WORKER.worker_id), SOON, TIMEOUTS).call
    assert lost.due_time == SOON + timedelta(seconds=TIMEOUTS.media_lost_s)
    moved = handle(lost, Move(WORKER, OTHER_WORKER, MoveReason.WORKER_LOST), SOON, TIMEOUTS).call
    assert moved.worker == OTHER_WORKER
    for user_id, device_id in ((ALICE, PHONE), (BOB, TABLET)):
        moved = handle(moved, MediaConnected(user_id, device_id, OTHER_WORKER.worker_id), SOON, TIMEOUTS).call
    assert (moved.state, moved.due_time) == (CallState.ACTIVE, None)


def test_a_busy_callee_gives_a_call_that_never_rang() -> None:
    call = refuse_as_busy(ringing())
    assert (call.state, call.end_reason, call.worker, call.due_time) == (CallState.ENDED, EndReason.BUSY, None, None)


def test_glare_is_the_callee_ringing_the_caller_in_the_same_conversation() -> None:
    back = replace(PLACED, caller_id=BOB, others={ALICE: LegState.RINGING})
    assert is_glare(ringing(), back)
    assert not is_glare(ringing(), PLACED)
    assert not is_glare(after(Accept(BOB, TABLET)), back)
    assert not is_glare(ringing(), replace(back, conversation_id="another"))  # type: ignore[arg-type]


USERS = st.sampled_from([ALICE, BOB, CAROL])
DEVICES = st.sampled_from([PHONE, TABLET, LAPTOP])
WORKERS = st.sampled_from([WORKER.worker_id, OTHER_WORKER.worker_id])
INPUTS = st.one_of(
    st.builds(Accept, USERS, DEVICES),
    st.builds(Decline, USERS),
    st.builds(Cancel, USERS),
    st.builds(Leave, USERS, DEVICES),
    st.builds(MediaConnected, USERS, DEVICES, WORKERS),
    st.builds(MediaDisconnected, USERS, DEVICES, WORKERS, st.booleans(), st.booleans()),
    st.builds(MediaSilent, USERS, DEVICES, WORKERS, st.just(SOON), st.sampled_from([None, SOON, RING_END])),
    st.builds(DeviceReturned, USERS, DEVICES),
    st.builds(WorkerLost, WORKERS),
    st.builds(WorkerRecovered, st.sampled_from([WORKER, OTHER_WORKER])),
    st.builds(
        Move,
        st.sampled_from([WORKER, OTHER_WORKER]),
        st.sampled_from([WORKER, OTHER_WORKER]),
        st.sampled_from(MoveReason),
    ),
    st.builds(TakeOver, USERS, DEVICES),
    st.just(Tick()),
)
STEPS = st.lists(st.tuples(INPUTS, st.floats(0, 30)), max_size=40)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_any_interleaving_gives_one_answer_at_most_and_exactly_one_outcome(steps: list[tuple[Input, float]]) -> None:
    call, now, winners, endings = ringing(), START, set(), 0
    for step, wait_s in steps:
        now += timedelta(seconds=wait_s)
        try:
            decision = handle(call, step, now, TIMEOUTS)
        except CallsError:
            continue
        before, call = call, decision.call
        assert call.version == before.version + (call != before)
        # Later an accept of the device that has the call, also of one that took it over, only learns that it has it.
        if isinstance(step, Accept) and before.state is not CallState.ACTIVE and call.state is CallState.ACTIVE:
            winners.add(step.device_id)
        endings += call.state is CallState.ENDED and before.state is not CallState.ENDED
        assert_sound(before, call)
    # Left alone, every call ends: a ring by itself, and an answered call once its media is down.
    if call.worker:
        call = handle(call, WorkerLost(call.worker.worker_id), now, TIMEOUTS).call
    was_over = call.state is CallState.ENDED
    for _ in range(3):
        if call.due_time:
            call = handle(call, Tick(), max(now, call.due_time), TIMEOUTS).call
    endings += call.state is CallState.ENDED and not was_over
    assert len(winners) <= 1
    assert endings == 1
    assert call.end_reason is not None


def assert_sound(before: Call, call: Call) -> None:
    """What holds of every call after every step."""
    if before.state is CallState.ENDED:
        assert call == before
    assert (call.state is CallState.ENDED) == (call.end_reason is not None) == (call.end_time is not None)
    if call.state is CallState.RINGING:
        assert call.legs[1] == before.legs[1]
        assert call.due_time is not None
    if call.state is CallState.ACTIVE:
        assert all(leg.device_id and leg.state is LegState.JOINED for leg in call.legs)
        assert all(leg.media_up or leg.media_deadline for leg in call.legs)
