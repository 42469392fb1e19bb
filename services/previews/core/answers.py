"""What a host answered, and what is to be done with it."""

from collections.abc import Mapping
from dataclasses import dataclass

_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True)
class Head:
    """The beginning of an answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]

    @property
    def content_type(self) -> str:
        """As it is told, with its charset."""
        return self.headers.get("content-type", "")

    @property
    def location(self) -> str | None:
        """Where the page is; None where this is the page, or nothing."""
        return self.headers.get("location", "") if self.status in _REDIRECTIONS else None

    @property
    def is_page(self) -> bool:
        """Whether a page follows that can be read."""
        is_html = self.content_type.partition(";")[0].strip().lower() in _PAGES
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        return self.status == 200 and is_html and encoding in ("identity", "gzip")


@dataclass(frozen=True)
class Answer:
    """An answer; `body` is decompressed, cut, and empty unless the head is of a page."""

    head: Head
    body: bytes = b""
