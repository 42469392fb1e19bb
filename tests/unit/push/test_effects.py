"""What one device is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.push.core.effects import ATTENDED_WAIT_S, Notify, Shown, TakeBack, badge, due_after_s, effect, receivers
from services.push.core.model import (
    DeviceId,
    Notice,
    NoticeKind,
    Provider,
    Settings,
    Thread,
    Token,
    TokenId,
    call_key,
    conversation_key,
)
from services.runtime.quiet_hours import QuietHours
from tests.unit.push.test_decision import BOB, CONVERSATION, ME, NOW

NOTICE = Notice(NoticeKind.MESSAGE, CONVERSATION, NOW, 1, "m1", BOB, "hello", "the group")
THREAD = Thread(conversation_key(CONVERSATION), NOTICE, 3, (1,), 1)
CALL = Thread(
    call_key("k"),
    Notice(NoticeKind.CALL, CONVERSATION, NOW, from_user_id=BOB, call_id="k", expire_time=NOW + timedelta(seconds=45)),
    1,
)


def token(provider: Provider, device: str = "phone") -> Token:
    return Token(TokenId(f"{provider.value}-{device}"), ME, DeviceId(device), provider, "address")


FCM = token(Provider.FCM)


def test_a_device_that_shows_what_it_should_is_sent_nothing() -> None:
    assert effect(THREAD, Shown(3, is_up=True), FCM, Settings(), 1, NOW) is None


def test_a_device_is_sent_the_newest_with_everybodys_number() -> None:
    sent = effect(THREAD, Shown(1, is_up=True), FCM, Settings(), 7, NOW)
    assert isinstance(sent, Notify)
    assert (sent.notice, sent.badge, sent.key) == (NOTICE, 7, THREAD.key)


def test_without_previews_neither_words_nor_names_leave() -> None:
    sent = effect(THREAD, Shown(), FCM, Settings(previews=False), 1, NOW)
    assert isinstance(sent, Notify)
    assert (sent.notice.text, sent.notice.title, sent.notice.from_user_id) == ("", "", "")
    assert sent.notice.conversation_id == CONVERSATION


def test_in_quiet_hours_notices_make_no_sound_and_calls_do_what_signaling_decided() -> None:
    hours = Settings(quiet_hours=QuietHours(0, 0, "UTC"))
    sent, rung = (effect(thread, Shown(), FCM, hours, 0, NOW) for thread in (THREAD, CALL))
    assert isinstance(sent, Notify)
    assert isinstance(rung, Notify)
    assert sent.notice.is_quiet
    assert not rung.notice.is_quiet


def test_only_what_may_stand_on_a_device_is_taken_back() -> None:
    nothing = replace(THREAD, notice=None, version=4)
    assert isinstance(effect(nothing, Shown(3, is_up=True), FCM, Settings(), 0, NOW), TakeBack)
    # An attempt has begun, of which nothing is known.
    assert isinstance(effect(nothing, Shown(0, is_up=True), FCM, Settings(), 0, NOW), TakeBack)
    assert effect(nothing, Shown(0), FCM, Settings(), 0, NOW) is None


def test_a_ring_is_of_use_until_its_deadline() -> None:
    sent = effect(CALL, Shown(), FCM, Settings(), 0, NOW)
    assert isinstance(sent, Notify)
    assert sent.expire_time == NOW + timedelta(seconds=45)
    assert effect(CALL, Shown(), FCM, Settings(), 0, sent.expire_time) is None


def test_a_voip_token_is_told_of_rings_alone_and_then_instead_of_the_other() -> None:
    voip, apns, other = token(Provider.APNS_VOIP), token(Provider.APNS), token(Provider.APNS, "tablet")
    assert receivers(THREAD.key, [voip, apns, other, FCM]) == [apns, other, FCM]
    assert receivers(CALL.key, [voip, apns, other, FCM]) == [voip, other, FCM]


def test_the_end_of_a_ring_is_not_sent_by_voip_which_would_have_to_show_a_call() -> None:
    ended = replace(CALL, notice=None, version=2)
    assert effect(ended, Shown(1, is_up=True), token(Provider.APNS_VOIP), Settings(), 0, NOW) is None
    assert effect(ended, Shown(1, is_up=True), FCM, Settings(), 0, NOW) == TakeBack(CALL.key, 2, 0, is_urgent=True)


def test_a_notice_waits_while_the_person_is_at_a_device_and_nothing_else_does() -> None:
    assert due_after_s(THREAD, is_attended=True) == ATTENDED_WAIT_S
    assert due_after_s(THREAD, is_attended=False) == 0
    assert due_after_s(CALL, is_attended=True) == 0
    assert due_after_s(replace(THREAD, notice=None), is_attended=True) == 0


def test_the_number_counts_messages_and_no_requests() -> None:
    request = replace(THREAD, notice=replace(NOTICE, kind=NoticeKind.REQUEST), seqs=(1, 2))
    read = replace(THREAD, notice=None, seqs=())
    assert badge([THREAD, replace(THREAD, seqs=(2, 5)), request, read, CALL]) == 3
