"""The guides for mobile apps show what push really sends: their examples are made here, by the code that sends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.docs.blocks import text_of
from deploy.docs.pages import ROOT
from services.push.clients import apns, fcm
from services.push.core.effects import KEEP_S, Effect, Notify, TakeBack
from services.push.core.model import (
    ConversationId,
    MessageId,
    Notice,
    NoticeKind,
    Provider,
    UserId,
    call_key,
    conversation_key,
)
from tests.unit.push.test_effects import token

ANDROID, IOS = "docs/start/android.md", "docs/start/ios.md"
AT = datetime(2026, 5, 4, 12, tzinfo=UTC)
CONVERSATION = ConversationId("01a00000-0000-7000-8000-00000000000a")
CALL_ID = "01a00000-0000-7000-8000-00000000000c"
BOB = UserId("bob")
SAID = Notify(
    conversation_key(CONVERSATION),
    3,
    Notice(
        NoticeKind.MESSAGE,
        CONVERSATION,
        AT,
        7,
        MessageId("01a00000-0000-7000-8000-000000000007"),
        BOB,
        "hello",
        "the group",
    ),
    2,
    AT + timedelta(seconds=KEEP_S),
)
RING_END = AT + timedelta(seconds=45)
RING = Notify(
    call_key(CALL_ID),
    1,
    Notice(NoticeKind.CALL, CONVERSATION, AT, from_user_id=BOB, call_id=CALL_ID, video=True, expire_time=RING_END),
    2,
    RING_END,
)
RING_OVER = TakeBack(call_key(CALL_ID), 2, 2, is_urgent=True)
READ = TakeBack(conversation_key(CONVERSATION), 4, 1)
APPLE = replace(token(Provider.APNS), app="BUNDLE")
VOIP = replace(token(Provider.APNS_VOIP), app="BUNDLE")


@pytest.mark.parametrize(("number", "sent"), list(enumerate((SAID, RING, RING_OVER))))
def test_the_guide_for_android_shows_what_fcm_is_sent(number: int, sent: Effect) -> None:
    shown = json.loads(text_of(ANDROID, "json", number))
    assert shown == fcm.message_of(replace(token(Provider.FCM), address="…"), sent, AT.timestamp())


@pytest.mark.parametrize(("number", "sent"), list(enumerate((SAID, RING, READ))))
def test_the_guide_for_ios_shows_what_apns_is_sent(number: int, sent: Effect) -> None:
    assert json.loads(text_of(IOS, "json", number)) == apns.body_of(sent)


def test_the_headers_for_apns_are_as_the_guide_for_ios_says() -> None:
    said, ring, read = apns.headers_of(APPLE, SAID), apns.headers_of(VOIP, RING), apns.headers_of(APPLE, READ)
    assert (said["apns-push-type"], said["apns-priority"], said["apns-collapse-id"]) == ("alert", "10", SAID.key)
    assert (ring["apns-push-type"], ring["apns-priority"], ring["apns-topic"]) == ("voip", "10", "BUNDLE.voip")
    assert (ring["apns-expiration"], "apns-collapse-id" in ring) == (str(int(RING_END.timestamp())), False)
    assert (read["apns-push-type"], read["apns-priority"], read["apns-expiration"]) == ("alert", "5", "0")


def test_the_guide_for_ios_names_every_key_of_an_alert_that_has_no_text() -> None:
    page = (ROOT / IOS).read_text()
    assert [kind for kind in NoticeKind if f"`PARLEY_{kind.name}`" not in page] == []
