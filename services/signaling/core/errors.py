"""Every refusal of signaling. One table in rpc.py gives each its gRPC status and reason."""


class CallsError(Exception):
    """The base of them all."""


class CallNotFound(CallsError):
    """No such call, or the user is not part of it; which of the two is not told."""


class ConversationNotFound(CallsError):
    """No such conversation, or the user is not in it; which of the two is not told."""


class NotDirectConversation(CallsError):
    """The conversation does not have exactly two members."""

    field = "conversation_id"


class CallNotAllowed(CallsError):
    """The callee may not be rung by the caller; why is not told."""


class AlreadyInCall(CallsError):
    """The user calls while in a call, or while being rung."""


class NoMediaWorker(CallsError):
    """No SFU worker has room."""


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
    """The join token is forged, or was given to somebody else."""


class JoinTokenExpired(CallsError):
    """The join token is too old, or the call has moved to another worker since."""


class SdpInvalid(CallsError):
    """The worker does not take the offer; the text says what is wrong with it."""


class MediaUnavailable(CallsError):
    """The worker cannot be reached or takes nobody now."""


class VersionConflict(CallsError):
    """The call changed between reading and writing: read again and decide again."""


class Contended(CallsError):
    """The call changed so often that the decision could not be written; the same request may succeed later."""


class MembersUnavailable(CallsError):
    """Messaging cannot say now who is in the conversation."""
