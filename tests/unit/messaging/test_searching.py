from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.kernel.content import Link, Mention, Text, Voice
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.model import (
    Attachment,
    AttachmentId,
    ConversationId,
    Message,
    MessageId,
    UserId,
)
from services.messaging.kernel.withholding import withhold
from services.messaging.search.core import (
    MAX_QUERY_CHARS,
    MAX_WORD_CHARS,
    MAX_WORDS,
    Filters,
    Has,
    matches,
    passes,
    query_of,
    words_of,
)
from tests.support.search_table import SEARCH_TABLE, SearchCase


def test_words_come_once_and_in_order() -> None:
    assert words_of("Row, row, ROW your boat") == ["row", "your", "boat"]


@given(st.text(max_size=500))
def test_words_of_words_are_themselves(text: str) -> None:
    words = words_of(text)
    assert all(0 < len(word) <= MAX_WORD_CHARS and "'" not in word and "\\" not in word for word in words)
    assert len(words) == len(set(words)) <= MAX_WORDS


def test_a_query_is_all_words_and_the_last_is_a_beginning() -> None:
    assert query_of("Hello wor") == "'hello' & 'wor':*"


@pytest.mark.parametrize("query", ["", "  ", "!?&|:*()", "x" * 201, "\u0301", "\u200d\ufe0f", "🇽🇽"])
def test_a_query_without_words_is_refused(query: str) -> None:
    with pytest.raises(InvalidField):
        query_of(query)


def test_scripts_without_spaces_are_found_by_any_part() -> None:
    assert words_of("東京都に行く") == ["東京", "京都", "都に", "に行", "行く", "く"]
    assert query_of("京都") == "'京都':*"
    assert query_of("行") == "'行':*"
    assert query_of("東京都 hello") == "'東京' & '京都' & 'hello':*"
    assert query_of("行 hello") == "'行':* & 'hello':*"


def test_a_word_of_two_scripts_is_parted_where_they_meet() -> None:
    assert words_of("Android版です") == ["android", "版で", "です", "す"]


@pytest.mark.parametrize("case", SEARCH_TABLE, ids=lambda case: case.script)
def test_words_of_every_script_are_found_and_others_are_not(case: SearchCase) -> None:
    words = words_of(case.text)
    assert [query for query in case.found if not matches(words, query_of(query))] == []
    assert [query for query in case.missed if matches(words, query_of(query))] == []


@given(st.text(max_size=60))
def test_a_text_answers_itself_as_a_query(text: str) -> None:
    try:
        query = query_of(text)
    except InvalidField:
        assert words_of(text) == []
    else:
        assert matches(words_of(text), query)


def test_compounds_are_found_by_their_parts_and_as_one() -> None:
    assert words_of("don’t e‑mail") == ["don", "t", "dont", "e", "mail", "email"]
    assert query_of("don't") == "('don' & 't':* | 'dont':*)"


def test_no_word_outgrows_what_postgresql_takes() -> None:
    towers = "ก" + "\u0e48" * 5_000 + " a" + "\u093f" * 5_000 + " " + "-".join("b" * 5_000)
    assert all(len(word.encode()) < 2_046 for word in words_of(towers))
    assert len(query_of("ก" + "\u0e48" * (MAX_QUERY_CHARS - 1))) < 100


def test_an_emoji_is_a_word_without_and_with_its_tone() -> None:
    assert words_of("ok 👍🏽👍🏽❤") == ["ok", "👍", "👍🏽", "❤"]
    assert query_of("❤️ o") == "'o':* & '❤'"
    # Not (yet) one of Unicode's: its parts are.
    assert words_of("👩\u200d👩") == ["👩"]


NOW = datetime(2026, 1, 1, tzinfo=UTC)
PNG = Attachment(AttachmentId(UUID(int=1)), "video.png", "image/png", 10)
PDF = Attachment(AttachmentId(UUID(int=2)), "a.pdf", "application/pdf", 10)
PLAIN = Message(
    *(MessageId(UUID(int=1)), ConversationId(UUID(int=2)), 1, UserId("httpfan"), "k", NOW),
    Text("fish @httpfan", (Mention(5, 8, UserId("httpfan")),)),
)
LINKED = replace(PLAIN, content=Text("a.example", (Link(0, 9, "https://a.example/"),)), attachments=(PDF, PNG))

OGG = Attachment(AttachmentId(UUID(int=3)), "a.ogg", "audio/ogg", 10)
SPOKEN = replace(PLAIN, content=Voice(OGG.id, timedelta(seconds=1)), attachments=(OGG,))


@pytest.mark.parametrize(
    ("message", "filters", "expected"),
    [
        (PLAIN, Filters(), True),
        (PLAIN, Filters(has=frozenset({Has.LINK})), False),
        (PLAIN, Filters(has=frozenset({Has.FILE})), False),
        (LINKED, Filters(has=frozenset({Has.LINK, Has.FILE, Has.PICTURE})), True),
        (LINKED, Filters(has=frozenset({Has.VIDEO})), False),
        (LINKED, Filters(has=frozenset({Has.PICTURE_OR_VIDEO, Has.OTHER_FILE})), True),
        (replace(LINKED, attachments=(PNG,)), Filters(has=frozenset({Has.OTHER_FILE})), False),
        (replace(LINKED, attachments=(PDF,)), Filters(has=frozenset({Has.PICTURE_OR_VIDEO})), False),
        (SPOKEN, Filters(has=frozenset({Has.VOICE, Has.FILE})), True),
        (SPOKEN, Filters(has=frozenset({Has.OTHER_FILE})), False),
        (LINKED, Filters(has=frozenset({Has.VOICE})), False),
        # In Requests nothing is found by what is not shown.
        (withhold(LINKED), Filters(has=frozenset({Has.LINK})), False),
        (withhold(LINKED), Filters(has=frozenset({Has.PICTURE})), False),
        (PLAIN, Filters(sender=UserId("httpfan")), True),
        (PLAIN, Filters(sender=UserId("http")), False),
        (PLAIN, Filters(since=NOW, before=NOW + timedelta(microseconds=1)), True),
        (PLAIN, Filters(since=NOW + timedelta(microseconds=1)), False),
        (PLAIN, Filters(before=NOW), False),
    ],
)
def test_a_message_passes_only_what_it_is(message: Message, filters: Filters, expected: bool) -> None:
    assert passes(message, filters) is expected
