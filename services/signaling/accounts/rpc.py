"""AccountDataService over gRPC: what calls hold of a person, for the person's export."""

import json
from typing import Any

from google.protobuf.json_format import MessageToDict
from parley.accounts.v1 import service_pb2 as api
from parley.accounts.v1 import service_pb2_grpc

from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.user_ids import is_user_id
from services.runtime.uuids import parse_id
from services.signaling.accounts.ports import AccountStore, OwnCall
from services.signaling.core.model import CallId, UserId
from services.signaling.mapping import encode_place, encode_record

# Calls of one page; a call of a large group has hundreds of members. Raising it makes answers larger than gRPC takes;
# lowering it makes more pages.
PAGE_CALLS = 20


def apis(store: AccountStore) -> list[Api]:
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
    """Pages of lines: first what stands beside calls, then the calls by id."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def ReadAccount(self, request: api.ReadAccountRequest, context: Context) -> api.ReadAccountResponse:
        if not is_user_id(request.user_id):
            raise InvalidRequest("user_id", "is not a user id")
        user_id, after = UserId(request.user_id), _page(request.page_token)
        beside = [] if after else await self._store.read_rows(user_id)
        calls = await self._store.read_calls(user_id, after, PAGE_CALLS)
        lines = [_line(kind, row) for kind, row in beside]
        lines += [_call_line(own, user_id) for own in calls]
        following = calls[-1].call.call_id if len(calls) == PAGE_CALLS else ""
        return api.ReadAccountResponse(lines=lines, next_page_token=following)


def _page(token: str) -> CallId | None:
    if not token:
        return None
    call_id = parse_id(token)
    if call_id is None:
        raise InvalidRequest("page_token", "is none of ours")
    return CallId(str(call_id))


def _call_line(own: OwnCall, user_id: UserId) -> str:
    if own.call.knock_of(user_id) is None:
        return _line("call", _plain(own, user_id))
    # Of a call at whose lobby the person was, and no further, nothing else is theirs.
    return _line("lobby_place", MessageToDict(encode_place(own.call, user_id), preserving_proto_field_name=True))


def _plain(own: OwnCall, user_id: UserId) -> dict[str, Any]:
    """The call as the person is shown it, and all that was measured of the person's own devices."""
    record = encode_record(own.call.seen_by(user_id), own.quality)
    return {**MessageToDict(record, preserving_proto_field_name=True), "media": list(own.media)}


def _line(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"type": kind, kind: fields}, ensure_ascii=False)
