"""What people want to send, and what limits it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.messaging.kernel.content import Content, Text
from services.messaging.messages.core.changes import ChangePolicy


@dataclass(frozen=True)
class TextRequest:
    """A text as its sender wants it."""

    client_message_id: str
    text: Text
    reply_to_seq: int = 0
    attachment_ids: Sequence[str] = ()
    # A server of the back office sends it as this person.
    by_server: bool = False
    # Each recipient opens its file once.
    view_once: bool = False


@dataclass(frozen=True)
class SendRequest:
    """What a person says, of a kind whose row checks it."""

    client_message_id: str
    content: Content
    reply_to_seq: int = 0
    attachment_ids: Sequence[str] = ()
    # A server of the back office sends it as this person.
    by_server: bool = False
    # Each recipient opens its file once.
    view_once: bool = False


# Whatever a person says.
Said = TextRequest | SendRequest


def request_of(
    content: Content,
    client_message_id: str,
    reply_to_seq: int,
    attachment_ids: Sequence[str],
    *,
    view_once: bool = False,
) -> Said:
    """What a person wants to send."""
    if isinstance(content, Text):
        return TextRequest(client_message_id, content, reply_to_seq, attachment_ids, view_once=view_once)
    return SendRequest(client_message_id, content, reply_to_seq, attachment_ids, view_once=view_once)


@dataclass(frozen=True)
class MessageLimits:
    """What is configured. The service sets all of it from config.py; the defaults are for tests."""

    text_chars: int = 10_000
    changes: ChangePolicy = field(default_factory=ChangePolicy)
    # Providers whose pictures devices may load.
    sticker_hosts: frozenset[str] = frozenset()
