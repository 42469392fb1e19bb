"""Whether a person let a conversation in."""

from enum import Enum

# The default of PARLEY_REQUEST_MESSAGES (config.py), for what is made without a configuration.
REQUEST_MESSAGES = 3


class RequestState(Enum):
    """Whether a member let the conversation in: how it stands as a message request to this member."""

    # Let in, or never a request to this member: the founder, and who lets everybody write.
    ACCEPTED = ""
    # Waits in the member's Requests.
    PENDING = "pending"
    # In no list, and told to no device, until the member writes.
    DECLINED = "declined"
