"""Join links of one device: make, open and revoke them, wait in a lobby, let people in."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from parley.calls.v1 import messages_pb2 as calls
from parley.calls.v1 import service_pb2 as api

from parley_client.retries import retrying

if TYPE_CHECKING:
    from parley_client.client import Device
    from parley_client.stream import EventStream

WAITING = calls.LOBBY_PLACE_STATE_WAITING
ADMITTED = calls.LOBBY_PLACE_STATE_ADMITTED
REFUSED = calls.LOBBY_PLACE_STATE_REFUSED
CLOSED = calls.LOBBY_PLACE_STATE_CLOSED


def link_address(page: str, secret: str) -> str:
    """The address of a link on a page, such as https://chat.example.com: what is behind the # reaches no server."""
    return f"{page.rstrip('/')}/join/#{secret}"


class JoinLinks:
    """What protos/parley/calls/v1/service.proto has of join links. A refusal is a grpc.aio.AioRpcError."""

    def __init__(self, device: Device, stream: EventStream) -> None:
        self._device = device
        self._stream = stream

    async def create(self, call_id: str, *, ttl_s: int = 0) -> tuple[calls.JoinLink, str]:
        """A link to a call and its secret, which is given once. `ttl_s`: 0 for a day."""
        request = api.CreateJoinLinkRequest(call_id=call_id, ttl_s=ttl_s, client_request_id=_request_id())
        answer = await retrying(lambda: self._device.calls.CreateJoinLink(request))
        return answer.link, answer.secret

    async def list(self, call_id: str) -> Sequence[calls.JoinLink]:
        """The links of a call that are mine; for admins all."""
        return (await self._device.calls.ListJoinLinks(api.ListJoinLinksRequest(call_id=call_id))).links

    async def revoke(self, link_id: str) -> calls.JoinLink:
        """Let nobody open it any more, and put out who came by it."""
        return (await self._device.calls.RevokeJoinLink(api.RevokeJoinLinkRequest(link_id=link_id))).link

    async def open(self, secret: str) -> api.OpenJoinLinkResponse:
        """The call, or a place in its lobby. `until_decided` waits there; Phone.join goes in."""
        request = api.OpenJoinLinkRequest(secret=secret, client_request_id=_request_id())
        opened = await retrying(lambda: self._device.calls.OpenJoinLink(request))
        if opened.HasField("place"):
            self._stream.inbox.take_place(opened.place)
        return opened

    async def until_decided(self, call_id: str, deadline_s: float) -> calls.LobbyPlaceState.ValueType:
        """How the place stands once it is no more WAITING. Raises DeadlineMissedError."""
        places = self._stream.inbox.places
        await self._stream.until(
            lambda: call_id in places and places[call_id].state != WAITING, deadline_s, "a host's decision"
        )
        return places[call_id].state

    async def leave_lobby(self, call_id: str) -> None:
        """Wait no more."""
        await self._device.calls.LeaveLobby(api.LeaveLobbyRequest(call_id=call_id))

    async def admit(self, call_id: str, user_id: str) -> calls.Call:
        """Let somebody in who waits in the lobby (Call.lobby)."""
        request = api.AdmitGuestRequest(call_id=call_id, user_id=user_id, client_request_id=_request_id())
        return (await retrying(lambda: self._device.calls.AdmitGuest(request))).call

    async def refuse(self, call_id: str, user_id: str) -> calls.Call:
        """Do not let somebody in who waits."""
        request = api.RefuseGuestRequest(call_id=call_id, user_id=user_id, client_request_id=_request_id())
        return (await retrying(lambda: self._device.calls.RefuseGuest(request))).call


def _request_id() -> str:
    return str(uuid.uuid4())
