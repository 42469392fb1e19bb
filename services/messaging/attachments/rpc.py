"""AttachmentsService over gRPC; its errors stand in the table of messaging's rpc.py."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from parley.messaging.v1 import attachments_pb2 as api
from parley.messaging.v1 import attachments_pb2_grpc

from services.messaging.attachments.service.attachments import Attachments, UploadRequest
from services.messaging.kernel.model import UserId
from services.messaging.wire.api import attachment_message, to_timestamp
from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.auth import current_user


def apis(attachments: Attachments) -> list[Api]:
    """What the server serves of attachments."""
    servicer = AttachmentsServicer(attachments)
    return [
        Api(
            "parley.messaging.v1.AttachmentsService",
            Access.USER,
            lambda server: attachments_pb2_grpc.add_AttachmentsServiceServicer_to_server(servicer, server),
        )
    ]


def _length(value: Duration) -> timedelta:
    try:
        length: timedelta = value.ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise InvalidRequest("length", "is not a length of time") from error
    return length


class AttachmentsServicer(attachments_pb2_grpc.AttachmentsServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, attachments: Attachments) -> None:
        self._attachments = attachments

    async def CreateUpload(self, request: api.CreateUploadRequest, context: Context) -> api.CreateUploadResponse:
        wanted = UploadRequest(
            request.client_upload_id,
            request.file_name,
            request.content_type,
            request.size_bytes,
            request.width,
            request.height,
            _length(request.length),
        )
        upload, put = await self._attachments.create_upload(UserId(current_user()), wanted)
        return api.CreateUploadResponse(
            attachment=attachment_message(upload.attachment),
            upload_url=put.url,
            headers=put.headers,
            expire_time=to_timestamp(upload.put_until),
        )

    async def GetDownload(self, request: api.GetDownloadRequest, context: Context) -> api.GetDownloadResponse:
        url, expires_at = await self._attachments.get_download(
            UserId(current_user()), request.conversation_id, request.seq, request.attachment_id
        )
        return api.GetDownloadResponse(download_url=url, expire_time=to_timestamp(expires_at))
