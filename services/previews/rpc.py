"""PreviewsService."""

import grpc
from parley.previews.v1 import previews_pb2 as api
from parley.previews.v1 import previews_pb2_grpc

from services.previews.core.errors import AddressNotAllowed, NoPreview, PreviewsOff, TooManyFetches
from services.previews.core.model import UserId
from services.previews.service import Previews
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.auth import current_user

ERRORS: ErrorTable = {
    AddressNotAllowed: Refusal(grpc.StatusCode.INVALID_ARGUMENT, "URL_NOT_ALLOWED"),
    TooManyFetches: Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_FETCHES", retry_delay_s=1.0),
    PreviewsOff: Refusal(grpc.StatusCode.UNIMPLEMENTED, "PREVIEWS_OFF"),
}


def apis(previews: Previews) -> list[Api]:
    """What the server serves."""
    servicer = PreviewsServicer(previews)
    return [
        Api(
            "parley.previews.v1.PreviewsService",
            Access.USER,
            lambda server: previews_pb2_grpc.add_PreviewsServiceServicer_to_server(servicer, server),
        )
    ]


class PreviewsServicer(previews_pb2_grpc.PreviewsServiceServicer):
    """Translates; the use-case stands in service.py."""

    def __init__(self, previews: Previews) -> None:
        self._previews = previews

    async def GetLinkPreview(self, request: api.GetLinkPreviewRequest, context: Context) -> api.GetLinkPreviewResponse:
        try:
            preview = await self._previews.get(UserId(current_user()), request.url)
        except NoPreview:
            # Most links of a chat have none: that is no error to whoever asks.
            return api.GetLinkPreviewResponse(url=request.url)
        return api.GetLinkPreviewResponse(
            url=request.url,
            title=preview.title,
            description=preview.description,
            site_name=preview.site_name,
        )
