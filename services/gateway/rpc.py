"""GatewayService, and PresenceService as devices call it."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from parley.gateway.v1 import service_pb2 as gateway_api
from parley.presence.v1 import service_pb2 as presence_api
from parley.presence.v1 import service_pb2_grpc as presence_grpc

from services.gateway import core
from services.gateway.ports import MembershipUnavailable
from services.gateway.service import Draining, Gateway
from services.runtime.auth import current_token, current_user
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.rpc import Access, Api, Context

ERRORS: ErrorTable = {
    core.InvalidField: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    core.ConversationNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"),
    core.RouterUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "ROUTER_UNAVAILABLE", retry_delay_s=1.0),
    core.TooManyDevices: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_DEVICES", retry_delay_s=5.0),
    core.SlowConsumer: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER"),
    core.Replaced: Refusal(grpc.StatusCode.ABORTED, "REPLACED"),
    Draining: Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING", retry_delay_s=0.5),
    MembershipUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_delay_s=1.0),
}

GATEWAY_SERVICE = "parley.gateway.v1.GatewayService"


def apis(gateway: Gateway) -> list[Api]:
    """What the server serves."""
    presence = PresenceServicer(gateway)
    return [
        Api(GATEWAY_SERVICE, Access.USER, lambda server: _add_gateway(gateway, server)),
        Api(
            "parley.presence.v1.PresenceService",
            Access.USER,
            lambda server: presence_grpc.add_PresenceServiceServicer_to_server(presence, server),
        ),
    ]


def _add_gateway(gateway: Gateway, server: grpc.aio.Server) -> None:
    """GatewayService by hand: its frames come serialized and are written as they are."""

    async def subscribe(request: gateway_api.SubscribeRequest, _context: Context) -> AsyncIterator[bytes]:
        token = current_token()
        async for frame in gateway.subscribe(token.user_id, request.device_id, token.expires_at):
            yield frame

    handler: Any = grpc.unary_stream_rpc_method_handler(
        subscribe,
        request_deserializer=gateway_api.SubscribeRequest.FromString,
        response_serializer=None,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(GATEWAY_SERVICE, {"Subscribe": handler}),))


class PresenceServicer(presence_grpc.PresenceServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def SetTyping(
        self, request: presence_api.SetTypingRequest, context: Context
    ) -> presence_api.SetTypingResponse:
        await self._gateway.set_typing(current_user(), request.conversation_id, request.typing)
        return presence_api.SetTypingResponse()

    async def WatchPresence(
        self, request: presence_api.WatchPresenceRequest, context: Context
    ) -> presence_api.WatchPresenceResponse:
        await self._gateway.watch_presence(current_user(), request.device_id, request.user_ids)
        return presence_api.WatchPresenceResponse()
