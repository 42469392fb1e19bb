"""AttachmentsService over gRPC."""

import grpc
from parley.messaging.v1 import attachments_pb2 as api
from parley.messaging.v1 import attachments_pb2_grpc

from services.messaging.attachments.service.attachments import Attachments, UploadRequest
from services.messaging.attachments.service.openings import Openings
from services.messaging.kernel import errors
from services.messaging.wire.api import attachment_message, message_message, to_timestamp
from services.messaging.wire.requests import length, me
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api

_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.AttachmentNotFound: Refusal(_CODE.NOT_FOUND, "ATTACHMENT_NOT_FOUND"),
    errors.AttachmentNotUploaded: Refusal(_CODE.FAILED_PRECONDITION, "ATTACHMENT_NOT_UPLOADED"),
    errors.AttachmentRefused: Refusal(_CODE.FAILED_PRECONDITION, "ATTACHMENT_REFUSED"),
    errors.AttachmentNotScanned: Refusal(_CODE.FAILED_PRECONDITION, "ATTACHMENT_NOT_SCANNED", retry_delay_s=2.0),
    errors.ViewOnce: Refusal(_CODE.FAILED_PRECONDITION, "VIEW_ONCE"),
    errors.AlreadyOpened: Refusal(_CODE.FAILED_PRECONDITION, "ALREADY_OPENED"),
    errors.TooManyUploads: Refusal(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY_UPLOADS", retry_delay_s=60.0),
    errors.ObjectsUnavailable: Refusal(_CODE.UNAVAILABLE, "OBJECTS_UNAVAILABLE", retry_delay_s=1.0),
}


def apis(attachments: Attachments, openings: Openings) -> list[Api]:
    """What the server serves of attachments."""
    servicer = AttachmentsServicer(attachments, openings)
    return [
        Api(
            "parley.messaging.v1.AttachmentsService",
            Access.USER,
            lambda server: attachments_pb2_grpc.add_AttachmentsServiceServicer_to_server(servicer, server),
        )
    ]


class AttachmentsServicer(attachments_pb2_grpc.AttachmentsServiceServicer):
    """Translates; the use-cases stand in service/."""

    def __init__(self, attachments: Attachments, openings: Openings) -> None:
        self._attachments = attachments
        self._openings = openings

    async def CreateUpload(self, request: api.CreateUploadRequest, context: Context) -> api.CreateUploadResponse:
        wanted = UploadRequest(
            request.client_upload_id,
            request.file_name,
            request.content_type,
            request.size_bytes,
            request.width,
            request.height,
            length("length", request.length),
        )
        upload, put = await self._attachments.create_upload(me(), wanted)
        return api.CreateUploadResponse(
            attachment=attachment_message(upload.attachment),
            upload_url=put.url,
            headers=put.headers,
            expire_time=to_timestamp(upload.put_until),
        )

    async def GetDownload(self, request: api.GetDownloadRequest, context: Context) -> api.GetDownloadResponse:
        url, expires_at = await self._attachments.get_download(
            me(), request.conversation_id, request.seq, request.attachment_id
        )
        return api.GetDownloadResponse(download_url=url, expire_time=to_timestamp(expires_at))

    async def OpenViewOnce(self, request: api.OpenViewOnceRequest, context: Context) -> api.OpenViewOnceResponse:
        url, expires_at, message = await self._openings.open(
            me(), request.conversation_id, request.seq, request.client_request_id
        )
        return api.OpenViewOnceResponse(
            download_url=url, expire_time=to_timestamp(expires_at), message=message_message(message)
        )
