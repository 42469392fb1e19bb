"""Parley for one user on one device, in the shape of the TypeScript library."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from parley.gateway.v1 import messages_pb2 as events
from parley.messaging.v1 import service_pb2 as api

from parley_client.asking import ask_until_told
from parley_client.client import AccessToken, Device, Edge, TokenSource, http_login
from parley_client.entries import Entry
from parley_client.groups import ConversationSettings, Groups
from parley_client.inbox import to_entry
from parley_client.incoming import Incoming
from parley_client.messaging import Messaging
from parley_client.presence import Presence
from parley_client.previews import Previews
from parley_client.relations import Relations
from parley_client.scheduled import ScheduledMessages
from parley_client.stream import EventStream, StreamEndedError
from parley_client.uploads import Uploads
from parley_client.waiting import DeadlineMissedError, Progress, no_progress

if TYPE_CHECKING:
    from parley_client.calls import Phone

# Brings a token that is valid now. Asked again before each expires.
TokenProvider = Callable[[], Awaitable[AccessToken]]
OnEvent = Callable[[events.DeviceEvent], None]

# How long a start waits until it is in sync. Raising it: a program waits longer for a stack that comes up. Lowering it:
# it says sooner that there is none.
_START_S = 30.0
# What all services take.
_DEVICE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HAS = {
    "file": api.SEARCH_HAS_FILE,
    "picture": api.SEARCH_HAS_PICTURE,
    "video": api.SEARCH_HAS_VIDEO,
    "link": api.SEARCH_HAS_LINK,
}
_SHARED = {
    "media": api.SEARCH_HAS_PICTURE_OR_VIDEO,
    "file": api.SEARCH_HAS_OTHER_FILE,
    "voice": api.SEARCH_HAS_VOICE,
    "link": api.SEARCH_HAS_LINK,
}


def dev_tokens(user_id: str, base_url: str) -> TokenProvider:
    """Tokens of the development issuer, which asks for no password."""
    login = http_login(base_url.rstrip("/"))
    return lambda: login(user_id)


def edge_of(base_url: str) -> Edge:
    """Where Envoy listens, of an address such as https://parley.example.com or http://127.0.0.1:8080.

    Raises ValueError for what is no such address.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{base_url!r} is not an address such as https://parley.example.com")
    tls = parts.scheme == "https"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Edge(f"{host}:{parts.port or (443 if tls else 80)}", base_url.rstrip("/"), tls)


def default_device_id(user_id: str, host: str) -> str:
    """The same for each run on one machine. Two programs that run at once for one user need an id each."""
    return f"python-{hashlib.sha256(f'{user_id} {host}'.encode()).hexdigest()[:24]}"


class ParleyClient:
    """Use it with `async with`, or call `start` and `stop`.

    Read what it knows through its parts; ask it to do things through their methods, which raise Failure. `tokens`: of
    your network, or `dev_tokens`; what it raises becomes a LoginError, and the stream asks again. `device_id`: chosen
    once per user and machine and kept, 8 to 64 of A-Z, a-z, 0-9, _ and -; ValueError otherwise. `on_event` is told of
    each event of the stream, after the client has taken it.
    """

    def __init__(
        self,
        user_id: str,
        *,
        tokens: TokenProvider,
        base_url: str,
        device_id: str = "",
        on_event: OnEvent = lambda _event: None,
    ) -> None:
        self.user_id = user_id
        self.device_id = device_id or default_device_id(user_id, socket.gethostname())
        if not _DEVICE_ID.fullmatch(self.device_id):
            raise ValueError(f"device_id has to be 8 to 64 of A-Z, a-z, 0-9, _ and -: {device_id!r}")
        source = TokenSource(user_id, lambda _user_id: tokens())
        # The generated stubs, for every RPC that has no method here.
        self.api = Device(edge_of(base_url), user_id, self.device_id, source)
        self.stream = EventStream(self.api, on_event=lambda event, _now_s: on_event(event))
        self.messaging = Messaging(self.api, self.stream)
        self.uploads = Uploads(self.api)
        self.scheduled = ScheduledMessages(self.api)
        self.groups = Groups(self.api, self.stream)
        self.conversation_settings = ConversationSettings(self.api, self.stream)
        self.relations = Relations(self.api)
        self.presence = Presence(self.api, self.stream)
        self.previews = Previews(self.api)
        self._incoming = Incoming(self.messaging, self.stream)
        self._phone: Phone | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, deadline_s: float = _START_S) -> None:
        """Opens the event stream, and returns when the device is in sync; from then on it stays so by itself.

        Raises DeadlineMissedError, and StreamEndedError when another device has the place.
        """
        await self.stream.__aenter__()
        try:
            is_told = lambda: self.stream.is_current or self.stream.is_ended  # noqa: E731
            await self.stream.until(is_told, deadline_s, f"{self.user_id} at {self.api.edge.address}")
            if self.stream.is_ended:
                raise StreamEndedError(self.stream.end_reason)
        except DeadlineMissedError as error:
            await self.stop()
            raise DeadlineMissedError(f"{error}; {self.stream.trouble}") from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends the stream, and a call without a word. A new start needs a new client."""
        if self._phone:
            await self._phone.close()
        await self.stream.__aexit__()
        await self.api.close()

    def messages(self, *, mark_read: bool = True) -> Incoming:
        """For `async for`: what others wrote and this user has not read, and then what they write.

        Asking for the next message marks the last one as read. One loop at a time.
        """
        self._incoming.marks_read = mark_read
        return self._incoming

    async def until(
        self, condition: Callable[[], bool], deadline_s: float, what: str, progress: Progress = no_progress
    ) -> None:
        """Waits for something that this device is to be told. Raises DeadlineMissedError, which names `what`."""
        await self.stream.until(condition, deadline_s, what, progress)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls back after each burst of changes. Returns the function that ends the subscription."""
        return self.stream.inbox.changes.subscribe(listener)

    async def search(
        self,
        query: str,
        conversation_id: str = "",
        page_token: str = "",
        *,
        from_user_id: str = "",
        has: Sequence[Literal["file", "picture", "video", "link"]] = (),
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> tuple[list[Entry], str]:
        """Finds texts in all conversations or in one: a page, the newest first, and the token of the next page.

        The next page wants the same filters. Times without a zone are UTC.
        """
        request = api.SearchMessagesRequest(
            query=query, conversation_id=conversation_id, page_token=page_token, from_user_id=from_user_id
        )
        request.has.extend(_HAS[kind] for kind in has)
        if since:
            request.since_time.FromDatetime(since)
        if before:
            request.before_time.FromDatetime(before)
        answer = await ask_until_told(lambda: self.api.messaging.SearchMessages(request))
        return [to_entry(message) for message in answer.messages], answer.next_page_token

    async def list_shared(
        self,
        conversation_id: str,
        kind: Literal["media", "file", "voice", "link"],
        page_token: str = "",
    ) -> tuple[list[Entry], str]:
        """What was sent in a conversation, of one kind: a page, the newest first, and the token of the next page.

        A page may be empty and still have a next one.
        """
        request = api.SearchMessagesRequest(conversation_id=conversation_id, has=[_SHARED[kind]], page_token=page_token)
        answer = await ask_until_told(lambda: self.api.messaging.SearchMessages(request))
        return [to_entry(message) for message in answer.messages], answer.next_page_token

    @property
    def calls(self) -> Phone:
        """Calls with media; loaded when it is first asked for. ImportError without `parley-client[calls]`."""
        if self._phone is None:
            from parley_client.calls import Phone

            self._phone = Phone(self.api, self.stream, reconnects=True)
        return self._phone
