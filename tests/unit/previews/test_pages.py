"""What is read of a page, and that no page holds anybody up."""

import codecs
import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.previews.core import encodings, pages
from services.previews.core.encodings import decode
from services.previews.core.model import (
    MAX_DESCRIPTION_CHARS,
    MAX_SITE_NAME_CHARS,
    MAX_TITLE_CHARS,
    Preview,
)
from services.previews.core.pages import (
    MAX_ATTRIBUTES,
    MAX_BRACKETS,
    MAX_PAGE_BYTES,
    MAX_TAG_CHARS,
    MAX_TAGS,
    read_page,
    statements,
)

HTML = "text/html"
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OG = """<!doctype html><html><head><title>Plain</title>
<meta property="og:title" content="A &amp; B"><meta property='og:description' content='Two
  lines'><meta property=og:site_name content=Site /></head><body><meta property="og:title" content="late"></body>"""


def title_of(page: str | bytes, content_type: str = HTML) -> str | None:
    preview = read_page(page.encode() if isinstance(page, str) else page, content_type)
    return preview.title if preview else None


def test_open_graph_is_read() -> None:
    assert read_page(OG.encode(), HTML) == Preview("A & B", "Two lines", "Site")


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title>T</title>", "T"),
        ("<TITLE lang=en> a\n\tb </TITLE >", "a b"),
        ("<title></title><meta name=twitter:title content=C>", "C"),
        ("<meta name='og:title' content='O'><title>T</title>", "O"),
        ("<meta content='O' property='OG:Title'>", "O"),
        ("<meta property=og:title content='1'><meta property=og:title content='2'>", "1"),
        ("<meta property=og:title content='a > b'>", "a > b"),
        ("<script>var a = '<title>no</title>';</script><title>yes</title>", "yes"),
        ("<!-- <title>no</title> --><title>yes</title>", "yes"),
        ("<svg><title>no</title></svg><title>yes</title>", "yes"),
        ("<metadata property=og:title content=no><title>yes</title>", "yes"),
        ("<body><title>no</title>", None),
        ("<meta property=og:title content='&#x202e;&#8203;'>", None),
        ("<title>no end", None),
        ("", None),
        ("<h1>nothing</h1>", None),
    ],
)
def test_the_best_title_is_taken(page: str, title: str | None) -> None:
    assert title_of(page) == title


def test_texts_are_cut_by_code_points() -> None:
    page = "<title>{}</title><meta name=description content='{}'><meta property=og:site_name content='{}'>"
    preview = read_page(page.format(*("😀" * 1_000 for _ in range(3))).encode(), HTML)
    assert preview
    lengths = [len(text) for text in (preview.title, preview.description, preview.site_name)]
    assert lengths == [MAX_TITLE_CHARS, MAX_DESCRIPTION_CHARS, MAX_SITE_NAME_CHARS]
    assert preview.title.endswith("😀…")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a\x00b\x07c\x7f\x9b", "abc"),
        ("a&#0;b", "a\ufffdb"),
        ("\u202eevil\u2066 \u200eq\u200f", "evil q"),
        ("&#x202E;a&rlm;", "a"),
        (f"a&#{'9' * 5_000};b", "a\ufffdb"),
        (f"a&#x{'f' * 5_000};b", "a\ufffdb"),
        ("a \x01 b", "a b"),
        ("a\u2028b\u2029c", "a b c"),
        ("&lt;b&gt;", "<b>"),
        ("&amp;lt;", "&lt;"),
        # Joiners are of words and of emoji.
        ("می‌خواهم 👩‍🚀", "می‌خواهم 👩‍🚀"),
        ("a" + "\u0301" * 500, "a" + "\u0301" * 30),
        ("a" + ("\u0301" * 20 + "\u200e") * 5, "a" + "\u0301" * 30),
        # Nor do joiners part a tower.
        ("a" + ("\u0301" * 20 + "\u200d") * 5 + "b", "a" + "\u0301" * 20 + "\u200d" + "\u0301" * 10 + "b"),
        # What nobody sees parts words for whoever looks for them.
        ("a\u200bb\u2060c\u00add\u2063e&shy;f&ZeroWidthSpace;g", "abcdefg"),
    ],
)
def test_what_would_disturb_other_lines_is_taken_away(written: str, shown: str) -> None:
    assert title_of(f"<title>{written}</title>") == shown


