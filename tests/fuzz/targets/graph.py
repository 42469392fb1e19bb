"""Facts of the network's graph: one fact, or a record to be parked, whose reason quotes nothing of it."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from parley.graph.v1 import events_pb2

from services.messaging.relations.consumer import _read_event
from services.runtime.kafka.bus import Incoming, PoisonRecord

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
    time = datetime(2026, 1, 1, tzinfo=UTC)
    record = Incoming(topic="graph.events.v1", partition=0, offset=0, key=b"", value=data, time=time, trace=None)
    reason = ""
    try:
        event = _read_event(record)
    except PoisonRecord as error:
        reason = str(error)
    if reason:
        assert len(reason) < 200
    else:
        assert event.user_id != event.other_id
