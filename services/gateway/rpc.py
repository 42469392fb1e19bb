"""GatewayService and GatewayAdminService, and PresenceService as devices call it."""

from functools import partial
from typing import Any

import grpc
from parley.gateway.v1 import admin_pb2, admin_pb2_grpc
from parley.gateway.v1 import service_pb2 as gateway_api
from parley.presence.v1 import service_pb2 as presence_api
from parley.presence.v1 import service_pb2_grpc as presence_grpc

from services.gateway.admin import Admin, StreamView
from services.gateway.core import errors
from services.gateway.event_source import EventSourceWriter, read_event_id
from services.gateway.ports import MembershipUnavailable
from services.gateway.service import Gateway
from services.gateway.stream import Write
from services.runtime.errors import BASE_TABLE, ErrorTable, Refusal, find_refusal, status_details
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.auth import current_token, current_user

ERRORS: ErrorTable = {
    errors.InvalidField: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    errors.ConversationNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"),
    errors.RouterUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "ROUTER_UNAVAILABLE", retry_delay_s=1.0),
    errors.TooManyDevices: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_DEVICES", retry_delay_s=5.0),
    errors.TooManyStreams: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"),
    errors.TypingTooOften: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TYPING_TOO_OFTEN"),
    errors.SlowConsumer: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER"),
    errors.Replaced: Refusal(grpc.StatusCode.ABORTED, "REPLACED"),
    errors.DeviceLimit: Refusal(grpc.StatusCode.ABORTED, "DEVICE_LIMIT"),
    errors.Draining: Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING"),
    MembershipUnavailable: Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_delay_s=1.0),
}

GATEWAY_SERVICE = "parley.gateway.v1.GatewayService"
# Set by the edge alone.
ADDRESS_KEY = "x-parley-address"
# What EventSource sends when it comes back.
EVENT_ID_KEY = "last-event-id"


def apis(gateway: Gateway, admin: Admin) -> list[Api]:
    """What the server serves."""
    streams = GatewayServicer(gateway)
    presence = PresenceServicer(gateway)
    admin_servicer = AdminServicer(admin)
    return [
        Api(GATEWAY_SERVICE, Access.USER, lambda server: _add_gateway(streams, server)),
        Api(
            "parley.presence.v1.PresenceService",
            Access.USER,
            lambda server: presence_grpc.add_PresenceServiceServicer_to_server(presence, server),
        ),
        Api(
            "parley.gateway.v1.GatewayAdminService",
            Access.ADMIN,
            lambda server: admin_pb2_grpc.add_GatewayAdminServiceServicer_to_server(admin_servicer, server),
        ),
    ]


class GatewayServicer:
    """The two forms of a device's stream. They write their frames by themselves, serialized."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def Subscribe(self, request: gateway_api.SubscribeRequest, context: Context) -> None:
        await self._stream(request.device_id, request.resume_token, request.position, context.write, context)

    async def StreamEvents(self, request: gateway_api.StreamEventsRequest, context: Context) -> None:
        resume_token, position = read_event_id(_said(context, EVENT_ID_KEY) or request.last_event_id)
        writer = EventSourceWriter(context.write, position)
        try:
            await self._stream(request.device_id, resume_token, position, writer.write, context)
        except Exception as error:
            refusal = find_refusal({**BASE_TABLE, **ERRORS}, error)
            if refusal and writer.has_written:
                await writer.write_end(status_details(refusal, error))
            raise

    async def _stream(self, device_id: str, resume_token: str, position: int, write: Write, context: Context) -> None:
        token = current_token()
        await self._gateway.subscribe(
            token.user_id,
            device_id,
            token.expires_at,
            resume_token,
            position,
            write,
            address_of(context),
            partial(token.require_device, device_id),
        )


def _add_gateway(servicer: GatewayServicer, server: grpc.aio.Server) -> None:
    """GatewayService by hand: its frames are written as they are."""
    handlers: dict[str, Any] = {
        name: grpc.unary_stream_rpc_method_handler(
            getattr(servicer, name), request_deserializer=request.FromString, response_serializer=None
        )
        for name, request in (
            ("Subscribe", gateway_api.SubscribeRequest),
            ("StreamEvents", gateway_api.StreamEventsRequest),
        )
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(GATEWAY_SERVICE, handlers),))


def address_of(context: Context) -> str:
    """The device's address, which the edge writes over whatever a client sends; empty for who comes past the edge."""
    return _said(context, ADDRESS_KEY)


def _said(context: Context, key: str) -> str:
    """What the metadata has under a key; empty when it has nothing, or more than one value."""
    found = [value for name, value in context.invocation_metadata() or () if name == key]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else ""


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
        current_token().require_device(request.device_id)
        await self._gateway.watch_presence(current_user(), request.device_id, request.user_ids)
        return presence_api.WatchPresenceResponse()

    async def SetStatus(
        self, request: presence_api.SetStatusRequest, context: Context
    ) -> presence_api.SetStatusResponse:
        current_token().require_device(request.device_id)
        await self._gateway.set_status(current_user(), request.device_id, request.away)
        return presence_api.SetStatusResponse()


class AdminServicer(admin_pb2_grpc.GatewayAdminServiceServicer):
    """Translates what admin.py sees."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def DescribeGateway(
        self, request: admin_pb2.DescribeGatewayRequest, context: Context
    ) -> admin_pb2.DescribeGatewayResponse:
        return admin_pb2.DescribeGatewayResponse(**self._admin.describe())

    async def ListSlowestDevices(
        self, request: admin_pb2.ListSlowestDevicesRequest, context: Context
    ) -> admin_pb2.ListSlowestDevicesResponse:
        return admin_pb2.ListSlowestDevicesResponse(devices=map(_device, self._admin.slowest(request.limit)))

    async def FindDevices(
        self, request: admin_pb2.FindDevicesRequest, context: Context
    ) -> admin_pb2.FindDevicesResponse:
        return admin_pb2.FindDevicesResponse(devices=map(_device, self._admin.devices_of(request.user_id)))


def _device(view: StreamView) -> admin_pb2.DeviceStream:
    return admin_pb2.DeviceStream(
        user_id=view.user_id,
        device_id=view.device_id,
        queued_frames=view.queued_frames,
        queued_bytes=view.queued_bytes,
        oldest_unsent_s=view.oldest_unsent_s,
        blocked_s=view.blocked_s,
        dropped=view.dropped,
        detached=view.detached,
    )
