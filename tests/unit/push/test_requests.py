"""What each provider is sent, and what its answers mean. The protocols themselves: tests/integration/push."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.push.clients import apns, fcm, web_push
from services.push.clients.http import Response
from services.push.core.attempts import Outcome
from services.push.core.decision import PREVIEW_CHARS
from services.push.core.effects import Notify, TakeBack
from services.push.core.model import Notice, NoticeKind, Provider, call_key, conversation_key
from services.push.core.payloads import payload
from services.push.encryption import MAX_BYTES
from tests.unit.push.test_decision import BOB, CONVERSATION, NOW
from tests.unit.push.test_effects import token

KEY = conversation_key(CONVERSATION)
NOTICE = Notice(NoticeKind.MENTION, CONVERSATION, NOW, 7, "m7", BOB, "hello", "the group")
SENT = Notify(KEY, 3, NOTICE, 2, NOW + timedelta(days=1))
QUIET = replace(SENT, notice=replace(NOTICE, is_quiet=True, text=""))
RING = Notify(
    call_key("k"),
    1,
    Notice(NoticeKind.CALL, CONVERSATION, NOW, from_user_id=BOB, call_id="k", video=True, expire_time=NOW),
    0,
    NOW + timedelta(seconds=45),
)
BACK = TakeBack(KEY, 4, 1)
APPLE = replace(token(Provider.APNS), app="com.example")
VOIP = replace(token(Provider.APNS_VOIP), app="com.example")


def test_what_the_app_gets_is_the_same_everywhere_and_leaves_out_what_is_empty() -> None:
    assert payload(SENT) == {
        "type": "notice",
        "thread": KEY,
        "version": 3,
        "badge": 2,
        "kind": "mention",
        "conversation_id": CONVERSATION,
        "time": "2026-05-04T12:00:00.000Z",
        "seq": 7,
        "message_id": "m7",
        "from_user_id": BOB,
        "text": "hello",
        "title": "the group",
    }
    assert payload(BACK) == {"type": "take_back", "thread": KEY, "version": 4, "badge": 1}
    assert payload(RING)["ring_deadline_time"] == "2026-05-04T12:00:00.000Z"
    assert payload(RING)["badge"] == 0


def test_apns() -> None:
    headers, body = apns.headers_of(APPLE, SENT), apns.body_of(SENT)
    assert (headers["apns-push-type"], headers["apns-priority"], headers["apns-topic"]) == (
        "alert",
        "10",
        "com.example",
    )
    assert headers["apns-collapse-id"] == KEY
    assert body["aps"]["alert"] == {"body": "hello", "title": "the group"}
    assert (body["aps"]["badge"], body["aps"]["thread-id"], body["aps"]["sound"]) == (2, CONVERSATION, "default")
    assert "text" not in body["parley"]


def test_apns_without_a_preview_has_the_apps_own_words_and_makes_no_sound_when_it_is_quiet() -> None:
    headers, body = apns.headers_of(APPLE, QUIET), apns.body_of(QUIET)
    assert headers["apns-priority"] == "5"
    assert body["aps"]["alert"] == {"loc-key": "PARLEY_MENTION"}
    assert body["aps"]["interruption-level"] == "passive"
    assert "sound" not in body["aps"]


def test_apns_takes_back_without_an_alert_and_sets_the_badge() -> None:
    headers, body = apns.headers_of(APPLE, BACK), apns.body_of(BACK)
    assert (headers["apns-push-type"], headers["apns-priority"]) == ("alert", "5")
    assert body["aps"] == {"content-available": 1, "badge": 1}


def test_apns_rings_by_voip() -> None:
    headers = apns.headers_of(VOIP, RING)
    assert (headers["apns-push-type"], headers["apns-topic"]) == ("voip", "com.example.voip")
    assert headers["apns-expiration"] == str(int(RING.expire_time.timestamp()))
    assert "apns-collapse-id" not in headers


@given(st.text(min_size=PREVIEW_CHARS, max_size=PREVIEW_CHARS), st.text(max_size=100))
def test_the_longest_preview_fits_into_every_providers_payload(text: str, title: str) -> None:
    # JSON writes control characters with six bytes; of those a text may have some.
    text = text.encode("utf-8", "ignore").decode()
    sent = replace(SENT, notice=replace(NOTICE, text=text, title=title.encode("utf-8", "ignore").decode()))

    def size(value: Any) -> int:
        return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    assert size(apns.body_of(sent)) <= 4_096
    assert size(fcm.message_of(token(Provider.FCM), sent, NOW.timestamp())["data"]) <= 4_096
    assert size(payload(sent)) <= MAX_BYTES


def test_fcm() -> None:
    message = fcm.message_of(token(Provider.FCM), SENT, NOW.timestamp())
    assert message["token"] == "address"
    assert message["android"] == {"collapse_key": KEY, "priority": "HIGH", "ttl": "86400s"}
    assert all(isinstance(value, str) for value in message["data"].values())
    assert message["data"]["badge"] == "2"
    assert fcm.message_of(token(Provider.FCM), QUIET, 0)["android"]["priority"] == "NORMAL"
    back = fcm.message_of(token(Provider.FCM), BACK, 0)
    assert (back["android"]["priority"], back["data"]["type"]) == ("NORMAL", "take_back")
    rung = fcm.message_of(token(Provider.FCM), RING, NOW.timestamp())
    assert (rung["android"]["priority"], rung["android"]["ttl"], rung["data"]["video"]) == ("HIGH", "45s", "true")


def test_web_push() -> None:
    assert web_push.headers_of(SENT, NOW.timestamp())["urgency"] == "normal"
    assert web_push.headers_of(QUIET, NOW.timestamp())["urgency"] == "low"
    ring = web_push.headers_of(RING, NOW.timestamp())
    assert (ring["urgency"], ring["ttl"]) == ("high", "45")
    # What is taken back takes the place of the notice that the push service still has.
    assert web_push.topic_of(SENT) == web_push.topic_of(BACK) != web_push.topic_of(RING)
    assert len(web_push.topic_of(SENT)) == 32


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"", Outcome.SENT),
        (410, b'{"reason":"Unregistered","timestamp":1}', Outcome.GONE),
        (400, b'{"reason":"BadDeviceToken"}', Outcome.GONE),
        (400, b'{"reason":"PayloadEmpty"}', Outcome.REFUSED),
        (413, b'{"reason":"PayloadTooLarge"}', Outcome.REFUSED),
        (403, b'{"reason":"ExpiredProviderToken"}', Outcome.UNAVAILABLE),
        (404, b'{"reason":"BadPath"}', Outcome.REFUSED),
        (429, b'{"reason":"TooManyRequests"}', Outcome.BUSY),
        (503, b'{"reason":"Shutdown"}', Outcome.UNAVAILABLE),
        (0, b"", Outcome.UNAVAILABLE),
        (400, b"<html>", Outcome.REFUSED),
        (400, b'["reason"]', Outcome.REFUSED),
        (400, b"[" * 10_000, Outcome.REFUSED),
    ],
)
def test_what_apple_means(status: int, body: bytes, outcome: Outcome) -> None:
    assert apns.answer_of(Response(status, {}, body)).outcome is outcome


def google(code: str) -> bytes:
    return json.dumps({"error": {"details": [{"@type": "x"}, {"errorCode": code}]}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"{}", Outcome.SENT),
        (404, google("UNREGISTERED"), Outcome.GONE),
        (403, google("SENDER_ID_MISMATCH"), Outcome.GONE),
        (404, b"", Outcome.REFUSED),
        (403, b"", Outcome.UNAVAILABLE),
        (401, google("THIRD_PARTY_AUTH_ERROR"), Outcome.UNAVAILABLE),
        (400, google("INVALID_ARGUMENT"), Outcome.REFUSED),
        (429, google("QUOTA_EXCEEDED"), Outcome.BUSY),
        (500, google("INTERNAL"), Outcome.UNAVAILABLE),
        (400, google("something new"), Outcome.REFUSED),
        (400, b'{"error": {"details": ["x"]}}', Outcome.REFUSED),
        (400, b'{"error": "no"}', Outcome.REFUSED),
        (0, b"", Outcome.UNAVAILABLE),
    ],
)
def test_what_google_means(status: int, body: bytes, outcome: Outcome) -> None:
    assert fcm.answer_of(Response(status, {}, body)).outcome is outcome


def test_a_reason_is_a_word_or_nothing() -> None:
    """It goes to the log, and comes from outside."""
    assert apns.answer_of(Response(400, {}, b'{"reason":"PayloadEmpty"}')).reason == "PayloadEmpty"
    for body in (b'{"reason":"two words"}', b'{"reason":7}', json.dumps({"reason": "x" * 65}).encode()):
        assert apns.answer_of(Response(400, {}, body)).reason == ""


def test_a_pause_is_read_of_the_header() -> None:
    answer = apns.answer_of(Response(429, {"retry-after": "30"}, b'{"reason":"TooManyRequests"}'))
    assert answer.retry_after_s == 30
