"""AccountDataService over gRPC: what presence keeps of a person, for the person's export."""

import json

from parley.accounts.v1 import service_pb2 as api
from parley.accounts.v1 import service_pb2_grpc

from services.presence.core.model import UserId
from services.presence.ports import StateStore
from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.user_ids import is_user_id


def apis(store: StateStore) -> list[Api]:
    """What the server serves."""
    servicer = AccountDataServicer(store)
    return [
        Api(
            "parley.accounts.v1.AccountDataService",
            Access.SERVICE,
            lambda server: service_pb2_grpc.add_AccountDataServiceServicer_to_server(servicer, server),
        )
    ]


class AccountDataServicer(service_pb2_grpc.AccountDataServiceServicer):
    """One page with the person's one row."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def ReadAccount(self, request: api.ReadAccountRequest, context: Context) -> api.ReadAccountResponse:
        if not is_user_id(request.user_id):
            raise InvalidRequest("user_id", "is not a user id")
        row = await self._store.read(UserId(request.user_id))
        lines = [json.dumps({"type": "presence", "presence": row}, ensure_ascii=False)] if row else []
        return api.ReadAccountResponse(lines=lines)
