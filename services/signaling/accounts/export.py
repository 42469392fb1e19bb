"""What calls hold of a person: first what stands beside calls, then the calls by id."""

from google.protobuf.json_format import MessageToDict

from services.runtime.errors import InvalidRequest
from services.runtime.grpc.account_data import AccountPage, ReadPage
from services.runtime.uuids import parse_id
from services.signaling.accounts.ports import AccountStore, OwnCall
from services.signaling.core.model import CallId, UserId
from services.signaling.mapping.calls import encode_place
from services.signaling.mapping.records import encode_record

# Calls of one page; a call of a large group has hundreds of members. Raising it makes answers larger than gRPC takes;
# lowering it makes more pages.
PAGE_CALLS = 20


def pages(store: AccountStore) -> ReadPage:
    """The page after a call."""

    async def read(user_id: str, token: str) -> AccountPage:
        person, after = UserId(user_id), _call_of(token)
        beside = [] if after else await store.read_rows(person)
        calls = await store.read_calls(person, after, PAGE_CALLS)
        rows = [*beside, *(_row(own, person) for own in calls)]
        return AccountPage(rows, calls[-1].call.call_id if len(calls) == PAGE_CALLS else "")

    return read


def _call_of(token: str) -> CallId | None:
    if not token:
        return None
    call_id = parse_id(token)
    if call_id is None:
        raise InvalidRequest("page_token", "is none of ours")
    return CallId(str(call_id))


def _row(own: OwnCall, user_id: UserId) -> tuple[str, dict[str, object]]:
    if own.call.knock_of(user_id) is None:
        return "call", _plain(own, user_id)
    # Of a call at whose lobby the person was, and no further, nothing else is theirs.
    return "lobby_place", MessageToDict(encode_place(own.call, user_id), preserving_proto_field_name=True)


def _plain(own: OwnCall, user_id: UserId) -> dict[str, object]:
    """The call as the person is shown it, and all that was measured of the person's own devices."""
    record = encode_record(own.call.seen_by(user_id), own.quality)
    return {**MessageToDict(record, preserving_proto_field_name=True), "media": list(own.media)}
