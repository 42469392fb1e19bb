"""Stickers and GIFs by address: what may be sent as one, and what becomes of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest
from parley.messaging.v1 import events_pb2

from services.messaging.kernel.content import Sticker, Text, Unsent, address_of
from services.messaging.kernel.errors import (
    InvalidField,
    NotEditable,
    RequestPending,
    StickerHostNotAllowed,
)
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.kernel.pictures import picture_host
from services.messaging.kernel.weighing import weigh_message
from services.messaging.kernel.withholding import withhold
from services.messaging.messages.service.requests import MessageLimits, SendRequest
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.core.reports import copy_of
from services.messaging.scheduling.core import ScheduledState
from services.messaging.wire.events import message_sent, withheld_event
from tests.support.messaging_world import ALICE, BOB, World, at_work
from tests.unit.messaging.test_scheduling import HOUR, Planned

HOST = "stickers.example"
WAVE = Sticker(f"https://{HOST}/wave.webp?id=7", 480, 270, "A cat waves", "cat-7")
CAROL = UserId("carol")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with at_work(World(limits=MessageLimits(sticker_hosts=frozenset({HOST, "more.example"})))) as world:
        yield world


async def stick(world: World, conversation: str, sticker: Sticker = WAVE, key: str = "k", reply_to: int = 0) -> Message:
    return await world.sending.send(ALICE, conversation, SendRequest(key, sticker, reply_to))


async def test_it_is_shown_to_the_other_as_it_was_sent(world: World) -> None:
    conversation = await world.conversation()
    sent = await stick(world, conversation)
    assert sent.content == WAVE
    (shown,), _ = await world.history.list_messages(BOB, conversation, 0, 0)
    assert shown == sent


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://stickers.example/", "stickers.example"),
        ("https://stickers.example/a/../b.gif?x=1&y=%20/@:?", "stickers.example"),
        ("https://xn--bcher-kva.example/a", "xn--bcher-kva.example"),
        ("https://a.b-c.d0.example/a", "a.b-c.d0.example"),
        ("https://stickers.example/" + "x" * 999, "stickers.example"),
    ],
)
def test_the_host_of_an_address_is_what_stands_before_its_path(url: str, host: str) -> None:
    assert picture_host(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "stickers.example/a",
        "//stickers.example/a",
        "http://stickers.example/a",
        "HTTPS://stickers.example/a",
        "https:/stickers.example/a",
        "https:///stickers.example/a",
        "https:\\\\stickers.example/a",
        "javascript:https://stickers.example/a",
        "data:image/png;base64,AAAA",
        " https://stickers.example/a",
        "https://stickers.example",
        "https://stickers.example?a",
        "https://stickers.example/a#b",
        "https://stickers.example#@evil.example/",
        # Users.
        "https://stickers.example@evil.example/",
        "https://stickers.example:x@evil.example/",
        "https://@stickers.example/a",
        "https://user@stickers.example/a",
        "https://evil.example\\@stickers.example/a",
        # Ports.
        "https://stickers.example:443/a",
        "https://stickers.example:/a",
        # Spellings of the host.
        "https://Stickers.example/a",
        "https://STICKERS.EXAMPLE/a",
        "https://stickers.example./a",
        "https://stickers..example/a",
        "https://.stickers.example/a",
        "https://-stickers.example/a",
        "https://stickers-.example/a",
        "https://stickers_.example/a",
        "https://stickers%2eexample/a",
        "https://stickers.example%00.evil.example/a",
        "https://stickers.example\x00.evil.example/a",
        "https://st\u0456ckers.example/a",
        "https://bücher.example/a",
        "https://stickers\u3002example/a",
        "https://stickers\uff0eexample/a",
        "https://sti\u00adckers.example/a",
        "https://stickers.example\u2044a.evil.example/a",
        "https://" + "a" * 64 + ".example/a",
        "https://" + "a." * 130 + "example/a",
        # No domains.
        "https://localhost/a",
        "https://127.0.0.1/a",
        "https://2130706433/a",
        "https://0x7f.1/a",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        # What stands behind the host.
        "https://stickers.example\\a",
        "https://stickers.example/a\\b",
        "https://stickers.example/a b",
        "https://stickers.example/a\tb",
        "https://stickers.example/a\r\nx: y",
        "https://stickers.example/a\n",
        'https://stickers.example/"><script>',
        "https://stickers.example/a%00b",
        "https://stickers.example/a%0d%0ab",
        "https://stickers.example/a%7fb",
        "https://stickers.example/a%",
        "https://stickers.example/a%zz",
        "https://stickers.example/ü",
        "https://stickers.example/\u202egif",
        "https://stickers.example/" + "x" * 1_000,
        "https://stickers.example/" + "%20" * 100_000,
        "https://" + "a-" * 100_000 + "/",
    ],
)
async def test_what_could_be_read_in_two_ways_is_no_address(world: World, url: str) -> None:
    assert picture_host(url) is None
    with pytest.raises(InvalidField) as refused:
        await stick(world, await world.conversation(), replace(WAVE, url=url))
    assert refused.value.field == "sticker.url"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/stickers.example",
        "https://stickers.example.evil.example/",
        "https://evil-stickers.example/",
        "https://a.stickers.example/",
        "https://example.net/stickers.example/a",
        "https://evil.example/@stickers.example/",
        "https://evil.example/?https://stickers.example/",
    ],
)
async def test_another_host_than_the_allowed_ones_is_refused(world: World, url: str) -> None:
    with pytest.raises(StickerHostNotAllowed):
        await stick(world, await world.conversation(), replace(WAVE, url=url))


async def test_where_no_host_is_allowed_no_sticker_goes() -> None:
    async with at_work(World(limits=MessageLimits())) as world:
        with pytest.raises(StickerHostNotAllowed):
            await stick(world, await world.conversation())


@pytest.mark.parametrize(
    ("field", "sticker"),
    [
        ("sticker.width", replace(WAVE, width=0)),
        ("sticker.width", replace(WAVE, width=4_097)),
        ("sticker.height", replace(WAVE, height=-1)),
        ("sticker.height", replace(WAVE, height=2**31 - 1)),
        ("sticker.description", replace(WAVE, description="")),
        ("sticker.description", replace(WAVE, description=" \u200b\u2800")),
        ("sticker.description", replace(WAVE, description="x" * 301)),
        ("sticker.description", replace(WAVE, description="a\x00b")),
        ("sticker.provider_ref", replace(WAVE, provider_ref="x" * 129)),
        ("sticker.provider_ref", replace(WAVE, provider_ref="ü")),
        ("sticker.provider_ref", replace(WAVE, provider_ref="a\nb")),
    ],
)
async def test_what_is_beyond_the_bounds_is_refused_by_the_name_of_the_field(
    world: World, field: str, sticker: Sticker
) -> None:
    with pytest.raises(InvalidField) as refused:
        await stick(world, await world.conversation(), sticker)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "sticker", [Sticker(WAVE.url, 1, 1, "x"), Sticker(WAVE.url, 4_096, 4_096, "€" * 300, "x" * 128)]
)
async def test_the_bounds_themselves_are_taken_and_the_providers_name_may_be_left_out(
    world: World, sticker: Sticker
) -> None:
    assert (await stick(world, await world.conversation(), sticker)).content == sticker


async def test_no_file_goes_beside_it(world: World) -> None:
    conversation, request = await world.conversation(), SendRequest("k", WAVE, attachment_ids=[str(UUID(int=7))])
    with pytest.raises(InvalidField) as refused:
        await world.sending.send(ALICE, conversation, request)
    assert refused.value.field == "attachment_ids"


async def test_a_retry_gets_the_first_result_though_its_host_is_not_allowed_any_more(world: World) -> None:
    conversation = await world.conversation()
    first = await stick(world, conversation)
    world.sending._limits = MessageLimits()
    assert await stick(world, conversation) == first


async def test_it_can_be_answered_reacted_to_and_unsent_and_not_be_edited(world: World) -> None:
    conversation = await world.conversation()
    await stick(world, conversation)
    assert (await stick(world, conversation, key="answer", reply_to=1)).reply_to_seq == 1
    reacted = await world.changing.set_reaction(BOB, conversation, 1, "👍", present=True)
    assert reacted.content == WAVE
    with pytest.raises(NotEditable):
        await world.changing.edit_message(ALICE, conversation, 1, Text("no"))
    assert (await world.changing.unsend_message(ALICE, conversation, 1)).content == Unsent()


async def test_it_is_forwarded_as_it_is_while_its_host_is_allowed(world: World) -> None:
    source = await world.conversation()
    other = str((await world.conversations.open_direct(BOB, CAROL)).id)
    await stick(world, source)
    (copy,) = await world.forwarding.forward(BOB, source, 1, [(other, "f")])
    assert isinstance(copy, Message)
    assert (copy.content, copy.forwarded) == (WAVE, True)
    world.sending._limits = MessageLimits()
    (refused,) = await world.forwarding.forward(BOB, source, 1, [(other, "g")])
    assert isinstance(refused, StickerHostNotAllowed)


async def test_one_that_was_scheduled_is_refused_at_its_time_if_its_host_is_not_allowed_any_more(world: World) -> None:
    planned, conversation = Planned(world), await world.conversation()
    await planned.scheduling.schedule(ALICE, conversation, SendRequest("k", WAVE), planned.clock.now() + HOUR)
    world.sending._limits = MessageLimits()
    await planned.pass_time()
    (stays,) = await planned.own()
    assert (stays.state, stays.refusal) == (ScheduledState.REFUSED, "STICKER_HOST_NOT_ALLOWED")


async def test_before_anybody_lets_it_in_no_sticker_goes(world: World) -> None:
    nobody = SettingsChange(Audience.FOLLOWED, None, None)
    await world.store.relations.change_settings(BOB, nobody, world.clock.now())
    with pytest.raises(RequestPending):
        await stick(world, await world.conversation())


async def test_in_requests_its_description_is_told_and_nothing_to_load(world: World) -> None:
    sent = await stick(world, await world.conversation())
    shown = withhold(sent)
    assert shown.content == replace(WAVE, url="", provider_ref="")
    assert address_of(shown.content) == ""
    event = events_pb2.ConversationEvent.FromString(message_sent(sent))
    live = withheld_event(event).message_sent.message
    assert (live.sticker.url, live.sticker.description) == ("", "A cat waves")
    assert weigh_message(sent) > weigh_message(shown)


async def test_the_search_finds_it_by_its_description_and_not_by_its_address(world: World) -> None:
    conversation = await world.conversation()
    await stick(world, conversation)
    await world.store.index_words([(ConversationId(UUID(conversation)), 1)])
    found = [(await world.search.search(BOB, word, conversation, 0, ""))[0] for word in ("cat", "webp", HOST)]
    assert [len(messages) for messages in found] == [1, 0, 0]


async def test_a_report_has_the_words_and_the_address(world: World) -> None:
    sent = await stick(world, await world.conversation())
    assert copy_of(sent).text == f"A cat waves\n{WAVE.url}"
