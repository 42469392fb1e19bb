"""Somebody whose only device sleeps, and is told by notices."""

from __future__ import annotations

import secrets
from typing import Any

from parley.messaging.v1 import service_pb2 as messaging
from parley.notifications.v1 import service_pb2 as notifications

from loadtests.webhooks import Heard
from parley_client.client import Device
from parley_client.session import Session


class Sleeper:
    """The device has no stream, and is told by the network's own sender: `heard` is what that was given."""

    def __init__(self, device: Device, heard: Heard) -> None:
        self._device = device
        self._heard = heard
        self._token = secrets.token_hex(16)

    async def hear_from(self, other: Session) -> tuple[str, int]:
        """Its device registers, and the other writes; the conversation, and the message's number."""
        await self._device.notifications.RegisterToken(
            notifications.RegisterTokenRequest(
                device_id=self._device.device_id, provider=notifications.PROVIDER_NETWORK, token=self._token
            )
        )
        meet = messaging.CreateDirectConversationRequest(peer_user_id=other.user_id)
        conversation_id = (await self._device.messaging.CreateDirectConversation(meet)).conversation.conversation_id
        request = messaging.SendMessageRequest(conversation_id=conversation_id, client_message_id=secrets.token_hex(16))
        request.text.text = "are you awake?"
        return conversation_id, (await other.device.messaging.SendMessage(request)).message.seq

    async def read(self, conversation_id: str, seq: int) -> None:
        """On another device, as far as anybody can tell."""
        await self._device.messaging.MarkRead(messaging.MarkReadRequest(conversation_id=conversation_id, seq=seq))

    async def is_shown(self, conversation_id: str, seq: int, within_s: float) -> bool:
        """Whether the device was sent a notice of the message in time."""
        return await self._heard.until(
            lambda: any(
                one["type"] == "notice" and (one["conversation_id"], one["seq"]) == (conversation_id, seq)
                for one in self._sent()
            ),
            within_s,
        )

    async def is_taken_back(self, conversation_id: str, within_s: float) -> bool:
        """Whether the last that it was sent of the conversation is to show nothing any more."""

        def is_gone() -> bool:
            last = [one["type"] for one in self._sent() if one["thread"] == f"conversation:{conversation_id}"][-1:]
            return last == ["take_back"]

        return await self._heard.until(is_gone, within_s)

    def _sent(self) -> list[dict[str, Any]]:
        events = [event["data"] for event in self._heard.events]
        return [data["notice"] for data in events if data["token"] == self._token]
