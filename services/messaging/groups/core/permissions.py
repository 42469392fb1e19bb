"""Who may do what in a group: one table of the least role for each action."""

from enum import Enum

from services.messaging.kernel.errors import ConversationFrozen, ConversationNotFound, NotAGroup, RoleTooLow
from services.messaging.kernel.model import AddAudience, Conversation, ConversationKind, Member, Role, UserId


class GroupAction(Enum):
    """What members do to a group."""

    ADD = "add people"
    UPDATE = "change the title, the picture or a setting"
    INVITE = "make or revoke invites"
    REMOVE_MEMBER = "remove a member"
    REMOVE_ADMIN = "remove an admin"
    SET_ROLE = "give roles"
    SET_VANISHING = "set when messages vanish"
    LIFT_BAN = "see and lift bans"
    PIN = "pin messages"


RANK = {Role.MEMBER: 0, Role.ADMIN: 1, Role.OWNER: 2}

# ADD: unless the group says otherwise, see `least_role`.
MIN_ROLE = {
    GroupAction.ADD: Role.MEMBER,
    GroupAction.UPDATE: Role.ADMIN,
    GroupAction.INVITE: Role.ADMIN,
    GroupAction.REMOVE_MEMBER: Role.ADMIN,
    GroupAction.REMOVE_ADMIN: Role.OWNER,
    GroupAction.SET_ROLE: Role.OWNER,
    GroupAction.SET_VANISHING: Role.ADMIN,
    GroupAction.LIFT_BAN: Role.ADMIN,
    GroupAction.PIN: Role.ADMIN,
}
_ADDERS = {AddAudience.MEMBERS: MIN_ROLE[GroupAction.ADD], AddAudience.ADMINS: Role.ADMIN}


# What nobody does while moderation has frozen the group: what says something or brings people in. People still go.
HALTED = frozenset(
    {
        *(GroupAction.ADD, GroupAction.UPDATE, GroupAction.INVITE, GroupAction.SET_ROLE),
        *(GroupAction.SET_VANISHING, GroupAction.PIN),
    }
)


def require(group: Conversation, actor: UserId, action: GroupAction) -> None:
    """Raises ConversationNotFound, NotAGroup, RoleTooLow, ConversationFrozen unless the actor may do this."""
    find_actor(group, actor)
    if not is_allowed(group, actor, action):
        raise RoleTooLow(f"only {least_role(group, action).value}s may {action.value}")
    if group.frozen and action in HALTED:
        raise ConversationFrozen


def least_role(group: Conversation, action: GroupAction) -> Role:
    """From which role on this may be done in this group."""
    return _ADDERS[group.add_audience] if action is GroupAction.ADD else MIN_ROLE[action]


def find_actor(group: Conversation, actor: UserId) -> Member:
    """The actor as a member. Raises ConversationNotFound, NotAGroup."""
    member = group.member(actor)
    if member is None:
        raise ConversationNotFound
    require_group(group)
    return member


def is_allowed(group: Conversation, actor: UserId, action: GroupAction) -> bool:
    """Whether the actor is in the group and has the role for it."""
    member = group.member(actor)
    return member is not None and RANK[member.role] >= RANK[least_role(group, action)]


def require_group(group: Conversation) -> None:
    """Raises NotAGroup."""
    if group.kind is not ConversationKind.GROUP:
        raise NotAGroup("this is a direct conversation")
