"""RelationsService, ModerationService and MembershipService over gRPC."""

import grpc
from parley.messaging.v1 import relations_pb2 as api
from parley.messaging.v1 import relations_pb2_grpc, service_pb2_grpc
from parley.messaging.v1 import service_pb2 as membership

from services.messaging.kernel.model import ConversationKind, Role
from services.messaging.relations import mapping
from services.messaging.relations.core import errors
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.core.reports import ReportRequest, State
from services.messaging.relations.service import Relations, Reports
from services.messaging.wire.api import to_timestamp
from services.messaging.wire.requests import me
from services.runtime.errors import ErrorTable, InvalidRequest, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.admin import current_admin

_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

ERRORS: ErrorTable = {
    errors.TooManyBlocks: Refusal(_EXHAUSTED, "TOO_MANY_BLOCKS"),
    errors.ConversationQuota: Refusal(_EXHAUSTED, "CONVERSATION_QUOTA"),
    errors.RequestQuota: Refusal(_EXHAUSTED, "REQUEST_QUOTA"),
    errors.ReportQuota: Refusal(_EXHAUSTED, "REPORT_QUOTA"),
    errors.ReportNotFound: Refusal(grpc.StatusCode.NOT_FOUND, "REPORT_NOT_FOUND"),
    errors.ReportClosed: Refusal(grpc.StatusCode.FAILED_PRECONDITION, "REPORT_CLOSED"),
}


def apis(relations: Relations, reports: Reports, limits: api.Limits) -> list[Api]:
    """What the server serves of relations. `limits` are sent to clients."""
    users, others, moderators = (
        RelationsServicer(relations, reports, limits),
        MembershipServicer(relations),
        ModerationServicer(reports),
    )
    return [
        Api(
            "parley.messaging.v1.RelationsService",
            Access.USER,
            lambda server: relations_pb2_grpc.add_RelationsServiceServicer_to_server(users, server),
        ),
        Api(
            "parley.messaging.v1.MembershipService",
            Access.SERVICE,
            lambda server: service_pb2_grpc.add_MembershipServiceServicer_to_server(others, server),
        ),
        Api(
            "parley.messaging.v1.ModerationService",
            Access.ADMIN,
            lambda server: relations_pb2_grpc.add_ModerationServiceServicer_to_server(moderators, server),
        ),
    ]


def _audience(field: str, value: int) -> Audience | None:
    if value == api.AUDIENCE_UNSPECIFIED:
        return None
    audience = mapping.AUDIENCES_BACK.get(api.Audience.ValueType(value))
    if audience is None:
        raise InvalidRequest(field, "is not known")
    return audience


class RelationsServicer(relations_pb2_grpc.RelationsServiceServicer):
    """Translates; the use-cases stand in service.py."""

    def __init__(self, relations: Relations, reports: Reports, limits: api.Limits) -> None:
        self._relations = relations
        self._reports = reports
        self._limits = limits

    async def GetSettings(self, request: api.GetSettingsRequest, context: Context) -> api.GetSettingsResponse:
        settings = await self._relations.get_settings(me())
        return api.GetSettingsResponse(settings=mapping.settings_message(settings), limits=self._limits)

    async def UpdateSettings(self, request: api.UpdateSettingsRequest, context: Context) -> api.UpdateSettingsResponse:
        change = SettingsChange(
            messages=_audience("message_audience", request.message_audience),
            presence=_audience("presence_audience", request.presence_audience),
            calls=_audience("call_audience", request.call_audience),
            send_receipts=request.send_receipts if request.HasField("send_receipts") else None,
        )
        settings = await self._relations.update_settings(me(), change)
        return api.UpdateSettingsResponse(settings=mapping.settings_message(settings))

    async def BlockUser(self, request: api.BlockUserRequest, context: Context) -> api.BlockUserResponse:
        await self._relations.block_user(me(), request.user_id)
        return api.BlockUserResponse()

    async def UnblockUser(self, request: api.UnblockUserRequest, context: Context) -> api.UnblockUserResponse:
        await self._relations.unblock_user(me(), request.user_id)
        return api.UnblockUserResponse()

    async def ListBlockedUsers(
        self, request: api.ListBlockedUsersRequest, context: Context
    ) -> api.ListBlockedUsersResponse:
        blocks, token = await self._relations.list_blocks(me(), request.page_size, request.page_token)
        blocked = [api.BlockedUser(user_id=block.user_id, block_time=to_timestamp(block.time)) for block in blocks]
        return api.ListBlockedUsersResponse(blocked_users=blocked, next_page_token=token)

    async def AcceptRequest(self, request: api.AcceptRequestRequest, context: Context) -> api.AcceptRequestResponse:
        await self._relations.accept_request(me(), request.conversation_id)
        return api.AcceptRequestResponse()

    async def DeclineRequest(self, request: api.DeclineRequestRequest, context: Context) -> api.DeclineRequestResponse:
        await self._relations.decline_request(me(), request.conversation_id, block=request.block)
        return api.DeclineRequestResponse()

    async def Report(self, request: api.ReportRequest, context: Context) -> api.ReportResponse:
        wanted = ReportRequest(
            client_report_id=request.client_report_id,
            conversation_id=request.conversation_id,
            seqs=request.seqs,
            reason=mapping.REASONS_BACK.get(request.reason),
            comment=request.comment,
        )
        report = await self._reports.report(me(), wanted)
        return api.ReportResponse(report_id=str(report.id))


