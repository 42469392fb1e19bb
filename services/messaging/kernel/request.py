"""Whether a person let a conversation in."""

from enum import Enum

# Texts of a person that go before anybody else let the conversation in. Higher: a stranger says more unasked. Lower:
# there is less to tell who it is by.
REQUEST_MESSAGES = 3


class Request(Enum):
    """Whether a member let the conversation in."""

    NONE = ""
    # Waits in the member's Requests.
    PENDING = "pending"
    # In no list, and told to no device, until the member writes.
    DECLINED = "declined"
