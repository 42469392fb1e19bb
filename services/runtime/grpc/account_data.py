"""AccountDataService: what a service keeps of a person, for the person's export. Every service that keeps some serves
it, and differs in what it reads."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parley.accounts.v1 import service_pb2 as api
from parley.accounts.v1 import service_pb2_grpc

from services.runtime.errors import InvalidRequest
from services.runtime.grpc.guard import Access, Context
from services.runtime.grpc.server import Api
from services.runtime.user_ids import is_user_id


@dataclass(frozen=True)
class AccountPage:
    """Rows of a person, each under the name of its lines, and the token of the page that follows, if one does."""

    rows: Sequence[tuple[str, Mapping[str, object]]]
    following: str = ""


# Of a user id and a page's token, which is empty for the first; raises InvalidRequest for a token that is none of the
# service's, and StoreUnavailable.
ReadPage = Callable[[str, str], Awaitable[AccountPage]]


class AccountDataServicer(service_pb2_grpc.AccountDataServiceServicer):
    """Each row as a line of JSON, `{"type": name, name: fields}`."""

    def __init__(self, read: ReadPage) -> None:
        self._read = read

    async def ReadAccount(self, request: api.ReadAccountRequest, context: Context) -> api.ReadAccountResponse:
        if not is_user_id(request.user_id):
            raise InvalidRequest("user_id", "is not a user id")
        page = await self._read(request.user_id, request.page_token)
        return api.ReadAccountResponse(
            lines=[_line(name, fields) for name, fields in page.rows], next_page_token=page.following
        )


def api_of(read: ReadPage) -> Api:
    """What a server serves; messaging alone may call it."""
    servicer = AccountDataServicer(read)
    return Api(
        "parley.accounts.v1.AccountDataService",
        Access.SERVICE,
        lambda server: service_pb2_grpc.add_AccountDataServiceServicer_to_server(servicer, server),
    )


def _line(name: str, fields: Mapping[str, object]) -> str:
    return json.dumps({"type": name, name: fields}, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    """Times and ids as texts."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
