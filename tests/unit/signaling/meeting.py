"""A group's call with people outside of the group, and what the devices of each are told of it."""

from collections.abc import Mapping
from uuid import UUID

from parley.calls.v1 import messages_pb2
from parley.gateway.v1 import service_pb2 as gateway_service
from parley.presence.v1 import events_pb2 as presence_events

from services.signaling.core.model import Call, CallId, LegState, UserId
from services.signaling.links.core import JoinLink
from services.signaling.publisher import DELIVERY_TOPIC, CallEvents
from tests.unit.signaling.fakes import (
    ALICE,
    BOB,
    CAROL,
    GROUP_TALK,
    TABLET,
    TALK,
    FakeMembers,
    World,
)

EVE, FAY, GUS = UserId("eve"), UserId("fay"), UserId("gus")


class Meeting(World):
    """Alice, the group's admin, Bob and Carol; Alice has called and Bob is in the call. Dave, Eve and others are not in
    the group."""

    def __init__(self) -> None:
        super().__init__(FakeMembers({GROUP_TALK: [ALICE, BOB, CAROL], TALK: [ALICE, BOB]}, admins={ALICE}))
        self.call_id = CallId("")

    async def begin(self) -> None:
        call = await self.start(talk=GROUP_TALK)
        self.call_id = call.call_id
        await self.service.join_call(call.call_id, BOB, TABLET)

    async def link(self, maker: UserId = BOB, key: str = "", ttl_s: int = 0) -> tuple[JoinLink, str]:
        return await self.links.create_link(self.call_id, maker, ttl_s, key)

    async def admitted(self, guest: UserId = EVE, maker: UserId = BOB) -> JoinLink:
        """Somebody came by a new link and was let in; not in the call yet."""
        link, secret = await self.link(maker)
        await self.lobby.open_link(secret, guest)
        await self.lobby.admit_guest(self.call_id, maker, guest)
        return link

    async def call(self) -> Call:
        found = await self.store.find(self.call_id)
        assert found is not None
        return found

    async def state_of(self, user: UserId) -> LegState | None:
        call = await self.call()
        return next((leg.state for leg in call.legs if leg.user_id == user), None)


def told(before: Call | None, call: Call) -> Mapping[UserId, list[messages_pb2.Call | messages_pb2.LobbyPlace]]:
    """What the devices of each are told of a change."""
    frames: dict[UserId, list[messages_pb2.Call | messages_pb2.LobbyPlace]] = {}
    events_of = CallEvents(lambda now: UUID(int=7))
    ids = set()
    for record in events_of(before, call, call.create_time):
        if record.topic == DELIVERY_TOPIC:
            delivery = presence_events.Delivery.FromString(record.value)
            event = gateway_service.SubscribeResponse.FromString(delivery.frame).event
            kind = event.WhichOneof("event")
            assert kind in ("call", "lobby_place")
            assert delivery.HasField("call_activity") == (kind == "call")
            assert (delivery.user_id, delivery.delivery_id) not in ids
            ids.add((delivery.user_id, delivery.delivery_id))
            frames.setdefault(UserId(delivery.user_id), []).append(getattr(event, kind))
    return frames
