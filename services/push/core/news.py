"""What happened, as one person's devices are told of it."""

from dataclasses import dataclass
from datetime import datetime

from services.push.core.model import (
    ConversationId,
    MessageId,
    NoticeKind,
    RequestState,
    ThreadKey,
    UserId,
    call_key,
    scheduled_key,
)
from services.push.core.model import conversation_key as key_of


@dataclass(frozen=True)
class _InConversation:
    conversation_id: ConversationId

    @property
    def thread(self) -> ThreadKey:
        return key_of(self.conversation_id)


@dataclass(frozen=True)
class _OfCall:
    call_id: str

    @property
    def thread(self) -> ThreadKey:
        return call_key(self.call_id)


@dataclass(frozen=True)
class MessageSent(_InConversation):
    """Somebody said something, or called and was not answered. What nobody said (a system message) is no such news."""

    message_id: MessageId
    seq: int
    sender_id: UserId
    time: datetime
    # What was written; empty where there is nothing, and of messages that vanish.
    text: str = ""
    mentions: frozenset[UserId] = frozenset()
    # 0 for none.
    reply_to_seq: int = 0
    # Nobody answered, or the caller gave up.
    is_missed_call: bool = False


@dataclass(frozen=True)
class MessageChanged(_InConversation):
    """It was edited, reacted to or taken back: as it is now."""

    message_id: MessageId
    seq: int
    sender_id: UserId
    time: datetime
    text: str = ""
    # Nothing of it is left.
    is_gone: bool = False
    # This change is an edit, no reaction.
    is_edit: bool = False
    # Who has reacted, in the order of the message.
    reactors: tuple[UserId, ...] = ()


@dataclass(frozen=True)
class OwnStateChanged(_InConversation):
    """The person read, muted, accepted or declined on some device."""

    read_seq: int
    request: RequestState
    time: datetime


@dataclass(frozen=True)
class ConversationLeft(_InConversation):
    """The person is out."""

    time: datetime


@dataclass(frozen=True)
class RelationsChanged:
    """The person blocked or let in somebody: what stands is looked at again."""


@dataclass(frozen=True)
class CallRang(_OfCall):
    """A call rings the person."""

    conversation_id: ConversationId
    caller_id: UserId
    video: bool
    time: datetime
    ring_deadline: datetime


@dataclass(frozen=True)
class RingEnded(_OfCall):
    """It rings the person no more: answered on some device, declined, cancelled, missed."""

    conversation_id: ConversationId
    time: datetime


@dataclass(frozen=True)
class ScheduledCallTold:
    """A scheduled call changed, begins soon, or begins."""

    scheduled_id: str
    conversation_id: ConversationId
    version: int
    time: datetime
    maker_id: UserId
    # What it is about.
    title: str
    video: bool
    start_time: datetime
    # After that, that it begins is no news.
    end_time: datetime
    # CALL_REMINDER, CALL_BEGINS; None for any other change.
    kind: NoticeKind | None = None
    # It is over, or the person does not come.
    is_off: bool = False

    @property
    def thread(self) -> ThreadKey:
        return scheduled_key(self.scheduled_id)


# What is about one thread.
ThreadNews = (
    MessageSent | MessageChanged | OwnStateChanged | ConversationLeft | CallRang | RingEnded | ScheduledCallTold
)
News = ThreadNews | RelationsChanged


@dataclass(frozen=True)
class Told:
    """News of one person."""

    user_id: UserId
    news: News
