"""What all devices show of a town when it is asked, and what the services answer to a device that knows nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from parley.calls.v1 import messages_pb2 as call_messages
from parley.calls.v1 import service_pb2 as calls
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device, Edge, LoginError
from parley_client.entries import Entry
from parley_client.inbox import to_entry, to_info
from tests.faults.checker.devices import arrivals_of
from tests.faults.checker.history import Arrival, CallView, Shown, View
from tests.faults.checker.people import Conversation, Person

RETRY_S = 1.0


class Reader:
    """Reads through the public API, again and again while the stack comes back, for `patience_s` each time.

    `wall_clock`: Unix time, by which devices hide what vanishes.
    """

    def __init__(
        self,
        edge: Edge,
        clock: Callable[[], float],
        patience_s: float,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._wall_clock = wall_clock
        self._patience_s = patience_s

    async def read(
        self, people: Sequence[Person], calls_of: Mapping[str, Conversation]
    ) -> tuple[list[View], list[Arrival], list[CallView]]:
        """The views, what streams brought, and the calls (`calls_of`: the conversation of each call)."""
        views = [view for person in people if not person.is_deleted for view in self._shown(person)]
        arrivals = [arrival for person in people for arrival in person.arrivals]
        arrivals += [arrival for person in people for live in person.live for arrival in arrivals_of(live)]
        told: list[CallView] = []
        for person in people:
            if not person.is_deleted:
                views += await self._stored(person)
        for call_id, conversation in calls_of.items():
            for person in people:
                if person.user_id in conversation.members:
                    call = await self.get_call(person, call_id)
                    has_ended = call is not None and call.state == call_messages.CALL_STATE_ENDED
                    end = call_messages.EndReason.Name(call.end_reason) if call is not None and has_ended else ""
                    told.append(CallView(person.user_id, call_id, conversation.conversation_id, end))
        return views, arrivals, told

    def _shown(self, person: Person) -> list[View]:
        """What the devices show that have lived through it all."""
        now_s = self._wall_clock()
        return [
            View(
                person.user_id,
                live.device.device_id,
                history.conversation_id,
                is_fresh=False,
                first_seq=history.base + 1,
                messages=tuple(_shown(entry.as_of(now_s)) for entry in history.shown),
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

    async def get_call(self, person: Person, call_id: str) -> call_messages.Call | None:
        """The call as this person is told of it; None when they are told of none."""
        answer = await self._patiently(lambda: person.device.calls.GetCall(calls.GetCallRequest(call_id=call_id)))
        return answer.call if answer else None

    async def _patiently(self, call: Callable[[], Any]) -> Any:
        """The answer to a read, asked again while the stack comes back; None when it never does."""
        give_up_s = self._clock() + self._patience_s
        while self._clock() < give_up_s:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED):
                    return None
            except (LoginError, TimeoutError):
                # No token: the issuer is busy.
                pass
            await asyncio.sleep(RETRY_S)
        return None


def _shown(entry: Entry) -> Shown:
    call_id = entry.call.call_id if entry.call else ""
    reactions = tuple(f"{emoji} {user_id}" for emoji, user_ids in entry.reactions for user_id in user_ids)
    cast = entry.poll.votes if entry.poll else ()
    votes = tuple(f"{option} {user_id}" for option, user_ids in enumerate(cast) for user_id in user_ids)
    by, text = (entry.sender_id, entry.client_message_id), entry.text or ""
    return Shown(entry.seq, *by, entry.kind, text, call_id, reactions, votes)
