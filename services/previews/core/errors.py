"""Why there is no preview. What lay behind an address is told to nobody: see NoPreview."""


class PreviewError(Exception):
    """The base of all."""


class AddressNotAllowed(PreviewError):
    """The address itself is of a kind that is never asked; found without asking anybody."""

    field = "url"


class NoPreview(PreviewError):
    """There is none, whatever the reason: nobody there, not in time, no page, or a place that is not for asking. They
    are told alike, or this service would tell its callers what listens in the network it stands in."""

    def __init__(self) -> None:
        super().__init__("there is no preview of this address")


class TooManyFetches(PreviewError):
    """This replica asks as many hosts as it may at once."""


class PreviewsOff(PreviewError):
    """This installation makes no previews."""
