"""Calls as rows: what the statements bind, and what they give back."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from services.runtime.quiet_hours import QuietHours
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.model import (
    OUTSIDE,
    Call,
    CallId,
    CallState,
    ConversationId,
    DeviceId,
    EndReason,
    FormerWorker,
    Leg,
    LegState,
    LinkId,
    MoveReason,
    ScheduledId,
    UserId,
    Worker,
    WorkerId,
)
from services.signaling.core.quality import DirectionTotals, QualityKey

# What a change of a call may change, in the order of `changing`; and what stays, in the order of `fixed`.
CHANGING = (
    "state",
    "end_reason",
    "worker_id",
    "worker_address",
    "worker_start_time",
    "locked",
    "spread",
    "media_epoch",
    "move_reason",
    "move_time",
    "former_worker_id",
    "former_worker_address",
    "former_worker_start_time",
    "former_close_time",
    "ring_deadline",
    "answer_time",
    "media_time",
    "end_time",
    "due_time",
    "version",
)
FIXED = ("conversation_id", "caller_id", "video", "is_group", "capacity", "create_time", "trace", "scheduled_id")
LEG = (
    ("user_id", "text"),
    ("position", "smallint"),
    ("state", "text"),
    ("device_id", "text"),
    ("former_device_id", "text"),
    ("media_up", "boolean"),
    ("media_report_time", "timestamptz"),
    ("media_deadline", "timestamptz"),
    ("closed_deadline", "timestamptz"),
    ("join_time", "timestamptz"),
    ("leave_time", "timestamptz"),
    ("hand_raise_time", "timestamptz"),
    ("mute_request_time", "timestamptz"),
    ("listed", "boolean"),
    ("seat_time", "timestamptz"),
    ("guest_link_id", "uuid"),
    ("knock_time", "timestamptz"),
    ("outside", "text"),
    ("media_worker_id", "text"),
    ("media_worker_address", "text"),
    ("media_worker_start_time", "timestamptz"),
    ("former_media_worker_id", "text"),
    ("former_media_worker_address", "text"),
    ("former_media_worker_start_time", "timestamptz"),
    ("epoch_offset", "integer"),
)
TOTALS = ("duration_s", "packets", "bytes", "lost", "jitter_ms_s", "max_jitter_ms", "rtt_ms_s", "rtt_s", "max_rtt_ms")


def changing(call: Call) -> Iterable[Any]:
    """The call's id, then CHANGING."""
    former = call.former
    return (
        UUID(call.call_id),
        call.state.value,
        call.end_reason.value if call.end_reason else None,
        *_worker_values(call.worker),
        call.locked,
        call.spread,
        call.media_epoch,
        call.move_reason.value if call.move_reason else None,
        call.move_time,
        *_worker_values(former.worker if former else None),
        former.close_time if former else None,
        call.ring_deadline,
        call.answer_time,
        call.media_time,
        call.end_time,
        call.due_time,
        call.version,
    )


def fixed(call: Call) -> Iterable[Any]:
    """FIXED."""
    return (
        call.conversation_id,
        call.caller_id,
        call.video,
        call.group,
        call.capacity,
        call.create_time,
        call.trace,
        UUID(call.scheduled_id) if call.scheduled_id else None,
    )


def legs(call: Call) -> Iterable[Any]:
    """The call's id, then a column for each of LEG."""
    listed = set(call.audience) if call.state is not CallState.ENDED else set()
    rows = [
        (
            leg.user_id,
            position,
            _stored_state(leg),
            leg.device_id,
            leg.former_device_id,
            leg.media_up,
            leg.media_report_time,
            leg.media_deadline,
            leg.closed_deadline,
            leg.join_time,
            leg.leave_time,
            leg.hand_raise_time,
            leg.mute_request_time,
            leg.user_id in listed,
            leg.device_join_time,
            UUID(leg.link_id) if leg.link_id else None,
            leg.knock_time,
            leg.state.value if leg.state in OUTSIDE else None,
            *_worker_values(leg.worker),
            *_worker_values(leg.former_worker),
            leg.epoch_offset,
        )
        for position, leg in enumerate(call.legs)
    ]
    return (UUID(call.call_id), *(list(column) for column in zip(*rows, strict=True)))


def to_calls(rows: Iterable[asyncpg.Record]) -> list[Call]:
    """Calls from their rows, those of one call in a row."""
    return [to_call(list(group)) for _, group in groupby(rows, key=lambda row: row["call_id"])]


