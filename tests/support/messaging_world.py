"""Messaging's use-cases over a store in memory."""

from services.messaging.core.model import Message, Text, UserId
from services.messaging.group_commit import GroupCommit
from services.messaging.relations.service import RelationLimits, Relations, Reports
from services.messaging.service import Limits, Messaging, TextRequest
from services.runtime.ids import new_id, new_secret
from tests.support.clock import ManualClock
from tests.support.messaging import FakeStore
from tests.support.relations import FakeReports

ALICE, BOB, MALLORY = UserId("alice"), UserId("bob"), UserId("mallory")


class World:
    """Messaging over a store in memory."""

    def __init__(self, capacity: int = 100) -> None:
        self.store = FakeStore()
        self.clock = ManualClock()
        self.sends = GroupCommit(self.store, capacity)
        limits = Limits(text_chars=20)
        self.messaging = Messaging(self.store, self.store.relations, self.sends, self.clock, new_id, new_secret, limits)
        self.relations = Relations(self.store, self.store.relations, self.clock, RelationLimits())
        self.reports = Reports(self.store, FakeReports(), self.clock, new_id, RelationLimits())

    async def room(self) -> str:
        return str((await self.messaging.open_direct(ALICE, BOB)).id)


async def send(world: World, user: UserId, room: str, key: str, text: str) -> Message:
    return await world.messaging.send_text(user, room, TextRequest(key, Text(text)))
