"""What a page says of itself: fit to be sent with a message, as the messaging service takes it, or nothing.

The first line of an input is the page's content type, as its header tells it.
"""

from services.messaging.kernel.checks import check_preview
from services.messaging.kernel.content import LinkPreview, Text
from services.previews.core.pages import read_page
from services.previews.core.texts import plain

_URL = "https://page.example/"
_PAGES = (
    ("text/html; charset=utf-8", '<!doctype html><title>A &amp; B</title><meta name=description content="C">'),
    ("text/html", "<meta charset=shift_jis><meta property=og:title content='a > b'><body><title>no</title>"),
    ("text/html", "<!-- <title>no --><script>'<title>'</script><svg></svg><title>\u202e&#x202e;&#8203;a</title>"),
    ("text/html", "<meta " + "a='\"' " * 20 + "><title>" + "a\u0301\u200d" * 40 + "</title>"),
    (
        "text/html; charset = 'gb18030'",
        "<meta property=og:site_name content=\ud7ff>\ufdd0&#x110000;&#xd800;&NotExists;",
    ),
)
SEEDS = (
    *(f"{kind}\n{page}".encode() for kind, page in _PAGES),
    b"text/html; charset=utf-16\n" + "<title>\u65e5\u672c</title>".encode("utf-16-le"),
    b"text/html; charset=iso-2022-jp\n<title>\x1b$B\x1b(Ba\x0e</title>",
    b"text/html; charset=utf-7\n<title>+ADw-script+AD4-</title>",
)


def fuzz(data: bytes) -> None:
    """Raises for whatever could not be sent, and for what would be made fit a second time."""
    head, _, body = data.partition(b"\n")
    preview = read_page(body, head.decode("latin-1"))
    if preview is None:
        return
    said = LinkPreview(_URL, preview.title, preview.description, preview.site_name)
    assert check_preview(Text(_URL), said).preview == said
    for text in (preview.title, preview.description, preview.site_name):
        # What looks like a reference is one to whoever reads it again.
        escaped = text.replace("&", "&amp;")
        assert plain(escaped, len(text)) == text
