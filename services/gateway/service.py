"""What devices ask of the gateway, and what presence replicas tell it."""

import asyncio
from collections.abc import Iterable, Sequence

from services.gateway import device_frames, metrics
from services.gateway.admission import Admission
from services.gateway.core import checks
from services.gateway.core.errors import ConversationNotFound, Replaced
from services.gateway.core.model import UserId
from services.gateway.core.registry import Registry
from services.gateway.ports import Membership
from services.gateway.rates import UserTypingRate
from services.gateway.stream import Check, DeviceStream, Write
from services.gateway.streams import Streams
from services.gateway.watch_lists import WatchLists
from services.runtime.clock import CLOCK_SKEW_S, Clock


class Gateway:
    """The use-cases of GatewayService and PresenceService. All run on one event loop."""

    def __init__(
        self,
        registry: Registry,
        streams: Streams,
        admission: Admission,
        membership: Membership,
        typing_rate: UserTypingRate,
        clock: Clock,
    ) -> None:
        self.registry = registry
        self.streams = streams
        self._admission = admission
        self._membership = membership
        self._typing_rate = typing_rate
        self._clock = clock
        self.watch_lists = WatchLists(registry, membership, streams)

    async def subscribe(
        self,
        user_id: str,
        device_id: str,
        expires_at: float,
        resume_token: str,
        position: int,
        write: Write,
        address: str = "",
        check: Check = lambda: None,
    ) -> None:
        """A device's stream, Ready first, for as long as it is read; `expires_at` is Unix seconds. `address` is the
        device's, as the edge saw it. `check` raises what the account says against it, now and whenever it changes.

        Errors: InvalidField, TooManyDevices, TooManyStreams, RouterUnavailable, Replaced, DeviceLimit, SlowConsumer,
        Draining, Unauthenticated (when the token expires, or is revoked, meanwhile), AccountDeleted.
        """
        device, user = checks.check_device_id(device_id), UserId(user_id)
        network = self._admission.admit(user, address)
        try:
            # Nothing is waited for from here until the stream stands among those that end when the account changes.
            check()
            stream = self.streams.resume(user, device, resume_token, position) or self.streams.open(user, device)
            stream.check = check
            await self._write_out(stream, expires_at, write)
        finally:
            self._admission.depart(network)

    async def _write_out(self, stream: DeviceStream, expires_at: float, write: Write) -> None:
        # From here on by the monotonic clock, so that setting the wall clock ends no stream.
        left_s = expires_at + CLOCK_SKEW_S - self._clock.now().timestamp()
        stream.expires_at = self._clock.monotonic() + left_s
        writer = asyncio.current_task()
        self.streams.take_over(stream, writer)
        reason: BaseException = asyncio.CancelledError()
        try:
            await stream.write_out(write)
        except asyncio.CancelledError:
            # Cancelled by ourselves, or because the connection broke?
            ending = stream.ending if stream.writer is writer else Replaced("the device opened a newer stream")
            if ending is None:
                raise
            reason = ending
            raise ending from None
        except Exception as error:
            reason = error
            raise
        finally:
            self.streams.leave(stream, writer, reason)

    async def set_typing(self, user_id: str, conversation_id: str, is_typing: bool) -> None:
        """Tell the members who may learn of it. Errors: TypingTooOften, ConversationNotFound, RouterUnavailable,
        MembershipUnavailable."""
        self._typing_rate.admit(user_id, self._clock.monotonic())
        members = await self._membership.audience(conversation_id, UserId(user_id))
        if user_id not in members:
            raise ConversationNotFound("no such conversation")
        frame = device_frames.typing(conversation_id, user_id, is_typing)
        for member in members:
            if member != user_id:
                self.streams.apply(self.registry.route(member, frame))

    async def watch_presence(self, user_id: str, device_id: str, user_ids: Sequence[str]) -> None:
        """Replace the watch list of a device. The gateway that holds the device leaves out people who may not be seen.

        Errors: InvalidField, RouterUnavailable.
        """
        device = checks.check_device_id(device_id)
        asked = checks.check_watch_list(user_ids)
        self.streams.apply(self.registry.route_watch_list(UserId(user_id), device, asked))

    async def set_status(self, user_id: str, device_id: str, away: bool) -> None:
        """Whether the user is away from a device. Errors: InvalidField, RouterUnavailable."""
        device = checks.check_device_id(device_id)
        self.streams.apply(self.registry.route_status(UserId(user_id), device, away))

    def command_watch(self, session_id: int, user_ids: Sequence[str]) -> None:
        """A watch list that was routed to the device here."""
        stream = self.streams.by_session.get(session_id)
        if stream is not None:
            stream.wanted_watch_list = tuple(UserId(user_id) for user_id in user_ids)
            self.watch_lists.recheck([session_id])

    def deliver(self, session_ids: Iterable[int], frame: bytes, *, durable: bool, trace: str = "") -> None:
        """A frame for devices here. Unknown sessions have just left. `trace` goes on until a device takes it."""
        key = "" if durable else device_frames.coalescing_key(frame)
        queued = metrics.DURABLE if durable else metrics.EPHEMERAL
        for session_id in session_ids:
            stream = self.streams.by_session.get(session_id)
            if stream is None:
                continue
            if durable:
                stream.push(frame, trace)
            else:
                stream.push_latest(key, frame)
            queued.inc()

    def relations_changed(self, session_ids: Iterable[int], about: str) -> None:
        """The people whom these devices may see changed; with `about`, only whether they may see this one person."""
        here = [session_id for session_id in session_ids if session_id in self.streams.by_session]
        for session_id in here:
            self._membership.forget(self.streams.by_session[session_id].session.user_id)
        if about:
            self._membership.forget(UserId(about))
            self.watch_lists.recheck_person(UserId(about), here)
        else:
            self.watch_lists.recheck(here)

    async def ready(self) -> bool:
        """Whether devices can be routed."""
        return self.registry.routed
