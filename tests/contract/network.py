"""What lies between the client under test and Parley, and can be broken; and people who speak plain JSON past it."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

# For one request of a person.
_TIMEOUT_S = 30.0
# How often somebody asks, and how long they wait in between where the answer does not say.
_ATTEMPTS = 20
_BUSY_S = 0.5
Mode = Literal["open", "closed", "deaf"]


class BusyError(ConnectionError):
    """Later, it says."""

    def __init__(self, said: str, delay_s: float) -> None:
        super().__init__(said)
        self.delay_s = delay_s


class Proxy:
    """Passes connections on. `closed`: none gets through. `deaf`: requests arrive, and no answer comes back."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._mode: Mode = "open"
        # Connections that were tried while it was closed.
        self.refused = 0

    @property
    def url(self) -> str:
        """Where the client finds Parley."""
        assert self._server
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Ends all."""
        assert self._server
        self._server.close()
        self.set_mode("closed")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def set_mode(self, mode: Mode) -> None:
        """From now on. Closing cuts what is connected, too."""
        self._mode = mode
        if mode == "closed":
            self.refused = 0
            for writer in self._writers:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except OSError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "closed":
            self.refused += 1
            return
        back_reader, back_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back_writer}
        try:
            there = asyncio.create_task(self._copy(reader, back_writer, is_answer=False))
            back = asyncio.create_task(self._copy(back_reader, writer, is_answer=True))
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            for copying in (there, back):
                copying.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
        finally:
            self._writers -= {writer, back_writer}
            back_writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        while piece := await reader.read(2**16):
            if is_answer and self._mode == "deaf":
                continue
            writer.write(piece)
            await writer.drain()


class Person:
    """Somebody on the other side, without any library."""

    def __init__(self, target: str, issuer: str, user_id: str) -> None:
        self.user_id = user_id
        self._target = target
        self._issuer = issuer
        self._token = ""

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """The answer of the JSON API; waits where it asks for that. Raises ConnectionError with what it says."""
        await self._log_in()
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._ask_once(method, path, body)
            except BusyError as busy:
                await asyncio.sleep(busy.delay_s)
        return await self._ask_once(method, path, body)

    async def _ask_once(self, method: str, path: str, body: object) -> dict[str, Any]:
        answer: dict[str, Any] = await asyncio.to_thread(_request, self._target, method, path, body, self._token)
        return answer

    async def _log_in(self) -> None:
        if not self._token:
            login = {"user_id": self.user_id}
            self._token = (await asyncio.to_thread(_request, self._issuer, "POST", "/dev/login", login, ""))["token"]

    async def open(self, peer: str) -> str:
        """The conversation with somebody."""
        conversation = (await self.ask("POST", "/v1/conversations", {"peerUserId": peer}))["conversation"]
        return str(conversation["conversationId"])

    async def send(self, conversation: str, text: str) -> int:
        """Sends, and gives the seq."""
        body = {"clientMessageId": str(uuid.uuid4()), "text": {"text": text}}
        message = (await self.ask("POST", f"/v1/conversations/{conversation}/messages", body))["message"]
        return int(message["seq"])

    async def messages(self, conversation: str) -> list[dict[str, Any]]:
        """The newest 200, the oldest first, as the API gives them."""
        query = urlencode({"pageSize": 200})
        answer = await self.ask("GET", f"/v1/conversations/{conversation}/messages?{query}")
        return list(reversed(answer.get("messages", [])))

    async def read_cursor_of(self, conversation: str, user_id: str) -> int:
        """Up to where somebody has let the others know to have read."""
        members = (await self.ask("GET", f"/v1/conversations/{conversation}"))["conversation"]["members"]
        return next(int(member.get("readSeq", 0)) for member in members if member["userId"] == user_id)

    async def take_the_place_of(self, device: str) -> HTTPConnection:
        """Opens a stream of events as this device, which replaces the older one; gives its connection."""
        await self._log_in()
        connection, lines = await asyncio.to_thread(_stream, self._target, device, self._token)
        while (await asyncio.to_thread(lines.readline)).strip() != b"event: ready":
            pass
        return connection


def _connection(target: str) -> HTTPConnection:
    parts = urlsplit(target)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)


def _headers(token: str) -> dict[str, str]:
    return {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})


def _request(target: str, method: str, path: str, body: object, token: str) -> Any:
    connection = _connection(target)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), _headers(token))
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status in (429, 503):
        raise BusyError(f"{method} {path}: {answer.status} {text[:300]}", _delay_s(text))
    if answer.status != 200:
        raise ConnectionError(f"{method} {path}: {answer.status} {text[:300]}")
    return json.loads(text)


def _delay_s(text: str) -> float:
    """What RetryInfo asks for."""
    asked = re.search(r'"retryDelay": *"([0-9.]+)s"', text)
    return float(asked[1]) if asked else _BUSY_S


def _stream(target: str, device: str, token: str) -> tuple[HTTPConnection, HTTPResponse]:
    connection = _connection(target)
    connection.request("GET", f"/v1/events?deviceId={quote(device)}", headers=_headers(token))
    return connection, connection.getresponse()
