"""Random doings of four people with three devices each, alone and in a group, against what must hold of all calls."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from random import Random
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.quiet_hours import QuietHours
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.errors import CallsError
from services.signaling.core.inputs import MediaConnected, MediaDisconnected, MediaSilent
from services.signaling.core.model import (
    BUSY_STATES,
    RUNG,
    Call,
    CallId,
    CallState,
    ConversationId,
    DeviceId,
    EndReason,
    LegState,
    UserId,
    Worker,
)
from services.signaling.core.rules import STAY_ACTIVE, STAY_RINGING, Effect, Handler, Outcome, Rule, TableRow
from services.signaling.core.table import ACCEPT, JOIN, TABLE
from services.signaling.starting import StartRequest
from tests.support.examples import examples
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
    TIMEOUTS,
    WORKER,
    World,
)

PEOPLE = (ALICE, BOB, CAROL, DAVE)
TALKS = {
    TALK: [ALICE, BOB],
    ConversationId("0190f000-0000-7000-8000-000000000002"): [BOB, CAROL],
    ConversationId("0190f000-0000-7000-8000-000000000003"): [CAROL, ALICE],
    GROUP_TALK: [ALICE, BOB, CAROL, DAVE],
}
DEVICES = (PHONE, TABLET, LAPTOP)
ACTIONS = (
    # Without these nothing else happens.
    *("start", "start", "accept", "accept", "join", "media up", "media up", "media up"),
    *("start", "retry", "accept", "decline", "cancel", "leave", "media up", "media down", "wait", "long wait"),
    *("join", "take over", "remove", "lock", "end for all", "hand", "mute", "expel", "settings", "move", "crash"),
    *("close", "close", "open", "wait"),
)
SETTINGS = (
    CallSettings(),
    CallSettings(call_waiting=True),
    CallSettings(quiet_hours=QuietHours(0, 0, "UTC")),
    CallSettings(call_waiting=True, quiet_hours=QuietHours(0, 1, "UTC")),
)
Step = tuple[UserId, DeviceId, str, ConversationId, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(DEVICES),
        st.sampled_from(ACTIONS),
        st.sampled_from(tuple(TALKS)),
        st.integers(0, 3),
    ),
    min_size=10,
    max_size=60,
)


class Crowd:
    """Does what it is told, and remembers every call it saw."""

    def __init__(self, seats: int = 0) -> None:
        """`seats`: how many each worker has, which may share calls then; 0: enough, and they may not."""
        self.world = World()
        self._facts: dict[str, object] = {"max_participants": seats, "media_address": "10.0.0.1:1"} if seats else {}
        for worker in (WORKER, OTHER_WORKER):
            self.world.hear(worker, **self._facts)
        self.world.members.conversations.update({talk: list(people) for talk, people in TALKS.items()})
        self.world.members.admins.update((ALICE, BOB))
        self.calls: list[Call] = []
        self._started: datetime | None = None
        self._numbers = count(1)
        self._last_key = "none"

    async def do(self, step: Step) -> None:
        """One step; a refusal is as good an answer as any."""
        user, device, action, talk, which = step
        try:
            if action == "wait":
                self.pass_time(5)
            elif action == "long wait":
                self.pass_time(int(TIMEOUTS.media_lost_s))
            elif action == "settings":
                await self.world.service.update_settings(user, SETTINGS[which])
            elif action == "crash":
                await self.crash()
            elif action in ("start", "retry"):
                self._last_key = self._last_key if action == "retry" else f"key-{next(self._numbers)}"
                request = StartRequest(user, device, talk, True, self._last_key)
                self.calls.append((await self.world.service.start_call(request))[0])
            elif self.calls:
                call = self.calls[-1 - which % len(self.calls)]
                await self._act(action, call, user, await self._choose_device(call, user, device, which))
        except CallsError:
            return
        finally:
            await self.world.upkeep.sweep()

    def pass_time(self, seconds: int) -> None:
        """Time passes, and both workers announce themselves all the while."""
        for _ in range(seconds):
            self.world.clock.advance(1)
            for worker in (WORKER, OTHER_WORKER):
                self.world.hear(replace(worker, start_time=self._started), **self._facts)

    async def crash(self) -> None:
        """Both workers are other processes from now on, and all media is gone."""
        self._started = self.world.clock.now()
        self.pass_time(1)
        await self.world.moves.inspect_workers()

    async def _choose_device(self, call: Call, user: UserId, device: DeviceId, which: int) -> DeviceId:
        """Mostly the one that the user is in the call with."""
        current = await self.world.store.find(call.call_id)
        leg = current.leg_of(user) if current else None
        return leg.device_id if which and leg and leg.device_id else device

    async def _act(self, action: str, call: Call, user: UserId, device: DeviceId) -> None:
        service, call_id, target = self.world.service, call.call_id, call.legs[-1].user_id
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "accept": lambda: service.accept_call(call_id, user, device),
            "join": lambda: service.join_call(call_id, user, device),
            "take over": lambda: service.take_over(call_id, user, device),
            "decline": lambda: service.decline_call(call_id, user),
            "cancel": lambda: service.cancel_call(call_id, user),
            "leave": lambda: service.leave_call(call_id, user, device),
            "remove": lambda: service.remove_participant(call_id, user, target),
            "lock": lambda: service.set_lock(call_id, user, locked=not call.locked),
            "end for all": lambda: service.end_for_all(call_id, user),
            "hand": lambda: service.set_hand(call_id, user, raised=True),
            "mute": lambda: service.request_mute(call_id, user, target),
            "expel": lambda: self._expel(user),
            "move": lambda: self.world.moves.move_on_request(call_id, None),
            "media up": lambda: self._report(MediaConnected, call_id, user, device),
            "media down": lambda: self._report(MediaDisconnected, call_id, user, device),
            "close": lambda: self._close(call_id, user, device),
            "open": lambda: self._open(call_id, user, device),
        }
        await acts[action]()

    async def _expel(self, user: UserId) -> None:
        """Out of the group, or back into it."""
        members = self.world.members.conversations[GROUP_TALK]
        if user in members and len(members) > 3:
            members.remove(user)
        elif user not in members:
            members.append(user)
        await self.world.service.roster.sync_call_of_group(GROUP_TALK)

    async def _report(
        self, kind: type[MediaConnected] | type[MediaDisconnected], call_id: CallId, user: UserId, device: DeviceId
    ) -> None:
        call = await self.world.store.find(call_id)
        worker = worker_of(call, user)
        if worker:
            await self.world.service.note_media(call_id, kind(user, device, worker.worker_id))

    async def _close(self, call_id: CallId, user: UserId, device: DeviceId) -> None:
        """The device's page is closed."""
        self.world.devices.close(user, device)
        call = await self.world.store.find(call_id)
        worker = worker_of(call, user)
        if worker:
            heard_time = self.world.clock.now()
            self.pass_time(1)
            report = MediaSilent(user, device, worker.worker_id, heard_time)
            await self.world.service.note_media(call_id, report)

    async def _open(self, call_id: CallId, user: UserId, device: DeviceId) -> None:
        """The device's page is loaded again, and has media at once."""
        self.world.devices.open(user, device)
        await self._report(MediaConnected, call_id, user, device)

    async def go_away(self) -> None:
        """Everyone does, without a word: the SFU says so of those who had media, and the timers do the rest."""
        for call in await self.current():
            for leg in call.joined:
                worker = call.worker_of(leg)
                if leg.device_id and worker:
                    gone = MediaDisconnected(leg.user_id, leg.device_id, worker.worker_id)
                    await self.world.service.note_media(call.call_id, gone)
        for _ in range(4):
            self.pass_time(int(max(TIMEOUTS.ring_s, TIMEOUTS.media_lost_s)))
            await self.world.upkeep.sweep()

    async def current(self) -> list[Call]:
        """All calls as they stand."""
        ids = dict.fromkeys(call.call_id for call in self.calls)
        found = [await self.world.store.find(call_id) for call_id in ids]
        return [call for call in found if call]


