"""The part that a member has in a group."""

from enum import Enum


class Role(Enum):
    """What a member may do in a group, from the least to the most."""

    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"
