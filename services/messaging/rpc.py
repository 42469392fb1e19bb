"""MessagingService and MembershipService over gRPC."""

from datetime import UTC, datetime, timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from parley.messaging.v1 import messages_pb2, service_pb2_grpc
from parley.messaging.v1 import service_pb2 as api

from services.messaging.groups.core import Settings
from services.messaging.groups.service import GroupRequest, Groups
from services.messaging.kernel import errors
from services.messaging.kernel.content import Content
from services.messaging.kernel.model import AddAudience, UserId
from services.messaging.kernel.own_state import OwnChange
from services.messaging.kernel.request import Request
from services.messaging.messages.service.messages import (
    AccountSyncRequest,
    Messaging,
    SendRequest,
    TextRequest,
)
from services.messaging.receipts.service import Receipts
from services.messaging.vanishing.service import Vanishing
from services.messaging.wire import api as forms
from services.messaging.wire.api import (
    conversation_message,
    delta_message,
    message_message,
    to_timestamp,
)
from services.messaging.wire.contents import read_content, read_text
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.auth import current_user

_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.InvalidField: Refusal(_CODE.INVALID_ARGUMENT, "FIELD_INVALID"),
    errors.ConversationNotFound: Refusal(_CODE.NOT_FOUND, "CONVERSATION_NOT_FOUND"),
    errors.MessageNotFound: Refusal(_CODE.NOT_FOUND, "MESSAGE_NOT_FOUND"),
    errors.MemberNotFound: Refusal(_CODE.NOT_FOUND, "MEMBER_NOT_FOUND"),
    errors.InviteNotFound: Refusal(_CODE.NOT_FOUND, "INVITE_NOT_FOUND"),
    errors.NotAllowed: Refusal(_CODE.PERMISSION_DENIED, "NOT_ALLOWED"),
    errors.Banned: Refusal(_CODE.PERMISSION_DENIED, "BANNED"),
    errors.RequestPending: Refusal(_CODE.FAILED_PRECONDITION, "REQUEST_PENDING"),
    errors.RequestPendingLimit: Refusal(_CODE.FAILED_PRECONDITION, "REQUEST_PENDING_LIMIT"),
    errors.RoleTooLow: Refusal(_CODE.PERMISSION_DENIED, "ROLE_TOO_LOW"),
    errors.NotTheSender: Refusal(_CODE.PERMISSION_DENIED, "NOT_THE_SENDER"),
    errors.NotAGroup: Refusal(_CODE.FAILED_PRECONDITION, "NOT_A_GROUP"),
    errors.NotEditable: Refusal(_CODE.FAILED_PRECONDITION, "NOT_EDITABLE"),
    errors.EditTooLate: Refusal(_CODE.FAILED_PRECONDITION, "EDIT_TOO_LATE"),
    errors.TooManyEdits: Refusal(_CODE.FAILED_PRECONDITION, "TOO_MANY_EDITS"),
    errors.TooManyMembers: Refusal(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY_MEMBERS"),
    errors.TooManyReactions: Refusal(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY_REACTIONS"),
    errors.SendRate: Refusal(_CODE.RESOURCE_EXHAUSTED, "SEND_RATE"),
    errors.AttachmentNotFound: Refusal(_CODE.NOT_FOUND, "ATTACHMENT_NOT_FOUND"),
    errors.AttachmentNotUploaded: Refusal(_CODE.FAILED_PRECONDITION, "ATTACHMENT_NOT_UPLOADED"),
    errors.AttachmentRefused: Refusal(_CODE.FAILED_PRECONDITION, "ATTACHMENT_REFUSED"),
    errors.AttachmentNotScanned: Refusal(_CODE.FAILED_PRECONDITION, "ATTACHMENT_NOT_SCANNED", retry_delay_s=2.0),
    errors.AccountDeleted: Refusal(_CODE.FAILED_PRECONDITION, "ACCOUNT_DELETED"),
    errors.SyncTokenUnknown: Refusal(_CODE.FAILED_PRECONDITION, "SYNC_TOKEN_UNKNOWN"),
    errors.TooManyConversations: Refusal(_CODE.FAILED_PRECONDITION, "TOO_MANY_CONVERSATIONS"),
    errors.JobNotFound: Refusal(_CODE.NOT_FOUND, "JOB_NOT_FOUND"),
    errors.TooManyUploads: Refusal(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY_UPLOADS", retry_delay_s=60.0),
    errors.ObjectsUnavailable: Refusal(_CODE.UNAVAILABLE, "OBJECTS_UNAVAILABLE", retry_delay_s=1.0),
    errors.Overloaded: Refusal(_CODE.RESOURCE_EXHAUSTED, "OVERLOADED", retry_delay_s=0.5),
}

_FOLDERS = {api.CONVERSATION_FOLDER_UNSPECIFIED: Request.NONE, api.CONVERSATION_FOLDER_REQUESTS: Request.PENDING}


def apis(messaging: Messaging, groups: Groups, receipts: Receipts, vanishing: Vanishing) -> list[Api]:
    """What the server serves of messages; each feature adds its own."""
    servicer = MessagingServicer(messaging, groups, receipts, vanishing)
    return [
        Api(
            "parley.messaging.v1.MessagingService",
            Access.USER,
            lambda server: service_pb2_grpc.add_MessagingServiceServicer_to_server(servicer, server),
        ),
    ]


def _me() -> UserId:
    return UserId(current_user())


def _instant(field: str, stamp: Timestamp) -> datetime:
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(field, "is not a time") from error


def _length(field: str, duration: Duration) -> timedelta:
    try:
        return duration.ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(field, "is not a length of time") from error


def _add_audience(value: int) -> AddAudience | None:
    if value == messages_pb2.ADD_AUDIENCE_UNSPECIFIED:
        return None
    audience = forms.ADD_AUDIENCES_BACK.get(messages_pb2.AddAudience.ValueType(value))
    if audience is None:
        raise InvalidRequest("add_audience", "is not known")
    return audience


def _content(request: api.SendMessageRequest) -> Content:
    try:
        content = read_content(request)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(str(request.WhichOneof("content")), "cannot be read") from error
    if content is None:
        raise InvalidRequest("content", "is not set")
    return content


class MessagingServicer(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py and those of the features."""

    def __init__(self, messaging: Messaging, groups: Groups, receipts: Receipts, vanishing: Vanishing) -> None:
        self._messaging = messaging
        self._groups = groups
        self._receipts = receipts
        self._vanishing = vanishing

    async def CreateDirectConversation(
        self, request: api.CreateDirectConversationRequest, context: Context
    ) -> api.CreateDirectConversationResponse:
        conversation = await self._messaging.open_direct(_me(), request.peer_user_id)
        return api.CreateDirectConversationResponse(conversation=conversation_message(conversation))

    async def GetConversation(
        self, request: api.GetConversationRequest, context: Context
    ) -> api.GetConversationResponse:
        conversation = await self._messaging.get_conversation(_me(), request.conversation_id)
        return api.GetConversationResponse(conversation=conversation_message(conversation))

    async def ListConversations(
        self, request: api.ListConversationsRequest, context: Context
    ) -> api.ListConversationsResponse:
        folder = _FOLDERS.get(request.folder)
        if folder is None:
            raise InvalidRequest("folder", "is not known")
        page = await self._messaging.list_conversations(_me(), request.page_size, request.page_token, folder)
        summaries = [
            api.ConversationSummary(
                conversation=conversation_message(summary.conversation),
                last_message=message_message(summary.last_message) if summary.last_message else None,
                own_state=forms.own_state_message(summary.own),
            )
            for summary in page.items
        ]
        return api.ListConversationsResponse(
            conversations=summaries, next_page_token=page.next_token, sync_token=page.sync_token
        )

    async def SendMessage(self, request: api.SendMessageRequest, context: Context) -> api.SendMessageResponse:
        beside = (request.reply_to_seq, tuple(request.attachment_ids))
        if request.HasField("text"):
            text = TextRequest(request.client_message_id, read_text(request.text), *beside)
            message = await self._messaging.send_text(_me(), request.conversation_id, text)
        else:
            wanted = SendRequest(request.client_message_id, _content(request), *beside)
            message = await self._messaging.send(_me(), request.conversation_id, wanted)
        return api.SendMessageResponse(message=message_message(message))

    async def ListMessages(self, request: api.ListMessagesRequest, context: Context) -> api.ListMessagesResponse:
        messages, has_more = await self._messaging.list_messages(
            _me(), request.conversation_id, request.before_seq, request.page_size
        )
        return api.ListMessagesResponse(messages=[message_message(message) for message in messages], has_more=has_more)

    async def SearchMessages(self, request: api.SearchMessagesRequest, context: Context) -> api.SearchMessagesResponse:
        messages, token = await self._messaging.search(
            _me(), request.query, request.conversation_id, request.page_size, request.page_token
        )
        return api.SearchMessagesResponse(
            messages=[message_message(message) for message in messages], next_page_token=token
        )

    async def Sync(self, request: api.SyncRequest, context: Context) -> api.SyncResponse:
        if request.HasField("sync_token"):
            return await self._sync_account(request)
        since = _instant("since_time", request.since_time) if request.HasField("since_time") else None
        cursors = [(cursor.conversation_id, cursor.seq, cursor.revision) for cursor in request.cursors]
        catchup = await self._messaging.sync(_me(), cursors, request.limit, since)
        return api.SyncResponse(
            deltas=[delta_message(delta) for delta in catchup.deltas],
            has_more=catchup.has_more,
            sync_time=to_timestamp(catchup.sync_time),
            gone_conversation_ids=[str(conversation_id) for conversation_id in catchup.gone],
        )

    async def _sync_account(self, request: api.SyncRequest) -> api.SyncResponse:
        cursors = [(cursor.conversation_id, cursor.seq, cursor.revision) for cursor in request.cursors]
        wanted = AccountSyncRequest(request.sync_token, cursors, request.limit, request.page_size)
        catchup, token = await self._messaging.sync_account(_me(), wanted)
        return api.SyncResponse(
            deltas=[delta_message(delta) for delta in catchup.deltas],
            has_more=catchup.has_more,
            gone_conversation_ids=[str(conversation_id) for conversation_id in catchup.gone],
            sync_token=token,
        )

    async def MarkRead(self, request: api.MarkReadRequest, context: Context) -> api.MarkReadResponse:
        read_seq = await self._receipts.mark_read(_me(), request.conversation_id, request.seq)
        return api.MarkReadResponse(read_seq=read_seq)

    async def MarkDelivered(self, request: api.MarkDeliveredRequest, context: Context) -> api.MarkDeliveredResponse:
        await self._receipts.mark_delivered(_me(), [(cursor.conversation_id, cursor.seq) for cursor in request.cursors])
        return api.MarkDeliveredResponse()

    async def SetVanishing(self, request: api.SetVanishingRequest, context: Context) -> api.SetVanishingResponse:
        length = _length("vanish_after", request.vanish_after)
        conversation = await self._vanishing.set_vanishing(_me(), request.conversation_id, length)
        return api.SetVanishingResponse(conversation=conversation_message(conversation))

    async def UpdateOwnState(self, request: api.UpdateOwnStateRequest, context: Context) -> api.UpdateOwnStateResponse:
        change = OwnChange(
            pinned=request.pinned if request.HasField("pinned") else None,
            archived=request.archived if request.HasField("archived") else None,
            marked_unread=request.marked_unread if request.HasField("marked_unread") else None,
            mute_until=_instant("mute_end_time", request.mute_end_time) if request.HasField("mute_end_time") else None,
        )
        state = await self._messaging.update_own_state(_me(), request.conversation_id, change)
        return api.UpdateOwnStateResponse(own_state=forms.own_state_message(state))

    async def CreateGroup(self, request: api.CreateGroupRequest, context: Context) -> api.CreateGroupResponse:
        wanted = GroupRequest(
            *(request.client_conversation_id, request.title, request.user_ids),
            *(request.avatar_ref, request.history_open, _add_audience(request.add_audience)),
        )
        group = await self._groups.create_group(_me(), wanted)
        return api.CreateGroupResponse(conversation=conversation_message(group))

    async def UpdateGroup(self, request: api.UpdateGroupRequest, context: Context) -> api.UpdateGroupResponse:
        settings = Settings(
            title=request.title if request.HasField("title") else None,
            avatar_ref=request.avatar_ref if request.HasField("avatar_ref") else None,
            history_open=request.history_open if request.HasField("history_open") else None,
            add_audience=_add_audience(request.add_audience),
        )
        group = await self._groups.update_group(_me(), request.conversation_id, settings)
        return api.UpdateGroupResponse(conversation=conversation_message(group))

    async def AddMembers(self, request: api.AddMembersRequest, context: Context) -> api.AddMembersResponse:
        group = await self._groups.add_members(
            _me(), request.conversation_id, request.user_ids, request.client_request_id
        )
        return api.AddMembersResponse(conversation=conversation_message(group))

    async def RemoveMember(self, request: api.RemoveMemberRequest, context: Context) -> api.RemoveMemberResponse:
        group = await self._groups.remove_member(_me(), request.conversation_id, request.user_id)
        return api.RemoveMemberResponse(conversation=conversation_message(group))

    async def ListBannedUsers(
        self, request: api.ListBannedUsersRequest, context: Context
    ) -> api.ListBannedUsersResponse:
        bans, token = await self._groups.list_bans(
            _me(), request.conversation_id, request.page_size, request.page_token
        )
        return api.ListBannedUsersResponse(bans=[forms.ban_message(ban) for ban in bans], next_page_token=token)

    async def UnbanUser(self, request: api.UnbanUserRequest, context: Context) -> api.UnbanUserResponse:
        await self._groups.unban(_me(), request.conversation_id, request.user_id)
        return api.UnbanUserResponse()

    async def LeaveGroup(self, request: api.LeaveGroupRequest, context: Context) -> api.LeaveGroupResponse:
        await self._groups.leave_group(_me(), request.conversation_id)
        return api.LeaveGroupResponse()

    async def SetMemberRole(self, request: api.SetMemberRoleRequest, context: Context) -> api.SetMemberRoleResponse:
        role = forms.role_of(request.role)
        group = await self._groups.set_role(_me(), request.conversation_id, request.user_id, role)
        return api.SetMemberRoleResponse(conversation=conversation_message(group))

    async def CreateInvite(self, request: api.CreateInviteRequest, context: Context) -> api.CreateInviteResponse:
        token, expires_at = await self._groups.create_invite(_me(), request.conversation_id)
        invite = messages_pb2.Invite(
            token=token, conversation_id=request.conversation_id, expire_time=to_timestamp(expires_at)
        )
        return api.CreateInviteResponse(invite=invite)

    async def RevokeInvites(self, request: api.RevokeInvitesRequest, context: Context) -> api.RevokeInvitesResponse:
        await self._groups.revoke_invites(_me(), request.conversation_id)
        return api.RevokeInvitesResponse()

    async def JoinByInvite(self, request: api.JoinByInviteRequest, context: Context) -> api.JoinByInviteResponse:
        group = await self._groups.join_by_invite(_me(), request.token, request.client_request_id)
        return api.JoinByInviteResponse(conversation=conversation_message(group))

    async def EditMessage(self, request: api.EditMessageRequest, context: Context) -> api.EditMessageResponse:
        message = await self._messaging.edit_message(
            _me(), request.conversation_id, request.seq, read_text(request.text)
        )
        return api.EditMessageResponse(message=message_message(message))

    async def ListEdits(self, request: api.ListEditsRequest, context: Context) -> api.ListEditsResponse:
        edits = await self._messaging.list_edits(_me(), request.conversation_id, request.seq)
        return api.ListEditsResponse(edits=[forms.edit_message(edit) for edit in edits])

    async def UnsendMessage(self, request: api.UnsendMessageRequest, context: Context) -> api.UnsendMessageResponse:
        message = await self._messaging.unsend_message(_me(), request.conversation_id, request.seq)
        return api.UnsendMessageResponse(message=message_message(message))

    async def SetReaction(self, request: api.SetReactionRequest, context: Context) -> api.SetReactionResponse:
        message = await self._messaging.set_reaction(
            _me(), request.conversation_id, request.seq, request.emoji, present=request.present
        )
        return api.SetReactionResponse(message=message_message(message))
