"""What notices are made of, and what is known of people and their devices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NewType

from services.runtime.quiet_hours import QuietHours

UserId = NewType("UserId", str)
DeviceId = NewType("DeviceId", str)
TokenId = NewType("TokenId", str)
ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
# What collapses on a device: all of a conversation, one ringing call, or one scheduled call.
ThreadKey = NewType("ThreadKey", str)


class Provider(Enum):
    """Who carries a notice to a device. The values stand in the database and in metrics."""

    APNS = "apns"
    # Rings alone: what comes by it must be shown as a call.
    APNS_VOIP = "apns_voip"
    FCM = "fcm"
    WEB_PUSH = "web_push"
    # The network itself, by a signed webhook.
    NETWORK = "network"


class NoticeKind(Enum):
    """Why a person is told. The values stand in payloads."""

    MESSAGE = "message"
    MENTION = "mention"
    REPLY = "reply"
    REACTION = "reaction"
    REQUEST = "request"
    CALL = "call"
    MISSED_CALL = "missed_call"
    # A scheduled call begins soon; its time has come.
    CALL_REMINDER = "call_reminder"
    CALL_BEGINS = "call_begins"


class Level(Enum):
    """What a person wants to be told."""

    ALL = "all"
    # What is meant for this person: mentions, replies, missed calls.
    MENTIONS = "mentions"
    # Nothing but ringing calls.
    NONE = "none"


class RequestState(Enum):
    """Whether the person let the conversation in."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    DECLINED = "declined"


@dataclass(frozen=True)
class Token:
    """How one provider reaches one device."""

    id: TokenId
    user_id: UserId
    device_id: DeviceId
    provider: Provider
    # The provider's token; of Web Push the endpoint.
    address: str
    # The app's id at APNs; empty elsewhere.
    app: str = ""
    # The keys of a Web Push subscription (RFC 8291); empty elsewhere.
    p256dh: bytes = b""
    auth: bytes = b""


@dataclass(frozen=True)
class Settings:
    """What a person chose."""

    level: Level = Level.ALL
    # Whether notices hold what was written, and by whom.
    previews: bool = True
    quiet_hours: QuietHours | None = None
    conversations: Mapping[ConversationId, Level] = field(default_factory=dict)

    def is_quiet(self, now: datetime) -> bool:
        """Whether what comes now comes without a sound."""
        return self.quiet_hours is not None and self.quiet_hours.cover(now)


@dataclass(frozen=True)
class Person:
    """Somebody with at least one token."""

    user_id: UserId
    settings: Settings = field(default_factory=Settings)
    # On some device, and not away from it. Not looked up for what is sent, which has waited already.
    is_attended: bool = False


@dataclass(frozen=True)
class Facts:
    """How a person keeps a conversation, and stands to whoever did something in it: messaging says so, when asked."""

    is_member: bool = True
    is_group: bool = False
    request: RequestState = RequestState.ACCEPTED
    # A block between the two, either way.
    is_blocked: bool = False
    muted_until: datetime | None = None
    # All messages up to and including this one have been read on some device.
    read_seq: int = 0
    # The message that this one answers is the person's own.
    is_reply_to_own: bool = False
    # Of a group.
    title: str = ""


@dataclass(frozen=True)
class Notice:
    """What stands on a person's devices for a thread."""

    kind: NoticeKind
    conversation_id: ConversationId
    time: datetime
    # The message; 0 and empty for a call, and where it was taken back and others stay.
    seq: int = 0
    message_id: str = ""
    # Empty for a request: nobody may write a name onto the screen of who has not let them in.
    from_user_id: str = ""
    # What was written, or what a scheduled call is about, as far as the person may see it before looking; it goes when
    # all devices have the notice.
    text: str = ""
    # Of a group.
    title: str = ""
    is_quiet: bool = False
    # Of a ringing call.
    call_id: str = ""
    video: bool = False
    # After this it is of no use: the end of the ring; of a reminder the start of the call.
    expire_time: datetime | None = None


@dataclass(frozen=True)
class Thread:
    """What a person's devices are to show of a conversation, or of a call."""

    key: ThreadKey
    notice: Notice | None = None
    # Rises when devices are to be told something else.
    version: int = 0
    # The messages that were noticed and not read, ascending: what the badge counts.
    seqs: tuple[int, ...] = ()
    # The newest that was decided on: what comes again is known by it. Of a call, milliseconds of its newest event; of a
    # scheduled one its version.
    seen_seq: int = 0
    # As far as is known here.
    read_seq: int = 0

    @property
    def badge(self) -> int:
        """What it adds to the number on the app's icon. A request adds nothing: strangers write no numbers either."""
        is_counted = self.notice is not None and self.notice.kind is not NoticeKind.REQUEST
        return len(self.seqs) if is_counted else 0


def conversation_key(conversation_id: ConversationId) -> ThreadKey:
    """The thread of a conversation."""
    return ThreadKey(f"conversation:{conversation_id}")


def call_key(call_id: str) -> ThreadKey:
    """The thread of a ringing call."""
    return ThreadKey(f"call:{call_id}")


def scheduled_key(scheduled_id: str) -> ThreadKey:
    """The thread of a scheduled call."""
    return ThreadKey(f"scheduled:{scheduled_id}")


def is_call(key: ThreadKey) -> bool:
    """Whether the thread is a ringing call."""
    return key.startswith("call:")
