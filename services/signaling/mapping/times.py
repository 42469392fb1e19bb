"""Times as protobufs."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp


def encode_time(time: datetime | None) -> Timestamp | None:
    """The time as a Timestamp; None stays None, which leaves a field absent."""
    if time is None:
        return None
    encoded = Timestamp()
    encoded.FromDatetime(time)
    return encoded