@pytest.mark.parametrize(
    ("page", "content_type", "title"),
    [
        ("<title>ü</title>".encode("cp1252"), "text/html; charset=ISO-8859-1", "ü"),
        ("<title>ü</title>".encode(), 'text/html; charset="UTF-8"', "ü"),
        ("<meta charset=windows-1251><title>Да</title>".encode("cp1251"), HTML, "Да"),
        (
            "<meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'><title>日本</title>".encode("cp932"),
            HTML,
            "日本",
        ),
        ("<title>日本</title>".encode("utf-16-le"), "text/html; charset=utf-16", "日本"),
        # The header counts, whatever the page says.
        ("<meta charset=koi8-r><title>ü</title>".encode(), "text/html; charset=utf-8", "ü"),
        # Not known, or no encoding of texts: UTF-8.
        *(
            ("<title>ü</title>".encode(), f"text/html; charset={name}", "ü")
            for name in ("x", "zip", "punycode", "idna")
        ),
        *((b"<title>\\x41</title>", f"text/html; charset={name}", "\\x41") for name in ("unicode_escape", "utf-7")),
        ("<title>ü</title>".encode("cp1252"), HTML, "\ufffd"),
        (b"\xef\xbb\xbf<title>a</title>", HTML, "a"),
        # The mark at its beginning counts before the header, as in browsers.
        ("\ufeff<title>ü</title>".encode(), "text/html; charset=iso-8859-1", "ü"),
        ("\ufeff<title>日本</title>".encode("utf-16-le"), HTML, "日本"),
        ("\ufeff<title>日本</title>".encode("utf-16-be"), "text/html; charset=utf-8", "日本"),
    ],
)
def test_pages_are_read_in_their_encoding(page: bytes, content_type: str, title: str) -> None:
    assert title_of(page, content_type) == title


PIECES = st.sampled_from(
    [
        *(
            "<meta ",
            "<title",
            "</title>",
            "<script>",
            "</script",
            "<!--",
            "-->",
            ">",
            "<",
            '"',
            "'",
            "=",
            "/",
            " ",
            "&#",
        ),
        *(
            "property=",
            "og:title",
            "content=",
            "9" * 50,
            "\x00",
            "\u202e",
            "\ue000",
        ),
        *("<body", "<svg", "<style", "&amp;", "charset=", "utf-16", "gb18030", "\n", "a", "ü"),
    ]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=40).map("".join), st.text(max_size=30))
def test_no_text_is_too_odd(page: str, content_type: str) -> None:
    is_fit(read_page(page.encode(), f"text/html; charset={content_type}"))


@given(
    st.binary(max_size=300), st.sampled_from(["utf-16", "gb18030", "iso-2022-jp", "shift_jis", "big5", "euc-jp", ""])
)
def test_no_bytes_are_too_odd(page: bytes, charset: str) -> None:
    is_fit(read_page(b"<title>" + page + b"</title>", f"text/html; charset={charset}"))


def is_fit(preview: Preview | None) -> None:
    """As a message may carry it."""
    if preview is None:
        return
    assert 0 < len(preview.title) <= MAX_TITLE_CHARS
    assert len(preview.description) <= MAX_DESCRIPTION_CHARS
    assert len(preview.site_name) <= MAX_SITE_NAME_CHARS
    for text in (preview.title, preview.description, preview.site_name):
        assert text == text.strip()
        assert not UNFIT.search(text)
        # No halves of characters.
        text.encode()


HOSTILE = {
    "nested": "<div>" * MAX_PAGE_BYTES,
    "brackets": "<" * MAX_PAGE_BYTES,
    "tags": "<meta>" * MAX_PAGE_BYTES,
    "tags without an end": "<meta " * MAX_PAGE_BYTES,
    "titles": "<title>" * MAX_PAGE_BYTES,
    "comments": "<!--" * MAX_PAGE_BYTES,
    "scripts": "<script>" * MAX_PAGE_BYTES,
    "script ends": "<script></script " * MAX_PAGE_BYTES,
    "one attribute": '<meta content="' + "a" * MAX_PAGE_BYTES,
    "one name": "<meta " + "a" * MAX_PAGE_BYTES,
    "attributes": "<meta " + "a=b " * MAX_PAGE_BYTES,
    "quotes": '<meta a="' * MAX_PAGE_BYTES,
    "open quotes": "<meta a='\"" * MAX_PAGE_BYTES,
    "spaces": "<meta" + " " * MAX_PAGE_BYTES,
    "slashes": "<meta" + "/" * MAX_PAGE_BYTES,
    "references": "<title>" + "&#" * MAX_PAGE_BYTES,
    "small attributes": f"<meta {'a ' * (MAX_TAG_CHARS // 2 - 1)}>" * MAX_TAGS,
    "almost tags": "<noscrip" * MAX_PAGE_BYTES,
    "charset": "<meta " + "charset " * MAX_PAGE_BYTES,
}


