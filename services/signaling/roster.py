"""Who may be in a call: the members of its conversation, as messaging has them now."""

from dataclasses import dataclass

from services.signaling.changes import CallChanges
from services.signaling.core.errors import Contended, ConversationNotFound
from services.signaling.core.inputs import PairClosed, SetMembers
from services.signaling.core.model import Call, ConversationId, LegState, UserId
from services.signaling.ports import Members, Store

# How often members are read again. Each further attempt means that they changed between two readings. Raising it lets a
# request wait longer; lowering it refuses requests that could succeed.
SYNC_ATTEMPTS = 6
# The id of no conversation.
NO_CONVERSATION = ConversationId("00000000-0000-0000-0000-000000000000")


@dataclass(frozen=True)
class Roster:
    """Keeps calls in line with their conversations. Safe from all replicas at once."""

    store: Store
    changes: CallChanges
    members: Members

    async def sync(self, call: Call) -> frozenset[UserId]:
        """Bring the members of a group's call in line with the conversation. Gives the members.

        The members are read again once they are written: somebody who left in between, and whose event found the call
        as it was before, would stay in it for good. Raises MembersUnavailable, CallNotFound, Contended.
        """
        user_ids = await self._members_of(call.conversation_id)
        if user_ids == {leg.user_id for leg in call.legs if leg.state is not LegState.GONE and not leg.is_guest}:
            return user_ids
        for _ in range(SYNC_ATTEMPTS):
            await self.changes.apply(call.call_id, SetMembers(user_ids))
            read_again = await self._members_of(call.conversation_id)
            if read_again == user_ids:
                return user_ids
            user_ids = read_again
        raise Contended

    async def recheck(self, call: Call) -> None:
        """Check a new call again, because an event may have come before there was a call: members who left meanwhile
        are out, and a caller who may not ring the other any more does not. Raises MembersUnavailable, Contended.
        """
        if call.group:
            await self.sync(call)
        elif not await self._may_ring(call):
            await self.changes.apply(call.call_id, PairClosed())

    async def check_answer(self, call: Call, user_id: UserId) -> None:
        """Check a call when somebody answers it. By answering they consent, so settings do not count; a block does."""
        if call.group:
            await self.sync(call)
        elif not await self._may_talk(call, user_id):
            await self.changes.apply(call.call_id, PairClosed())

    async def query_no_conversation(self) -> None:
        """Take as long as a query for a conversation's members, and fail as it would. Raises MembersUnavailable."""
        await self._members_of(NO_CONVERSATION)

    async def sync_call_of_group(self, conversation_id: ConversationId) -> None:
        """`sync` for the call that runs in a group, if there is one."""
        call = await self.store.find_of_group(conversation_id)
        if call:
            await self.sync(call)

    async def end_closed_pair(self, conversation_id: ConversationId) -> None:
        """End the call of two who may not talk any more. Raises MembersUnavailable, Contended."""
        for user_id in await self._members_of(conversation_id):
            call = await self.store.find_busy_with(user_id)
            if call and call.conversation_id == conversation_id and not await self._may_ring(call):
                await self.changes.apply(call.call_id, PairClosed())

    async def admins_of(self, call: Call) -> frozenset[UserId]:
        """Who may moderate the call; nobody, if it is none of a group. Raises MembersUnavailable."""
        try:
            return (await self.members.members_of(call.conversation_id)).admin_ids if call.group else frozenset()
        except ConversationNotFound:
            return frozenset()

    async def _may_talk(self, call: Call, user_id: UserId) -> bool:
        try:
            return len(await self.members.audience_of(call.conversation_id, user_id)) > 1
        except ConversationNotFound:
            return False

    async def _may_ring(self, call: Call) -> bool:
        try:
            callees = await self.members.callees_of(call.conversation_id, call.caller_id)
        except ConversationNotFound:
            return False
        return callees.group or bool(callees.allowed)

    async def _members_of(self, conversation_id: ConversationId) -> frozenset[UserId]:
        try:
            return frozenset((await self.members.members_of(conversation_id)).user_ids)
        except ConversationNotFound:
            # Of a conversation that everybody left, messaging says so.
            return frozenset()
