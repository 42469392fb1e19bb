"""Messaging's MembershipService as the gateway asks it, with a short memory for members."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from typing import NamedTuple

import grpc
from parley.messaging.v1 import service_pb2, service_pb2_grpc

from services.gateway.core.model import UserId
from services.gateway.ports import MembershipUnavailable
from services.runtime.clock import Clock

TIMEOUT_S = 3.0
# How long members are remembered. Raising it shows typing for longer to people who left; lowering it makes more calls
# while people type.
MEMBERS_TTL_S = 15.0
# Answers that are remembered, and users whose relations changed. Raising it takes more memory; lowering it makes more
# calls while people type.
MEMBERS_LIMIT = 50_000


class _Known(NamedTuple):
    """The members who may learn what a user does in a conversation, and when messaging was asked."""

    at: float
    members: frozenset[UserId]


class GrpcMembership:
    """See ports.Membership."""

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._stub = service_pb2_grpc.MembershipServiceStub(channel)
        self._clock = clock
        self._members: OrderedDict[tuple[str, UserId], _Known] = OrderedDict()
        self._changed_at: OrderedDict[UserId, float] = OrderedDict()

    async def audience(self, conversation_id: str, user_id: UserId) -> Collection[UserId]:
        """See ports.Membership. May be MEMBERS_TTL_S old."""
        key = (conversation_id, user_id)
        now = self._clock.monotonic()
        known = self._members.get(key)
        if known and now - known.at < MEMBERS_TTL_S and known.at > self._changed_at.get(user_id, -1.0):
            return known.members
        members = await self._fetch(conversation_id, user_id)
        if members:
            # Stamped with the time of the request: what changes meanwhile makes it old.
            self._members[key] = _Known(now, members)
            self._members.move_to_end(key)
            if len(self._members) > MEMBERS_LIMIT:
                self._members.popitem(last=False)
        return members

    def forget(self, user_id: UserId) -> None:
        """See ports.Membership."""
        self._changed_at[user_id] = self._clock.monotonic()
        self._changed_at.move_to_end(user_id)
        if len(self._changed_at) > MEMBERS_LIMIT:
            self._changed_at.popitem(last=False)

    async def contacts_among(self, user_id: UserId, candidates: Sequence[UserId]) -> Sequence[UserId]:
        """See ports.Membership."""
        request = service_pb2.FilterContactsRequest(user_id=user_id, user_ids=candidates)
        try:
            response = await self._stub.FilterContacts(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise MembershipUnavailable(f"messaging answered {error.code().name}") from error
        return [UserId(contact) for contact in response.user_ids]

    async def _fetch(self, conversation_id: str, user_id: UserId) -> frozenset[UserId]:
        request = service_pb2.GetMembersRequest(conversation_id=conversation_id, of_user_id=user_id)
        try:
            response = await self._stub.GetMembers(request, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                return frozenset()
            raise MembershipUnavailable(f"messaging answered {error.code().name}") from error
        return frozenset(UserId(member) for member in response.user_ids)