class Counted:
    """A pattern that notes how many characters it looked at, at most."""

    def __init__(self, pattern: re.Pattern[str], steps: list[int]) -> None:
        self._pattern = pattern
        self._steps = steps

    def search(self, page: str, at: int, end: int = sys.maxsize) -> re.Match[str] | None:
        match = self._pattern.search(page, at, end)
        self._steps.append((match.end() if match else min(end, len(page))) - at + 1)
        return match

    def match(self, page: str, at: int, end: int) -> re.Match[str] | None:
        match = self._pattern.match(page, at, end)
        # One that fails has looked at what parts attributes; before a value that is not taken, at all of the tag.
        passed = PARTING.match(page, match.end() if match else at, end)
        assert passed
        is_value = page[passed.end() : passed.end() + 1] == "="
        self._steps.append((min(end, len(page)) if match and is_value else passed.end()) - at + 1)
        return match


PARTING = re.compile(r"[\s/]*")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters each look took, at most."""
    counted: list[int] = []
    for name in ("_TAG", "_ATTRIBUTE", "_END", "_TITLE_END"):
        monkeypatch.setattr(pages, name, Counted(getattr(pages, name), counted))
    skipped = {name: Counted(pattern, counted) for name, pattern in pages._SKIPPED.items()}
    monkeypatch.setattr(pages, "_SKIPPED", skipped)
    return counted


@pytest.mark.parametrize("page", [pytest.param(page, id=name) for name, page in HOSTILE.items()])
def test_a_page_is_looked_at_once(page: str, steps: list[int]) -> None:
    page = page[:MAX_PAGE_BYTES]
    list(statements(page))
    # Each character as text, as a tag, as an attribute that fails, and as the end of a tag.
    assert sum(steps) <= 4 * (len(page) + MAX_TAG_CHARS)


def test_a_page_of_tags_is_given_up(steps: list[int]) -> None:
    list(statements("<meta a>" * 10 * MAX_TAGS))
    assert len(steps) <= 5 * MAX_TAGS


def test_what_comes_after_the_limit_does_not_count() -> None:
    assert title_of(b" " * MAX_PAGE_BYTES + b"<title>late</title>") is None


def test_a_page_of_attributes_is_given_up(steps: list[int]) -> None:
    list(statements(f"<meta {'a ' * (MAX_TAG_CHARS // 2 - 1)}>" * MAX_TAGS))
    assert len(steps) <= 20 * MAX_TAGS
    assert MAX_ATTRIBUTES < 18
    assert title_of(f"<meta {'a ' * MAX_ATTRIBUTES}><title>yes</title>") == "yes"


def test_of_a_page_of_brackets_little_is_looked_at(steps: list[int]) -> None:
    list(statements("<" * MAX_PAGE_BYTES))
    assert sum(steps) <= MAX_BRACKETS + 1
    # Those of a large table are too many, and its head is read.
    assert title_of("<title>yes</title>" + "<td>1" * MAX_PAGE_BYTES) == "yes"


@pytest.fixture
def faults() -> Iterator[list[UnicodeError]]:
    """What Python asked about, fault by fault."""
    asked: list[UnicodeError] = []
    replace = codecs.lookup_error("replace")

    def count(fault: UnicodeError) -> tuple[str | bytes, int]:
        asked.append(fault)
        return replace(fault)

    codecs.register_error("replace", count)
    yield asked
    codecs.register_error("replace", replace)


@pytest.mark.parametrize("encoding", encodings._NAMES)
def test_no_fault_of_an_encoding_is_asked_about(encoding: str, faults: list[UnicodeError]) -> None:
    name = encodings._NAMES[encoding][0]
    for high in range(0x80, 0x100):
        for body in (bytes([high]) * 64, bytes([0, high]) * 32, bytes([high, 0x20]) * 32):
            decode(body, f"text/html; charset={name}")
    assert not faults


@pytest.mark.parametrize("encoding", encodings._TABLES)
def test_a_table_of_bytes_says_what_its_encoding_says(encoding: str) -> None:
    name = encodings._NAMES[encoding][0]
    every = bytes(range(256)) * 2
    assert decode(every, f"text/html; charset={name}") == every.decode(encoding, "replace")


def test_a_page_in_utf_16_ends_at_its_first_fault() -> None:
    page = "<title>yes</title>".encode("utf-16-le")
    assert title_of(page + b"\x00\xd8" * 9 + page, "text/html; charset=utf-16") == "yes"
    assert title_of(page + b"x", "text/html; charset=utf-16") == "yes"


@pytest.mark.parametrize("pattern", [encodings._IN_HEADER.pattern, encodings._IN_PAGE.pattern.decode()])
def test_a_run_of_spaces_is_read_in_one_way(pattern: str) -> None:
    """A header of 8 KiB of spaces held the loop for most of a second."""
    assert "\\s*" in pattern
    assert not re.search(r"\\s\*(?!\+)", pattern)
