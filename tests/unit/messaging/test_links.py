"""A link leads to the host that its text names, and its address is read alike by every program."""

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.kernel.checks import check_entities
from services.messaging.kernel.content import Link, Text
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.links import dotted_names, host_of, names_its_host
from services.messaging.messages.service.requests import TextRequest
from tests.support.link_tricks import LINK_TRICKS, LinkTrick
from tests.support.messaging_world import ALICE, World

EVIL = "https://evil.example/login"
DOTS = ".\uff0e\u3002\uff61\u2024"
UNSEEN = "\u200b\u200c\u200d\u2060\u00ad\ufeff\U000e0061"


@pytest.mark.parametrize("row", LINK_TRICKS, ids=lambda row: row.trick)
def test_a_link_is_taken_or_refused_as_the_table_of_tricks_says(row: LinkTrick) -> None:
    link = Link(0, len(row.text), row.url)
    if row.taken:
        assert check_entities(row.text, [link]) == Text(row.text, (link,))
        return
    with pytest.raises(InvalidField) as refused:
        check_entities(row.text, [link])
    assert refused.value.field == "text.entities.link_url"


@given(
    host=st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z][a-z0-9]{1,8}){0,2}\.(com|org|example|co)", fullmatch=True),
    dot=st.sampled_from(DOTS),
    unseen=st.sampled_from(["", *UNSEEN]),
    capitals=st.booleans(),
    before=st.sampled_from(["", "https://", "HTTP://", "//", "www.", "pay at ", "(", "\U0001f512", "me@", "x:y@"]),
    after=st.sampled_from(["", ".", "/", "/login", ":443", ")", " now", "?a=b", "#x", "!"]),
    wide=st.booleans(),
)
def test_no_spelling_of_another_host_passes(
    host: str, dot: str, unseen: str, before: str, after: str, *, capitals: bool, wide: bool
) -> None:
    written = host.upper() if capitals else host
    if wide:
        written = "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in written)
    written = before + written[:1] + unseen + written[1:].replace(".", dot) + after
    assert not names_its_host(written, 0, len(written), EVIL)


def test_letters_that_touch_a_link_are_read_with_it() -> None:
    for text, part in (("www.bank.example", "bank"), ("https://bank.example", "ba"), ("bank.example/x", "/x")):
        start = text.index(part)
        assert not names_its_host(text, start, start + len(part), EVIL), text
    text = "see (here), and https://evil.example/login."
    assert names_its_host(text, 5, 9, EVIL)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_and_any_address_are_judged_without_an_error(text: str, url: str) -> None:
    for address in (url, f"https://{url}", f"https://{url}/{text}"):
        host = host_of(address)
        assert host is None or host.isascii()
        names_its_host(text, 0, len(text), address)


# As hosts were found before: for each of its letters a long word was read again, to its end.
_LABEL = r"[\p{L}\p{M}\p{N}_](?:[\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}_])?"
DOTTED = regex.compile(rf"{_LABEL}(?:\.{_LABEL})+")


@given(st.text("a1_-.\u0301@é", max_size=24))
def test_names_with_dots_are_found_as_by_the_pattern_that_says_what_they_are(text: str) -> None:
    assert list(dotted_names(text)) == [match[0] for match in DOTTED.finditer(text)]


async def test_sending_and_editing_refuse_alike(world: World) -> None:
    conversation = await world.conversation()
    lie = Text("bank.example", (Link(0, 12, EVIL),))
    with pytest.raises(InvalidField):
        await world.sending.send(ALICE, conversation, TextRequest("k", lie))
    sent = await world.sending.send(ALICE, conversation, TextRequest("k", Text("hello")))
    with pytest.raises(InvalidField):
        await world.changing.edit_message(ALICE, conversation, sent.seq, lie)
