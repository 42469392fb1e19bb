"""The use-cases of the SFU: joining, removing, ending a call, draining."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog

from services.sfu.core.errors import Draining, JoinTokenExpired, JoinTokenInvalid, SdpError, SfuError, WorkerFull
from services.sfu.core.ids import CallId, ParticipantKey
from services.sfu.core.wire.sdp import parse_offer
from services.sfu.ports import JoinTokens, MediaPlane, Metrics

log = structlog.get_logger()

# What a refused join is counted as.
_OUTCOMES: dict[type[SfuError], str] = {
    JoinTokenInvalid: "token_invalid",
    JoinTokenExpired: "token_expired",
    SdpError: "sdp_invalid",
    WorkerFull: "full",
    Draining: "draining",
}


class Sfu:
    """One media worker, as its callers see it."""

    def __init__(
        self,
        media: MediaPlane,
        tokens: JoinTokens,
        metrics: Metrics,
        max_participants: int,
        admitted: Callable[[ParticipantKey], None] = lambda _: None,
    ) -> None:
        self._admitted = admitted
        self._media = media
        self._tokens = tokens
        self._metrics = metrics
        self._max_participants = max_participants
        self._drain_deadline: datetime | None = None
        self._set_aside = False

    @property
    def is_draining(self) -> bool:
        """Whether new participants are refused: the worker is about to stop, or an operator has set it aside."""
        return self._set_aside or self._drain_deadline is not None

    @property
    def drain_deadline(self) -> datetime | None:
        """When a worker that stops ends what is left of its media; None while it does not stop."""
        return self._drain_deadline

    @property
    def participant_count(self) -> int:
        """How many participants the worker has now."""
        return self._media.participant_count

    async def join(self, join_token: str, sdp_offer: str) -> str:
        """Admit a device and answer its offer; a second join of the same device replaces the first.

        Raises JoinTokenInvalid, JoinTokenExpired, Draining, WorkerFull, SdpError.
        """
        try:
            answer = self._admit(join_token, sdp_offer)
        except SfuError as error:
            self._metrics.joined(_OUTCOMES[type(error)])
            raise
        self._metrics.joined("ok")
        return answer

    def _admit(self, join_token: str, sdp_offer: str) -> str:
        key = self._tokens.verify(join_token)
        if self.is_draining:
            raise Draining("the worker takes nobody any more")
        if self._media.participant_count >= self._max_participants and not self._media.holds(key):
            raise WorkerFull(f"the worker has all of its {self._max_participants} participants")
        answer = self._media.admit(key, parse_offer(sdp_offer))
        self._admitted(key)
        log.info("participant_joined", call_id=key.call_id, user_id=key.user_id, device_id=key.device_id)
        return answer

    async def remove(self, key: ParticipantKey) -> None:
        """End a device's media. Idempotent."""
        self._media.remove(key)

    async def end_call(self, call_id: CallId) -> None:
        """End all media of a call. Idempotent."""
        self._media.end_call(call_id)

    def set_draining(self, draining: bool) -> None:
        """Refuse new participants, or admit them again, unless the worker is about to stop. Idempotent."""
        self._set_aside = draining
        log.info("worker_set_aside", draining=draining)

    def start_draining(self, deadline: datetime) -> None:
        """Refuse new participants from now on; the media that is left ends at the deadline."""
        self._drain_deadline = deadline

    async def wait_until_empty(self, timeout_s: float) -> None:
        """Wait until the last participant has left, at most `timeout_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._media.wait_until_empty()
