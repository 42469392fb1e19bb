"""Every refusal of signaling. One table in rpc.py gives each its gRPC status and reason."""

from collections.abc import Awaitable, Callable


class CallsError(Exception):
    """The base of them all."""


class CallNotFound(CallsError):
    """No such call, or the user is not part of it; which of the two is not told."""


class ConversationNotFound(CallsError):
    """No such conversation, or the user is not in it; which of the two is not told."""


class AccountKeyOutdated(CallsError):
    """The account's key is another one by now, or of another version."""


class DeviceKeysNotFound(CallsError):
    """No device of the account has published these keys."""


class KeyDeviceLimit(CallsError):
    """The account has as many confirmed devices as it may have."""


class CallRate(CallsError):
    """The caller places too many calls, or the callee is rung too often; which of the two is not told.

    `retry_delay_s` says when to try again.
    """

    def __init__(self, retry_delay_s: float) -> None:
        super().__init__("too many calls")
        self.retry_delay_s = retry_delay_s


class NotGroupCall(CallsError):
    """Only a group's call can do this."""


class NotAdmin(CallsError):
    """Only the group's admins and owner may do this."""


class CallLocked(CallsError):
    """An admin has closed the call to those who are not in it."""


class CallFull(CallsError):
    """The call has as many people as it may have."""


class RemovedFromCall(CallsError):
    """An admin has removed the user from this call."""


class JoinLinkNotFound(CallsError):
    """No join link has that secret; or none of that id is the user's to see, which of the two is not told."""


class JoinLinkClosed(CallsError):
    """The join link was revoked or has expired, its maker has gone, or the two may not meet; which is not told."""


class JoinLinkLimit(CallsError):
    """The call has as many open join links as it may have."""


class LobbyFull(CallsError):
    """As many people wait, or have knocked at this call, as may."""


class LobbyRefused(CallsError):
    """A host did not let the user in."""


class NotHost(CallsError):
    """Only the maker of the link and the group's admins and owner may do this."""


class ParticipantNotFound(CallsError):
    """The person that is meant is not in the call."""


class CallNotAllowed(CallsError):
    """The caller may not ring the callee; the reason is not told."""


class AlreadyInCall(CallsError):
    """The user calls while in a call, or while being rung."""


class NoMediaWorker(CallsError):
    """No SFU worker has room."""


class WorkerNotFound(CallsError):
    """No live SFU worker has that name."""


class AnsweredElsewhere(CallsError):
    """Another device of the callee was first."""


class CallEnded(CallsError):
    """The call is over."""


class NotCallee(CallsError):
    """The caller of a call cannot answer or decline it."""


class NotCaller(CallsError):
    """Only the caller of a call can cancel it."""


class AlreadyAnswered(CallsError):
    """Too late to decline or cancel: the call runs."""


class NotInCall(CallsError):
    """The device is not in the call."""


class JoinTokenInvalid(CallsError):
    """The join token is forged, or was given to somebody else; which of the two is not told."""

    def __init__(self) -> None:
        super().__init__("the token admits to no call")


class WorkerNotOfCall(CallsError):
    """A media worker reports on a call that was never placed on it."""


class JoinTokenExpired(CallsError):
    """The join token is too old, or the call has moved to another worker since."""


class SdpInvalid(CallsError):
    """The worker does not take the offer; the text says what is wrong with it."""


class MediaUnavailable(CallsError):
    """The worker cannot be reached or takes nobody now."""


class VersionConflict(CallsError):
    """The call changed between reading and writing: read again and decide again."""


class UserBusy(CallsError):
    """The change would put a user into a second call at once; `call_id` is the first."""

    def __init__(self, user_id: str, call_id: str | None) -> None:
        super().__init__("the user is in another call")
        self.user_id = user_id
        self.call_id = call_id


class Contended(CallsError):
    """The call changed so often that the decision could not be written; the same request may succeed later."""


class MembersUnavailable(CallsError):
    """Messaging cannot say now who is in the conversation. `others_pass` asks whether it serves others meanwhile."""

    def __init__(self, message: str = "", others_pass: Callable[[], Awaitable[bool]] | None = None) -> None:
        super().__init__(message)
        self.others_pass = others_pass