@settings(max_examples=examples(75), deadline=None)
@given(STEPS)
async def test_whatever_people_do_nobody_is_in_two_calls_and_every_call_ends_once(steps: list[Step]) -> None:
    await act_and_check(steps)


# Of four in a group one is elsewhere, or two.
@settings(max_examples=examples(75), deadline=None)
@given(STEPS, st.integers(2, 3))
async def test_whatever_people_do_in_calls_on_several_workers_the_same_holds(steps: list[Step], seats: int) -> None:
    await act_and_check(steps, seats)


async def act_and_check(steps: list[Step], seats: int = 0) -> None:
    """Does the steps, and holds after each of them and in the end what must hold."""
    crowd = Crowd(seats)
    known: dict[CallId, Call] = {}
    for step in steps:
        await crowd.do(step)
        calls = await crowd.current()
        running = [call for call in calls if call.state is not CallState.ENDED]
        assert_nobody_is_twice(running)
        for call in calls:
            assert_goes_on(known.get(call.call_id), call)
            assert_places_are_told(known.get(call.call_id), call)
        known = {call.call_id: call for call in calls}
        for user in PEOPLE:
            assert list(await crowd.world.service.list_active_calls(user)) == [
                call.told_to(user) for call in running if user in call.audience
            ]
    await crowd.go_away()
    calls = await crowd.current()
    assert all(call.state is CallState.ENDED and call.end_reason for call in calls)
    assert crowd.world.metrics.ended == Counter(call.end_reason.value for call in calls if call.end_reason)
    assert_told_once(crowd, calls)


def assert_nobody_is_twice(running: list[Call]) -> None:
    """A person is in, or rung by, one call; a group has one; none has more people than fit."""
    held = Counter(leg.user_id for call in running for leg in call.legs if leg.state in BUSY_STATES)
    assert max(held.values(), default=0) <= 1
    devices = Counter((leg.user_id, leg.device_id) for call in running for leg in call.joined)
    assert max(devices.values(), default=0) <= 1
    groups = Counter(call.conversation_id for call in running if call.group)
    assert max(groups.values(), default=0) <= 1
    assert all(len(call.joined) <= call.capacity for call in running)


