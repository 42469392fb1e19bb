"""Calls of one device: ring, accept, media, mute, hang up, and reconnecting after the media was lost."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from contextlib import suppress

import grpc
from parley.calls.v1 import messages_pb2 as calls
from parley.calls.v1 import service_pb2 as api
from parley.keys.v1 import service_pb2 as keys

from parley_client.client import Device
from parley_client.error_details import reason_of
from parley_client.media import IceOptions, MediaContinuity, MediaEndpoint
from parley_client.retries import retrying
from parley_client.stream import EventStream
from parley_client.tracks import SourceOptions
from parley_client.waiting import DeadlineMissedError

log = logging.getLogger(__name__)

# Changes an SDP answer, so that the media takes another way to the worker.
Reroute = Callable[[str], str]
# After a move to another worker was refused. Raising it spares signaling; lowering it follows a second move sooner.
_MOVE_RETRY_S = 0.5
# Far above the server's time: it closes the connection when all have followed.
_FORMER_MEDIA_S = 30.0

# After these there is no media to follow.
_FINAL = ("CALL_ENDED", "NOT_IN_CALL", "CALL_NOT_FOUND")

RINGING = calls.CALL_STATE_RINGING
ACTIVE = calls.CALL_STATE_ACTIVE
ENDED = calls.CALL_STATE_ENDED


# What is answered to a device that comes into a call.
_CallAndGrant = api.StartCallResponse | api.AcceptCallResponse | api.JoinCallResponse | api.TakeOverCallResponse


class NoMediaError(Exception):
    """The call gives no grant for media, or media was not joined."""


def _request_id() -> str:
    """Of one request and its retries, so that a late one undoes nothing."""
    return str(uuid.uuid4())


class Phone:
    """The calls of one device, one at a time.

    `source` is what this side sends and `expected_hz` the other side's tone; see `media.MediaEndpoint` for the clock.
    `reroute` changes the SDP answer, to send the media through a relay. `reconnects`: it rejoins by itself when its
    media is lost, as the web client does; without it the loss can be looked at.
    """

    def __init__(
        self,
        device: Device,
        stream: EventStream,
        source: SourceOptions | None = None,
        expected_hz: float = 440.0,
        clock: Callable[[], float] = time.monotonic,
        *,
        relay: str = "",
        reroute: Reroute = lambda answer: answer,
        reconnects: bool = False,
    ) -> None:
        self._reconnects = reconnects
        # How often it has reconnected by itself in this call.
        self.reconnections = 0
        self._relay = relay
        self._reroute = reroute
        self._device = device
        self._stream = stream
        self._source = source or SourceOptions()
        self._expected_hz = expected_hz
        self._clock = clock
        self._media: MediaEndpoint | None = None
        # How continuously this call's media came, over moves.
        self.continuity = MediaContinuity()
        # For each former connection that the server closed: whether the new one had brought media by then.
        self.overlaps: list[bool] = []
        self._following: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._grant: calls.MediaGrant | None = None
        self.call_id = ""

    @property
    def media(self) -> MediaEndpoint:
        """The media of the current call. Raises NoMediaError before `join_media`."""
        if self._media is None:
            raise NoMediaError("media was not joined")
        return self._media

    @property
    def media_epoch(self) -> int:
        """How often the media of the current call has gone over to another worker, as far as this device has."""
        return self._grant.media_epoch if self._grant else 0

    @property
    def state(self) -> calls.CallState.ValueType:
        """Of the current call, as far as this device has been told."""
        known = self._stream.inbox.calls.get(self.call_id)
        return known.state if known else calls.CALL_STATE_UNSPECIFIED

    async def start(self, conversation_id: str, *, video: bool = True, client_call_id: str = "") -> calls.Call:
        """Rings the other member. The call may have ended already: BUSY."""
        request = api.StartCallRequest(
            conversation_id=conversation_id,
            video=video,
            device_id=self._device.device_id,
            client_call_id=client_call_id or str(uuid.uuid4()),
        )
        return self._take(await retrying(lambda: self._device.calls.StartCall(request)))

    async def encrypting_peers(self) -> frozenset[str]:
        """The others in the current call whose devices encrypt end to end. This client cannot: it hears nothing of
        them unless their users allow it."""
        call = self._stream.inbox.calls.get(self.call_id)
        joined = calls.PARTICIPANT_STATE_JOINED
        others = {each.user_id: each.device_id for each in call.participants if each.state == joined} if call else {}
        others.pop(self._device.user_id, None)
        request = keys.ListDeviceKeysRequest(user_ids=others, call_id=self.call_id)
        accounts = (await self._device.keys.ListDeviceKeys(request)).accounts
        return frozenset(
            account.user_id
            for account in accounts
            if others.get(account.user_id) in {device.device_id for device in account.devices}
        )

    async def until_ring(self, deadline_s: float, conversation_id: str = "") -> calls.Call:
        """Waits for a call of someone else that rings, in this conversation if one is given."""

        def ringing() -> list[calls.Call]:
            return [
                call
                for call in self._stream.inbox.calls.values()
                if call.state == RINGING
                and call.caller_id != self._device.user_id
                and conversation_id in ("", call.conversation_id)
            ]

        await self._stream.until(lambda: bool(ringing()), deadline_s, f"ring at {self._device.device_id}")
        return ringing()[0]

    async def accept(self, call_id: str) -> calls.Call:
        """Answers on this device."""
        request = api.AcceptCallRequest(
            call_id=call_id, device_id=self._device.device_id, client_request_id=_request_id()
        )
        return self._take(await retrying(lambda: self._device.calls.AcceptCall(request)))

    async def join(self, call_id: str) -> calls.Call:
        """Comes into a group's call that runs, or back into it."""
        request = api.JoinCallRequest(
            call_id=call_id, device_id=self._device.device_id, client_request_id=_request_id()
        )
        return self._take(await retrying(lambda: self._device.calls.JoinCall(request)))

    async def take_over(self, call_id: str) -> calls.Call:
        """Goes on with a call that another device of this user is in."""
        request = api.TakeOverCallRequest(
            call_id=call_id, device_id=self._device.device_id, client_request_id=_request_id()
        )
        return self._take(await retrying(lambda: self._device.calls.TakeOverCall(request)))

    async def decline(self, call_id: str) -> None:
        """Refuses on all devices."""
        await self._device.calls.DeclineCall(api.DeclineCallRequest(call_id=call_id))

    async def join_media(self) -> MediaEndpoint:
        """Offers this device's media under the grant that start, accept or renewal gave. Raises NoMediaError."""
        if self._grant is None:
            raise NoMediaError("the call gave no grant")
        await self._close_media()
        self.continuity = MediaContinuity()
        self.overlaps = []
        self.reconnections = 0
        # Kept before the exchange, so that hang_up closes it when the exchange fails half way.
        self._media = self._endpoint(self._grant)
        await self._connect(self._media, self._grant)
        self._following = asyncio.create_task(self._follow_moves())
        return self._media

    async def rejoin(self) -> MediaEndpoint:
        """Reconnects after the media was lost: a new grant, a new offer, a new peer connection."""
        self._grant = await self._renew_grant()
        return await self.join_media()

    async def hang_up(self) -> None:
        """Leaves the call and closes the media. Idempotent."""
        try:
            if self.call_id:
                request = api.LeaveCallRequest(
                    call_id=self.call_id, device_id=self._device.device_id, client_request_id=_request_id()
                )
                await retrying(lambda: self._device.calls.LeaveCall(request))
        finally:
            await self._close_media()

    async def close(self) -> None:
        """Closes the media without telling signaling, as a device that dies would."""
        await self._close_media()

    async def until_state(self, state: calls.CallState.ValueType, deadline_s: float) -> None:
        """Waits until this device has been told that the current call is in this state."""
        name = calls.CallState.Name(state).removeprefix("CALL_STATE_").lower()
        await self._stream.until(lambda: self.state == state, deadline_s, f"call {name} at {self._device.device_id}")

    def _endpoint(self, grant: calls.MediaGrant) -> MediaEndpoint:
        return MediaEndpoint(
            grant.audio_slots,
            grant.video_slots,
            self._source,
            expected_hz=self._expected_hz,
            clock=self._clock,
            continuity=self.continuity,
            ice=IceOptions(grant.ice_servers, self._relay),
            on_state=self._stream.inbox.changes.notify,
        )

    async def _connect(self, media: MediaEndpoint, grant: calls.MediaGrant) -> None:
        await media.connect(lambda offer: self._exchange(grant.join_token, offer))

    async def _exchange(self, join_token: str, offer: str) -> str:
        request = api.JoinMediaRequest(join_token=join_token, sdp_offer=offer)
        answer = await retrying(lambda: self._device.calls.JoinMedia(request))
        return self._reroute(answer.sdp_answer)

    async def _renew_grant(self) -> calls.MediaGrant:
        request = api.RenewMediaGrantRequest(call_id=self.call_id, device_id=self._device.device_id)
        return (await retrying(lambda: self._device.calls.RenewMediaGrant(request))).grant

    async def _follow_moves(self) -> None:
        """Goes to each new worker (see MediaMove), and keeps the former connection until the server closes it.

        With `reconnects`, goes to wherever the call is when the connection is lost, told of a move or not.
        """
        while True:
            await self._stream.inbox.changes.until_without_deadline(
                lambda: self._told_epoch() > self.media_epoch or self._must_reconnect()
            )
            is_reconnection = self._must_reconnect()
            try:
                await self._move()
                self.reconnections += is_reconnection
            except grpc.aio.AioRpcError as error:
                # Ended, or moved once more meanwhile: what is told next says which.
                log.info("move_refused device=%s reason=%s", self._device.device_id, reason_of(error))
                if reason_of(error) in _FINAL:
                    return
                await asyncio.sleep(_MOVE_RETRY_S)

    def _must_reconnect(self) -> bool:
        return self._reconnects and self.media.is_lost and self.state == ACTIVE

    def _told_epoch(self) -> int:
        known = self._stream.inbox.calls.get(self.call_id)
        return known.media_move.media_epoch if known and known.state != ENDED else 0

    async def _move(self) -> None:
        former = self.media
        grant = await self._renew_grant()
        media = self._endpoint(grant)
        try:
            await self._connect(media, grant)
        except BaseException:
            await media.close()
            raise
        audio_muted, video_muted = former.muted
        media.set_muted(audio=audio_muted, video=video_muted)
        self._media, self._grant = media, grant
        self._stream.inbox.changes.notify()
        task = asyncio.create_task(self._retire(former, media))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _retire(self, former: MediaEndpoint, media: MediaEndpoint) -> None:
        """Keeps a connection to a former worker, for those who have not followed yet."""
        try:
            with suppress(DeadlineMissedError):
                await former.until_lost(_FORMER_MEDIA_S)
                self.overlaps.append(media.heard_slots > 0)
                self._stream.inbox.changes.notify()
        finally:
            await former.close()

    async def _close_media(self) -> None:
        tasks = [task for task in (self._following, *self._retiring) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._media is not None:
            await self._media.close()

    def _take(self, answer: _CallAndGrant) -> calls.Call:
        call = answer.call
        self.call_id = call.call_id
        self._grant = answer.grant if answer.HasField("grant") else None
        # The answer's own copy may be here before the event; its time says nothing of the delivery.
        known = self._stream.inbox.calls.get(call.call_id)
        if known is None or call.version > known.version:
            self._stream.inbox.calls[call.call_id] = call
            self._stream.inbox.changes.notify()
        return call
