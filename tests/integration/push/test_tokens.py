"""Tokens and settings, and what goes with a device or an account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from parley.accounts.v1 import service_pb2 as accounts_api

from services.push.consumer import AccountsConsumer
from services.push.core.errors import ProviderNotServed, TooManyConversations
from services.push.core.model import (
    ConversationId,
    DeviceId,
    Level,
    MessageId,
    Provider,
    Settings,
    Token,
    TokenId,
    UserId,
)
from services.push.core.news import MessageChanged
from services.push.export import pages
from services.push.service import MAX_DEVICES, AccountLifecycle
from services.runtime.grpc.account_data import AccountDataServicer
from services.runtime.identity.accounts import Standing, encode
from services.runtime.kafka.bus import Incoming, PoisonRecord
from services.runtime.quiet_hours import QuietHours
from tests.integration.push.conftest import BOB, CONVERSATION, ME, Push
from tests.support.waiting import eventually, until


def token(address: str, device: str = "phone-00", user_id: UserId = ME, provider: Provider = Provider.FCM) -> Token:
    return Token(TokenId(str(uuid4())), user_id, DeviceId(device), provider, address)


async def addresses(push: Push, user_id: UserId = ME) -> list[str]:
    rows = await push.rows("SELECT address FROM tokens WHERE user_id = $1 ORDER BY address", user_id)
    return [str(row["address"]) for row in rows]


async def test_a_device_has_its_newest_token_at_each_provider(push: Push) -> None:
    await push.devices.register(token("old"))
    await push.devices.register(token("new"))
    await push.devices.register(token("new"))
    await push.devices.register(token("voip", provider=Provider.NETWORK))
    assert await addresses(push) == ["new", "voip"]


async def test_a_token_is_whose_it_was_registered_last(push: Push) -> None:
    await push.devices.register(token("shared"))
    await push.devices.register(token("shared", user_id=BOB))
    assert (await addresses(push), await addresses(push, BOB)) == ([], ["shared"])
    await push.devices.register(token("shared", "tablet-0", BOB))
    assert await addresses(push, BOB) == ["shared"]


async def test_of_too_many_devices_the_oldest_are_told_no_more(push: Push) -> None:
    for number in range(MAX_DEVICES + 3):
        await push.devices.register(token(f"t{number:02}", f"device-{number:02}"))
    assert await addresses(push) == [f"t{number:02}" for number in range(3, MAX_DEVICES + 3)]
    await push.devices.register(token("t03", "device-03"))
    await push.devices.register(token("t99", "device-99"))
    assert {"t03", "t99"} <= set(await addresses(push))
    assert "t04" not in await addresses(push)


async def test_a_token_that_is_removed_takes_what_waits_for_it_along(push: Push) -> None:
    await push.devices.register(token("one"))
    await push.say()
    assert len(await push.rows("SELECT 1 FROM deliveries")) == 1
    await push.devices.remove(ME, DeviceId("phone-00"), Provider.APNS)
    assert await addresses(push) == ["one"]
    for _ in range(2):
        await push.devices.remove(ME, DeviceId("phone-00"), None)
    assert await addresses(push) == []
    assert await push.rows("SELECT 1 FROM deliveries") == []


async def test_of_who_has_no_device_nothing_is_written_and_nothing_asked(push: Push) -> None:
    await push.say()
    assert push.messaging.asked == []
    assert await push.rows("SELECT 1 FROM threads") == []


async def test_a_provider_that_is_not_served(push: Push) -> None:
    push.providers = replace(push.providers, fcm=None)
    with pytest.raises(ProviderNotServed):
        await push.devices.register(token("one"))
    assert Provider.FCM not in push.devices.providers()


async def test_settings_are_kept_whole(push: Push) -> None:
    assert await push.devices.settings(ME) == Settings()
    chosen = Settings(Level.MENTIONS, previews=False, quiet_hours=QuietHours(60, 90, "Europe/Berlin", (1, 7)))
    await push.devices.update_settings(ME, chosen)
    await push.devices.set_level(ME, CONVERSATION, Level.NONE)
    assert await push.devices.settings(ME) == replace(chosen, conversations={CONVERSATION: Level.NONE})
    await push.devices.update_settings(ME, Settings())
    await push.devices.set_level(ME, CONVERSATION, None)
    assert await push.devices.settings(ME) == Settings()
    assert await push.devices.settings(BOB) == Settings()


async def test_levels_of_conversations_have_a_bound(push: Push) -> None:
    for number in range(3):
        await push.tokens.set_level(ME, ConversationId(str(UUID(int=number))), Level.ALL, 3)
    # One that has a level may get another.
    await push.tokens.set_level(ME, ConversationId(str(UUID(int=0))), Level.NONE, 3)
    with pytest.raises(TooManyConversations):
        await push.tokens.set_level(ME, ConversationId(str(UUID(int=9))), Level.ALL, 3)
    assert len((await push.devices.settings(ME)).conversations) == 3


async def test_a_level_decides_what_is_told(push: Push) -> None:
    await push.devices.register(token("one"))
    await push.devices.set_level(ME, CONVERSATION, Level.MENTIONS)
    await push.say()
    assert await push.rows("SELECT 1 FROM deliveries") == []
    await push.say(mentions=frozenset({ME}))
    assert await push.rows("SELECT kind FROM threads") == [{"kind": "mention"}]


def account_state(user_id: str, standing: Standing, *, is_deleted: bool = False) -> Incoming:
    value = encode(user_id, standing, 1.0, 1.0 if is_deleted else None)
    return Incoming("accounts.events.v1", 0, 0, user_id.encode(), value, datetime.now(UTC), None)


def accounts_of(push: Push) -> AccountsConsumer:
    return AccountsConsumer(AccountLifecycle(push.tokens, push.tokens))


async def test_nothing_stays_of_a_deleted_account_not_even_in_what_others_are_shown(push: Push) -> None:
    for user_id in (ME, BOB):
        await push.devices.register(token(f"of {user_id}", user_id=user_id))
        await push.devices.set_level(user_id, CONVERSATION, Level.ALL)
    await push.notices.note_attended({ME: True, BOB: True})
    await push.say("words of bob")
    await push.tell(
        MessageChanged(CONVERSATION, MessageId("m"), 1, ME, datetime.now(UTC), reactors=(BOB, UserId("ann")))
    )
    for _ in range(2):
        await accounts_of(push).handle([account_state(BOB, Standing(deleted=True), is_deleted=True)])
    tables = ("people", "conversation_levels", "tokens", "threads", "reactors", "deliveries", "attended")
    kept = {table: await push.rows(f"SELECT * FROM {table}") for table in tables}
    assert BOB not in str(kept)
    assert all(kept[table] for table in ("people", "tokens", "threads", "deliveries", "reactors"))


async def test_a_device_that_was_signed_out_is_told_no_more(push: Push) -> None:
    await push.devices.register(token("phone"))
    await push.devices.register(token("tablet", "tablet-0"))
    later = (datetime.now(UTC) + timedelta(seconds=60)).timestamp()
    await accounts_of(push).handle([account_state(ME, Standing(devices={"tablet-0": later}))])
    assert await addresses(push) == ["phone"]
    earlier = (datetime.now(UTC) - timedelta(seconds=60)).timestamp()
    await accounts_of(push).handle([account_state(ME, Standing(valid_from=earlier))])
    assert await addresses(push) == ["phone"]
    await accounts_of(push).handle([account_state(ME, Standing(valid_from=later, kept_device="phone-00"))])
    assert await addresses(push) == ["phone"]
    await accounts_of(push).handle([account_state(ME, Standing(valid_from=later))])
    assert await addresses(push) == []


async def test_an_account_state_that_cannot_be_read_is_parked(push: Push) -> None:
    with pytest.raises(PoisonRecord):
        await accounts_of(push).handle([Incoming("accounts.events.v1", 0, 0, b"me", b"\xff", datetime.now(UTC), None)])


async def test_an_export_has_settings_and_devices_and_no_tokens(push: Push) -> None:
    await push.devices.register(token("the secret token"))
    await push.devices.set_level(ME, CONVERSATION, Level.NONE)
    servicer = AccountDataServicer(pages(push.tokens))
    answer = await servicer.ReadAccount(accounts_api.ReadAccountRequest(user_id=ME), None)  # type: ignore[arg-type]
    kinds = [line.split('"')[3] for line in answer.lines]
    assert kinds == ["notification_settings", "notification_level", "notification_device"]
    assert "the secret token" not in str(answer.lines)
    assert "phone-00" in answer.lines[2]


async def test_what_did_not_change_for_long_is_forgotten(push: Push) -> None:
    await push.replica()
    await push.device(Provider.FCM)
    await push.say()
    await until(lambda: push.fcm.arrivals, what="the notice")
    # What is being noted down is left alone, and goes another time.
    await eventually(push.is_idle, what="the answer to be noted")
    assert await push.queue.purge(3_600, 100) == 0
    await push.rows("UPDATE threads SET change_time = now() - interval '2 hours'")
    assert await push.queue.purge(3_600, 100) == 1
    assert await push.rows("SELECT 1 FROM deliveries") == []
    # And what comes then is told.
    await push.say("later")
    await until(lambda: len(push.fcm.arrivals) == 2, what="the next notice")


async def test_news_that_come_again_ask_nothing_and_write_nothing(push: Push) -> None:
    await push.devices.register(token("one"))
    push.seqs[CONVERSATION] = 4
    await push.say()
    before: Any = await push.rows("SELECT * FROM threads")
    push.seqs[CONVERSATION] = 4
    await push.say("again")
    assert len(push.messaging.asked) == 1
    assert await push.rows("SELECT * FROM threads") == before