def assert_goes_on(before: Call | None, call: Call) -> None:
    """What has ended stays as it is; who was put out stays out; nobody new comes into a locked call."""
    if before is None:
        return
    assert call.version >= before.version
    if before.state is CallState.ENDED:
        assert call == before
    for leg in call.joined:
        former = next((one for one in before.legs if one.user_id == leg.user_id), None)
        assert former is None or former.state is not LegState.REMOVED
        assert not (before.locked and call.locked) or (former and former.state in (LegState.JOINED, *RUNG))


def worker_of(call: Call | None, user: UserId) -> Worker | None:
    """The worker that speaks of somebody's media."""
    leg = call.leg_of(user) if call else None
    return call.worker_of(leg) if call and leg else None


def assert_places_are_told(before: Call | None, call: Call) -> None:
    """A leg names a worker where that is not the call's own. A device is told of a move when it has to follow, and of
    none else."""
    assert call.group or not any(leg.worker for leg in call.legs)
    assert not any(leg.worker and leg.worker.is_same_process(call.worker) for leg in call.legs)
    assert call.spread or len(call.workers) <= 2
    former = {(leg.user_id, leg.device_id, leg.device_join_time): leg for leg in before.joined} if before else {}
    for leg in call.joined if call.state is not CallState.ENDED else ():
        known = former.get((leg.user_id, leg.device_id, leg.device_join_time))
        if before is None or known is None:
            continue
        was_at, was_told = before.worker_of(known), before.epoch_of(known)
        rise = call.told_to(leg.user_id).media_epoch - was_told
        has_moved = not (was_at and call.is_on(leg, was_at))
        # There and back in one step are two moves.
        assert rise >= 1 if has_moved else rise in (0, 2)


def assert_told_once(crowd: Crowd, calls: list[Call]) -> None:
    """Each call's events rise in version, and exactly one tells of the end: the last."""
    for call in calls:
        told = [record.value.decode().split() for record in crowd.world.store.records if record.key == call.call_id]
        versions = [int(words[0]) for words in told]
        assert versions == sorted(set(versions))
        assert [words[1] for words in told].count("ended") == 1
        assert told[-1][1] == "ended"


# How many evenings of the crowd a fault has, to be found; most are found in the first few.
RUNS = 400


def random_steps(random: Random) -> list[Step]:
    """A long evening."""
    return [
        (
            random.choice(PEOPLE),
            random.choice(DEVICES),
            random.choice(ACTIONS),
            random.choice(tuple(TALKS)),
            random.randrange(4),
        )
        for _ in range(60)
    ]


async def spend_evenings(count: int) -> None:
    """The same ones each time."""
    for seed in range(count):
        await act_and_check(random_steps(Random(seed)))


@pytest.fixture
def quiet() -> Iterator[None]:
    """Without the lines of the log: there would be a million."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


def change_table(text: str, state: str, outcome: Outcome[Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """A fault in one cell of the states' table: what this line does in that state."""

    def patch_all(patch: pytest.MonkeyPatch) -> None:
        found = [kind for kind, handler in TABLE.items() if any(row.text == text for row in handler.rows)]
        assert found
        for kind in found:
            patch.setitem(TABLE, kind, changed(TABLE[kind]))

    def changed(handler: Handler[Any]) -> Handler[Any]:
        cases = tuple((condition, change(line)) for condition, line in handler.cases)
        return Handler(cases, change(handler.otherwise))

    def change(line: TableRow[Any]) -> TableRow[Any]:
        changes: dict[str, Any] = {state: outcome}
        return replace(line, **changes) if line.text == text else line

    return patch_all


def forget_who_is_busy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Call, "busy_user_ids", ())


def let_everybody_join(patch: pytest.MonkeyPatch) -> None:
    for text in (
        "group: a member who was removed accepts or joins",
        "group: a member who is not rung joins a locked call",
        "group: a member accepts or joins a full call",
    ):
        change_table(text, "active", JOIN.otherwise.active)(patch)


_SILENT_END: Rule[object] = Rule(CallState.ENDED, effects=(Effect.CLOSE_MEDIA,), end_reason=EndReason.HUNG_UP)
FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "nobody is ever busy": forget_who_is_busy,
    "a ring does not end": change_table("ring timeout", "ringing", STAY_RINGING),
    "lost media ends nothing": change_table("media missing, or a device closed, for too long", "active", STAY_ACTIVE),
    "lost media is not waited for": change_table("media disconnected", "active", STAY_ACTIVE),
    "an end is told to nobody": change_table("caller leaves", "active", _SILENT_END),
    "an ended call begins again": change_table("callee accepts", "ended", ACCEPT.otherwise.ringing),
    "a closed door is open": let_everybody_join,
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_crowd_finds_the_fault_that(fault: str, quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[fault](monkeypatch)

    with pytest.raises(AssertionError):
        await spend_evenings(RUNS)


async def test_the_crowd_finds_nothing_where_there_is_no_fault(quiet: None) -> None:
    await spend_evenings(RUNS // 4)
    for seed in range(RUNS // 4):
        await act_and_check(random_steps(Random(seed)), seats=2 + seed % 2)
