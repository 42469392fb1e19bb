"""The device's event stream: subscribe, notice silence, reconnect with back-off, and sync whenever it must."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import grpc
from parley.calls.v1 import service_pb2 as calls
from parley.gateway.v1 import messages_pb2 as events
from parley.gateway.v1 import service_pb2 as gateway
from parley.messaging.v1 import messages_pb2 as messaging
from parley.messaging.v1 import service_pb2 as messaging_service
from parley.presence.v1 import service_pb2 as presence

from parley_client.account_sync import AccountSync
from parley_client.client import Device, LoginError
from parley_client.error_details import reason_of, retry_delay_s
from parley_client.inbox import Inbox
from parley_client.waiting import Progress, no_progress

log = logging.getLogger(__name__)

# How long to wait for Ready, and how many heartbeats may be missing after it. Raising them rides out a slower network;
# lowering them notices a dead stream sooner.
_READY_WITHIN_S = 10.0
_MISSED_HEARTBEATS = 3
# After these a stream must not reconnect.
_FINAL = ("REPLACED", "DEVICE_LIMIT", "ACCOUNT_DELETED")
# Conversations that a device begins with, of each folder. Raising it fetches more before the first screen; lowering it
# leaves more to load_all.
_LIST_PAGE = 100


class StreamEndedError(Exception):
    """The stream does not come back: a newer stream or device has its place, or the account is deleted.

    The text is the reason: REPLACED, DEVICE_LIMIT or ACCOUNT_DELETED.
    """


@dataclass(frozen=True)
class BackOff:
    """How long to wait before the n-th attempt in a row, in seconds.

    `first_s`: raising it spares a struggling server, lowering it reconnects sooner. `most_s`: raising it spreads many
    devices wider, lowering it reconnects sooner after a long outage.
    """

    first_s: float = 0.2
    most_s: float = 10.0

    def delay_s(self, attempt: int, chance: float, asked_s: float = 0.0) -> float:
        """Doubles from attempt 0 on, half of it left to `chance` (0 to 1); never less than the server asked for."""
        full_s: float = min(self.first_s * 2 ** min(attempt, 20), self.most_s)
        return max(asked_s, full_s * (0.5 + 0.5 * chance))


class EventStream:
    """Keeps an inbox up to date for as long as it runs. Use as `async with EventStream(device) as stream`.

    `chance` gives numbers from 0 to 1 for the jitter; `clock` stamps what arrives. `on_event` is told each event, after
    the inbox has taken it, with the clock's value.
    """

    def __init__(
        self,
        device: Device,
        back_off: BackOff | None = None,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        on_event: Callable[[events.DeviceEvent, float], None] = lambda _event, _now_s: None,
    ) -> None:
        self.inbox = Inbox(device.user_id)
        self.account = AccountSync(self.inbox)
        # Another stream has its place, which the two would take from each other for ever, or nothing more will come.
        self.end_reason = ""
        # Why it is down, or was the last time.
        self.trouble = "nothing was heard"
        self._device = device
        self._back_off = back_off or BackOff()
        self._chance = chance
        self._clock = clock
        self._on_event = on_event
        self._attempt = 0
        self._watched: list[str] = []
        self._must_sync = asyncio.Event()
        # Readies and resyncs that the last Sync came after.
        self._synced = (0, 0)
        # To go on where the stream broke: of the last Ready, and of the last durable event.
        self._resume_token = ""
        self._position = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._keep_synced())]
        for task in self._tasks:
            task.add_done_callback(lambda _: self.inbox.changes.notify())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_current(self) -> bool:
        """Whether the stream is ready and Sync has been done since."""
        return self.inbox.readies > 0 and self._synced == self._told

    @property
    def is_ended(self) -> bool:
        """Whether it does not come back: a newer stream or device has its place, or the account is deleted."""
        return bool(self.end_reason)

    @property
    def _told(self) -> tuple[int, int]:
        return self.inbox.readies, len(self.inbox.resyncs)

    async def until(
        self, condition: Callable[[], bool], deadline_s: float, what: str, progress: Progress = no_progress
    ) -> None:
        """Waits for a condition on the inbox (`Changes.until`). What broke the stream is raised as it is."""
        await self.inbox.changes.until(lambda: condition() or self._is_broken(), deadline_s, what, progress)
        if not condition():
            self._raise_broken()

    async def until_without_deadline(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition on the inbox, however long. Raises StreamEndedError, and what broke the stream."""
        await self.inbox.changes.until_without_deadline(lambda: condition() or self._is_broken() or self.is_ended)
        if not condition():
            self._raise_broken()
            raise StreamEndedError(self.end_reason)

    async def until_current(self, deadline_s: float) -> None:
        """Waits until the stream is ready and synced."""
        await self.until(lambda: self.is_current, deadline_s, f"stream and sync of {self._device.device_id}")

    async def watch(self, user_ids: list[str]) -> None:
        """Asks for the presence of these people, now and after each reconnect."""
        self._watched = user_ids
        request = presence.WatchPresenceRequest(device_id=self._device.device_id, user_ids=user_ids)
        await self._device.presence.WatchPresence(request)

    def take_message(self, message: messaging.Message) -> None:
        """Takes what an answer to this device brought, as the stream will bring it too."""
        if self.inbox.take_message(message):
            self._must_sync.set()

    def take_conversation(self, conversation: messaging.Conversation) -> None:
        """As take_message."""
        self._take(events.DeviceEvent(conversation=conversation))

    def take_own_state(self, conversation_id: str, state: messaging.OwnState) -> None:
        """As take_message."""
        changed = events.OwnStateChanged(conversation_id=conversation_id, own_state=state)
        self._take(events.DeviceEvent(own_state=changed))

    def forget_conversation(self, conversation_id: str) -> None:
        """This user is not in it any more."""
        self.inbox.conversations.forget(conversation_id)
        self.inbox.changes.notify()

    def load_messages(self, conversation_id: str) -> None:
        """Has Sync bring the newest messages of a conversation that was only listed."""
        self.inbox.begun[conversation_id] = None
        self._must_sync.set()

    def _take(self, event: events.DeviceEvent) -> None:
        if self.inbox.apply(event, self._clock()):
            self._must_sync.set()

    async def _follow(self) -> None:
        while True:
            asked_s = await self._follow_once()
            if self.is_ended:
                return
            delay_s = self._back_off.delay_s(self._attempt, self._chance(), asked_s)
            self._attempt += 1
            await asyncio.sleep(delay_s)

    async def _follow_once(self) -> float:
        """One connection, to its end. Returns how long the server asked to stay away, in seconds."""
        call = self._device.gateway.Subscribe(self._request())
        silence_s = _READY_WITHIN_S
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    response = await call.read()
                if not isinstance(response, gateway.SubscribeResponse):
                    return 0.0
                if response.event.HasField("ready"):
                    silence_s = max(response.event.ready.heartbeat_s, 1) * _MISSED_HEARTBEATS
                    self._begin(response.event.ready)
                now_s = self._clock()
                if self.inbox.apply(response.event, now_s):
                    self._must_sync.set()
                self._on_event(response.event, now_s)
                self._position = response.position or self._position
        except grpc.aio.AioRpcError as error:
            return self._refused(error)
        except (TimeoutError, LoginError) as error:
            self.trouble = str(error) or type(error).__name__
            log.info("stream_silent device=%s error=%s", self._device.device_id, error)
            return 0.0
        finally:
            call.cancel()

    def _request(self) -> gateway.SubscribeRequest:
        request = gateway.SubscribeRequest(device_id=self._device.device_id)
        # What an earlier stream pointed at and is not fetched yet would be forgotten by one that goes on.
        if self.is_current and not self._must_sync.is_set():
            request.resume_token, request.position = self._resume_token, self._position
        return request

    def _begin(self, ready: events.Ready) -> None:
        self._attempt = 0
        self._resume_token = ready.resume_token
        if not ready.resumed:
            self._position = 0

    def _refused(self, error: grpc.aio.AioRpcError) -> float:
        reason = reason_of(error)
        self.trouble = f"{error.code().name} {reason} {error.details() or ''}"
        log.info("stream_ended device=%s code=%s reason=%s", self._device.device_id, error.code().name, reason)
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            self._device.tokens.forget()
        if reason in _FINAL:
            self.end_reason = reason
        return retry_delay_s(error)

    async def _keep_synced(self) -> None:
        attempt = 0
        while True:
            await self._must_sync.wait()
            self._must_sync.clear()
            told = self._told
            if told == self._synced and not self.inbox.conversations.has_gap and not self.inbox.begun:
                # The Sync that ran meanwhile has filled the gap.
                continue
            try:
                await self._sync()
                await self._ask_for_calls_and_presence()
            except (grpc.aio.AioRpcError, LoginError) as error:
                asked_s = retry_delay_s(error) if isinstance(error, grpc.aio.AioRpcError) else 0.0
                self.trouble = f"Sync: {error}"[:200]
                log.info("sync_failed device=%s error=%s", self._device.device_id, str(error)[:200])
                if self.is_ended:
                    return
                await asyncio.sleep(self._back_off.delay_s(attempt, self._chance(), asked_s))
                attempt += 1
                self._must_sync.set()
                continue
            attempt = 0
            self._synced = told
            self.inbox.changes.notify()

    async def _sync(self) -> None:
        """Calls Sync until nothing is missing; begins with the newest page of the list."""
        unknown = self.inbox.conversations.unknown()
        try:
            for folder in list(self.account.unlisted):
                await self._list(folder, "", wants_messages=True)
            has_more = True
            while has_more:
                answer = await self._device.messaging.Sync(self.account.request())
                has_more = self.account.take(answer)
        except grpc.aio.AioRpcError as error:
            if reason_of(error) == "SYNC_TOKEN_UNKNOWN":
                self.account.begin_anew()
            raise
        self.inbox.conversations.forget_unknown(unknown)

    async def load_all(self) -> None:
        """Brings the rest of the list: afterwards the inbox knows every conversation and request of the account."""
        while self.account.list_tokens:
            folder, page_token = next(iter(self.account.list_tokens.items()))
            await self._list(folder, page_token, wants_messages=False)

    async def _list(
        self, folder: messaging_service.ConversationFolder.ValueType, page_token: str, *, wants_messages: bool
    ) -> None:
        asked = self.inbox.moment
        request = messaging_service.ListConversationsRequest(page_size=_LIST_PAGE, folder=folder, page_token=page_token)
        answer = await self._device.messaging.ListConversations(request)
        self.account.take_list(folder, answer, wants_messages=wants_messages, asked=asked)

    async def _ask_for_calls_and_presence(self) -> None:
        answer = await self._device.calls.ListActiveCalls(calls.ListActiveCallsRequest())
        gone = self.inbox.running_calls() - {call.call_id for call in answer.calls}
        for call in answer.calls:
            self.inbox.take_call(call, self._clock())
        for call_id in gone:
            # It ended while nobody could tell us.
            ended = await self._device.calls.GetCall(calls.GetCallRequest(call_id=call_id))
            self.inbox.take_call(ended.call, self._clock())
        if self._watched:
            await self.watch(self._watched)

    def _is_broken(self) -> bool:
        return any(task.done() and not task.cancelled() and task.exception() for task in self._tasks)

    def _raise_broken(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
