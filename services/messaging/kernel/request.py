"""Whether a person let a conversation in."""

from enum import Enum

# The default of PARLEY_REQUEST_MESSAGES (config.py), for what is made without a configuration.
REQUEST_MESSAGES = 3


class Request(Enum):
    """Whether a member let the conversation in."""

    NONE = ""
    # Waits in the member's Requests.
    PENDING = "pending"
    # In no list, and told to no device, until the member writes.
    DECLINED = "declined"
