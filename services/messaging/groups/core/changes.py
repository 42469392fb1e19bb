"""What changes a group. Each decision takes the group as it is and gives the change, or None for nothing to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.messaging.groups.core.permissions import RANK, GroupAction, find_actor, is_allowed, require, require_group
from services.messaging.kernel.content import SystemContent, SystemKind
from services.messaging.kernel.errors import (
    Banned,
    ConversationFrozen,
    ConversationNotFound,
    InvalidField,
    MemberNotFound,
    RequestPending,
    TooManyMembers,
)
from services.messaging.kernel.model import (
    AddAudience,
    Conversation,
    ConversationId,
    ConversationKind,
    Member,
    Message,
    MessageId,
    Role,
    UserId,
)
from services.messaging.kernel.request import RequestState

# Of people who are added: how the group stands with them; let in, where nothing is said.
Requests = Mapping[UserId, RequestState]
_ALL_LET_IN: Requests = {}


@dataclass(frozen=True)
class GroupChange:
    """The group after the change (its revision is one higher), the system message of it, and who was removed."""

    after: Conversation
    system: SystemContent | None
    removed: tuple[UserId, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What can be changed; None leaves it."""

    title: str | None = None
    avatar_ref: str | None = None
    history_open: bool | None = None
    add_audience: AddAudience | None = None


@dataclass(frozen=True)
class Ban:
    """Who was removed, by whom (empty when that account is deleted), and when."""

    user_id: UserId
    banned_by: UserId
    banned_at: datetime


@dataclass(frozen=True)
class ChangeStamp:
    """Who makes a change, when, and the id of the system message that tells of it."""

    message_id: MessageId
    actor: UserId
    now: datetime


def system_message(change: GroupChange, stamp: ChangeStamp) -> Message:
    """The system message of a change, as the next message of its group."""
    if change.system is None:
        raise ValueError("this change has no system message")
    return Message(
        id=stamp.message_id,
        conversation_id=change.after.id,
        seq=change.after.last_seq + 1,
        sender_id=stamp.actor,
        # Outside of what users may choose, as for call records.
        client_message_id=f"\x1fline/{stamp.message_id}",
        sent_at=stamp.now,
        content=change.system,
    )


def create_group(
    conversation_id: ConversationId,
    owner: UserId,
    others: Sequence[UserId],
    settings: Settings,
    now: datetime,
    requests: Requests = _ALL_LET_IN,
) -> GroupChange:
    """A new group. Its first message says who made it. `requests`: the state of those who have to accept it first."""
    invited = [
        Member(user, now, request=requests.get(user, RequestState.ACCEPTED), added_by=owner)
        for user in others
        if user != owner
    ]
    members = tuple(sorted([Member(owner, now, role=Role.OWNER), *invited], key=lambda member: member.user_id))
    empty = Conversation(
        id=conversation_id,
        kind=ConversationKind.GROUP,
        members=members,
        last_seq=0,
        created_at=now,
        title=settings.title or "",
        avatar_ref=settings.avatar_ref or "",
        history_open=bool(settings.history_open),
        add_audience=settings.add_audience or AddAudience.MEMBERS,
    )
    return GroupChange(empty, SystemContent(SystemKind.CREATED))


def add_members(
    group: Conversation,
    actor: UserId,
    users: Sequence[UserId],
    now: datetime,
    limit: int,
    requests: Requests = _ALL_LET_IN,
) -> GroupChange | None:
    """Add people; `requests` as for create_group. An admin lifts the ban of whom they add.

    Raises TooManyMembers, Banned and what `require` raises.
    """
    fresh = absent(group, actor, users)
    if not fresh:
        return None
    require(group, actor, GroupAction.ADD)
    if not group.banned.isdisjoint(fresh) and not is_allowed(group, actor, GroupAction.LIFT_BAN):
        raise Banned
    new_members = [
        Member(user, now, request=requests.get(user, RequestState.ACCEPTED), added_by=actor) for user in fresh
    ]
    return _enter(_without_bans(group, fresh), new_members, limit, SystemKind.ADDED)


def absent(group: Conversation, actor: UserId, users: Sequence[UserId]) -> Sequence[UserId]:
    """Those who are not in the group. Raises ConversationNotFound, NotAGroup."""
    find_actor(group, actor)
    return [user for user in users if group.member(user) is None]


def join(group: Conversation, user: UserId, now: datetime, limit: int) -> GroupChange | None:
    """Come in by an invite. Raises TooManyMembers, NotAGroup, Banned, ConversationFrozen."""
    require_group(group)
    if user in group.banned:
        raise Banned
    if group.frozen and group.member(user) is None:
        raise ConversationFrozen
    return _enter(group, [Member(user, now)], limit, SystemKind.JOINED)


