"""Admission to a call's media: what a join token says, and what must be true when it is used."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from services.signaling.core.errors import CallEnded, CallNotFound, JoinTokenExpired, JoinTokenInvalid, NotInCall
from services.signaling.core.model import Call, CallId, CallState, DeviceId, UserId, Worker, WorkerId

# The clock of the host that made the token may be ahead or behind: CLOCK_SKEW_S of the runtime; a test compares.
LEEWAY = timedelta(seconds=10)


@dataclass(frozen=True)
class GrantPolicy:
    """What a grant offers."""

    # The life of a join token. Raising it keeps a leaked token of use for longer; lowering it makes slow phones renew
    # before they join.
    token_ttl_s: float
    # Receive slots for sound that a device offers. Raising it makes larger offers, and more streams to receive at once;
    # lowering it leaves people in the call unheard.
    audio_slots: int
    # The same for pictures: lowering it leaves people in the call unseen.
    video_slots: int
    # The same in a group's call.
    group_audio_slots: int = 4
    group_video_slots: int = 8

    def slots_of(self, call: Call) -> tuple[int, int]:
        """How many receive slots of sound and of pictures a device of this call offers."""
        if call.group:
            return self.group_audio_slots, self.group_video_slots
        return self.audio_slots, self.video_slots


@dataclass(frozen=True)
class IceServer:
    """A TURN server with credentials for an hour at most."""

    urls: tuple[str, ...]
    username: str
    credential: str


@dataclass(frozen=True)
class Claims:
    """What a join token says. `token_id` tells tokens apart."""

    call_id: CallId
    user_id: UserId
    device_id: DeviceId
    worker_id: WorkerId
    issue_time: datetime
    expire_time: datetime
    token_id: str


@dataclass(frozen=True)
class Grant:
    """Admission to the media of one call."""

    join_token: str
    expire_time: datetime
    audio_slots: int
    video_slots: int
    media_epoch: int = 0
    ice_servers: tuple[IceServer, ...] = ()


def turn_user_id(user_id: UserId) -> str:
    """The user's name in TURN credentials. It is the same in each grant, so that the relay has one quota for the user.

    It is not the user id, because anybody on the network path can read it.
    """
    return sha256(b"turn:" + user_id.encode()).hexdigest()[:24]


def make_claims(
    call: Call, user_id: UserId, device_id: DeviceId, token_id: str, now: datetime, policy: GrantPolicy
) -> Claims:
    """What a token for this device would say.

    Raises CallNotFound, CallEnded or NotInCall when the device is not to be admitted.
    """
    leg = call.leg_of(user_id)
    if leg is None:
        raise CallNotFound
    worker = call.worker_of(leg)
    if call.state is CallState.ENDED or worker is None:
        raise CallEnded
    if not call.has_device(user_id, device_id):
        raise NotInCall
    return Claims(
        call_id=call.call_id,
        user_id=user_id,
        device_id=device_id,
        worker_id=worker.worker_id,
        # Whole seconds, as a JWT carries them.
        issue_time=now.replace(microsecond=0),
        expire_time=(now + timedelta(seconds=policy.token_ttl_s)).replace(microsecond=0),
        token_id=token_id,
    )


def check_bearer(claims: Claims, user_id: UserId, now: datetime) -> None:
    """Raises JoinTokenInvalid for another user's token, JoinTokenExpired for an old one."""
    if claims.user_id != user_id:
        raise JoinTokenInvalid
    if now >= claims.expire_time + LEEWAY:
        raise JoinTokenExpired("the token is too old")


def admit(claims: Claims, call: Call | None) -> Worker:
    """The worker that the token admits to, by the call as it stands now.

    Raises JoinTokenInvalid, CallEnded, or JoinTokenExpired when the device is to be on another worker since.
    """
    leg = call.leg_of(claims.user_id) if call else None
    if call is None or leg is None or not call.has_device(claims.user_id, claims.device_id):
        raise JoinTokenInvalid
    worker = call.worker_of(leg)
    if call.state is CallState.ENDED or worker is None:
        raise CallEnded
    if worker.worker_id != claims.worker_id:
        raise JoinTokenExpired("the call has moved to another worker")
    return worker
