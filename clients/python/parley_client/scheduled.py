"""Messages that are written now and sent at a time, as a program handles them."""

from __future__ import annotations

import uuid
from datetime import datetime

from parley.messaging.v1 import scheduled_pb2 as api
from parley.messaging.v1 import service_pb2

from parley_client.asking import ask_until_told
from parley_client.client import Device
from parley_client.messaging import Sendable, send_request


class ScheduledMessages:
    """The service sends them: no program needs to run then. Every method raises Failure, and repeats by itself what
    passes. Changes come to `on_event` (DeviceEvent.scheduled_message); nothing of them is kept here."""

    def __init__(self, device: Device) -> None:
        self._api = device.scheduled

    async def schedule(
        self, conversation_id: str, draft: Sendable, send_time: datetime, *, client_message_id: str = ""
    ) -> api.ScheduledMessage | None:
        """Keeps a message until its time, at most 30 days ahead; a time without a zone is UTC. None: it was sent.

        Give a `client_message_id` of your own to whatever another run of your program may schedule again: it is kept
        once.
        """
        key = client_message_id or str(uuid.uuid4())
        request = api.ScheduleMessageRequest(message=send_request(conversation_id, draft, key))
        request.send_time.FromDatetime(send_time)
        answer = await ask_until_told(lambda: self._api.ScheduleMessage(request))
        return answer.scheduled if answer.HasField("scheduled") else None

    async def change(
        self,
        conversation_id: str,
        client_message_id: str,
        *,
        draft: Sendable | None = None,
        send_time: datetime | None = None,
    ) -> api.ScheduledMessage:
        """Gives it another draft with its files and what it answers, another time, or both. A time that is over sends
        it now; what was refused is tried again."""
        named = service_pb2.SendMessageRequest(conversation_id=conversation_id, client_message_id=client_message_id)
        message = named if draft is None else send_request(conversation_id, draft, client_message_id)
        request = api.UpdateScheduledMessageRequest(message=message)
        if send_time is not None:
            request.send_time.FromDatetime(send_time)
        return (await ask_until_told(lambda: self._api.UpdateScheduledMessage(request))).scheduled

    async def cancel(self, conversation_id: str, client_message_id: str) -> None:
        """Takes it back before its time."""
        request = api.CancelScheduledMessageRequest(
            conversation_id=conversation_id, client_message_id=client_message_id
        )
        await ask_until_told(lambda: self._api.CancelScheduledMessage(request))

    async def list(self) -> list[api.ScheduledMessage]:
        """All that wait or were refused, in the order of their times."""
        found: list[api.ScheduledMessage] = []
        request = api.ListScheduledMessagesRequest()
        while True:
            page = await ask_until_told(lambda: self._api.ListScheduledMessages(request))
            found += page.messages
            if not page.next_page_token:
                return sorted(found, key=lambda each: each.send_time.ToNanoseconds())
            request.page_token = page.next_page_token
