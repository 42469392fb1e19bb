from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unicodedata import normalize
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.messaging.groups.core import changes as groups
from services.messaging.groups.core import permissions
from services.messaging.groups.core.changes import GroupChange, Settings
from services.messaging.groups.core.permissions import GroupAction
from services.messaging.kernel import checks
from services.messaging.kernel.content import SystemKind
from services.messaging.kernel.errors import (
    Banned,
    ConversationNotFound,
    InvalidField,
    MemberNotFound,
    MessagingError,
    NotAGroup,
    RoleTooLow,
    TooManyMembers,
)
from services.messaging.kernel.model import (
    AddAudience,
    Conversation,
    ConversationId,
    Role,
    UserId,
    open_direct,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONVERSATION = ConversationId(UUID(int=1))
OLGA, ADAM, MIA, NEW, STRANGER = (UserId(name) for name in ("olga", "adam", "mia", "new", "stranger"))


def group(history_open: bool = False) -> Conversation:
    """Olga owns it, Adam is an admin, Mia a member; nine messages."""
    made = groups.create_group(CONVERSATION, OLGA, [ADAM, MIA], Settings("Trip", "", history_open), NOW).after
    return replace(changed(groups.set_role(made, OLGA, ADAM, Role.ADMIN)).after, last_seq=9)


def changed(change: GroupChange | None) -> GroupChange:
    assert change is not None
    return change


def roles(conversation: Conversation) -> dict[str, Role]:
    return {member.user_id: member.role for member in conversation.members}


@pytest.mark.parametrize("action", list(GroupAction))
@pytest.mark.parametrize("actor", [OLGA, ADAM, MIA])
def test_each_action_is_allowed_from_its_least_role_on(action: GroupAction, actor: UserId) -> None:
    member = group().member(actor)
    assert member is not None
    if permissions.RANK[member.role] >= permissions.RANK[permissions.MIN_ROLE[action]]:
        permissions.require(group(), actor, action)
    else:
        with pytest.raises(RoleTooLow):
            permissions.require(group(), actor, action)


@pytest.mark.parametrize("action", list(GroupAction))
def test_a_non_member_learns_of_no_group(action: GroupAction) -> None:
    with pytest.raises(ConversationNotFound):
        permissions.require(group(), STRANGER, action)


def test_a_direct_conversation_is_no_group() -> None:
    direct = open_direct(CONVERSATION, OLGA, ADAM, NOW)
    for attempt in (
        lambda: groups.update(direct, OLGA, Settings("x")),
        lambda: groups.leave(direct, OLGA),
        lambda: groups.join(direct, NEW, NOW, 10),
    ):
        with pytest.raises(NotAGroup):
            attempt()


def test_a_new_member_sees_from_the_coming_on() -> None:
    change = changed(groups.add_members(group(), MIA, [NEW, ADAM], NOW, 10))
    member = change.after.member(NEW)
    assert member is not None
    assert (member.visible_after_seq, member.read_seq, member.role) == (9, 9, Role.MEMBER)
    assert change.system is not None
    assert (change.system.kind, change.system.user_ids) == (SystemKind.ADDED, (NEW,))


def test_a_new_member_of_an_open_group_sees_everything() -> None:
    member = changed(groups.add_members(group(history_open=True), MIA, [NEW], NOW, 10)).after.member(NEW)
    assert member is not None
    assert member.visible_after_seq == 0


def test_adding_whom_one_has_changes_nothing() -> None:
    assert groups.add_members(group(), MIA, [ADAM, OLGA], NOW, 10) is None


def test_a_full_group_takes_nobody() -> None:
    with pytest.raises(TooManyMembers):
        groups.add_members(group(), MIA, [NEW], NOW, 3)
    with pytest.raises(TooManyMembers):
        groups.join(group(), NEW, NOW, 3)


def test_admins_remove_members_but_not_each_other() -> None:
    change = changed(groups.remove_member(group(), ADAM, MIA))
    assert change.removed == (MIA,)
    assert MIA not in roles(change.after)
    with pytest.raises(RoleTooLow):
        groups.remove_member(group(), ADAM, OLGA)
    assert changed(groups.remove_member(group(), OLGA, ADAM)).removed == (ADAM,)
    assert groups.remove_member(group(), ADAM, STRANGER) is None
    with pytest.raises(InvalidField):
        groups.remove_member(group(), OLGA, OLGA)


def test_the_owners_role_passes_to_the_admin_and_then_to_the_longest_standing_member() -> None:
    late = changed(groups.add_members(group(), OLGA, [NEW], NOW + timedelta(days=1), 10)).after
    after = groups.leave(late, OLGA).after
    assert roles(after)[ADAM] is Role.OWNER
    assert roles(groups.leave(after, ADAM).after)[MIA] is Role.OWNER


def test_the_last_one_can_leave() -> None:
    alone = groups.create_group(CONVERSATION, OLGA, [], Settings("x"), NOW).after
    assert groups.leave(alone, OLGA).after.members == ()


def test_a_group_is_handed_over() -> None:
    after = changed(groups.set_role(group(), OLGA, MIA, Role.OWNER)).after
    assert roles(after) == {OLGA: Role.ADMIN, ADAM: Role.ADMIN, MIA: Role.OWNER}
    with pytest.raises(MemberNotFound):
        groups.set_role(group(), OLGA, STRANGER, Role.ADMIN)
    with pytest.raises(InvalidField):
        groups.set_role(group(), OLGA, OLGA, Role.MEMBER)
    assert groups.set_role(group(), OLGA, ADAM, Role.ADMIN) is None


@pytest.mark.parametrize(
    "title",
    [
        *("", " ", "\u200b", "\u3164\u200d", "a\x00b", "a\nb", "a\u2028b", "a\ud83d", "x" * 101, "e" + "\u0323" * 32),
        *("Trip \u202egpj", "\u2067x", "x\ufffe"),
    ],
)
def test_what_is_no_title_is_refused(title: str) -> None:
    with pytest.raises(InvalidField) as refused:
        checks.check_title(title)
    assert refused.value.field == "title"


@pytest.mark.parametrize(
    "title", ["می\u200cخواهم", "👩\u200d🚀 crew", "क्षमा", "שלום\u200f!", "Cafe\u0301", "ก" + "\u0e48" * 30]
)
def test_titles_of_all_scripts_are_kept_in_nfc(title: str) -> None:
    assert checks.check_title(title) == normalize("NFC", title)
    assert checks.check_title("e\u0301" * 100) == "é" * 100


def test_only_a_new_title_makes_a_system_message() -> None:
    assert changed(groups.update(group(), ADAM, Settings(history_open=True))).system is None
    renamed = changed(groups.update(group(), ADAM, Settings(title="Trips")))
    assert renamed.system is not None
    assert renamed.system.title == "Trips"
    assert groups.update(group(), ADAM, Settings(title="Trip")) is None


def test_who_was_removed_comes_in_by_no_invite_and_no_member() -> None:
    without = changed(groups.remove_member(group(), ADAM, MIA)).after
    with pytest.raises(Banned):
        groups.join(without, MIA, NOW, 10)
    with_new = changed(groups.add_members(without, ADAM, [NEW], NOW, 10)).after
    for people in ([MIA], [STRANGER, MIA], [ADAM, MIA]):
        with pytest.raises(Banned):
            groups.add_members(with_new, NEW, people, NOW, 10)
    assert MIA in roles(changed(groups.add_members(with_new, ADAM, [MIA], NOW, 10)).after)


def test_who_left_is_not_banned() -> None:
    assert changed(groups.join(groups.leave(group(), MIA).after, MIA, NOW, 10)).after.member(MIA)


def test_a_ban_is_lifted_by_admins_once_and_lets_nobody_in_by_itself() -> None:
    without = changed(groups.remove_member(group(), OLGA, ADAM)).after
    with pytest.raises(RoleTooLow):
        groups.unban(without, MIA, ADAM)
    with pytest.raises(ConversationNotFound):
        groups.unban(without, ADAM, ADAM)
    lifted = changed(groups.unban(without, OLGA, ADAM))
    assert (lifted.system, lifted.removed, set(roles(lifted.after))) == (None, (), {OLGA, MIA})
    assert groups.unban(lifted.after, OLGA, ADAM) is None
    # And comes back as whoever comes in.
    again = changed(groups.join(lifted.after, ADAM, NOW, 10)).after
    assert roles(again)[ADAM] is Role.MEMBER


def test_who_may_add_is_a_setting_of_the_group() -> None:
    closed = changed(groups.update(group(), ADAM, Settings(add_audience=AddAudience.ADMINS))).after
    with pytest.raises(RoleTooLow):
        groups.add_members(closed, MIA, [NEW], NOW, 10)
    # What stands so already is answered.
    assert groups.add_members(closed, MIA, [ADAM], NOW, 10) is None
    assert changed(groups.add_members(closed, ADAM, [NEW], NOW, 10)).after.member(NEW)
    with pytest.raises(RoleTooLow):
        groups.update(closed, MIA, Settings(add_audience=AddAudience.MEMBERS))
    opened = changed(groups.update(closed, OLGA, Settings(add_audience=AddAudience.MEMBERS)))
    assert opened.system is None
    assert changed(groups.add_members(opened.after, MIA, [NEW], NOW, 10)).after.member(NEW)


PEOPLE = st.sampled_from([OLGA, ADAM, MIA, NEW, STRANGER])


class GroupMachine(RuleBasedStateMachine):
    """Anybody does anything, in any order. `banned`: who was removed, and no admin has let in again."""

    @initialize()
    def begin(self) -> None:
        self.group = groups.create_group(CONVERSATION, OLGA, [ADAM, MIA], Settings("Trip"), NOW).after
        self.limit = 4
        self.banned: set[UserId] = set()

    def is_admin(self, user: UserId) -> bool:
        member = self.group.member(user)
        return member is not None and member.role is not Role.MEMBER

    def take(self, change: GroupChange | None) -> None:
        if change is not None:
            assert change.after.revision == self.group.revision + 1
            gone = {m.user_id for m in self.group.members} - {m.user_id for m in change.after.members}
            assert gone == set(change.removed)
            self.group = change.after

    @rule(
        actor=PEOPLE,
        other=PEOPLE,
        role=st.sampled_from(Role),
        action=st.sampled_from(["add", "remove", "leave", "role", "join", "unban", "audience"]),
        audience=st.sampled_from(AddAudience),
    )
    def something(self, actor: UserId, other: UserId, role: Role, action: str, audience: AddAudience) -> None:
        with suppress(MessagingError):
            match action:
                case "add":
                    change = groups.add_members(self.group, actor, [other], NOW, self.limit)
                    if self.is_admin(actor):
                        self.banned.discard(other)
                    assert change is None or self.is_admin(actor) or self.group.add_audience is AddAudience.MEMBERS
                    self.take(change)
                case "remove":
                    change = groups.remove_member(self.group, actor, other)
                    self.take(change)
                    self.banned.update(change.removed if change else ())
                case "unban":
                    self.take(groups.unban(self.group, actor, other))
                    assert self.is_admin(actor)
                    self.banned.discard(other)
                case "audience":
                    self.take(groups.update(self.group, actor, Settings(add_audience=audience)))
                case "leave":
                    self.take(groups.leave(self.group, actor))
                case "role":
                    self.take(groups.set_role(self.group, actor, other, role))
                case _:
                    self.take(groups.join(self.group, actor, NOW, self.limit))

    @invariant()
    def a_group_with_people_has_at_most_one_owner_and_is_not_too_big(self) -> None:
        owners = [member for member in self.group.members if member.role is Role.OWNER]
        assert len(owners) <= 1
        assert len(self.group.members) <= self.limit
        users = [member.user_id for member in self.group.members]
        assert users == sorted(set(users))

    @invariant()
    def who_is_banned_is_out_and_nobody_else_is_banned(self) -> None:
        assert self.banned.isdisjoint(member.user_id for member in self.group.members)
        assert self.group.banned == self.banned


TestGroupMachine = GroupMachine.TestCase
TestGroupMachine.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
