"""Calls: placed, rung, answered, with sound and pictures for as long as people talk, hung up."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from parley.calls.v1 import messages_pb2 as calls
from parley.calls.v1 import service_pb2 as api

from loadtests.evening.handset import Person
from loadtests.evening.media import MediaPump
from loadtests.evening.schedule import Action
from loadtests.evening.sessions import close_session, open_session
from loadtests.evening.state import EXPECTED, Evening, reason_text
from loadtests.evening.writing import THERE_WITHIN_S
from loadtests.sfu_media.peer import Peer
from parley_client.retries import retrying
from services.sfu.dtls import Certificate

# Of a group, so many are in the call at most.
MOST_IN_CALL = 8
# A ring that nobody answers is given up; a call that has no sound by then has failed.
GIVE_UP_S, MEDIA_WITHIN_S = 20.0, 15.0
RING_WITHIN_S = 15.0


@dataclass
class Calls:
    """All calls of an evening, and their media."""

    evening: Evening
    pump: MediaPump = field(default_factory=MediaPump)
    # People stop talking when the evening ends.
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    def __post_init__(self) -> None:
        self._certificate = Certificate.generateCertificate()
        self._numbers = count(1)

    async def place(self, caller: Person, action: Action) -> None:
        """One whole call. Whoever is in another one neither calls nor is called."""
        evening = self.evening
        callees = self._callees(caller, action.place)
        if caller.in_call or caller.is_closing or not callees or self.is_over.is_set():
            evening.counts["calls not placed"] += 1
            return
        for person in (caller, *callees):
            person.in_call = True
        self.under_way += 1
        try:
            if await self._come(caller, action.due_s):
                await self._ring(caller, callees, action)
        finally:
            self.under_way -= 1
            for person in (caller, *callees):
                person.in_call = False
                if person.wants_to_close:
                    await close_session(evening, person)

    async def _ring(self, caller: Person, callees: Sequence[Person], action: Action) -> None:
        evening = self.evening
        due_s = max(action.due_s, time.monotonic())
        request = api.StartCallRequest(
            conversation_id=evening.conversation_ids[action.place],
            device_id=caller.phone.device.device_id,
            client_call_id=secrets.token_hex(8),
            video=action.video,
        )
        try:
            start = await retrying(lambda: caller.phone.device.calls.StartCall(request))
        except EXPECTED as error:
            # The phone rings of a call of a group that this person does not come to: that is no failure.
            if reason_text(error) == "ALREADY_IN_CALL":
                evening.counts["calls busy"] += 1
            else:
                evening.fail("ring", due_s, error)
            return
        evening.counts["calls"] += 1
        if not start.HasField("grant"):
            evening.counts["calls busy"] += 1
            return
        talk = _Talk(self, start.call, action.video)
        joining = asyncio.create_task(talk.join(caller, start.grant))
        try:
            # Whoever calls a group that is in a call joins it, and rings nobody.
            is_joined = start.call.caller_id != caller.user_id
            rung = [] if is_joined else [callee for callee in callees if callee.user_id in _rung(start.call)]
            answers = await asyncio.gather(*(self._answer(talk, callee, due_s) for callee in rung))
            await joining
            if any(answers) or is_joined:
                evening.counts["calls answered"] += 1
                await self._wait(action.call_s)
            else:
                await self._cancel(caller, start.call)
        except EXPECTED as error:
            evening.fail("media", due_s, error)
        finally:
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
            await talk.end()

    async def _answer(self, talk: _Talk, callee: Person, due_s: float) -> bool:
        """What one of those who are rung does. Whether they came in and everything went well."""
        evening = self.evening
        was_there = callee.is_there
        # A push opens the app of who is not there.
        if not await self._come(callee, time.monotonic()):
            return False
        # Of a group's call somebody else may have come in meanwhile: then it is told as one that runs, and rings here.
        inbox, call_id = callee.phone.stream.inbox, talk.call.call_id
        try:
            await callee.phone.stream.until(lambda: call_id in inbox.calls, RING_WITHIN_S, "the ring")
        except EXPECTED as error:
            evening.fail("ring", due_s, error)
            return False
        if was_there:
            arrived_s = min(at_s for (told_of, _), at_s in inbox.call_arrived_s.items() if told_of == call_id)
            evening.latencies.record("ring", due_s, arrived_s)
        outcome, delay_s = evening.habits.answers(), evening.habits.answer_delay_s()
        await self._wait(GIVE_UP_S if outcome == "miss" else delay_s)
        if outcome == "accept" and not self.is_over.is_set():
            return await self._accept(talk, callee)
        if outcome == "decline":
            await self._decline(talk, callee)
        return False

    async def _decline(self, talk: _Talk, callee: Person) -> None:
        due_s = time.monotonic()
        try:
            await callee.phone.device.calls.DeclineCall(api.DeclineCallRequest(call_id=talk.call.call_id))
        except EXPECTED as error:
            self.evening.fail("decline", due_s, error)
        else:
            self.evening.record("decline", due_s)

    async def _accept(self, talk: _Talk, callee: Person) -> bool:
        evening, due_s = self.evening, time.monotonic()
        request = api.AcceptCallRequest(
            call_id=talk.call.call_id,
            device_id=callee.phone.device.device_id,
            client_request_id=secrets.token_hex(8),
        )
        stage = "accept"
        try:
            answer = await retrying(lambda: callee.phone.device.calls.AcceptCall(request))
            evening.record("accept", due_s)
            stage = "media"
            peer = await talk.join(callee, answer.grant)
            first_s = await talk.until_heard(peer)
        except EXPECTED as error:
            evening.fail(stage, due_s, error)
            return False
        evening.latencies.record("media", due_s, first_s)
        return True

    async def _come(self, person: Person, due_s: float) -> bool:
        """Whether the person has a device that is current, within some time."""
        if not person.is_open:
            await open_session(self.evening, person, due_s)
        try:
            async with asyncio.timeout(THERE_WITHIN_S):
                await person.has_opened.wait()
        except TimeoutError:
            return False
        return person.is_there

    async def _cancel(self, caller: Person, call: calls.Call) -> None:
        request = api.LeaveCallRequest(call_id=call.call_id, device_id=caller.phone.device.device_id)
        await retrying(lambda: caller.phone.device.calls.LeaveCall(request))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.is_over.wait()
        except TimeoutError:
            return

    def _callees(self, caller: Person, place: int) -> list[Person]:
        if place < 0:
            return []
        members = (self.evening.persons[member] for member in self.evening.town.places[place].members)
        others = [one for one in members if one is not caller and not one.in_call and not one.is_closing]
        # Of a group those who are there: the others would miss it.
        if self.evening.town.places[place].is_group:
            others = [person for person in others if person.is_there]
        return others[: MOST_IN_CALL - 1]

    def peer(self) -> Peer:
        """A new participant's media."""
        return Peer(self._certificate, next(self._numbers))


