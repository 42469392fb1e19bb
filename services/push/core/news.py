"""What happened, as one person's devices are told of it."""

from dataclasses import dataclass
from datetime import datetime

from services.push.core.model import ConversationId, MessageId, RequestState, ThreadKey, UserId, call_key
from services.push.core.model import conversation_key as key_of


@dataclass(frozen=True)
class MessageSent:
    """Somebody said something, or called and was not answered. What nobody said (a system message) is no such news."""

    conversation_id: ConversationId
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

    @property
    def thread(self) -> ThreadKey:
        return key_of(self.conversation_id)


@dataclass(frozen=True)
class MessageChanged:
    """It was edited, reacted to or taken back: as it is now."""

    conversation_id: ConversationId
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

    @property
    def thread(self) -> ThreadKey:
        return key_of(self.conversation_id)


@dataclass(frozen=True)
class OwnStateChanged:
    """The person read, muted, accepted or declined on some device."""

    conversation_id: ConversationId
    read_seq: int
    request: RequestState
    time: datetime

    @property
    def thread(self) -> ThreadKey:
        return key_of(self.conversation_id)


@dataclass(frozen=True)
class ConversationLeft:
    """The person is out."""

    conversation_id: ConversationId
    time: datetime

    @property
    def thread(self) -> ThreadKey:
        return key_of(self.conversation_id)


@dataclass(frozen=True)
class RelationsChanged:
    """The person blocked or let in somebody: what stands is looked at again."""


@dataclass(frozen=True)
class CallRang:
    """A call rings the person."""

    call_id: str
    conversation_id: ConversationId
    caller_id: UserId
    video: bool
    time: datetime
    ring_deadline: datetime

    @property
    def thread(self) -> ThreadKey:
        return call_key(self.call_id)


@dataclass(frozen=True)
class RingEnded:
    """It rings the person no more: answered on some device, declined, cancelled, missed."""

    call_id: str
    conversation_id: ConversationId
    time: datetime

    @property
    def thread(self) -> ThreadKey:
        return call_key(self.call_id)


# What is about one thread.
ThreadNews = MessageSent | MessageChanged | OwnStateChanged | ConversationLeft | CallRang | RingEnded
News = ThreadNews | RelationsChanged


@dataclass(frozen=True)
class Told:
    """News of one person."""

    user_id: UserId
    news: News