def to_call(rows: Sequence[asyncpg.Record]) -> Call:
    """A call from its rows, one a leg, in their order."""
    row = rows[0]
    state = CallState(row["state"])
    former = _worker(row, "former_worker")
    return Call(
        call_id=CallId(str(row["call_id"])),
        conversation_id=ConversationId(row["conversation_id"]),
        caller_id=UserId(row["caller_id"]),
        video=row["video"],
        state=state,
        legs=tuple(_leg(row, state) for row in rows),
        create_time=row["create_time"],
        ring_deadline=row["ring_deadline"],
        version=row["version"],
        group=row["is_group"],
        capacity=row["capacity"],
        locked=row["locked"],
        spread=row["spread"],
        worker=_worker(row, "worker"),
        media_epoch=row["media_epoch"],
        move_reason=MoveReason(row["move_reason"]) if row["move_reason"] else None,
        move_time=row["move_time"],
        former=FormerWorker(former, row["former_close_time"]) if former else None,
        end_reason=EndReason(row["end_reason"]) if row["end_reason"] else None,
        answer_time=row["answer_time"],
        media_time=row["media_time"],
        end_time=row["end_time"],
        trace=row["trace"],
        scheduled_id=ScheduledId(str(row["scheduled_id"])) if row["scheduled_id"] else None,
    )


def to_settings(row: asyncpg.Record) -> CallSettings:
    """How one person wants to be rung."""
    if row["quiet_time_zone"] is None:
        return CallSettings(row["call_waiting"])
    hours = QuietHours(
        row["quiet_start_minute"], row["quiet_end_minute"], row["quiet_time_zone"], tuple(row["quiet_weekdays"])
    )
    return CallSettings(row["call_waiting"], hours)


def quality_key(key: QualityKey) -> Iterable[Any]:
    """Call, user, device, worker."""
    return (UUID(key.call_id), key.user_id, key.device_id, key.worker_id)


def totals(sums: DirectionTotals) -> Iterable[Any]:
    """TOTALS."""
    return tuple(getattr(sums, name) for name in TOTALS)


def to_totals(row: asyncpg.Record) -> DirectionTotals:
    """One direction of one device's media."""
    return DirectionTotals(*(row[name] for name in TOTALS))


def _worker_values(worker: Worker | None) -> tuple[str | None, str | None, datetime | None]:
    return (worker.worker_id, worker.address, worker.start_time) if worker else (None, None, None)


def _worker(row: asyncpg.Record, name: str) -> Worker | None:
    if row[f"{name}_id"] is None:
        return None
    return Worker(WorkerId(row[f"{name}_id"]), row[f"{name}_address"], row[f"{name}_start_time"])


def _leg(row: asyncpg.Record, state: CallState) -> Leg:
    return Leg(
        user_id=UserId(row["user_id"]),
        state=_leg_state(row, state),
        device_id=DeviceId(row["device_id"]) if row["device_id"] else None,
        former_device_id=DeviceId(row["former_device_id"]) if row["former_device_id"] else None,
        media_up=row["media_up"],
        media_report_time=row["media_report_time"],
        media_deadline=row["media_deadline"],
        closed_deadline=row["closed_deadline"],
        join_time=row["join_time"],
        leave_time=row["leave_time"],
        hand_raise_time=row["hand_raise_time"],
        mute_request_time=row["mute_request_time"],
        device_join_time=row["seat_time"],
        link_id=LinkId(str(row["guest_link_id"])) if row["guest_link_id"] else None,
        knock_time=row["knock_time"],
        worker=_worker(row, "media_worker"),
        former_worker=_worker(row, "former_media_worker"),
        epoch_offset=row["epoch_offset"],
    )


def _stored_state(leg: Leg) -> str:
    """Replicas that know no guests take who is outside for somebody who went, and tell them nothing."""
    return (LegState.GONE if leg.state in OUTSIDE else leg.state).value


def _leg_state(row: asyncpg.Record, state: CallState) -> LegState:
    if row["outside"] is not None and row["leg_state"] == LegState.GONE.value:
        return LegState(row["outside"])
    if row["leg_state"] is not None:
        return LegState(row["leg_state"])
    # Written during a rolling update by a replica that knows no groups.
    if row["device_id"]:
        return LegState.JOINED
    return LegState.RINGING if state is CallState.RINGING else LegState.NOT_IN_CALL
