"""What people write: taken unchanged, or refused by the name of the field."""

from services.messaging.kernel import checks
from services.messaging.kernel.content import Link, LinkPreview, Text
from services.messaging.kernel.emojis import qualified
from services.messaging.kernel.errors import InvalidField
from services.messaging.kernel.media_types import media_type

_TEXTS = ("hello", "\x00", "\ud800", "❤️", "👍🏽", "https://example.com/a?b", "é" * 99, "a" + "\u0301" * 40)
SEEDS = tuple(text.encode("utf-8", "surrogatepass") for text in (*_TEXTS, "image/png;x=y"))


def fuzz(data: bytes) -> None:
    """Raises for anything but an InvalidField."""
    text = data.decode("utf-8", "surrogatepass") if _is_text(data) else data.decode("latin-1")
    for check in (_text, _title, _emoji, _link, checks.check_avatar_ref, _ids):
        try:
            check(text)
        except InvalidField:
            continue
    named = media_type(text, text)
    assert named is None or media_type(named, "") is not None


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _text(text: str) -> None:
    kept = checks.check_text(text, 1000)
    assert kept == text
    assert b"\x00" not in kept.encode()


def _title(text: str) -> None:
    title = checks.check_title(text)
    assert checks.check_title(title) == title


def _emoji(text: str) -> None:
    emoji = checks.check_emoji(text)
    assert qualified(emoji) == emoji


def _link(text: str) -> None:
    checks.check_entities("abc", [Link(0, 3, text)])
    assert text.lower().startswith(("http://", "https://"))
    checks.check_preview(Text(text), LinkPreview(text, text[:200]))


def _ids(text: str) -> None:
    assert " " not in checks.check_user_id("user_id", text)
    checks.check_client_id("client_message_id", text)
    checks.check_uuid("conversation_id", text)
