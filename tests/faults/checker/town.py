"""The whole of the clients of one run: who is there, what they do together, and what all of them show in the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import grpc
from parley.calls.v1 import messages_pb2 as call_messages
from parley.calls.v1 import service_pb2 as calls
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device, Edge
from parley_client.conversations import Entry
from parley_client.inbox import to_entry, to_info
from tests.faults.checker.asking import Recorder
from tests.faults.checker.history import Action, CallView, Fault, History, Outcome, Shown, View
from tests.faults.checker.people import Conversation, Person, arrivals_of, is_ringing, names
from tests.faults.checker.promises import Breach, breaches

DEVICES = ("phone", "laptop")
SET_UP_S = 60.0
# How long nothing may get better, when all is quiet, until what is missing is called lost. Raising it finds a loss
# later; lowering it takes a stack that is still coming back for one that loses.
SETTLE_S = 60.0
_RETRY_S = 1.0


class Town:
    """Six people who stay and one who leaves: three pairs, and two groups."""

    def __init__(self, edge: Edge, seed: str, random: Random, clock: Callable[[], float]) -> None:
        self._edge = edge
        self._seed = seed
        self._random = random
        self._clock = clock
        self._recorder = Recorder(clock, Random(random.random()))
        mark = secrets.token_hex(4)
        self.people = [Person(edge, name, self._recorder, Random(random.random()), clock) for name in names(7, mark)]
        self.directs: dict[str, tuple[str, str]] = {}
        self._conversation_of_call: dict[str, Conversation] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Everybody's devices for the length of the block, and the conversations that they begin with."""
        try:
            for person in self.people:
                for name in DEVICES:
                    live = await person.open(name)
                    await live.stream.until_current(SET_UP_S)
            alice, bob, carol, dave, _, frank, grace = self.people
            for pair in ((alice, bob), (carol, dave), (alice, carol)):
                await self._begin_direct(*pair)
            await self._begin_group(alice, self.people[1:])
            await self._begin_group(bob, [carol, dave, frank, grace])
            yield
        finally:
            for person in self.people:
                for live in list(person.live):
                    await person.close(live)

    async def live_on(self, is_over: Callable[[], bool]) -> None:
        """All do what they do until it is over; nobody is in the middle of anything when it returns."""
        tasks = [asyncio.create_task(person.live_on(is_over)) for person in self.people]
        tasks += [
            asyncio.create_task(act(is_over)) for act in (self._quarrel, self._come_and_go, self._call, self._end)
        ]
        await asyncio.gather(*tasks)

    # ---- What more than one person takes part in

    async def _quarrel(self, is_over: Callable[[], bool]) -> None:
        """alice blocks bob, and takes it back."""
        alice, bob = self.people[0], self.people[1]
        while not is_over():
            if await alice.block(bob.user_id):
                await self._pause(1.0)
            await alice.unblock(bob.user_id)
            await self._pause(3.0)

    async def _come_and_go(self, is_over: Callable[[], bool]) -> None:
        """frank is put out of the first group, and let in again."""
        alice, frank = self.people[0], self.people[5]
        group = alice.conversations[-1]
        while not is_over():
            if await alice.remove(group, frank.user_id):
                await self._pause(1.0)
            await alice.add(group, frank.user_id)
            await self._pause(3.0)

    async def _call(self, is_over: Callable[[], bool]) -> None:
        """carol calls dave, who takes it on two devices at once, or not at all."""
        carol, dave = self.people[2], self.people[3]
        conversation = carol.conversations[0]
        number = 0
        while not is_over():
            number += 1
            call_id = await carol.start_call(conversation, number)
            if not call_id:
                await self._pause(1.0)
                continue
            self._conversation_of_call[call_id] = conversation
            await self._pause(1.0)
            if is_ringing(dave, call_id):
                await dave.accept_call(conversation, call_id)
                await self._pause(1.0)
            await self._random.choice((carol, dave)).end_call(conversation, call_id)
            await self._pause(2.0)

    async def _end(self, is_over: Callable[[], bool]) -> None:
        """grace deletes her account somewhere in the second half."""
        grace = self.people[6]
        began_s = self._clock()
        while not is_over() and self._clock() - began_s < self._random.uniform(15.0, 60.0):
            await self._pause(1.0)
        await grace.delete_account()

    async def _pause(self, about_s: float) -> None:
        await asyncio.sleep(self._random.uniform(0.5, 1.5) * about_s)

    # ---- The end

    async def settle(self, faults: list[Fault], say: Callable[[str], None]) -> tuple[History, list[Breach]]:
        """The history once all is quiet, and what is still wrong with it when nothing gets better any more."""
        await self._last_words()
        least, since_s = None, self._clock()
        while True:
            history = await self._read(faults)
            found = breaches(history)
            if least is None or len(found) < least:
                least, since_s = len(found), self._clock()
                say(f"{len(found)} promises are open" if found else "all promises are kept")
            if not found or self._clock() - since_s > SETTLE_S:
                return history, found
            await asyncio.sleep(_RETRY_S)

    async def _last_words(self) -> None:
        """One more message in some conversations, which points at anything that a device has missed there.

        In the others there is none: what the last fault kept from a device must come without it.
        """
        alice, bob = self.people[:2]
        await self._until_done(partial(alice.unblock, bob.user_id))
        for call_id, conversation in self._conversation_of_call.items():
            await self._until_done(partial(self._ended, call_id, conversation))
        direct, *_, group = alice.conversations
        for conversation in (direct, group):
            await self._until_done(partial(alice.send, conversation))

    async def _ended(self, call_id: str, conversation: Conversation) -> bool:
        carol = self.people[2]
        call = await self._get_call(carol, call_id)
        if call is not None and call.state != call_messages.CALL_STATE_ENDED:
            await carol.end_call(conversation, call_id)
            call = await self._get_call(carol, call_id)
        return call is not None and call.state == call_messages.CALL_STATE_ENDED

    async def _until_done(self, act: Callable[[], Any]) -> None:
        give_up_s = self._clock() + SETTLE_S
        while not await act() and self._clock() < give_up_s:  # noqa: ASYNC110 - the services set no event of ours
            await asyncio.sleep(_RETRY_S)

    async def _read(self, faults: list[Fault]) -> History:
        views = [view for person in self.people if not person.is_deleted for view in self._shown(person)]
        arrivals = [arrival for person in self.people for arrival in person.arrivals]
        arrivals += [arrival for person in self.people for live in person.live for arrival in arrivals_of(live)]
        told: list[CallView] = []
        for person in self.people:
            if not person.is_deleted:
                views += await self._stored(person)
        for call_id, conversation in self._conversation_of_call.items():
            for person in self.people:
                if person.user_id in conversation.members:
                    call = await self._get_call(person, call_id)
                    has_ended = call is not None and call.state == call_messages.CALL_STATE_ENDED
                    end = call_messages.EndReason.Name(call.end_reason) if call is not None and has_ended else ""
                    told.append(CallView(person.user_id, call_id, conversation.conversation_id, end))
        return History(
            self._seed,
            operations=tuple(sorted(self._recorder.operations, key=lambda operation: operation.began_s)),
            faults=tuple(faults),
            views=tuple(views),
            arrivals=tuple(arrivals),
            calls=tuple(told),
            directs=self.directs,
        )

    def _shown(self, person: Person) -> list[View]:
        """What the devices show that have lived through it all."""
        return [
            View(
                person.user_id,
                live.device.device_id,
                history.conversation_id,
                is_fresh=False,
                first_seq=history.base + 1,
                messages=tuple(_shown(entry) for entry in history.shown),
                members=history.members,
                own_read_seq=history.own_read_seq,
            )
            for live in person.live
            for history in live.stream.inbox.conversations
            if history.info is not None and not history.is_listed
        ]

    async def _stored(self, person: Person) -> list[View]:
        """What the services answer to a device that knows nothing."""
        device = Device(self._edge, person.user_id, f"{person.user_id}-fresh")
        found: list[View] = []
        try:
            for folder in (messaging.CONVERSATION_FOLDER_UNSPECIFIED, messaging.CONVERSATION_FOLDER_REQUESTS):
                listed = await self._patiently(
                    lambda folder=folder: device.messaging.ListConversations(  # type: ignore[misc]
                        messaging.ListConversationsRequest(folder=folder, page_size=100)
                    )
                )
                for summary in listed.conversations if listed else ():
                    found.append(await self._stored_in(device, summary))
        finally:
            await device.close()
        return found

    async def _stored_in(self, device: Device, summary: messaging.ConversationSummary) -> View:
        conversation = summary.conversation
        entries: dict[int, Entry] = {}
        before = 0
        while True:
            page = await self._patiently(
                lambda before=before: device.messaging.ListMessages(  # type: ignore[misc]
                    messaging.ListMessagesRequest(
                        conversation_id=conversation.conversation_id, before_seq=before, page_size=200
                    )
                )
            )
            if page is None:
                break
            entries |= {message.seq: to_entry(message) for message in page.messages}
            before = min(entries, default=0)
            if not page.has_more:
                break
        own = summary.own_state
        others = {member.user_id: member.read_seq for member in conversation.members}
        return View(
            device.user_id,
            device.device_id,
            conversation.conversation_id,
            is_fresh=True,
            first_seq=to_info(conversation, device.user_id).visible_after_seq + 1,
            messages=tuple(_shown(entries[seq]) for seq in sorted(entries)),
            members=tuple(others),
            own_read_seq=own.read_seq,
            unread=own.unread_count if own.request == messages.REQUEST_STATE_UNSPECIFIED else None,
            read_by={user_id: seq for user_id, seq in others.items() if user_id != device.user_id},
        )

    async def _get_call(self, person: Person, call_id: str) -> call_messages.Call | None:
        answer = await self._patiently(lambda: person.device.calls.GetCall(calls.GetCallRequest(call_id=call_id)))
        return answer.call if answer else None

    async def _patiently(self, call: Callable[[], Any]) -> Any:
        """The answer to a read, asked again while the stack comes back; None when it never does."""
        give_up_s = self._clock() + SETTLE_S
        while self._clock() < give_up_s:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED):
                    return None
            await asyncio.sleep(_RETRY_S)
        return None

    # ---- The beginning

    async def _begin_direct(self, first: Person, second: Person) -> None:
        request = messaging.CreateDirectConversationRequest(peer_user_id=second.user_id)
        created = (await first.device.messaging.CreateDirectConversation(request)).conversation
        conversation = Conversation(created.conversation_id, [first.user_id, second.user_id])
        self.directs[conversation.conversation_id] = (first.user_id, second.user_id)
        await self._begin(conversation, first, [second])

    async def _begin_group(self, admin: Person, others: list[Person]) -> None:
        request = messaging.CreateGroupRequest(
            client_conversation_id=secrets.token_hex(8), title="Town", user_ids=[other.user_id for other in others]
        )
        created = (await admin.device.messaging.CreateGroup(request)).conversation
        members = [admin.user_id, *(other.user_id for other in others)]
        await self._begin(Conversation(created.conversation_id, members, admin.user_id), admin, others)

    async def _begin(self, conversation: Conversation, first: Person, others: list[Person]) -> None:
        """The first message, which lets the others accept the request."""
        await first.send(conversation)
        for other in others:
            request = relations.AcceptRequestRequest(conversation_id=conversation.conversation_id)
            try:
                await other.device.relations.AcceptRequest(request)
            except grpc.aio.AioRpcError as error:
                # Of a conversation that never waited.
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
        for person in (first, *others):
            person.conversations.append(conversation)


def _shown(entry: Entry) -> Shown:
    call_id = entry.call.call_id if entry.call else ""
    return Shown(entry.seq, entry.sender_id, entry.client_message_id, entry.kind, entry.text or "", call_id)


def counts(history: History) -> dict[str, int]:
    """How much a run has asked, for its report."""
    sends = list(history.of(Action.SEND))
    return {
        "operations": len(history.operations),
        "acknowledged_messages": len({(s.conversation, s.subject) for s in sends if s.outcome is Outcome.OK}),
        "unknown": sum(operation.outcome is Outcome.UNKNOWN for operation in history.operations),
        "refused": sum(operation.outcome is Outcome.FAILED for operation in history.operations),
        "faults": len(history.faults),
        "calls": len({call.call_id for call in history.calls}),
    }
