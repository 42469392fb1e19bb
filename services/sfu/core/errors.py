"""Everything this service refuses, in one hierarchy."""


class SfuError(Exception):
    """The base; the text is fit for the caller's eyes."""


class SdpError(SfuError):
    """The offer cannot be served; the text names what is wrong with it."""


class JoinTokenInvalid(SfuError):
    """The join token is forged, or meant for another worker."""


class JoinTokenExpired(SfuError):
    """The join token was good once."""


class WorkerFull(SfuError):
    """The worker admits no more participants."""


class Draining(SfuError):
    """The worker is about to stop and takes no new participants."""


class RelaysInvalid(SfuError):
    """What is said of a call's other workers cannot be; the text names what."""


class PacketError(ValueError):
    """A datagram that is dropped; `reason` is the label it is counted by.

    Raised and caught inside the service: bytes from the network never raise out of it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
