"""The checker keeps of what a sleeping device is sent what the promises are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.push.core.effects import Effect, Notify, TakeBack
from services.push.core.model import ConversationId, NoticeKind, UserId, conversation_key
from services.push.core.model import Notice as Pushed
from services.push.core.payloads import payload
from tests.faults.checker.history import Notice
from tests.faults.checker.sleepers import read

CONVERSATION = str(UUID(int=7))
KEY = conversation_key(ConversationId(CONVERSATION))
NOW = datetime(2026, 5, 15, tzinfo=UTC)


def kept(sent: Effect) -> Notice:
    data = {"user_id": "alice", "device_id": "alice-asleep", "token": "t", "notice": payload(sent)}
    return read("w1", {"type": "notification.show", "data": data}, 5.0)


def test_a_notice_is_kept_with_what_it_says() -> None:
    pushed = Pushed(NoticeKind.REPLY, ConversationId(CONVERSATION), NOW, 9, "m", UserId("bob"), "yes")
    assert kept(Notify(KEY, 3, pushed, 1, NOW + timedelta(days=1))) == Notice(
        "w1", "alice", "alice-asleep", f"conversation:{CONVERSATION}", 3, "reply", 9, "bob", "yes", 5.0
    )


def test_one_that_takes_back_shows_nothing() -> None:
    thread = f"conversation:{CONVERSATION}"
    assert kept(TakeBack(KEY, 4, 0)) == Notice("w1", "alice", "alice-asleep", thread, 4, at_s=5.0)
