"""The methods of MessagingService about groups."""

import grpc
from parley.messaging.v1 import messages_pb2, service_pb2_grpc
from parley.messaging.v1 import service_pb2 as api

from services.messaging.groups.core.changes import Settings
from services.messaging.groups.mapping import ban_message, role_of
from services.messaging.groups.service import GroupRequest, Groups
from services.messaging.kernel import errors
from services.messaging.wire.api import conversation_message
from services.messaging.wire.requests import add_audience, me
from services.messaging.wire.values import to_timestamp
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Context

_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.MemberNotFound: Refusal(_CODE.NOT_FOUND, "MEMBER_NOT_FOUND"),
    errors.InviteNotFound: Refusal(_CODE.NOT_FOUND, "INVITE_NOT_FOUND"),
    errors.Banned: Refusal(_CODE.PERMISSION_DENIED, "BANNED"),
    errors.RoleTooLow: Refusal(_CODE.PERMISSION_DENIED, "ROLE_TOO_LOW"),
    errors.NotAGroup: Refusal(_CODE.FAILED_PRECONDITION, "NOT_A_GROUP"),
    errors.TooManyMembers: Refusal(_CODE.RESOURCE_EXHAUSTED, "TOO_MANY_MEMBERS"),
}


class GroupsRpcs(service_pb2_grpc.MessagingServiceServicer):
    """Translates; the use-cases stand in service.py. The servicer of messaging's rpc.py is made of these."""

    _groups: Groups

    async def CreateGroup(self, request: api.CreateGroupRequest, context: Context) -> api.CreateGroupResponse:
        wanted = GroupRequest(
            *(request.client_conversation_id, request.title, request.user_ids),
            *(request.avatar_ref, request.history_open, add_audience(request.add_audience)),
        )
        group = await self._groups.create_group(me(), wanted)
        return api.CreateGroupResponse(conversation=conversation_message(group))

    async def UpdateGroup(self, request: api.UpdateGroupRequest, context: Context) -> api.UpdateGroupResponse:
        settings = Settings(
            title=request.title if request.HasField("title") else None,
            avatar_ref=request.avatar_ref if request.HasField("avatar_ref") else None,
            history_open=request.history_open if request.HasField("history_open") else None,
            add_audience=add_audience(request.add_audience),
        )
        group = await self._groups.update_group(me(), request.conversation_id, settings)
        return api.UpdateGroupResponse(conversation=conversation_message(group))

    async def AddMembers(self, request: api.AddMembersRequest, context: Context) -> api.AddMembersResponse:
        group = await self._groups.add_members(
            me(), request.conversation_id, request.user_ids, request.client_request_id
        )
        return api.AddMembersResponse(conversation=conversation_message(group))

    async def RemoveMember(self, request: api.RemoveMemberRequest, context: Context) -> api.RemoveMemberResponse:
        group = await self._groups.remove_member(me(), request.conversation_id, request.user_id)
        return api.RemoveMemberResponse(conversation=conversation_message(group))

    async def ListBannedUsers(
        self, request: api.ListBannedUsersRequest, context: Context
    ) -> api.ListBannedUsersResponse:
        bans, token = await self._groups.list_bans(me(), request.conversation_id, request.page_size, request.page_token)
        return api.ListBannedUsersResponse(bans=[ban_message(ban) for ban in bans], next_page_token=token)

    async def UnbanUser(self, request: api.UnbanUserRequest, context: Context) -> api.UnbanUserResponse:
        await self._groups.unban(me(), request.conversation_id, request.user_id)
        return api.UnbanUserResponse()

    async def LeaveGroup(self, request: api.LeaveGroupRequest, context: Context) -> api.LeaveGroupResponse:
        await self._groups.leave_group(me(), request.conversation_id)
        return api.LeaveGroupResponse()

    async def SetMemberRole(self, request: api.SetMemberRoleRequest, context: Context) -> api.SetMemberRoleResponse:
        role = role_of(request.role)
        group = await self._groups.set_role(me(), request.conversation_id, request.user_id, role)
        return api.SetMemberRoleResponse(conversation=conversation_message(group))

    async def CreateInvite(self, request: api.CreateInviteRequest, context: Context) -> api.CreateInviteResponse:
        token, expires_at = await self._groups.create_invite(me(), request.conversation_id)
        invite = messages_pb2.Invite(
            token=token, conversation_id=request.conversation_id, expire_time=to_timestamp(expires_at)
        )
        return api.CreateInviteResponse(invite=invite)

    async def RevokeInvites(self, request: api.RevokeInvitesRequest, context: Context) -> api.RevokeInvitesResponse:
        await self._groups.revoke_invites(me(), request.conversation_id)
        return api.RevokeInvitesResponse()

    async def JoinByInvite(self, request: api.JoinByInviteRequest, context: Context) -> api.JoinByInviteResponse:
        group = await self._groups.join_by_invite(me(), request.token, request.client_request_id)
        return api.JoinByInviteResponse(conversation=conversation_message(group))
