"""Facts of the network's graph: one fact, or a record to be parked, whose reason quotes nothing of it."""

from google.protobuf.timestamp_pb2 import Timestamp
from parley.graph.v1 import events_pb2

from services.messaging.relations.mapping import graph_event
from services.runtime.kafka.bus import PoisonRecord

_TIME = Timestamp(seconds=1_700_000_000)
_EVENT = events_pb2.GraphEvent(user_id="alice", event_time=_TIME)
_EVENT.follow_changed.followed_user_id = "bob"
SEEDS = (
    _EVENT.SerializeToString(),
    events_pb2.GraphEvent(user_id="alice", event_time=Timestamp(seconds=1 << 62)).SerializeToString(),
    b"\xff",
    b"",
)


def fuzz(data: bytes) -> None:
    """Raises for anything but a PoisonRecord."""
    reason = ""
    try:
        event = graph_event(data)
    except PoisonRecord as error:
        reason = str(error)
    if reason:
        assert len(reason) < 200
    else:
        assert event.user_id != event.other_id
