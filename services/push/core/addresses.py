"""Which addresses a notice may be posted to. That of a Web Push subscription comes from a device: it leads to the push
services that the operators allow, and nowhere else."""

from collections.abc import Sequence
from urllib.parse import urlsplit

# Those of the browsers.
PUSH_SERVICES = (
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)


def is_push_service(url: str, allowed: Sequence[str]) -> bool:
    """Whether a subscription's endpoint is at one of the allowed hosts: `host`, `*.domain` for all below it, each with
    `:port` where it is not 443."""
    place = _place(url)
    if place is None:
        return False
    return any(
        place.endswith(pattern[1:]) and place != pattern[1:] if pattern.startswith("*.") else place == pattern
        for pattern in allowed
    )


def origin(url: str) -> str:
    """Scheme, host and port, as the audience of a VAPID token has them (RFC 8292)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_base_url(value: str) -> bool:
    """Whether a provider's own address can be called: https, or http to this very host (a proxy beside us)."""
    try:
        parts = urlsplit(value)
        has_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    is_clear = value.isprintable() and " " not in value and parts.username is None and not parts.query
    return is_clear and has_place and parts.scheme in ("http", "https")


def _place(url: str) -> str | None:
    """Lower-case host, with the port where it is not 443; None for what is no plain https address."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.fragment:
        return None
    return parts.hostname if port in (None, 443) else f"{parts.hostname}:{port}"
