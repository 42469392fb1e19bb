"""A message as a device keeps it, and what it says. Pure: no clock, no network, no protobuf."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class CallRecord:
    """The record of an ended call, as the conversation shows it. `outcome` is the enum's name without its prefix."""

    call_id: str
    outcome: str
    video: bool
    length_ms: int


@dataclass(frozen=True)
class Poll:
    """A question to vote on with `Messaging.vote`. `votes`: who chose each of the options."""

    question: str
    options: tuple[str, ...]
    multiple: bool = False
    votes: tuple[tuple[str, ...], ...] = ()

    def choice(self, user_id: str) -> tuple[int, ...]:
        """The options that a person chose, by their places."""
        return tuple(index for index, voters in enumerate(self.votes) if user_id in voters)


@dataclass(frozen=True)
class Sticker:
    """A picture that a provider keeps, by its https address. Load it only from hosts that the service names
    (`Limits.sticker_hosts`), and show the description otherwise. `url` is empty in Requests."""

    url: str
    width: int
    height: int
    description: str
    provider_ref: str = ""


@dataclass(frozen=True)
class Voice:
    """What somebody spoke; its sound is the message's one attachment. `waveform`: its loudness in equal parts of its
    length, a byte each; it may be empty."""

    length_s: float
    waveform: bytes = b""


@dataclass(frozen=True)
class LinkPreview:
    """What is behind a link of a text, as its sender's device says; nobody has looked whether it is so. Show the host
    of `url` beside it, and fetch nothing from there."""

    url: str
    title: str
    description: str = ""
    site_name: str = ""


@dataclass(frozen=True)
class Entry:
    """One message as it stands at a revision of its conversation (0: never changed). `kind` names its content."""

    conversation_id: str
    seq: int
    message_id: str
    sender_id: str
    client_message_id: str
    text: str | None = None
    call: CallRecord | None = None
    poll: Poll | None = None
    sticker: Sticker | None = None
    voice: Voice | None = None
    # Of a text.
    preview: LinkPreview | None = None
    kind: str = "text"
    revision: int = 0
    edit_count: int = 0
    reply_to_seq: int = 0
    # (emoji, user ids)
    reactions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    # Ids, in order.
    attachments: tuple[str, ...] = ()
    # A copy of another message.
    forwarded: bool = False
    # Each recipient opens its file once (`Messaging.open_once`), and who did, the first one first.
    view_once: bool = False
    opened_by: tuple[str, ...] = ()
    # When it vanishes, Unix time; None when it stays.
    expires_at_s: float | None = None

    def as_of(self, now_s: float) -> Entry:
        """As it is shown then: devices hide by themselves what vanishes, without waiting for a word of the service."""
        is_over = self.expires_at_s is not None and self.expires_at_s <= now_s
        if not is_over or self.kind not in COUNTED:
            return self
        bare = replace(self, edit_count=0, reply_to_seq=0, reactions=(), attachments=(), forwarded=False)
        bare = replace(bare, view_once=False, opened_by=())
        bare = replace(bare, poll=None, sticker=None, voice=None)
        return replace(bare, kind="expired", text=None, call=None, preview=None)


# What counts as unread, and vanishes.
COUNTED = ("text", "voice", "poll", "sticker", "call")
# What is left of a message that was taken back, or whose time was over.
GONE = ("unsent", "expired")
