"""What messaging refuses."""

from datetime import datetime


class MessagingError(Exception):
    """Base of what messaging refuses."""


class InvalidField(MessagingError):
    """A value of the request is out of bounds; `field` names it."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


class ConversationNotFound(MessagingError):
    """There is no such conversation, or the caller may not know of it."""

    def __init__(self) -> None:
        super().__init__("no such conversation")


class NotAllowed(MessagingError):
    """The other person takes nothing of the caller, or the caller has not let the conversation in."""

    def __init__(self) -> None:
        super().__init__("this person cannot be reached")


class RequestPending(MessagingError):
    """Nobody else has let the conversation in yet: until then a few plain texts go, and nothing else."""

    def __init__(self) -> None:
        super().__init__("this waits until the other side lets the conversation in; until then only plain texts go")


class RequestPendingLimit(MessagingError):
    """Nobody else has let the conversation in yet, and the caller wrote as many texts as go before that."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} messages go before the other side lets the conversation in")


class ConversationFrozen(MessagingError):
    """Moderation lets nobody say anything in the conversation."""

    def __init__(self) -> None:
        super().__init__("nobody can write here for now")


class MessageNotFound(MessagingError):
    """There is no such message, or the caller may not see it."""

    def __init__(self) -> None:
        super().__init__("no such message")


class MemberNotFound(MessagingError):
    """The person is not in the conversation."""


class InviteNotFound(MessagingError):
    """The invite does not exist, has expired or was revoked."""


class NotAGroup(MessagingError):
    """Direct conversations have no title, roles or invites."""


class RoleTooLow(MessagingError):
    """The caller's role does not allow this."""


class Banned(MessagingError):
    """The person was removed from the group, and no admin has lifted the ban."""

    def __init__(self) -> None:
        super().__init__("was removed from this group; only an admin may let this person in again")


class TooManyMembers(MessagingError):
    """The group is full."""


class TooManyReactions(MessagingError):
    """The message has no room for another reaction."""


class TooManyPins(MessagingError):
    """The conversation has as many pinned messages as it may."""


class NotTheSender(MessagingError):
    """Only who sent a message may edit or unsend it."""


class NotEditable(MessagingError):
    """Messages of this kind cannot be changed so: call records, system messages, unsent messages."""


class NotForwardable(MessagingError):
    """Messages of this kind go into no other conversation: call records, system messages, what is gone."""


class EditTooLate(MessagingError):
    """The time for edits is over."""


class TooManyEdits(MessagingError):
    """The message was edited as often as is allowed."""


class StickerHostNotAllowed(MessagingError):
    """The operators allow no stickers of this host, or none at all."""

    def __init__(self) -> None:
        super().__init__("no stickers of this host can be sent here")


class AttachmentNotFound(MessagingError):
    """There is no such upload or attachment, or the caller may not know of it, or another message has it."""

    def __init__(self) -> None:
        super().__init__("no such attachment")


class AttachmentNotUploaded(MessagingError):
    """The bytes of an upload are not there yet."""

    def __init__(self) -> None:
        super().__init__("the bytes of an attachment are not there yet")


class AttachmentRefused(MessagingError):
    """What is in a file is not what it says it is, or the scanner refused it. The same file never goes."""


class AttachmentNotScanned(MessagingError):
    """The scanner has not said yet what it thinks of a file; the same request may succeed later."""

    def __init__(self) -> None:
        super().__init__("an attachment is still being scanned")


class TooManyUploads(MessagingError):
    """The caller has announced more files than may wait to be sent."""


class ObjectsUnavailable(MessagingError):
    """The object store cannot be reached now; the same request may succeed later."""


class AccountDeleted(MessagingError):
    """The account's deletion was asked for: it may do nothing any more."""

    def __init__(self) -> None:
        super().__init__("this account is deleted")


class AccountRestricted(MessagingError):
    """Moderation lets the account write nothing for a time."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"this account may write again from {until:%Y-%m-%d %H:%M:%S} UTC on")


class MessageHeld(MessagingError):
    """What was written is kept, and waits for a person of the network to let it pass."""

    def __init__(self) -> None:
        super().__init__("this waits for a review; it is sent when it passes")


class MessageRefused(MessagingError):
    """The network does not take what was written. `hook_reason`: its own word for why; may be empty."""

    def __init__(self, hook_reason: str = "") -> None:
        super().__init__("this was not accepted here")
        self.error_info = {"hook_reason": hook_reason} if hook_reason else {}


class PlaceChanged(MessagingError):
    """A message was judged by what was remembered of its conversation, and that has changed since. Nobody is told: it
    is judged anew."""

    def __init__(self) -> None:
        super().__init__("the conversation has changed; try again")


class HookUnavailable(MessagingError):
    """The network was to judge what was written, and did not answer; the same request may succeed later."""

    def __init__(self) -> None:
        super().__init__("this cannot be checked right now")


class HeldNotFound(MessagingError):
    """There is no such held message, or no more."""

    def __init__(self) -> None:
        super().__init__("no such held message")


class HeldDecided(MessagingError):
    """It was decided otherwise on a held message."""


class ScheduledNotFound(MessagingError):
    """The caller has no such message that waits for its time."""

    def __init__(self) -> None:
        super().__init__("no such scheduled message")


class ScheduledSent(MessagingError):
    """A message that waited for its time was sent, or is about to be."""

    def __init__(self) -> None:
        super().__init__("it was sent, or is about to be")


class ScheduledCancelled(MessagingError):
    """A message of this key was cancelled before its time."""

    def __init__(self) -> None:
        super().__init__("it was cancelled")


class TooManyScheduled(MessagingError):
    """The caller has as many messages that wait for their time as one person may."""


class TooManyDrafts(MessagingError):
    """The caller has as many drafts as one person may."""


class JobNotFound(MessagingError):
    """There is no such job, or it is somebody else's."""

    def __init__(self) -> None:
        super().__init__("no such job")


class ViewOnce(MessagingError):
    """The file of a view-once message has no address: each recipient opens the message, once."""

    def __init__(self) -> None:
        super().__init__("this can be opened once, and fetched in no other way")


class AlreadyOpened(MessagingError):
    """The caller has opened the message before."""

    def __init__(self) -> None:
        super().__init__("it was opened already")


class Overloaded(MessagingError):
    """More sends are waiting than the service takes."""


class SendRate(MessagingError):
    """The caller writes too fast; after `retry_delay_s` seconds the same is taken."""

    def __init__(self, retry_delay_s: float) -> None:
        super().__init__("too many messages in a short time")
        self.retry_delay_s = retry_delay_s


class SyncTokenUnknown(MessagingError):
    """A sync token that does not lead anywhere here: another person's, another version's, or of before a restore."""

    def __init__(self) -> None:
        super().__init__("this sync token is not known; begin anew with ListConversations, or with an empty token")


class TooManyConversations(MessagingError):
    """The account has more conversations than cursors can name."""

    def __init__(self, most: int) -> None:
        super().__init__(f"this account has more than {most} conversations; call Sync with a sync_token")
