"""What a notice is to the app that shows it: the same fields by every provider."""

from datetime import datetime
from typing import Any

from services.push.core.effects import Effect, Notify
from services.push.core.model import Notice, NoticeKind


def payload(sent: Effect) -> dict[str, Any]:
    """Without what is empty. Times are RFC 3339, in UTC."""
    if not isinstance(sent, Notify):
        return {"type": "take_back", "thread": sent.key, "version": sent.version, "badge": sent.badge}
    notice = sent.notice
    fields: dict[str, Any] = {
        "type": "notice",
        "thread": sent.key,
        "version": sent.version,
        "badge": sent.badge,
        "kind": notice.kind.value,
        "conversation_id": notice.conversation_id,
        "time": _text(notice.time),
        "quiet": notice.is_quiet,
        "seq": notice.seq,
        "message_id": notice.message_id,
        "from_user_id": notice.from_user_id,
        "text": notice.text,
        "title": notice.title,
        "call_id": notice.call_id,
        "video": notice.video,
        "ring_deadline_time": _time_of(notice, NoticeKind.CALL),
        "start_time": _time_of(notice, NoticeKind.CALL_REMINDER),
    }
    # A badge of 0 says something.
    return {name: value for name, value in fields.items() if value or name == "badge"}


def _time_of(notice: Notice, kind: NoticeKind) -> str:
    """Until when it is of use, where that says something."""
    return _text(notice.expire_time) if notice.expire_time and notice.kind is kind else ""


def as_texts(fields: dict[str, Any]) -> dict[str, str]:
    """For providers that carry texts alone."""
    return {name: _word(value) for name, value in fields.items()}


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
