"""What the gateway refuses, and why it ends streams."""


class GatewayError(Exception):
    """Base of what the gateway refuses."""


class InvalidField(GatewayError):
    """A value of the request is out of bounds; `field` names it."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name


class RetryLater(GatewayError):
    """Base of what is refused for now; `retry_delay_s` says for how long."""

    def __init__(self, message: str, retry_delay_s: float) -> None:
        super().__init__(message)
        self.retry_delay_s = retry_delay_s


class RouterUnavailable(GatewayError):
    """No presence replica owns the user's partition now: a rebalance or an outage."""


class TooManyDevices(GatewayError):
    """This process, or one address, has as many streams as it may."""


class TooManyStreams(RetryLater):
    """Streams were opened faster than this process takes them, or than one user may open them."""


class TypingTooOften(RetryLater):
    """A user says more often that they type than anybody types."""


class Draining(RetryLater):
    """This process is about to stop; reconnect elsewhere."""


class Replaced(GatewayError):
    """The device opened a newer stream."""


class DeviceLimit(GatewayError):
    """The user has opened more devices than one may have, and this is the oldest."""


class SlowConsumer(GatewayError):
    """The device did not read its events in time."""


class ConversationNotFound(GatewayError):
    """There is no such conversation, or the caller is not in it."""
