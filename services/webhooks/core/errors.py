"""What can be wrong with what operators ask."""


class WebhooksError(Exception):
    """The root of this service's errors."""


class EndpointNotFound(WebhooksError):
    """The configuration has no endpoint of this name."""
