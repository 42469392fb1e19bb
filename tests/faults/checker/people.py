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
from parley_client.entries import Entry
from tests.faults.checker.asking import RPC_TIMEOUT_S, Recorder
from tests.faults.checker.devices import NEWEST, Owner
from tests.faults.checker.history import Action

# Between two things that one person does. Lowering it does more in the same time, and leaves the machine less to
# restart what was killed.
PAUSE_S = (0.02, 0.4)
# How long the devices of a deleted account go on, as those do that have not heard of it. Longer than replicas may not
# know (promises/people.py); raising it says more of that; lowering it ends a run sooner.
GOES_ON_S = 3.0
OPTIONS = ("yes", "no", "later")
# Fully qualified, as the service stores them.
EMOJIS = ("\N{THUMBS UP SIGN}", "\N{PARTY POPPER}")


@dataclass
class Conversation:
    """A conversation of the town. `admin`: who adds and removes; empty in a direct one."""

    conversation_id: str
    members: list[str]
    admin: str = ""


class Person(Owner):
    """One user. `random` decides what they do."""

    def __init__(
        self, edge: Edge, user_id: str, recorder: Recorder, random: Random, clock: Callable[[], float]
    ) -> None:
        super().__init__(edge, user_id, recorder, random, clock)
        self.conversations: list[Conversation] = []
        self.is_deleted = False
        self._sent = 0
        self._last: tuple[str, str, str, bool] | None = None

    async def live_on(self, is_over: Callable[[], bool]) -> None:
        """Does one thing after the other until it is over."""
        acts: list[tuple[Callable[[], Awaitable[Any]], int]] = [
            (self.send, 60),
            (self.read, 10),
            (self.read_on_all, 4),
            (self.send_again, 4),
            (self.edit, 6),
            (self.unsend, 4),
            (self.react, 6),
            (self.ask_all, 3),
            (self.vote, 6),
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
        return await self._say(conversation, is_poll=False)

    async def ask_all(self) -> None:
        """A new poll, in any conversation."""
        await self._say(self._random.choice(self.conversations), is_poll=True)

    async def send_again(self) -> None:
        """The same message once more, as an app does that was closed before it had the answer."""
        if self._last is not None:
            await self._send(*self._last)

    async def read(self) -> None:
        """Up to some message of some conversation, which may be less far than before."""
        if found := self._any():
            device, history, entry = found
            await self._read(device, history.conversation_id, entry.seq)

    async def read_on_all(self) -> None:
        """Up to another message of one conversation on each device, at once: the latest of them counts."""
        if found := self._any():
            _, history, _ = found
            entries = [self._random.choice(history.shown[-NEWEST:]) for _ in self.live]
            await asyncio.gather(
                *(
                    self._read(live.device, history.conversation_id, entry.seq)
                    for live, entry in zip(list(self.live), entries, strict=True)
                )
            )

    async def edit(self) -> None:
        """A message of one's own says something else."""
        if found := self._any(self._is_own_text):
            device, history, entry = found
            self._sent += 1
            request = messaging.EditMessageRequest(conversation_id=history.conversation_id, seq=entry.seq)
            request.text.text = text = f"edit {self._sent} of {self.user_id}"
            call = lambda: device.messaging.EditMessage(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
            about = {"conversation": history.conversation_id, "seq": entry.seq, "text": text}
            await self._ask(device, Action.EDIT, call, **about)

    async def unsend(self) -> None:
        """A message of one's own is taken back."""
        if found := self._any(self._is_own_text):
            device, history, entry = found
            request = messaging.UnsendMessageRequest(conversation_id=history.conversation_id, seq=entry.seq)
            call = lambda: device.messaging.UnsendMessage(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
            about = {"conversation": history.conversation_id, "seq": entry.seq}
            await self._ask(device, Action.UNSEND, call, **about)

    async def react(self) -> None:
        """To a message of anybody; now and then a reaction is taken back."""
        if found := self._any(lambda entry: entry.kind == "text"):
            device, history, entry = found
            emoji, is_put = self._random.choice(EMOJIS), self._random.random() < 0.7
            request = messaging.SetReactionRequest(
                conversation_id=history.conversation_id, seq=entry.seq, emoji=emoji, present=is_put
            )
            call = lambda: device.messaging.SetReaction(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
            about = {"conversation": history.conversation_id, "seq": entry.seq, "subject": emoji}
            await self._ask(device, Action.REACT if is_put else Action.TAKE_REACTION, call, **about)

    async def vote(self) -> None:
        """In a poll of anybody, for some of its options, or none: in place of what was chosen before."""
        if found := self._any(lambda entry: entry.kind == "poll"):
            device, history, entry = found
            chosen = [option for option in range(len(OPTIONS)) if self._random.random() < 0.5]
            request = messaging.VotePollRequest(
                conversation_id=history.conversation_id, seq=entry.seq, option_indexes=chosen
            )
            call = lambda: device.messaging.VotePoll(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
            about = {"conversation": history.conversation_id, "seq": entry.seq, "subject": " ".join(map(str, chosen))}
            await self._ask(device, Action.VOTE, call, **about)

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

    async def delete_account(self) -> bool:
        """Ends this user for good. Whether it was done; idempotent."""
        request = accounts.DeleteAccountRequest(confirm_user_id=self.user_id)
        call = lambda: self.device.account.DeleteAccount(request, timeout=RPC_TIMEOUT_S)  # noqa: E731
        if await self._ask(self.device, Action.DELETE_ACCOUNT, call) is None:
            return False
        until_s = self._clock() + GOES_ON_S
        while self._clock() < until_s:
            await self.send()
            await asyncio.sleep(self._random.uniform(*PAUSE_S))
        # Only now: it puts the devices away, with all that they still ask.
        self.is_deleted = True
        return True

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

    async def _say(self, conversation: Conversation, *, is_poll: bool) -> int:
        self._sent += 1
        text = f"{'poll' if is_poll else 'text'} {self._sent} of {self.user_id}"
        self._last = (conversation.conversation_id, f"{self.user_id}-{self._sent}", text, is_poll)
        return await self._send(*self._last)

    async def _send(self, conversation_id: str, client_message_id: str, text: str, is_poll: bool) -> int:
        if not self.live:
            return 0
        device = self._random.choice(self.live).device
        request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id=client_message_id)
        if is_poll:
            request.poll.question, request.poll.multiple = text, True
            request.poll.options.extend(OPTIONS)
        else:
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

    async def read_to_the_end(self, conversation: Conversation) -> bool:
        """All that the first device shows of it; whether that was acknowledged."""
        live, *_ = self.live
        shown = [
            history.shown[-1].seq
            for history in live.stream.inbox.conversations
            if history.conversation_id == conversation.conversation_id and history.shown
        ]
        return bool(shown) and await self._read(live.device, conversation.conversation_id, shown[0])

    async def _read(self, device: Device, conversation_id: str, seq: int) -> bool:
        request = messaging.MarkReadRequest(conversation_id=conversation_id, seq=seq)
        answer = await self._ask(
            device,
            Action.READ,
            lambda: device.messaging.MarkRead(request, timeout=RPC_TIMEOUT_S),
            seq_of=lambda answer: int(answer.read_seq),
            conversation=conversation_id,
            asked_seq=seq,
        )
        return answer is not None

    def _is_own_text(self, entry: Entry) -> bool:
        return entry.sender_id == self.user_id and entry.kind == "text"


def is_ringing(person: Person, call_id: str) -> bool:
    """Whether a device of theirs was told of the call, and that it rings."""
    told = (live.stream.inbox.calls.get(call_id) for live in person.live)
    return any(call is not None and call.state == call_messages.CALL_STATE_RINGING for call in told)


def names(count: int, mark: str) -> Sequence[str]:
    """User ids that no other run has."""
    given = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan")
    return [f"{name}-{mark}" for name in given[:count]]
