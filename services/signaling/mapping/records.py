"""Calls that have ended as protobufs, with how good they were."""

from collections.abc import Sequence

from parley.calls.v1 import messages_pb2

from services.signaling.core.model import (
    Call,
)
from services.signaling.core.quality import DirectionTotals, UserQuality
from services.signaling.mapping.calls import encode_call


def encode_record(call: Call, quality: Sequence[UserQuality]) -> messages_pb2.CallRecord:
    """A call that has ended, and how good it was."""
    return messages_pb2.CallRecord(call=encode_call(call), quality=[_encode_quality(each) for each in quality])


def _encode_quality(quality: UserQuality) -> messages_pb2.ParticipantQuality:
    return messages_pb2.ParticipantQuality(
        user_id=quality.user_id,
        duration_s=max(quality.uplink.duration_s, quality.downlink.duration_s),
        uplink=_encode_totals(quality.uplink),
        downlink=_encode_totals(quality.downlink),
    )


def _encode_totals(totals: DirectionTotals) -> messages_pb2.LegSummary:
    return messages_pb2.LegSummary(
        packets=totals.packets,
        bytes=totals.bytes,
        loss_ratio=totals.loss_ratio,
        jitter_ms=totals.jitter_ms,
        max_jitter_ms=totals.max_jitter_ms,
        rtt_ms=totals.rtt_ms,
        max_rtt_ms=totals.max_rtt_ms,
    )
