"""How people are rung, as protobufs and back."""

from parley.calls.v1 import messages_pb2

from services.runtime.quiet_hours import QuietHours
from services.signaling.core.call_settings import CallSettings


def encode_settings(settings: CallSettings) -> messages_pb2.CallSettings:
    """How somebody wants to be rung."""
    hours = settings.quiet_hours
    if hours is None:
        return messages_pb2.CallSettings(call_waiting=settings.call_waiting)
    quiet = messages_pb2.QuietHours(
        start_minute=hours.start_minute,
        end_minute=hours.end_minute,
        time_zone=hours.time_zone,
        weekdays=hours.weekdays,
    )
    return messages_pb2.CallSettings(call_waiting=settings.call_waiting, quiet_hours=quiet)


def to_settings(encoded: messages_pb2.CallSettings) -> CallSettings:
    """The settings of a request; core.call_settings.find_fault checks them."""
    if not encoded.HasField("quiet_hours"):
        return CallSettings(encoded.call_waiting)
    hours = encoded.quiet_hours
    weekdays = tuple(sorted(set(hours.weekdays)))
    return CallSettings(
        encoded.call_waiting, QuietHours(hours.start_minute, hours.end_minute, hours.time_zone, weekdays)
    )