def _rung(call: calls.Call) -> set[str]:
    """Those whose devices ring; who is in another call, or rung by one, is not among them."""
    return {one.user_id for one in call.participants if one.state == calls.PARTICIPANT_STATE_RINGING}


class _Talk:
    """One call's participants."""

    def __init__(self, of: Calls, call: calls.Call, video: bool) -> None:
        self.call = call
        self._of = of
        self._video = video
        self._peers: list[tuple[Person, Peer]] = []

    async def join(self, person: Person, grant: calls.MediaGrant) -> Peer:
        """The person's media, from now on sent and received."""
        peer = self._of.peer()
        self._peers.append((person, peer))

        async def exchange(offer: str) -> str:
            request = api.JoinMediaRequest(join_token=grant.join_token, sdp_offer=offer)
            return str((await retrying(lambda: person.phone.device.calls.JoinMedia(request))).sdp_answer)

        await peer.join(exchange)
        self._of.pump.add(peer, video=self._video)
        return peer

    async def until_heard(self, peer: Peer) -> float:
        """Waits until this participant and the caller have heard somebody. When the later of the two did."""
        both = (peer, self._peers[0][1])
        async with asyncio.timeout(MEDIA_WITHIN_S):
            await asyncio.gather(*(one.media_came.wait() for one in both))
        return max(one.first_media_s or 0.0 for one in both)

    async def end(self) -> None:
        """All leave."""
        await asyncio.gather(*(self._leave(person, peer) for person, peer in self._peers))

    async def _leave(self, person: Person, peer: Peer) -> None:
        self._of.pump.remove(peer)
        began_s = time.monotonic()
        try:
            if person.handsets:
                device = person.phone.device
                request = api.LeaveCallRequest(call_id=self.call.call_id, device_id=device.device_id)
                await retrying(lambda: device.calls.LeaveCall(request))
                self._of.evening.record("hang up", began_s)
        except EXPECTED as error:
            self._of.evening.fail("hang up", began_s, error)
        try:
            await peer.close()
        except EXPECTED:
            return
