"""The clients of a run: people with two devices each, who write, read, quarrel, call, and leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from parley.calls.v1 import messages_pb2 as call_messages
from parley.calls.v1 import service_pb2 as calls
from parley.messaging.v1 import accounts_pb2 as accounts
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device, Edge
from parley_client.conversations import Entry, History
from parley_client.stream import BackOff, EventStream
from tests.faults.checker.asking import RPC_TIMEOUT_S, Recorder
from tests.faults.checker.history import Action, Arrival

# Between two things that one person does. Lowering it does more in the same time, and leaves the machine less to
# restart what was killed.
PAUSE_S = (0.02, 0.4)


@dataclass
class Conversation:
    """A conversation of the town. `admin`: who adds and removes; empty in a direct one."""

    conversation_id: str
    members: list[str]
    admin: str = ""


@dataclass
class LiveDevice:
    """A device with its stream."""

    device: Device
    stream: EventStream


class Person:
    """One user. `random` decides what they do; everything they ask goes through the recorder."""

    def __init__(
        self, edge: Edge, user_id: str, recorder: Recorder, random: Random, clock: Callable[[], float]
    ) -> None:
        self.user_id = user_id
        self.conversations: list[Conversation] = []
        self.live: list[LiveDevice] = []
        self.arrivals: list[Arrival] = []
        self.is_deleted = False
        self._edge = edge
        self._recorder = recorder
        self._random = random
        self._clock = clock
        self._sent = 0
        self._last: tuple[str, str, str] | None = None

    # ---- Devices

    async def open(self, name: str) -> LiveDevice:
        """A device that follows its event stream from nothing."""
        device = Device(self._edge, self.user_id, f"{self.user_id}-{name}")
        live = LiveDevice(device, await _stream(device, self).__aenter__())
        self.live.append(live)
        return live

    async def close(self, live: LiveDevice) -> None:
        """The device is gone; what its stream brought is noted."""
        self.live.remove(live)
        self.arrivals += arrivals_of(live)
        await live.stream.__aexit__()
        await live.device.close()

    async def restart(self) -> None:
        """The app of one device is opened again, with nothing of what it had. What it asks goes on meanwhile."""
        live = self._random.choice(self.live)
        self.arrivals += arrivals_of(live)
        await live.stream.__aexit__()
        live.stream = await _stream(live.device, self).__aenter__()

    def stream_clock(self) -> float:
        """Seconds since the run began."""
        return self._clock()

    # ---- What a person does

    async def live_on(self, is_over: Callable[[], bool]) -> None:
        """Does one thing after the other until it is over."""
        acts: list[tuple[Callable[[], Awaitable[Any]], int]] = [
            (self.send, 60),
            (self.read, 14),
            (self.send_again, 4),
            (self.edit, 6),
            (self.unsend, 4),
            (self.restart, 2),
        ]
        whats, weights = zip(*acts, strict=True)
        while not is_over() and not self.is_deleted:
            await self._random.choices(whats, weights)[0]()
            await asyncio.sleep(self._random.uniform(*PAUSE_S))
        if self.is_deleted:
            for live in list(self.live):
                await self.close(live)

    async def send(self, conversation: Conversation | None = None) -> int:
        """A new message, to any conversation unless one is given. Returns its seq, 0 for none."""
        conversation = conversation or self._random.choice(self.conversations)
        self._sent += 1
        self._last = (
            conversation.conversation_id,
            f"{self.user_id}-{self._sent}",
            f"text {self._sent} of {self.user_id}",
        )
        return await self._send(*self._last)

    async def send_again(self) -> None:
        """The same message once more, as an app does that was closed before it had the answer."""
        if self._last is not None:
            await self._send(*self._last)

    async def read(self) -> None:
        """Up to some message of some conversation."""
        if found := self._any(lambda _: True):
            device, history, entry = found
            request = messaging.MarkReadRequest(conversation_id=history.conversation_id, seq=entry.seq)
            await self._ask(
                device,
                Action.READ,
                lambda: device.messaging.MarkRead(request, timeout=RPC_TIMEOUT_S),
                conversation=history.conversation_id,
                asked_seq=entry.seq,
            )

    async def edit(self) -> None:
        """A message of one's own says something else."""
        if found := self._any(lambda entry: entry.sender_id == self.user_id and entry.kind == "text"):
            device, history, entry = found
            self._sent += 1
            request = messaging.EditMessageRequest(conversation_id=history.conversation_id, seq=entry.seq)
            request.text.text = text = f"edit {self._sent} of {self.user_id}"
            await self._ask(
                device,
                Action.EDIT,
                lambda: device.messaging.EditMessage(request, timeout=RPC_TIMEOUT_S),
                conversation=history.conversation_id,
                seq=entry.seq,
                text=text,
            )

    async def unsend(self) -> None:
        """A message of one's own is taken back."""
        if found := self._any(lambda entry: entry.sender_id == self.user_id and entry.kind == "text"):
            device, history, entry = found
            request = messaging.UnsendMessageRequest(conversation_id=history.conversation_id, seq=entry.seq)
            await self._ask(
                device,
                Action.UNSEND,
                lambda: device.messaging.UnsendMessage(request, timeout=RPC_TIMEOUT_S),
                conversation=history.conversation_id,
                seq=entry.seq,
            )

    async def block(self, other: str) -> bool:
        """Whether it was done."""
        request = relations.BlockUserRequest(user_id=other)
        call = lambda: self.device.relations.BlockUser(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
        return await self._ask(self.device, Action.BLOCK, call, subject=other) is not None

    async def unblock(self, other: str) -> bool:
        """Whether it was done."""
        request = relations.UnblockUserRequest(user_id=other)
        call = lambda: self.device.relations.UnblockUser(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
        return await self._ask(self.device, Action.UNBLOCK, call, subject=other) is not None

    async def remove(self, conversation: Conversation, other: str) -> bool:
        """Whether it was done."""
        request = messaging.RemoveMemberRequest(conversation_id=conversation.conversation_id, user_id=other)
        call = lambda: self.device.messaging.RemoveMember(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
        about = {"conversation": conversation.conversation_id, "subject": other}
        return await self._ask(self.device, Action.REMOVE_MEMBER, call, **about) is not None

    async def add(self, conversation: Conversation, other: str) -> bool:
        """Whether it was done."""
        request = messaging.AddMembersRequest(conversation_id=conversation.conversation_id, user_ids=[other])
        call = lambda: self.device.messaging.AddMembers(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
        about = {"conversation": conversation.conversation_id, "subject": other}
        return await self._ask(self.device, Action.ADD_MEMBER, call, **about) is not None

    async def delete_account(self) -> None:
        """Ends this user for good."""
        request = accounts.DeleteAccountRequest(confirm_user_id=self.user_id)
        call = lambda: self.device.account.DeleteAccount(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
        if await self._ask(self.device, Action.DELETE_ACCOUNT, call) is not None:
            self.is_deleted = True
            # A device goes on for a moment, as one does that has not heard of it.
            await self.send()

    async def start_call(self, conversation: Conversation, number: int) -> str:
        """Rings the others. The call's id, empty when there is none."""
        request = calls.StartCallRequest(
            conversation_id=conversation.conversation_id,
            device_id=self.device.device_id,
            client_call_id=f"{self.user_id}-call-{number}",
        )
        answer = await self._ask(
            self.device,
            Action.START_CALL,
            lambda: self.device.calls.StartCall(request, timeout=RPC_TIMEOUT_S),
            subject_of=lambda answer: str(answer.call.call_id),
            conversation=conversation.conversation_id,
        )
        return str(answer.call.call_id) if answer else ""

    async def accept_call(self, conversation: Conversation, call_id: str) -> None:
        """On all devices at once; one gets it."""
        await asyncio.gather(*(self._accept(live.device, conversation, call_id) for live in self.live))

    async def end_call(self, conversation: Conversation, call_id: str) -> None:
        """Leaves it, which ends a call of two; one that was never answered is cancelled."""
        about = {"conversation": conversation.conversation_id, "subject": call_id}
        leave = calls.LeaveCallRequest(
            call_id=call_id, device_id=self.device.device_id, client_request_id=f"leave-{call_id}"
        )
        cancel = calls.CancelCallRequest(call_id=call_id)
        left = await self._ask(
            self.device,
            Action.END_CALL,
            lambda: self.device.calls.LeaveCall(leave, timeout=RPC_TIMEOUT_S),
            **about,
        )
        if left is None:
            await self._ask(
                self.device,
                Action.END_CALL,
                lambda: self.device.calls.CancelCall(cancel, timeout=RPC_TIMEOUT_S),
                **about,
            )

    @property
    def device(self) -> Device:
        """The first device."""
        return self.live[0].device

    async def _accept(self, device: Device, conversation: Conversation, call_id: str) -> None:
        request = calls.AcceptCallRequest(
            call_id=call_id, device_id=device.device_id, client_request_id=f"accept-{device.device_id}-{call_id}"
        )
        await self._ask(
            device,
            Action.ACCEPT_CALL,
            lambda: device.calls.AcceptCall(request, timeout=RPC_TIMEOUT_S),
            conversation=conversation.conversation_id,
            subject=call_id,
        )

    async def _send(self, conversation_id: str, client_message_id: str, text: str) -> int:
        device = self._random.choice(self.live).device
        request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id=client_message_id)
        request.text.text = text
        answer = await self._ask(
            device,
            Action.SEND,
            lambda: device.messaging.SendMessage(request, timeout=RPC_TIMEOUT_S),
            seq_of=lambda answer: int(answer.message.seq),
            conversation=conversation_id,
            subject=client_message_id,
            text=text,
        )
        return int(answer.message.seq) if answer else 0

    async def _ask(
        self, device: Device, action: Action, call: Callable[[], Awaitable[Any]], **about: Any
    ) -> Any | None:
        return await self._recorder.ask((self.user_id, device.device_id), action, call, **about)

    def _any(self, fits: Callable[[Entry], bool]) -> tuple[Device, History, Entry] | None:
        """A message that one of the devices shows, of the newest."""
        live = self._random.choice(self.live)
        histories = [history for history in live.stream.inbox.conversations if history.shown]
        if not histories:
            return None
        history = self._random.choice(histories)
        entries = [entry for entry in history.shown[-20:] if fits(entry)]
        return (live.device, history, self._random.choice(entries)) if entries else None


def arrivals_of(live: LiveDevice) -> list[Arrival]:
    """What the stream of a device has brought."""
    person, device = live.device.user_id, live.device.device_id
    arrived = live.stream.inbox.message_arrived_s.items()
    run = str(id(live.stream))
    return [Arrival(person, device, conversation, seq, at_s, run) for (conversation, seq), at_s in arrived]


def is_ringing(person: Person, call_id: str) -> bool:
    """Whether a device of theirs was told of the call, and that it rings."""
    told = (live.stream.inbox.calls.get(call_id) for live in person.live)
    return any(call is not None and call.state == call_messages.CALL_STATE_RINGING for call in told)


def _stream(device: Device, person: Person) -> EventStream:
    return EventStream(device, BackOff(first_s=0.1, most_s=2.0), clock=person.stream_clock)


def names(count: int, mark: str) -> Sequence[str]:
    """User ids that no other run has."""
    given = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
    return [f"{name}-{mark}" for name in given[:count]]
