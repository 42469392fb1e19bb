"""What the service needs of the world around it."""

from typing import Protocol

from services.sfu.core.ids import CallId, ParticipantKey
from services.sfu.core.session.effects import LeaveReason
from services.sfu.core.session.quality import Quality
from services.sfu.core.wire.sdp import Offer


class MediaPlane(Protocol):
    """The worker's media. None of it waits for a store or a broker."""

    @property
    def participant_count(self) -> int:
        """How many participants the worker has now."""

    def holds(self, key: ParticipantKey) -> bool:
        """Whether a join of this key would replace a participant."""

    def admit(self, key: ParticipantKey, offer: Offer) -> str:
        """Admit the device; returns the SDP answer. Replaces a participant of the same key."""

    def remove(self, key: ParticipantKey) -> None:
        """End a device's media. Idempotent."""

    def end_call(self, call_id: CallId) -> None:
        """End all media of a call. Idempotent."""

    async def wait_until_empty(self) -> None:
        """Return when no participant is left."""


class JoinTokens(Protocol):
    """Tells what a join token admits to."""

    def verify(self, token: str) -> ParticipantKey:
        """Raises JoinTokenInvalid or JoinTokenExpired."""


class Events(Protocol):
    """Where the worker tells of its media. Returns at once; what cannot be kept is dropped and counted."""

    def media_connected(self, key: ParticipantKey) -> None: ...

    def media_silent(self, key: ParticipantKey, silence_s: float) -> None: ...

    def media_disconnected(self, key: ParticipantKey, reason: LeaveReason) -> None: ...

    def quality_measured(self, key: ParticipantKey, quality: Quality) -> None: ...


class Metrics(Protocol):
    """What the worker counts."""

    def joined(self, outcome: str) -> None: ...

    def packets_in(self, packets: int, size: int) -> None: ...

    def packets_out(self, packets: int, size: int) -> None: ...

    def retransmitted(self, packets: int) -> None: ...

    def probed(self, size: int) -> None: ...

    def dropped(self, reason: str, packets: int = 1) -> None: ...

    def occupancy(self, participants: int, calls: int) -> None: ...

    def quality(self, quality: Quality, call_id: CallId) -> None:
        """The call is for an exemplar, never for a label."""
