"""What a page says of itself: Open Graph (https://ogp.me), else Twitter's cards, else its title and its description.

No parser of HTML: those build what a page means, for the time of which there is no bound that the page does not set.
This passes over a page once and looks at each character a fixed number of times, at its worst too, and stops at the
body or after MAX_TAGS. What is read is a guess in a page that is made to be read in two ways; it is text either way.
"""

import re
from collections.abc import Iterator, Mapping

from services.previews.core.encodings import decode
from services.previews.core.model import MAX_DESCRIPTION_CHARS, MAX_SITE_NAME_CHARS, MAX_TITLE_CHARS, Preview
from services.previews.core.texts import plain

# Of a page, decompressed. Raising it finds what pages say after long scripts; lowering it spares memory and time.
MAX_PAGE_BYTES = 512 * 1024
# That are looked into. Raising it holds the loop for longer, some 10 us a tag; lowering it misses what long heads say.
MAX_TAGS = 1_000
# Of one tag; of a title, as well. Raising it takes more of the time above; lowering it misses long descriptions.
MAX_TAG_CHARS = 8_192

# Of one tag; one with more has none. Raising it takes more of the time above; lowering it misses tags with many.
MAX_ATTRIBUTES = 16
# Of a page. Of one with more only so many characters are looked at. Raising it takes more time, some 0.1 us each;
# lowering it misses what long heads say.
MAX_BRACKETS = 32_768

# The tags that matter; all others are passed over. Only their beginnings, so that what does not end costs nothing.
_TAG = re.compile(r"<(?:(?P<comment>!--)|(?P<name>meta|title|script|style|noscript|template|svg|body)(?=[\s/>]))", re.I)
# In possessive steps, which give nothing back.
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?P<name>[^\s\"'<>/=]++)(?:\s*+=\s*+(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>[^\s\"'<>=`]++)))?+"
)
_END = re.compile(r"[\s/]*+>")
# What stands in these is no part of the head.
_SKIPPED = {name: re.compile(rf"</{name}", re.I) for name in ("script", "style", "noscript", "template", "svg")}
_TITLE_END = re.compile(r"</title", re.I)

_TITLES = ("og:title", "twitter:title", "<title>")
_DESCRIPTIONS = ("og:description", "twitter:description", "description")
_SITE_NAMES = ("og:site_name", "application-name")
_WANTED = frozenset((*_TITLES, *_DESCRIPTIONS, *_SITE_NAMES))


def read_page(body: bytes, content_type: str) -> Preview | None:
    """The preview of a page, of whose body only the first MAX_PAGE_BYTES count; None for one without a title. Never
    raises, whatever the bytes are."""
    said: dict[str, str] = {}
    for name, text in statements(decode(body[:MAX_PAGE_BYTES], content_type)):
        # Of two the first counts.
        said.setdefault(name, text)
    title = _first(said, _TITLES, MAX_TITLE_CHARS)
    if not title:
        return None
    return Preview(
        title,
        _first(said, _DESCRIPTIONS, MAX_DESCRIPTION_CHARS),
        _first(said, _SITE_NAMES, MAX_SITE_NAME_CHARS),
    )


def statements(page: str) -> Iterator[tuple[str, str]]:
    """What the head states that we want, by its name, as it is written there."""
    if page.count("<") > MAX_BRACKETS:
        page = page[:MAX_BRACKETS]
    at = 0
    for _ in range(MAX_TAGS):
        tag = _TAG.search(page, at)
        if tag is None or (tag["name"] or "").lower() == "body":
            return
        at = tag.end()
        name = (tag["name"] or "").lower()
        if tag["comment"]:
            at = _after(page.find("-->", at), 3)
        elif name == "title":
            end = _TITLE_END.search(page, at, at + MAX_TAG_CHARS)
            text = page[at : end.start()] if end else ""
            at = end.end() if end else at + MAX_TAG_CHARS
            yield "<title>", text.partition(">")[2]
        elif name == "meta":
            attributes, at = _attributes(page, at)
            key = (attributes.get("property") or attributes.get("name") or "").strip().lower()
            if key in _WANTED:
                yield key, attributes.get("content", "")
        else:
            end = _SKIPPED[name].search(page, at)
            at = _after(end.end() if end else -1, 0)
        if at < 0:
            return


def _attributes(page: str, at: int) -> tuple[Mapping[str, str], int]:
    """The attributes of a tag, and where it ends. One that does not end within MAX_TAG_CHARS has none, and so much is
    passed over: looking at it again for each tag in it would take the square of the time. So it is with MAX_ATTRIBUTES,
    except that what was read is passed over."""
    found: dict[str, str] = {}
    limit = at + MAX_TAG_CHARS
    count = 0
    while attribute := _ATTRIBUTE.match(page, at, limit):
        at = attribute.end()
        count += 1
        if count > MAX_ATTRIBUTES:
            return {}, at
        value = attribute["double"] or attribute["single"] or attribute["bare"] or ""
        found.setdefault(attribute["name"].lower(), value)
    end = _END.match(page, at, limit)
    return (found, end.end()) if end else ({}, limit)


def _after(found: int, length: int) -> int:
    return found + length if found >= 0 else -1


def _first(said: Mapping[str, str], names: tuple[str, ...], limit: int) -> str:
    return next((text for name in names if (text := plain(said.get(name, ""), limit))), "")
