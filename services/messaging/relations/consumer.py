"""What relations consume: the network's graph."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from parley.graph.v1 import events_pb2

from services.messaging.kernel.checks import check_user_id
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import UserId
from services.messaging.relations.core.graph import GraphEvent, GraphEventKind, check_other
from services.messaging.relations.service import Relations
from services.runtime.kafka.bus import Incoming, PoisonRecord


class GraphCopy:
    """graph.events.v1 → our copy of follows, blocks and verified people. Idempotent: the later event_time holds."""

    def __init__(self, relations: Relations) -> None:
        self._relations = relations

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Take a batch in. Errors: PoisonRecord, StoreUnavailable."""
        await self._relations.apply_graph_events([_read_event(record) for record in records])


def _read_event(record: Incoming) -> GraphEvent:
    try:
        event = events_pb2.GraphEvent.FromString(record.value or b"")
        user, time = check_user_id("user_id", event.user_id), _time(event)
        match event.WhichOneof("fact"):
            case "follow_changed":
                follow = event.follow_changed
                other = _other("followed_user_id", user, follow.followed_user_id)
                return GraphEvent(GraphEventKind.FOLLOWS, user, other, follow.follows, time)
            case "block_changed":
                block = event.block_changed
                other = _other("blocked_user_id", user, block.blocked_user_id)
                return GraphEvent(GraphEventKind.BLOCKS, user, other, block.blocks, time)
            case "verification_changed":
                return GraphEvent(GraphEventKind.VERIFIED, user, UserId(""), event.verification_changed.verified, time)
    except DecodeError as error:
        raise PoisonRecord("not a GraphEvent") from error
    except InvalidField as error:
        raise PoisonRecord(f"{error.field}: {error}") from error
    raise PoisonRecord("an event of an unknown kind")


def _other(field: str, user: UserId, value: str) -> UserId:
    return check_other(field, user, check_user_id(field, value))


def _time(event: events_pb2.GraphEvent) -> datetime:
    if not event.HasField("event_time"):
        raise InvalidField("event_time", "is not set")
    try:
        return event.event_time.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidField("event_time", "is not a time") from error
