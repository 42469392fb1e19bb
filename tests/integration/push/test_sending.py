"""From what happened to what devices show, by each provider, whatever the provider does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.push.core.model import (
    ConversationId,
    Facts,
    MessageId,
    Provider,
    RequestState,
    UserId,
    conversation_key,
)
from services.push.core.news import CallRang, MessageChanged, MessageSent, RelationsChanged, RingEnded, Told
from services.push.service import MAX_PEOPLE
from tests.integration.push.conftest import BOB, CONVERSATION, ME, Push
from tests.support.http2_server import Reply
from tests.support.push_providers.provider import Provider as Fake
from tests.support.waiting import eventually, until

ALL = (Provider.APNS, Provider.FCM, Provider.WEB_PUSH, Provider.NETWORK)
KEY = conversation_key(CONVERSATION)


def fake_of(push: Push, provider: Provider) -> Fake:
    """Who carries by it."""
    return {
        Provider.APNS: push.apns,
        Provider.APNS_VOIP: push.apns,
        Provider.FCM: push.fcm,
        Provider.WEB_PUSH: push.web,
        Provider.NETWORK: push.network,
    }[provider]


@pytest.mark.parametrize("provider", ALL)
async def test_a_message_is_shown_and_taken_back_when_it_was_read_elsewhere(push: Push, provider: Provider) -> None:
    await push.replica()
    token, fake = await push.device(provider), fake_of(push, provider)
    seq = await push.say("how are you?")
    await until(lambda: fake.screen(token).get(KEY), what="the notice")
    shown = fake.screen(token)[KEY]
    words = shown.get("text") or shown["aps"]["alert"]["body"]
    assert (shown["kind"], words, str(shown["badge"])) == ("message", "how are you?", "1")
    await push.read(seq)
    await until(lambda: KEY not in fake.screen(token), what="the notice to go")
    assert str(fake.of(token)[-1]["badge"]) == "0"
    assert len(fake.of(token)) == 2


async def test_every_device_has_one_notice_and_one_number(push: Push) -> None:
    await push.replica()
    tokens = {provider: await push.device(provider) for provider in ALL}
    other = ConversationId(str(UUID(int=8)))
    await push.say("one")
    await push.say("two", other)
    await eventually(push.is_idle, what="all to be sent")
    for provider, token in tokens.items():
        shown = fake_of(push, provider).screen(token)
        assert set(shown) == {KEY, conversation_key(other)}
        assert max(int(one["badge"]) for one in shown.values()) == 2


async def test_what_was_read_before_it_was_sent_is_never_sent(push: Push) -> None:
    token = await push.device(Provider.FCM)
    await push.read(await push.say())
    await push.replica()
    other = await push.device(Provider.FCM)
    seq = await push.say("later")
    await until(lambda: all(push.fcm.screen(each).get(KEY) for each in (token, other)), what="the later notice")
    assert [one["seq"] for one in push.fcm.of(token)] == [str(seq)]


async def test_who_is_at_a_device_may_read_it_there_first(push: Push) -> None:
    await push.replica()
    # Before there is a device to tell: who registers one has come long ago.
    await push.notices.note_attended({ME: True})
    await push.device(Provider.FCM)
    seq = await push.say()
    (waiting,) = await push.rows("SELECT due > clock_timestamp() + interval '5 seconds' AS is_later FROM deliveries")
    assert waiting["is_later"]
    await push.read(seq)
    assert await push.rows("SELECT 1 FROM deliveries") == []
    # A ring does not wait.
    now = datetime.now(UTC)
    await push.tell(CallRang(str(uuid4()), CONVERSATION, BOB, True, now, now + timedelta(seconds=45)))
    await until(lambda: push.fcm.arrivals, what="the ring")
    assert [one.fields["kind"] for one in push.fcm.arrivals] == ["call"]
    await push.notices.note_attended({ME: False, BOB: True})
    await push.say("away")
    await until(lambda: len(push.fcm.arrivals) == 2, what="the notice of who is away")


async def test_a_provider_that_is_down_delays_itself_alone_and_then_shows_the_newest_alone(push: Push) -> None:
    await push.replica()
    down, well = await push.device(Provider.FCM), await push.device(Provider.APNS)
    push.fcm.is_down = True
    for number in range(3):
        seq = await push.say(f"number {number}")
        await until(lambda seq=seq: push.apns.screen(well).get(KEY, {}).get("seq") == seq, what="the one that is well")
    assert push.fcm.arrivals == []
    await push.say("at last")
    # What was claimed before it has failed.
    await eventually(push.is_unclaimed, what="no attempt of before")
    push.fcm.is_down = False
    await until(lambda: push.fcm.screen(down), what="the one that was down")
    assert [one["text"] for one in push.fcm.of(down)] == ["at last"]


async def test_a_provider_that_hangs_delays_nobody_else(push: Push) -> None:
    await push.replica()
    push.fcm.open.clear()
    slow = [await push.device(Provider.FCM) for _ in range(40)]
    quick = await push.device(Provider.WEB_PUSH)
    await push.say()
    await until(lambda: push.web.screen(quick), what="the one that is quick")
    assert push.fcm.arrivals == []
    push.fcm.open.set()
    # Of more than 20 devices the oldest are told no more.
    await until(lambda: all(push.fcm.screen(token) for token in slow[-19:]), what="the slow ones, in the end")


async def test_a_token_that_is_gone_is_forgotten_and_the_others_stay(push: Push) -> None:
    await push.replica()
    tokens = {provider: await push.device(provider) for provider in ALL}
    for provider, token in tokens.items():
        fake_of(push, provider).gone.add(token)
    stays = await push.device(Provider.APNS)
    await push.say()
    await until(lambda: push.apns.screen(stays), what="the one that stays")
    await eventually(push.is_idle, what="all to be tried")
    assert [row["address"] for row in await push.rows("SELECT address FROM tokens")] == [stays]


@pytest.mark.parametrize("provider", ALL)
async def test_an_answer_that_is_lost_shows_no_second_notice(push: Push, provider: Provider) -> None:
    await push.replica(timeout_s=0.5)
    token, fake = await push.device(provider), fake_of(push, provider)
    fake.lose_answers = 1
    await push.say()
    await eventually(push.is_idle, what="an answer")
    assert len(fake.of(token)) == 2
    assert len({one["version"] for one in fake.of(token)}) == 1
    assert list(fake.screen(token)) == [KEY]
    # The receiver knows the repetition by its id.
    assert len({one.headers.get("webhook-id") for one in push.network.arrivals}) <= 1


async def test_an_attempt_of_which_nothing_is_known_is_taken_back_too(push: Push) -> None:
    await push.replica(timeout_s=0.5)
    token = await push.device(Provider.FCM)
    push.fcm.lose_answers = 1
    seq = await push.say()
    await until(lambda: push.fcm.of(token), what="the notice of which no answer comes")
    await push.read(seq)
    await until(lambda: KEY not in push.fcm.screen(token), what="the notice to go")


async def test_what_is_refused_is_a_dead_letter_that_an_operator_sends_again_without_its_words(push: Push) -> None:
    await push.replica()
    token = await push.device(Provider.FCM)
    refusal = Reply(400, b'{"error":{"details":[{"errorCode":"INVALID_ARGUMENT"}]}}')
    # The first request is for an access token.
    await push.say("first")
    await eventually(push.is_idle, what="the first")
    push.fcm.next_replies = [refusal]
    await push.say("secret words")
    await eventually(lambda: push.operating.dead_letters(None, 10), what="the dead letter")
    (letter,) = await push.operating.dead_letters(Provider.FCM, 10)
    assert (letter.user_id, letter.attempts, letter.last_status) == (ME, 1, 400)
    assert await push.operating.dead_letters(Provider.APNS, 10) == []
    assert await push.rows("SELECT 1 FROM threads WHERE body <> ''") == []
    assert await push.operating.replay(Provider.FCM) == 1
    await until(lambda: push.fcm.screen(token).get(KEY, {}).get("seq") == "2", what="the replay")
    assert "text" not in push.fcm.screen(token)[KEY]
    assert await push.operating.replay(None) == 0


async def test_a_dead_letter_and_its_words_are_never_seen_together(push: Push) -> None:
    await push.device(Provider.FCM)
    await push.say("secret words")
    (claimed,) = await push.queue.claim(Provider.FCM, 1, 60.0, "one")
    async with push.database.connection() as looking, push.database.transaction() as holding:
        await holding.execute("SELECT FROM threads FOR UPDATE")
        ending = asyncio.create_task(push.queue.give_up(claimed, 400))

        async def waits() -> bool:
            return bool(await looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await eventually(waits, what="the end to wait for the thread")
        # A process that is killed here tries again later.
        assert await push.operating.dead_letters(None, 10) == []
    await ending
    assert len(await push.operating.dead_letters(None, 10)) == 1
    assert await push.rows("SELECT 1 FROM threads WHERE body <> ''") == []


async def test_what_is_tried_for_too_long_is_given_up_and_new_messages_are_tried_all_the_same(push: Push) -> None:
    await push.replica(retry_s=0.01)
    token = await push.device(Provider.APNS)
    push.apns.is_down = True
    await push.say()
    await eventually(lambda: push.operating.dead_letters(None, 10), what="the dead letter")
    push.apns.is_down = False
    await push.say("again")
    await until(lambda: push.apns.screen(token), what="the next")
    await eventually(push.is_idle, what="the answer")
    assert await push.operating.dead_letters(None, 10) == []


async def test_a_provider_that_asks_for_a_pause_is_left_alone(push: Push) -> None:
    await push.replica()
    await push.device(Provider.APNS)
    await push.device(Provider.APNS)
    push.apns.next_replies = [Reply(429, b'{"reason":"TooManyRequests"}', {"retry-after": "3000"})] * 2
    await push.say()
    await until(lambda: push.apns.asked == 2, what="the two that are refused")
    await eventually(
        lambda: push.rows("SELECT 1 FROM deliveries HAVING min(due) > clock_timestamp() + interval '1000 seconds'"),
        what="both to wait",
    )
    await push.say("once more")
    await push.device(Provider.FCM)
    await push.say("and more")
    await until(lambda: push.fcm.arrivals, what="another provider")
    assert push.apns.asked == 2


async def test_replicas_share_the_work_and_no_device_is_told_twice(push: Push) -> None:
    for _ in range(3):
        await push.replica()
    token = await push.device(Provider.WEB_PUSH)
    conversations = [ConversationId(str(UUID(int=100 + number))) for number in range(60)]
    for conversation in conversations:
        await push.say(conversation_id=conversation)
    await eventually(push.is_idle, what="all to be sent")
    assert len(push.web.of(token)) == len(conversations)
    assert len(push.web.screen(token)) == len(conversations)


async def test_what_a_killed_replica_was_sending_another_one_sends(push: Push) -> None:
    token = await push.device(Provider.FCM)
    seq = await push.say()
    (claimed,) = await push.queue.claim(Provider.FCM, 10, 3_600, "of a dead one")
    assert claimed.thread.notice
    assert claimed.thread.notice.seq == seq
    await push.rows("UPDATE deliveries SET due = clock_timestamp()")
    await push.replica()
    await until(lambda: push.fcm.screen(token), what="another replica")
    await eventually(push.is_idle, what="its answer")
    # Whoever comes back settles nothing any more.
    await push.queue.give_up(claimed, 500)
    assert await push.operating.dead_letters(None, 10) == []


async def test_what_comes_while_something_is_sent_is_sent_after_it(push: Push) -> None:
    await push.replica(timeout_s=30)
    token = await push.device(Provider.FCM)
    await push.say("first")
    await until(lambda: push.fcm.screen(token), what="the first")
    push.fcm.open.clear()
    before = push.fcm.asked
    await push.say("second")
    await until(lambda: push.fcm.asked > before, what="the second to hang")
    await push.say("third")
    await push.say("fourth")
    push.fcm.open.set()
    await eventually(push.is_idle, what="all to be sent")
    assert [one["text"] for one in push.fcm.of(token)] == ["first", "second", "fourth"]


async def test_a_request_says_nothing_of_who_asks_and_what(push: Push) -> None:
    await push.replica()
    tokens = {provider: await push.device(provider) for provider in ALL}
    push.messaging.facts_of[ME, CONVERSATION] = Facts(request=RequestState.PENDING)
    await push.say("buy this")
    await eventually(push.is_idle, what="all to be sent")
    for provider, token in tokens.items():
        (sent,) = fake_of(push, provider).of(token)
        assert sent["kind"] == "request"
        assert not {"text", "from_user_id", "title", "message_id"} & set(sent)
        assert "buy" not in str(sent)
        assert str(sent["quiet"]).lower() == "true"
    assert await push.rows("SELECT 1 FROM threads WHERE body <> '' OR from_user_id <> ''") == []


async def test_a_block_takes_back_what_stands(push: Push) -> None:
    await push.replica()
    token = await push.device(Provider.WEB_PUSH)
    await push.say()
    await until(lambda: push.web.screen(token), what="the notice")
    push.messaging.facts_of[ME, CONVERSATION] = Facts(is_blocked=True)
    await push.tell(RelationsChanged())
    await until(lambda: not push.web.screen(token), what="the notice to go")
    await push.say("from who is blocked")
    await eventually(push.is_idle, what="all to be sent")
    assert "from who is blocked" not in str(push.web.of(token))


async def test_the_members_of_a_group_are_decided_on_together_and_each_for_themselves(push: Push) -> None:
    """More than one transaction takes; one has read it, one is asked to join, one blocked the sender in between."""
    await push.replica()
    members = [UserId(f"member-{number:03}") for number in range(MAX_PEOPLE + 5)]
    read, asked, blocks, nobody = members[0], members[1], members[2], UserId("without-a-device")
    tokens = {user_id: await push.device(Provider.NETWORK, user_id) for user_id in members}
    push.messaging.facts_of[read, CONVERSATION] = Facts(read_seq=1)
    push.messaging.facts_of[asked, CONVERSATION] = Facts(request=RequestState.PENDING)
    said = MessageSent(CONVERSATION, MessageId(str(uuid4())), 1, BOB, datetime.now(UTC), "to all")
    other = replace(said, conversation_id=ConversationId(str(UUID(int=8))))
    told = [Told(user_id, said) for user_id in (*members, nobody)]
    push.messaging.facts_of[blocks, CONVERSATION] = Facts(is_blocked=True)
    told += [Told(blocks, RelationsChanged()), Told(blocks, other)]
    await push.notices.take(told)
    await push.notices.take(told)
    await eventually(push.is_idle, what="all to be sent")
    kinds = {user_id: [one["kind"] for one in push.network.of(token)] for user_id, token in tokens.items()}
    assert kinds == {user_id: ["message"] for user_id in members} | {read: [], asked: ["request"]}
    assert set(push.network.screen(tokens[blocks])) == {conversation_key(other.conversation_id)}


async def test_words_are_kept_until_all_devices_have_them(push: Push) -> None:
    await push.replica()
    await push.device(Provider.FCM)
    down = await push.device(Provider.APNS)
    push.apns.is_down = True
    await push.say("for both")
    await until(lambda: push.fcm.arrivals, what="the first device")
    assert await push.rows("SELECT body FROM threads") == [{"body": "for both"}]
    push.apns.is_down = False
    await push.rows("UPDATE deliveries SET due = clock_timestamp() WHERE due IS NOT NULL")
    push.wake()
    await until(lambda: push.apns.screen(down), what="the second device")
    await eventually(lambda: push.rows("SELECT 1 FROM threads WHERE body = ''"), what="the words to go")
    assert push.apns.screen(down)[KEY]["aps"]["alert"]["body"] == "for both"


async def test_what_was_taken_back_by_its_sender_goes_from_the_screens(push: Push) -> None:
    await push.replica()
    token = await push.device(Provider.APNS)
    await push.say("regretted")
    await until(lambda: push.apns.screen(token), what="the notice")
    await push.tell(MessageChanged(CONVERSATION, MessageId("m"), 1, BOB, datetime.now(UTC), is_gone=True))
    await until(lambda: not push.apns.screen(token), what="the notice to go")


async def test_a_call_rings_by_voip_alone_and_its_end_wakes_the_others_at_once(push: Push) -> None:
    await push.replica()
    android = await push.device(Provider.FCM)
    phone = await push.device(Provider.APNS)
    (row,) = await push.rows("SELECT * FROM tokens WHERE provider = 'apns'")
    voip = uuid4().hex
    await push.rows(
        "INSERT INTO tokens (id, user_id, device_id, provider, address, app, register_time)"
        " VALUES ($1, $2, $3, 'apns_voip', $4, $5, now())",
        uuid4(),
        *(ME, row["device_id"], voip, row["app"]),
    )
    now = datetime.now(UTC)
    call = str(uuid4())
    await push.tell(CallRang(call, CONVERSATION, BOB, True, now, now + timedelta(seconds=45)))
    await eventually(push.is_idle, what="the ring")
    assert push.apns.of(phone) == []
    (rang,) = push.apns.of(voip)
    assert (rang["call_id"], rang["from_user_id"], rang["video"]) == (call, BOB, True)
    assert [one.headers["priority"] for one in push.fcm.arrivals] == ["HIGH"]
    await push.tell(RingEnded(call, CONVERSATION, now + timedelta(seconds=3)))
    await eventually(push.is_idle, what="its end")
    assert push.fcm.screen(android) == {}
    assert len(push.apns.of(voip)) == 1


async def test_previews_that_are_off_leave_nothing_of_it_to_any_provider(push: Push) -> None:
    await push.replica()
    await push.devices.update_settings(ME, replace(await push.devices.settings(ME), previews=False))
    tokens = {provider: await push.device(provider) for provider in ALL}
    push.messaging.facts_of[ME, CONVERSATION] = Facts(is_group=True, title="the surprise")
    await push.say("for your eyes")
    await eventually(push.is_idle, what="all to be sent")
    for provider, token in tokens.items():
        (sent,) = fake_of(push, provider).of(token)
        assert sent["kind"] == "message"
        assert not any(word in str(sent) for word in ("for your eyes", BOB, "the surprise"))


async def test_an_access_token_that_google_takes_no_more_is_made_anew(push: Push) -> None:
    await push.replica()
    token = await push.device(Provider.FCM)
    await push.say("first")
    await until(lambda: push.fcm.screen(token), what="the first")
    push.fcm.access_tokens.clear()
    await push.say("second")
    await until(lambda: push.fcm.screen(token)[KEY]["text"] == "second", what="the second")


async def test_a_provider_is_spoken_to_over_few_connections(push: Push) -> None:
    await push.replica()
    await push.device(Provider.APNS)
    for number in range(30):
        await push.say(conversation_id=ConversationId(str(UUID(int=200 + number))))
    await eventually(push.is_idle, what="all to be sent")
    assert len(push.apns.arrivals) == 30
    assert push.apns.server.connections <= 2
