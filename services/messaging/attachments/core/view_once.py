"""Messages whose file each recipient opens once: who may open one, when that was a retry, and when the file goes."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.messaging.kernel.access import find_visible, require_let_in
from services.messaging.kernel.errors import AlreadyOpened, AttachmentNotFound, MessageNotFound, NotAllowed
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Conversation, Message, UserId

# How long a file waits for those who have not opened it. Raising it keeps for longer what its sender wants to be gone;
# lowering it takes it from people who were away for a while, such as on holiday.
KEPT = timedelta(days=14)
# How long the same request gets an address again. Raising it lets a device open twice for longer; lowering it makes a
# lost answer on a bad network lose the file.
RETRY = timedelta(seconds=60)


@dataclass(frozen=True)
class Opening:
    """That a person opened a message, when, and the key of the request."""

    user_id: UserId
    client_request_id: str
    opened_at: datetime


@dataclass(frozen=True)
class Opened:
    """The message after an opening, without its new revision; what is to be written; and when its file goes, which is
    never put off where `is_last`."""

    after: Message
    opening: Opening
    release_at: datetime
    is_last: bool


def kept_until(message: Message) -> datetime | None:
    """When the file of a message that was just sent goes, whoever has not opened it; None for an ordinary one."""
    return message.sent_at + KEPT if message.view_once else None


def open_once(
    conversation: Conversation, message: Message | None, former: Opening | None, wanted: Opening, address_ttl: timedelta
) -> Opened | None:
    """The person opens the message; `former` is this person's earlier opening. None for a retry of it.

    An address is good for `address_ttl`: the file stays until the last one is over.
    Raises ConversationNotFound, AttachmentNotFound, AlreadyOpened, and NotAllowed to the sender and to who has not let
    the conversation in.
    """
    user, now = wanted.user_id, wanted.opened_at
    found = find_once(conversation, user, message, now)
    if former is not None and not _is_retry(former, wanted):
        raise AlreadyOpened
    if not found.attachments:
        raise AttachmentNotFound
    if former is not None:
        return None
    after = replace(found, opened_by=(*found.opened_by, user))
    return Opened(after, wanted, now + address_ttl + RETRY, is_last=_is_opened_by_all(conversation, after))


def find_once(conversation: Conversation, user: UserId, message: Message | None, now: datetime) -> Message:
    """The view-once message, if the user is one of its recipients. Errors as of open_once."""
    require_let_in(conversation, user)
    try:
        found = as_of(find_visible(conversation, user, message), now)
    except MessageNotFound:
        raise AttachmentNotFound from None
    if not found.view_once:
        raise AttachmentNotFound
    if found.sender_id == user:
        raise NotAllowed
    return found


def _is_retry(former: Opening, wanted: Opening) -> bool:
    return former.client_request_id == wanted.client_request_id and wanted.opened_at - former.opened_at <= RETRY


def _is_opened_by_all(conversation: Conversation, message: Message) -> bool:
    recipients = (member for member in conversation.members if member.user_id != message.sender_id)
    return all(member.user_id in message.opened_by for member in recipients if member.visible_after_seq < message.seq)