def remove_member(group: Conversation, actor: UserId, user: UserId) -> GroupChange | None:
    """Take a person out, and ban them. Raises RoleTooLow and what `require` raises; oneself is left by `leave`."""
    target = group.member(user)
    if target is None:
        # Done already, perhaps by an actor who had the role then.
        find_actor(group, actor)
        return None
    require(group, actor, GroupAction.REMOVE_MEMBER if target.role is Role.MEMBER else GroupAction.REMOVE_ADMIN)
    if user == actor:
        raise InvalidField("user_id", "leave the group instead of removing yourself")
    banned = replace(group, banned=group.banned | {user})
    return _without(banned, user, SystemContent(SystemKind.REMOVED, (user,)))


def unban(group: Conversation, actor: UserId, user: UserId) -> GroupChange | None:
    """Lift a person's ban, which lets nobody in by itself. Raises what `require` raises."""
    require(group, actor, GroupAction.LIFT_BAN)
    if user not in group.banned:
        return None
    return GroupChange(_next(_without_bans(group, [user])), None)


def leave(group: Conversation, user: UserId) -> GroupChange:
    """Go. The owner's role passes to the longest-standing admin, or else member.

    Raises ConversationNotFound, NotAGroup.
    """
    member = group.member(user)
    if member is None:
        raise ConversationNotFound
    require_group(group)
    change = _without(group, user, SystemContent(SystemKind.LEFT))
    if member.role is Role.OWNER and change.after.members:
        # Not somebody who has not even let the group in, while there is anybody else.
        successor = min(
            change.after.members,
            key=lambda successor: (
                successor.request is not RequestState.ACCEPTED,
                -RANK[successor.role],
                successor.joined_at,
                successor.user_id,
            ),
        )
        change = replace(change, after=_with_role(change.after, successor.user_id, Role.OWNER))
    return change


def set_role(group: Conversation, actor: UserId, user: UserId, role: Role) -> GroupChange | None:
    """Give a role; OWNER hands the group over. Raises MemberNotFound and what `require` raises."""
    find_actor(group, actor)
    target = group.member(user)
    if target and target.role is role:
        # Done already: who handed the group over is its owner no longer, and may ask again.
        return None
    require(group, actor, GroupAction.SET_ROLE)
    if target is None:
        raise MemberNotFound("not a member of this group")
    if user == actor:
        raise InvalidField("role", "hand the group over to another member instead")
    after = _with_role(group, user, role)
    if role is Role.OWNER:
        after = _with_role(after, actor, Role.ADMIN)
    return GroupChange(_next(after), SystemContent(SystemKind.ROLE_CHANGED, (user,), role=role))


def update(group: Conversation, actor: UserId, settings: Settings) -> GroupChange | None:
    """Change what is set. Raises RequestPending and what `require` raises."""
    find_actor(group, actor)
    after = replace(
        group,
        title=group.title if settings.title is None else settings.title,
        avatar_ref=group.avatar_ref if settings.avatar_ref is None else settings.avatar_ref,
        history_open=group.history_open if settings.history_open is None else settings.history_open,
        add_audience=settings.add_audience or group.add_audience,
    )
    if after == group:
        return None
    require(group, actor, GroupAction.UPDATE)
    if group.is_unaccepted_by_others(actor):
        # Titles are a way to write, too.
        raise RequestPending
    renamed = SystemContent(SystemKind.RENAMED, title=after.title) if after.title != group.title else None
    return GroupChange(_next(after), renamed)


def redacted_group(group: Conversation) -> Conversation:
    """What a former member gets of a group: its id and kind, and nothing of what became of it."""
    bare = replace(group, members=(), title="", avatar_ref="", history_open=False, vanish_after=timedelta(0))
    return replace(bare, last_seq=0, revision=0, history_start_seq=0, add_audience=AddAudience.MEMBERS, pins=())


def _enter(group: Conversation, new_members: Sequence[Member], limit: int, kind: SystemKind) -> GroupChange | None:
    fresh = [member for member in new_members if group.member(member.user_id) is None]
    if not fresh:
        return None
    if len(group.members) + len(fresh) > limit:
        raise TooManyMembers(f"a group has at most {limit} members")
    # They see the system message that tells of their coming, which takes the next number.
    visible_after = 0 if group.history_open else group.last_seq
    # What was said before is not unread, and whose cursor the others knew from an earlier stay does not go back.
    entered = [replace(member, read_seq=group.last_seq, visible_after_seq=visible_after) for member in fresh]
    members = tuple(sorted((*group.members, *entered), key=lambda member: member.user_id))
    added = tuple(member.user_id for member in fresh) if kind is SystemKind.ADDED else ()
    return GroupChange(_next(replace(group, members=members)), SystemContent(kind, added))


def _without(group: Conversation, user: UserId, system: SystemContent) -> GroupChange:
    members = tuple(member for member in group.members if member.user_id != user)
    return GroupChange(_next(replace(group, members=members)), system, removed=(user,))


def _without_bans(group: Conversation, users: Sequence[UserId]) -> Conversation:
    return replace(group, banned=group.banned.difference(users))


def _with_role(group: Conversation, user: UserId, role: Role) -> Conversation:
    members = tuple(replace(member, role=role) if member.user_id == user else member for member in group.members)
    return replace(group, members=members)


def _next(group: Conversation) -> Conversation:
    return replace(group, revision=group.revision + 1)
