"""Rows as the core has them, and back."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from services.push.core.model import (
    ConversationId,
    DeviceId,
    Level,
    Notice,
    NoticeKind,
    Provider,
    Settings,
    Thread,
    ThreadKey,
    Token,
    TokenId,
    UserId,
)
from services.runtime.quiet_hours import QuietHours

Row = asyncpg.Record | Mapping[str, Any]

THREAD_COLUMNS = (
    "key, version, seqs, seen_seq, read_seq, kind, conversation_id, notice_time, seq, message_id, from_user_id, body,"
    " title, is_quiet, call_id, video, expire_time"
)
TOKEN_COLUMNS = "id, user_id, device_id, provider, address, app, p256dh, auth"  # noqa: S105 - names of columns


def to_thread(row: Row) -> Thread:
    """Of a row with THREAD_COLUMNS."""
    notice = None
    if row["kind"] is not None:
        notice = Notice(
            kind=NoticeKind(row["kind"]),
            conversation_id=ConversationId(str(row["conversation_id"])),
            time=row["notice_time"],
            seq=row["seq"],
            message_id=row["message_id"],
            from_user_id=row["from_user_id"],
            text=row["body"],
            title=row["title"],
            is_quiet=row["is_quiet"],
            call_id=row["call_id"],
            video=row["video"],
            expire_time=row["expire_time"],
        )
    return Thread(ThreadKey(row["key"]), notice, row["version"], tuple(row["seqs"]), row["seen_seq"], row["read_seq"])


def of_thread(thread: Thread) -> tuple[Any, ...]:
    """The values of THREAD_COLUMNS."""
    notice = thread.notice
    head = (thread.key, thread.version, list(thread.seqs), thread.seen_seq, thread.read_seq)
    if notice is None:
        return (*head, *(None,) * 12)
    return (
        *head,
        notice.kind.value,
        UUID(notice.conversation_id),
        notice.time,
        notice.seq,
        notice.message_id,
        notice.from_user_id,
        notice.text,
        notice.title,
        notice.is_quiet,
        notice.call_id,
        notice.video,
        notice.expire_time,
    )


def to_token(row: Row) -> Token:
    """Of a row with TOKEN_COLUMNS."""
    return Token(
        TokenId(str(row["id"])),
        UserId(row["user_id"]),
        DeviceId(row["device_id"]),
        Provider(row["provider"]),
        row["address"],
        row["app"],
        bytes(row["p256dh"]),
        bytes(row["auth"]),
    )


def to_settings(row: Row, levels: Mapping[ConversationId, Level] | None = None) -> Settings:
    """Of a row of people; `levels` of conversations stand elsewhere."""
    hours = json.loads(row["quiet_hours"]) if row["quiet_hours"] else None
    return Settings(
        Level(row["level"]),
        row["previews"],
        QuietHours(**{**hours, "weekdays": tuple(hours["weekdays"])}) if hours else None,
        levels or {},
    )


def of_quiet_hours(hours: QuietHours | None) -> str | None:
    """As the column has them."""
    if hours is None:
        return None
    return json.dumps(
        {
            "start_minute": hours.start_minute,
            "end_minute": hours.end_minute,
            "time_zone": hours.time_zone,
            "weekdays": list(hours.weekdays),
        }
    )
