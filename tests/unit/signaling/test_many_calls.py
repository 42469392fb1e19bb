"""Random doings of three people with three devices each, against what must hold of all calls together."""

from collections import Counter
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from services.signaling.core.errors import CallsError
from services.signaling.core.model import Call, CallState, ConversationId, MediaConnected, MediaDisconnected, UserId
from services.signaling.starting import StartRequest
from tests.unit.signaling.fakes import ALICE, BOB, CAROL, LAPTOP, PHONE, TABLET, TALK, TIMEOUTS, WORKER, World

PEOPLE = (ALICE, BOB, CAROL)
TALKS = {
    TALK: [ALICE, BOB],
    ConversationId("0190f000-0000-7000-8000-000000000002"): [BOB, CAROL],
    ConversationId("0190f000-0000-7000-8000-000000000003"): [CAROL, ALICE],
}
ACTIONS = ("start", "retry", "accept", "decline", "cancel", "leave", "media up", "media down", "wait", "long wait")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from((PHONE, TABLET, LAPTOP)),
        st.sampled_from(ACTIONS),
        st.sampled_from(tuple(TALKS)),
        st.integers(0, 3),
    ),
    max_size=40,
)


class Crowd:
    """Does what it is told, and remembers every call it saw."""

    def __init__(self) -> None:
        self.world = World()
        self.world.members.conversations.update({talk: list(people) for talk, people in TALKS.items()})
        self.calls: list[Call] = []
        self._numbers = count(1)
        self._last_key = "none"

    async def do(self, step: tuple[UserId, object, str, ConversationId, int]) -> None:
        """One step; a refusal is as good an answer as any."""
        user, device, action, talk, which = step
        try:
            if action == "wait":
                self.world.advance_with(WORKER, 5)
            elif action == "long wait":
                self.world.advance_with(WORKER, int(TIMEOUTS.media_lost_s))
            elif action in ("start", "retry"):
                self._last_key = self._last_key if action == "retry" else f"key-{next(self._numbers)}"
                request = StartRequest(user, device, talk, True, self._last_key)  # type: ignore[arg-type]
                self.calls.append((await self.world.service.start_call(request))[0])
            elif self.calls:
                await self._act(action, self.calls[-1 - which % len(self.calls)], user, device)
        except CallsError:
            return
        finally:
            await self.world.upkeep.sweep()

    async def _act(self, action: str, call: Call, user: UserId, device: object) -> None:
        service = self.world.service
        arguments = (user, device, WORKER.worker_id)
        match action:
            case "accept":
                await service.accept_call(call.call_id, user, device)  # type: ignore[arg-type]
            case "decline":
                await service.decline_call(call.call_id, user)
            case "cancel":
                await service.cancel_call(call.call_id, user)
            case "leave":
                await service.leave_call(call.call_id, user, device)  # type: ignore[arg-type]
            case "media up":
                await service.note_media(call.call_id, MediaConnected(*arguments))  # type: ignore[arg-type]
            case _:
                await service.note_media(call.call_id, MediaDisconnected(*arguments))  # type: ignore[arg-type]

    async def current(self) -> list[Call]:
        """All calls as they stand."""
        ids = dict.fromkeys(call.call_id for call in self.calls)
        found = [await self.world.store.find(call_id) for call_id in ids]
        return [call for call in found if call]


@settings(max_examples=150, deadline=None)
@given(STEPS)
async def test_whatever_people_do_nobody_is_in_two_calls_and_every_call_ends_once(
    steps: list[tuple[UserId, object, str, ConversationId, int]],
) -> None:
    crowd = Crowd()
    for step in steps:
        await crowd.do(step)
        running = [call for call in await crowd.current() if call.state is not CallState.ENDED]
        taken = Counter(user for call in running for user in call.user_ids)
        assert max(taken.values(), default=0) <= 1
        for user in PEOPLE:
            assert list(await crowd.world.service.list_active_calls(user)) == [
                call for call in running if user in call.user_ids
            ]
    # Everyone goes away without a word: the SFU says so of those who had media, and the timers do the rest.
    for call in await crowd.current():
        for leg in call.legs:
            if leg.device_id:
                gone = MediaDisconnected(leg.user_id, leg.device_id, WORKER.worker_id)
                await crowd.world.service.note_media(call.call_id, gone)
    crowd.world.advance_with(WORKER, int(max(TIMEOUTS.ring_s, TIMEOUTS.media_lost_s)))
    await crowd.world.upkeep.sweep()
    calls = await crowd.current()
    assert all(call.state is CallState.ENDED and call.end_reason for call in calls)
    assert Counter(crowd.world.metrics.ended) == Counter(call.end_reason for call in calls)
    assert_told_once(crowd, calls)


def assert_told_once(crowd: Crowd, calls: list[Call]) -> None:
    """Each call's events rise in version, and exactly one tells of the end: the last."""
    for call in calls:
        told = [record.value.decode().split() for record in crowd.world.store.records if record.key == call.call_id]
        versions = [int(words[0]) for words in told]
        assert versions == sorted(set(versions))
        assert [words[1] for words in told].count("ended") == 1
        assert told[-1][1] == "ended"
