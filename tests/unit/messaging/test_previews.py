"""Previews of links in texts: what may be sent as one, and what becomes of it."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parley.messaging.v1 import events_pb2, messages_pb2

from services.messaging.hooks.core.verdicts import (
    Mask,
    Question,
    Replace,
    Surface,
    UnfitVerdict,
    Writing,
    content_after,
)
from services.messaging.kernel.checks import check_preview
from services.messaging.kernel.content import Link, LinkPreview, Text, Unsent, leads_to, preview_text
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.links import stands_in
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.kernel.weighing import weigh_message
from services.messaging.kernel.withholding import withhold
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.core.reports import copy_of
from services.messaging.wire.contents import read_text, text_message
from services.messaging.wire.events import message_sent, withheld_event
from services.messaging.wire.storage import entity_bytes, to_text
from tests.support.messaging_world import ALICE, BOB, World, at_work
from tests.unit.messaging.test_scheduling import HOUR, Planned

URL = "https://news.example/a?b=1"
PREVIEW = LinkPreview(URL, "It rains", "And it pours. \u2603", "The News")
SEEN = Text(f"look: {URL}.", preview=PREVIEW)
# The words of the link name no host.
LINKED = Text("look here", (Link(5, 4, URL),), preview=PREVIEW)
CAROL = UserId("carol")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with at_work(World(limits=MessageLimits())) as world:
        yield world


async def say(world: World, conversation: str, text: Text = SEEN, key: str = "k") -> Message:
    return await world.sending.send(ALICE, conversation, TextRequest(key, text))


@pytest.mark.parametrize("text", [SEEN, LINKED, replace(SEEN, preview=LinkPreview(URL, "It rains"))])
async def test_it_is_shown_to_the_other_as_it_was_sent(world: World, text: Text) -> None:
    conversation = await world.conversation()
    sent = await say(world, conversation, text)
    assert sent.content == text
    (shown,), _ = await world.history.list_messages(BOB, conversation, 0, 0)
    assert shown == sent


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        (URL, True),
        (f"a {URL} b", True),
        (f"a\n{URL}\u3000b", True),
        (f"({URL})", True),
        (f'<"{URL}">.', True),
        (f"{URL}, {URL}x", True),
        ("", False),
        (URL[:-1], False),
        (URL.upper(), False),
        # A part of another address.
        (f"{URL}2", False),
        (f"{URL}/x", False),
        (f"{URL}.evil.example", False),
        (f"https://evil.example/{URL}", False),
        (f"https://evil.example/?u={URL}", False),
        (f"user@{URL}", False),
        (f"\u202e{URL}", False),
        (f"{URL}\u200b", False),
    ],
)
def test_an_address_stands_in_a_text_as_a_word_and_not_within_another_one(text: str, *, stands: bool) -> None:
    assert stands_in(text, URL) is stands


def test_an_address_is_not_the_beginning_of_another_host() -> None:
    bank = LinkPreview("https://bank.example", "Your bank")
    for text in (
        "https://bank.example.evil.example/",
        "https://bank.example@evil.example/",
        "https://bank.example-x.co",
    ):
        with pytest.raises(InvalidField) as refused:
            check_preview(Text(text), bank)
        assert refused.value.field == "text.preview.url"


@pytest.mark.parametrize(
    ("field", "preview"),
    [
        ("url", replace(PREVIEW, url="")),
        ("url", replace(PREVIEW, url="https://other.example/")),
        ("url", replace(PREVIEW, url="javascript:alert(1)")),
        ("url", replace(PREVIEW, url="https://bank.example@news.example/")),
        ("url", replace(PREVIEW, url="https:\\\\news.example")),
        ("url", replace(PREVIEW, url=f"{URL}{'x' * 2_048}")),
        ("title", replace(PREVIEW, title="")),
        ("title", replace(PREVIEW, title=" \u200b\u2800")),
        ("title", replace(PREVIEW, title="x" * 201)),
        ("title", replace(PREVIEW, title="a\x00b")),
        ("title", replace(PREVIEW, title="a\nb")),
        ("description", replace(PREVIEW, description="x" * 401)),
        ("description", replace(PREVIEW, description="a\u2028b")),
        ("site_name", replace(PREVIEW, site_name="x" * 101)),
        ("site_name", replace(PREVIEW, site_name="a\x7fb")),
        # Towers of marks write over the host in the line above.
        ("title", replace(PREVIEW, title="a" + "\u0301" * 31)),
        ("description", replace(PREVIEW, description="a" + "\u0301" * 31)),
        ("site_name", replace(PREVIEW, site_name="a" + "\u0301" * 31)),
        ("title", replace(PREVIEW, title="a" + ("\u0301" * 16 + "\u200d") * 2)),
    ],
)
async def test_what_is_beyond_the_bounds_is_refused_by_the_name_of_the_field(
    world: World, field: str, preview: LinkPreview
) -> None:
    with pytest.raises(InvalidField) as refused:
        await say(world, await world.conversation(), replace(SEEN, preview=preview))
    assert refused.value.field == f"text.preview.{field}"


async def test_the_bounds_themselves_are_taken(world: World) -> None:
    url = "https://news.example/" + "x" * 2_027
    text = Text(url, preview=LinkPreview(url, "€" * 200, "€" * 400, "€" * 100))
    assert (await say(world, await world.conversation(), text)).content == text


async def test_an_edit_takes_it_away_or_brings_another(world: World) -> None:
    conversation = await world.conversation()
    await say(world, conversation)
    bare = Text(f"again: {URL}")
    assert (await world.changing.edit_message(ALICE, conversation, 1, bare)).content == bare
    other = replace(bare, preview=replace(PREVIEW, title="It snows"))
    edited = await world.changing.edit_message(ALICE, conversation, 1, other)
    assert (edited.content, edited.edit_count) == (other, 2)
    # The same text without it is another one; with it, it is the same.
    assert (await world.changing.edit_message(ALICE, conversation, 1, other)).edit_count == 2
    assert (await world.changing.edit_message(ALICE, conversation, 1, bare)).edit_count == 3
    formers = await world.history.list_edits(BOB, conversation, 1)
    assert [edit.text for edit in formers] == [SEEN, bare, other]


async def test_an_edit_with_one_of_another_link_is_refused(world: World) -> None:
    conversation = await world.conversation()
    await say(world, conversation)
    with pytest.raises(InvalidField) as refused:
        await world.changing.edit_message(ALICE, conversation, 1, Text("no link", preview=PREVIEW))
    assert refused.value.field == "text.preview.url"


async def test_nothing_of_it_is_left_when_it_is_taken_back(world: World) -> None:
    conversation = await world.conversation()
    await say(world, conversation)
    assert (await world.changing.unsend_message(ALICE, conversation, 1)).content == Unsent()


@pytest.mark.parametrize("text", [SEEN, LINKED])
async def test_it_is_forwarded_with_the_text(world: World, text: Text) -> None:
    source = await world.conversation()
    other = str((await world.conversations.open_direct(BOB, CAROL)).id)
    await say(world, source, text)
    (copy,) = await world.forwarding.forward(BOB, source, 1, [(other, "f")])
    assert isinstance(copy, Message)
    assert copy.content == text


async def test_it_goes_with_a_scheduled_text_and_is_checked_at_once(world: World) -> None:
    planned, conversation = Planned(world), await world.conversation()
    at = planned.clock.now() + HOUR
    await planned.scheduling.schedule(ALICE, conversation, TextRequest("k", LINKED), at)
    with pytest.raises(InvalidField):
        await planned.scheduling.schedule(ALICE, conversation, TextRequest("l", replace(SEEN, text="none")), at)
    await planned.pass_time()
    (sent,), _ = await world.history.list_messages(BOB, conversation, 0, 0)
    assert sent.content == LINKED


async def test_before_anybody_lets_it_in_it_is_left_out_of_what_is_kept(world: World) -> None:
    nobody = SettingsChange(Audience.FOLLOWED, None, None)
    await world.store.relations.change_settings(BOB, nobody, world.clock.now())
    assert (await say(world, await world.conversation())).content == Text(SEEN.text)


async def test_it_is_not_told_to_who_has_not_let_it_in(world: World) -> None:
    sent = await say(world, await world.conversation())
    shown = withhold(sent)
    assert shown.content == Text(SEEN.text)
    event = events_pb2.ConversationEvent.FromString(message_sent(sent))
    assert event.message_sent.message.text.preview.title == "It rains"
    assert not withheld_event(event).message_sent.message.text.HasField("preview")
    assert weigh_message(sent) > weigh_message(shown) + len(preview_text(SEEN))


async def test_the_search_does_not_find_it_by_what_the_preview_says(world: World) -> None:
    conversation = await world.conversation()
    await say(world, conversation)
    await world.store.index_words([(ConversationId(UUID(conversation)), 1)])
    found = [(await world.search.search(BOB, word, conversation, 0, ""))[0] for word in ("look", "rains", "pours")]
    assert [len(messages) for messages in found] == [1, 0, 0]


async def test_a_report_has_what_the_preview_says(world: World) -> None:
    sent = await say(world, await world.conversation())
    assert copy_of(sent).text == f"{SEEN.text}\nIt rains\nAnd it pours. \u2603\nThe News\n{URL}"


# A text without one, as every older device sends it.


@given(st.text(max_size=30))
def test_a_text_without_one_is_told_and_stored_as_before_byte_for_byte(words: str) -> None:
    text = Text(words)
    assert text_message(text).SerializeToString() == messages_pb2.TextContent(text=words).SerializeToString()
    assert entity_bytes(text) is None
    assert entity_bytes(replace(text, masked=True)) == b"\x18\x01"


@given(*(st.text(st.characters(exclude_categories=["Cs"]), max_size=20) for _ in range(4)))
def test_any_preview_comes_back_as_it_was_told_and_stored(url: str, title: str, description: str, site: str) -> None:
    text = Text("words", preview=LinkPreview(url, title, description, site))
    told = messages_pb2.TextContent.FromString(text_message(text).SerializeToString())
    assert read_text(told) == text
    assert to_text("words", entity_bytes(text)) == text


@given(st.text(max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_any_preview_is_taken_as_it_is_or_refused(words: str, url: str, title: str) -> None:
    for text in (words, f"{words} {url}", f"{words}{url}"):
        preview = LinkPreview(url, title)
        with suppress(InvalidField):
            assert check_preview(Text(text), preview) == Text(text, preview=preview)


# What a hook makes of it.


def question(text: Text) -> Question:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    place = ConversationId(UUID(int=2))
    return Question(UUID(int=1), Writing.MESSAGE, Surface.DIRECT, ALICE, text, now, place, "k")


@pytest.mark.parametrize("text", [SEEN, LINKED])
def test_stars_leave_it_with_its_link_and_take_it_along_with_its_link(text: Text) -> None:
    beside = content_after(question(text), Mask([(0, 4)]), 100)
    assert isinstance(beside, Text)
    assert (beside.text[:5], beside.preview, beside.masked) == ("****" + text.text[4], PREVIEW, True)
    for spans in ([(7, 1)], [(0, 8)], []):
        touched = content_after(question(text), Mask(spans), 100)
        assert isinstance(touched, Text)
        assert touched.preview is None


@pytest.mark.parametrize("claim", ["title", "description", "site_name"])
def test_stars_take_along_a_preview_that_says_what_they_hide(claim: str) -> None:
    """The mask of a hook reaches the text alone."""
    text = Text(f"you PIG {URL}")
    for says, stays in (("A pig's life", False), ("\uff30\uff49g", False), ("p\u00adig", False), ("A big life", True)):
        shown = replace(text, preview=replace(PREVIEW, **{claim: says}))
        left = content_after(question(shown), Mask([(4, 3)]), 100)
        assert isinstance(left, Text)
        assert (left.text, left.preview is not None) == (f"you *** {URL}", stays)


def test_a_star_for_a_space_hides_no_word() -> None:
    left = content_after(question(LINKED), Mask([(4, 1)]), 100)
    assert isinstance(left, Text)
    assert left.preview == PREVIEW


def test_another_text_has_the_preview_that_it_brings() -> None:
    assert content_after(question(SEEN), Replace(Text(SEEN.text)), 100) == Text(SEEN.text)
    assert content_after(question(Text("bad")), Replace(SEEN), 100) == SEEN
    with pytest.raises(UnfitVerdict):
        content_after(question(SEEN), Replace(Text("dear", preview=PREVIEW)), 100)


def test_a_link_that_leads_there_is_enough() -> None:
    assert leads_to(LINKED, URL)
    assert not leads_to(LINKED, URL + "x")
    assert not leads_to(Text("look here"), URL)
