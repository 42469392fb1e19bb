"""The use-cases of the SFU: joining, removing, ending a call, draining."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog

from services.sfu.core.errors import (
    Draining,
    JoinTokenExpired,
    JoinTokenInvalid,
    RelaysInvalid,
    SdpError,
    SfuError,
    WorkerFull,
)
from services.sfu.core.ids import CallId, ParticipantKey
from services.sfu.core.wire.relay_frames import ID_BYTES, KEY_BYTES
from services.sfu.core.wire.sdp import parse_offer
from services.sfu.ports import Admission, CallRelays, JoinedDevice, JoinTokens, MediaPlane, Metrics

log = structlog.get_logger()

# What a refused join is counted as.
_OUTCOMES: dict[type[SfuError], str] = {
    JoinTokenInvalid: "token_invalid",
    JoinTokenExpired: "token_expired",
    SdpError: "sdp_invalid",
    WorkerFull: "full",
    Draining: "draining",
}


# Workers and publishers elsewhere that one call may have. Raising them lets one request hold up the media for longer,
# since each offer that is new is read in it; lowering them makes calls smaller.
MAX_PEERS = 15
MAX_REMOTE_PARTICIPANTS = 64


def check_relays(relays: CallRelays) -> None:
    """Raises RelaysInvalid for what cannot be; it names no key."""
    if relays.revision < 1:
        raise RelaysInvalid("the revision is not positive")
    if len(relays.peers) > MAX_PEERS or len(relays.devices) > MAX_REMOTE_PARTICIPANTS:
        raise RelaysInvalid(f"more than {MAX_PEERS} workers, or than {MAX_REMOTE_PARTICIPANTS} participants of theirs")
    _check_secrets(relays)
    workers = {peer.worker_id for peer in relays.peers}
    if len(workers) < len(relays.peers) or len({peer.receive_leg_id for peer in relays.peers}) < len(relays.peers):
        raise RelaysInvalid("a worker or the id of a leg is there twice")
    if any(device.worker_id not in workers for device in relays.devices):
        raise RelaysInvalid("a participant is on a worker that there is no leg to")
    if len({device.key for device in relays.devices}) < len(relays.devices):
        raise RelaysInvalid("a participant is there twice")


def _check_secrets(relays: CallRelays) -> None:
    for peer in relays.peers:
        if {len(peer.send_leg_id), len(peer.receive_leg_id)} != {ID_BYTES}:
            raise RelaysInvalid(f"an id of the leg to {peer.worker_id} has not {ID_BYTES} bytes")
        if {len(peer.send_key), len(peer.receive_key)} != {KEY_BYTES}:
            raise RelaysInvalid(f"a key of the leg to {peer.worker_id} has not {KEY_BYTES} bytes")
    keys = {key for peer in relays.peers for key in (peer.send_key, peer.receive_key)}
    if len(keys) < 2 * len(relays.peers):
        raise RelaysInvalid("two directions have one key")


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

    async def join(self, join_token: str, sdp_offer: str) -> Admission:
        """Admit a device and answer its offer; a second join of the same device replaces the first.

        Raises JoinTokenInvalid, JoinTokenExpired, Draining, WorkerFull, SdpError.
        """
        try:
            admission = self._admit(join_token, sdp_offer)
        except SfuError as error:
            self._metrics.joined(_OUTCOMES[type(error)])
            raise
        self._metrics.joined("ok")
        return admission

    def _admit(self, join_token: str, sdp_offer: str) -> Admission:
        key = self._tokens.verify(join_token)
        if self.is_draining:
            raise Draining("the worker takes nobody any more")
        if self._media.participant_count >= self._max_participants and not self._media.holds(key):
            raise WorkerFull(f"the worker has all of its {self._max_participants} participants")
        admission = self._media.admit(key, parse_offer(sdp_offer))
        self._admitted(key)
        log.info("participant_joined", call_id=key.call_id, user_id=key.user_id, device_id=key.device_id)
        return admission

    async def remove(self, key: ParticipantKey) -> None:
        """End a device's media. Idempotent."""
        self._media.remove(key)

    async def end_call(self, call_id: CallId) -> None:
        """End all media of a call. Idempotent."""
        self._media.end_call(call_id)

    async def set_relays(self, relays: CallRelays) -> int:
        """The other workers of a call, and who is at home there, from now on; gives the revision that counts.

        Idempotent, and in any order: nothing changes for a revision that is not greater. Raises RelaysInvalid and
        SdpError.
        """
        check_relays(relays)
        revision = self._media.set_relays(relays)
        log.info("relays_set", call_id=relays.call_id, revision=revision, peers=len(relays.peers))
        return revision

    async def list_joined(self, call_id: CallId) -> tuple[list[JoinedDevice], str]:
        """Who has joined a call on this worker, and where other workers reach it."""
        return self._media.list_joined(call_id), self._media.media_address

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
