"""What vanishes is gone when its time is over."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.checker.history import History

# What vanishes; what the service notes in a conversation stays.
SAID = ("text", "voice", "poll", "sticker", "call")


def vanished_is_gone(history: History) -> Iterator[tuple[tuple[str, ...], str]]:
    """Nothing that was said where messages vanish is shown by anybody or any device when all is quiet."""
    for view in history.views:
        since_seq = history.vanishing.get(view.conversation)
        if since_seq is None:
            continue
        for message in view.messages:
            if message.seq > since_seq and (message.kind in SAID or message.text or message.reactions):
                yield (
                    (view.conversation, str(message.seq)),
                    f"seq {message.seq} of {view.conversation} should have vanished; {view.device} shows {message}",
                )
