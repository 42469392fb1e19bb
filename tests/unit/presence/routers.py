"""A router with gateways attached, and short names for tests."""

from collections.abc import Sequence

from services.presence.core.model import (
    Deliver,
    DeviceId,
    Effect,
    PresenceChange,
    Send,
    Session,
    StreamId,
    UserId,
)
from services.presence.core.router import Router
from services.presence.core.states import PresenceStatus, UserState

G1, G2 = StreamId(1), StreamId(2)
ALICE, BOB = UserId("alice"), UserId("bob")
PHONE, LAPTOP = DeviceId("phone-01"), DeviceId("laptop-1")
ONLINE, AWAY, OFFLINE = (
    UserState(status) for status in (PresenceStatus.ONLINE, PresenceStatus.AWAY, PresenceStatus.OFFLINE)
)


def partition_of(user_id: UserId, count: int) -> int:
    """Any rule serves the router; this one can be read: a user named p3-… is in partition 3, all others in 0."""
    head = user_id.partition("-")[0]
    return int(head[1:]) % count if head[0] == "p" and head[1:].isdigit() else 0


def new_router(offline_delay_s: float = 20, gateway_sessions: int = 1_000) -> Router:
    """A router that owns nothing yet."""
    return Router(offline_delay_s, gateway_sessions, partition_of)


def router_with(*streams: StreamId, partitions: Sequence[int] = range(16)) -> Router:
    """A router whose gateways have nothing to register, so that it is at work, in epoch 1."""
    router = new_router()
    for stream in streams:
        router.attach(stream)
    router.assign(partitions, 16)
    for stream in streams:
        router.registered(stream, 1)
    return router


def told(stream: StreamId, session_id: int, user_id: UserId, state: UserState) -> Send:
    """A watcher is told of a state."""
    return Send(stream, Deliver((session_id,), PresenceChange(user_id, state), durable=False))


def sends(effects: Sequence[Effect]) -> list[Send]:
    """What goes to gateways."""
    return [effect for effect in effects if isinstance(effect, Send)]


def session(session_id: int, user_id: UserId, device_id: DeviceId = PHONE, **flags: bool) -> Session:
    """A device's stream."""
    return Session(session_id, user_id, device_id, **flags)
