"""AccountService and AccountAdminService over gRPC; their errors stand in the table of messaging's rpc.py."""

import grpc
from parley.messaging.v1 import accounts_pb2 as api
from parley.messaging.v1 import accounts_pb2_grpc

from services.messaging.accounts.core.jobs import Job, JobKind
from services.messaging.accounts.service.accounts import Accounts
from services.messaging.accounts.service.signing_out import SignOuts
from services.messaging.kernel import errors
from services.messaging.kernel.model import UserId
from services.messaging.wire.api import to_timestamp
from services.runtime.errors import ErrorTable, Refusal
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.identity.auth import current_token, current_user

ACCOUNT_SERVICE = "parley.messaging.v1.AccountService"

_KINDS = {JobKind.EXPORT: api.JOB_KIND_EXPORT, JobKind.DELETION: api.JOB_KIND_DELETION}


_CODE = grpc.StatusCode

ERRORS: ErrorTable = {
    errors.AccountDeleted: Refusal(_CODE.FAILED_PRECONDITION, "ACCOUNT_DELETED"),
    errors.JobNotFound: Refusal(_CODE.NOT_FOUND, "JOB_NOT_FOUND"),
}


def apis(accounts: Accounts, sign_outs: SignOuts) -> list[Api]:
    """What the server serves of accounts."""
    public, internal = AccountServicer(accounts, sign_outs), AccountAdminServicer(accounts, sign_outs)
    return [
        Api(
            ACCOUNT_SERVICE,
            Access.USER,
            lambda server: accounts_pb2_grpc.add_AccountServiceServicer_to_server(public, server),
        ),
        Api(
            "parley.messaging.v1.AccountAdminService",
            Access.ADMIN,
            lambda server: accounts_pb2_grpc.add_AccountAdminServiceServicer_to_server(internal, server),
        ),
    ]


def _message(accounts: Accounts, job: Job) -> api.Job:
    return api.Job(
        job_id=str(job.id),
        kind=_KINDS[job.kind],
        state=api.JOB_STATE_DONE if job.finished_at else api.JOB_STATE_RUNNING,
        create_time=to_timestamp(job.created_at),
        finish_time=to_timestamp(job.finished_at) if job.finished_at else None,
        download_urls=accounts.download_urls(job),
        expire_time=to_timestamp(job.expires_at) if job.expires_at else None,
    )


class AccountServicer(accounts_pb2_grpc.AccountServiceServicer):
    """Translates; the use-cases stand in service/."""

    def __init__(self, accounts: Accounts, sign_outs: SignOuts) -> None:
        self._accounts = accounts
        self._sign_outs = sign_outs

    async def StartExport(self, request: api.StartExportRequest, context: Context) -> api.StartExportResponse:
        job = await self._accounts.start_export(current_user())
        return api.StartExportResponse(job=_message(self._accounts, job))

    async def GetJob(self, request: api.GetJobRequest, context: Context) -> api.GetJobResponse:
        job = await self._accounts.get_job(request.job_id, UserId(current_user()))
        return api.GetJobResponse(job=_message(self._accounts, job))

    async def DeleteAccount(self, request: api.DeleteAccountRequest, context: Context) -> api.DeleteAccountResponse:
        job = await self._accounts.delete(current_user(), request.confirm_user_id)
        return api.DeleteAccountResponse(job=_message(self._accounts, job))

    async def SignOutDevices(self, request: api.SignOutDevicesRequest, context: Context) -> api.SignOutDevicesResponse:
        valid_from = await self._sign_outs.devices(current_user(), request.device_ids)
        return api.SignOutDevicesResponse(tokens_valid_from_time=to_timestamp(valid_from))

    async def SignOutOtherDevices(
        self, request: api.SignOutOtherDevicesRequest, context: Context
    ) -> api.SignOutOtherDevicesResponse:
        valid_from = await self._sign_outs.others(current_user(), current_token().device_id)
        return api.SignOutOtherDevicesResponse(tokens_valid_from_time=to_timestamp(valid_from))


class AccountAdminServicer(accounts_pb2_grpc.AccountAdminServiceServicer):
    """For the network's back office."""

    def __init__(self, accounts: Accounts, sign_outs: SignOuts) -> None:
        self._accounts = accounts
        self._sign_outs = sign_outs

    async def DeleteUser(self, request: api.DeleteUserRequest, context: Context) -> api.DeleteUserResponse:
        job = await self._accounts.delete(request.user_id, request.user_id, tell_again=True)
        return api.DeleteUserResponse(job=_message(self._accounts, job))

    async def ExportUser(self, request: api.ExportUserRequest, context: Context) -> api.ExportUserResponse:
        job = await self._accounts.start_export(request.user_id)
        return api.ExportUserResponse(job=_message(self._accounts, job))

    async def GetUserJob(self, request: api.GetUserJobRequest, context: Context) -> api.GetUserJobResponse:
        job = await self._accounts.get_job(request.job_id, None)
        return api.GetUserJobResponse(job=_message(self._accounts, job))

    async def SignOutUser(self, request: api.SignOutUserRequest, context: Context) -> api.SignOutUserResponse:
        if request.device_ids:
            valid_from = await self._sign_outs.devices(request.user_id, request.device_ids)
        else:
            valid_from = await self._sign_outs.others(request.user_id)
        return api.SignOutUserResponse(tokens_valid_from_time=to_timestamp(valid_from))

    async def ListDeletedUsers(
        self, request: api.ListDeletedUsersRequest, context: Context
    ) -> api.ListDeletedUsersResponse:
        return api.ListDeletedUsersResponse(user_ids=await self._accounts.list_deleted(request.after_user_id))
