"""Where join links lead, and who is there."""

from dataclasses import dataclass

from services.signaling.changes import CallChanges
from services.signaling.core.errors import CallNotFound, ConversationNotFound
from services.signaling.core.model import Call, CallId, ConversationId, ScheduledId, UserId
from services.signaling.links.core import JoinLink
from services.signaling.ports import Membership
from services.signaling.roster import Roster
from services.signaling.scheduled.core import ScheduledCall
from services.signaling.scheduled.ports import ScheduledStore


@dataclass(frozen=True)
class LinkPlaces:
    """Finds the calls of links and their members. Every method may raise StoreUnavailable and MembersUnavailable."""

    changes: CallChanges
    roster: Roster
    scheduled: ScheduledStore

    async def find_scheduled(self, target_id: CallId) -> ScheduledCall | None:
        """None where the id is of a call."""
        return await self.scheduled.find(ScheduledId(target_id))

    async def own_members(self, conversation_id: ConversationId | None, user_id: UserId) -> Membership | None:
        """The members of a conversation, for one of them."""
        members = await self.members_in(conversation_id) if conversation_id else None
        return members if members and user_id in members.user_ids else None

    async def own_call(self, call_id: CallId, user_id: UserId) -> tuple[Call, Membership]:
        """A call of a conversation that the user is in now. Raises CallNotFound, the same for a call that is not."""
        call = await self.changes.store.find(call_id)
        members = await self._members_of(call)
        if call is None or members is None or user_id not in members.user_ids:
            raise CallNotFound
        return call, members

    async def _members_of(self, call: Call | None) -> Membership | None:
        if call is None:
            # Ask all the same, so that neither the time nor an outage tells whether there is such a call.
            await self.roster.query_no_conversation()
            return None
        return await self.members_in(call.conversation_id)

    async def members_in(self, conversation_id: ConversationId) -> Membership | None:
        """None where there is no such conversation any more."""
        try:
            return await self.roster.members.members_of(conversation_id)
        except ConversationNotFound:
            return None

    async def conversation_of(self, link: JoinLink) -> ConversationId | None:
        """The one of its call, or of the scheduled one, while there is any."""
        if link.call_id:
            call = await self.changes.store.find(link.call_id)
            return call.conversation_id if call else None
        scheduled = await self.find_scheduled(link.target_id)
        return scheduled.conversation_id if scheduled else None