class ModerationServicer(relations_pb2_grpc.ModerationServiceServicer):
    """For the moderators' system."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def ListReports(self, request: api.ListReportsRequest, context: Context) -> api.ListReportsResponse:
        state = mapping.STATES_BACK.get(request.state or api.REPORT_STATE_OPEN)
        if state is None:
            raise InvalidRequest("state", "is not known")
        reports, token = await self._reports.list_reports(state, request.page_size, request.page_token)
        return api.ListReportsResponse(
            reports=[mapping.report_message(report) for report in reports], next_page_token=token
        )

    async def GetReport(self, request: api.GetReportRequest, context: Context) -> api.GetReportResponse:
        report = await self._reports.get_report(request.report_id)
        return api.GetReportResponse(report=mapping.report_message(report))

    async def ResolveReport(self, request: api.ResolveReportRequest, context: Context) -> api.ResolveReportResponse:
        state = mapping.STATES_BACK.get(request.state)
        if state not in (State.UPHELD, State.DISMISSED):
            raise InvalidRequest("state", "must be UPHELD or DISMISSED")
        report = await self._reports.resolve_report(request.report_id, state, current_admin())
        return api.ResolveReportResponse(report=mapping.report_message(report))


class MembershipServicer(service_pb2_grpc.MembershipServiceServicer):
    """For Parley's other services."""

    def __init__(self, relations: Relations) -> None:
        self._relations = relations

    async def GetMembers(
        self, request: membership.GetMembersRequest, context: Context
    ) -> membership.GetMembersResponse:
        conversation, members = await self._relations.members_of(request.conversation_id, request.of_user_id)
        admins = [member.user_id for member in conversation.members if member.role is not Role.MEMBER]
        return membership.GetMembersResponse(
            user_ids=members, group=conversation.kind is ConversationKind.GROUP, admin_user_ids=admins
        )

    async def FilterContacts(
        self, request: membership.FilterContactsRequest, context: Context
    ) -> membership.FilterContactsResponse:
        contacts = await self._relations.filter_contacts(request.user_id, request.user_ids)
        return membership.FilterContactsResponse(user_ids=contacts)

    async def FilterBlocked(
        self, request: membership.FilterBlockedRequest, context: Context
    ) -> membership.FilterBlockedResponse:
        blocked = await self._relations.filter_blocked(request.user_id, request.user_ids)
        return membership.FilterBlockedResponse(user_ids=sorted(blocked))

    async def GetCallees(
        self, request: membership.GetCalleesRequest, context: Context
    ) -> membership.GetCalleesResponse:
        callees = await self._relations.callees_of(request.conversation_id, request.caller_id)
        return membership.GetCalleesResponse(
            user_ids=callees.user_ids,
            member_user_ids=callees.member_ids,
            group=callees.group,
            frozen=callees.frozen,
        )
