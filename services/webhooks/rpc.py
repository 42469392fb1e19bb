"""WebhookAdminService."""

from datetime import UTC, datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from parley.webhooks.v1 import admin_pb2, admin_pb2_grpc

from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.webhooks.core.errors import EndpointNotFound
from services.webhooks.core.model import DeliveryId, EndpointName
from services.webhooks.service import Operating

ERRORS: ErrorTable = {
    EndpointNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "ENDPOINT_NOT_FOUND"),
}
MAX_LISTED, LISTED = 1_000, 20


def apis(operating: Operating) -> list[Api]:
    """What the server serves."""
    servicer = AdminServicer(operating)
    return [
        Api(
            "parley.webhooks.v1.WebhookAdminService",
            Access.ADMIN,
            lambda server: admin_pb2_grpc.add_WebhookAdminServiceServicer_to_server(servicer, server),
        )
    ]


class AdminServicer(admin_pb2_grpc.WebhookAdminServiceServicer):
    """See the protos."""

    def __init__(self, operating: Operating) -> None:
        self._operating = operating

    async def ListEndpoints(
        self, request: admin_pb2.ListEndpointsRequest, context: Context
    ) -> admin_pb2.ListEndpointsResponse:
        return admin_pb2.ListEndpointsResponse(
            endpoints=[
                admin_pb2.Endpoint(
                    name=endpoint.name,
                    events=endpoint.events,
                    disable_time=_time(state.disable_time if state.disabled_url == endpoint.url else None),
                    failing_since_time=_time(state.failing_since),
                    waiting=backlog.waiting,
                    oldest_waiting_time=_time(state.oldest_time),
                    dead_letters=backlog.dead_letters,
                )
                for endpoint, state, backlog in await self._operating.list_endpoints()
            ]
        )

    async def EnableEndpoint(
        self, request: admin_pb2.EnableEndpointRequest, context: Context
    ) -> admin_pb2.EnableEndpointResponse:
        await self._operating.enable(EndpointName(request.endpoint))
        return admin_pb2.EnableEndpointResponse()

    async def ListDeadLetters(
        self, request: admin_pb2.ListDeadLettersRequest, context: Context
    ) -> admin_pb2.ListDeadLettersResponse:
        if not 0 <= request.limit <= MAX_LISTED:
            raise InvalidRequest("limit", f"is not 0 to {MAX_LISTED}")
        found = await self._operating.dead_letters(EndpointName(request.endpoint), request.limit or LISTED)
        return admin_pb2.ListDeadLettersResponse(
            dead_letters=[
                admin_pb2.DeadLetter(
                    webhook_id=letter.webhook_id,
                    type=letter.type,
                    order_key=letter.order_key,
                    event_time=_time(letter.event_time),
                    attempts=letter.attempts,
                    last_status=letter.last_status,
                )
                for letter in found
            ]
        )

    async def ReplayDeliveries(
        self, request: admin_pb2.ReplayDeliveriesRequest, context: Context
    ) -> admin_pb2.ReplayDeliveriesResponse:
        start, end = _required(request, "start_time"), _required(request, "end_time")
        if not start < end:
            raise InvalidRequest("end_time", "is not after start_time")
        count, after = await self._operating.replay(
            EndpointName(request.endpoint), start, end, _after(request.page_token), dead_only=request.dead_letters_only
        )
        return admin_pb2.ReplayDeliveriesResponse(deliveries=count, next_page_token="" if after is None else str(after))


def _required(request: admin_pb2.ReplayDeliveriesRequest, field: str) -> datetime:
    time: Timestamp = getattr(request, field)
    try:
        if request.HasField(field):  # type: ignore[arg-type]
            return time.ToDatetime(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(field, "is not a time")


def _after(page_token: str) -> DeliveryId:
    if not page_token:
        return DeliveryId(0)
    if not (page_token.isascii() and page_token.isdigit() and len(page_token) <= 18):
        raise InvalidRequest("page_token", "is none of ours")
    return DeliveryId(int(page_token))


def _time(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
