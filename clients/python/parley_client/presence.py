"""Who is online; says that this user types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from parley.gateway.v1 import messages_pb2 as events
from parley.presence.v1 import service_pb2 as api

from parley_client.asking import Failure, ask, ask_until_told
from parley_client.client import Device
from parley_client.stream import EventStream

State = Literal["unknown", "offline", "online", "away"]
_STATES: dict[int, State] = {
    events.PRESENCE_STATE_OFFLINE: "offline",
    events.PRESENCE_STATE_ONLINE: "online",
    events.PRESENCE_STATE_AWAY: "away",
}


class Presence:
    """What is known of those who are watched."""

    def __init__(self, device: Device, stream: EventStream) -> None:
        self._api = device.presence
        self._stream = stream

    async def watch(self, user_ids: Sequence[str]) -> None:
        """From now on these people are watched, over reconnects too. Raises Failure."""
        await ask_until_told(lambda: self._stream.watch(list(user_ids)))

    def of(self, user_id: str) -> State:
        """The last word on a person."""
        known = self._stream.inbox.presence.get(user_id)
        return _STATES.get(known.state, "unknown") if known else "unknown"

    async def set_typing(self, conversation_id: str, typing: bool = True) -> None:
        """Tells the others; repeat it every 4 s while it goes on. What passes by itself is not raised."""
        request = api.SetTypingRequest(conversation_id=conversation_id, typing=typing)
        try:
            await ask(lambda: self._api.SetTyping(request))
        except Failure as failure:
            if not failure.is_transient:
                raise
