"""What relations refuse beside what messaging refuses."""

from services.messaging.kernel.errors import MessagingError


class TooManyBlocks(MessagingError):
    """The user blocked as many people as is allowed."""


class ConversationQuota(MessagingError):
    """The user opened as many new conversations today as is allowed; `retry_delay_s` until tomorrow."""

    def __init__(self, retry_delay_s: float) -> None:
        super().__init__("too many new conversations today")
        self.retry_delay_s = retry_delay_s


class RequestQuota(MessagingError):
    """The user asked as many people today as is allowed to let a conversation in; `retry_delay_s` until tomorrow."""

    def __init__(self, retry_delay_s: float) -> None:
        super().__init__("too many people were asked today to let a conversation in")
        self.retry_delay_s = retry_delay_s


class ReportQuota(MessagingError):
    """The user reported as often today as is allowed; `retry_delay_s` until tomorrow."""

    def __init__(self, retry_delay_s: float) -> None:
        super().__init__("too many reports today")
        self.retry_delay_s = retry_delay_s


class ReportNotFound(MessagingError):
    """There is no such report."""

    def __init__(self) -> None:
        super().__init__("no such report")


class ReportClosed(MessagingError):
    """The report was closed with another resolution."""

    def __init__(self) -> None:
        super().__init__("the report was closed otherwise")
