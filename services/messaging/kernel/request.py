"""Whether a person let a conversation in."""

from enum import Enum


class Request(Enum):
    """Whether a member let the conversation in."""

    NONE = ""
    # Waits in the member's Requests.
    PENDING = "pending"
    # In no list, and told to no device, until the member writes.
    DECLINED = "declined"
