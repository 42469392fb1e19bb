"""Messaging's use-cases over a store in memory."""

from services.messaging.attachments.core import UploadPolicy
from services.messaging.attachments.service import Attachments, Collector
from services.messaging.core.model import Message, Text, UserId
from services.messaging.group_commit import GroupCommit
from services.messaging.service import Limits, Messaging, TextRequest
from services.runtime.ids import new_id, new_secret
from tests.support.attachments import FakeAttachments, MemoryObjects
from tests.support.clock import ManualClock
from tests.support.messaging import FakeStore

ALICE, BOB, MALLORY = UserId("alice"), UserId("bob"), UserId("mallory")


class World:
    """Messaging over a store in memory."""

    def __init__(self, capacity: int = 100) -> None:
        self.store = FakeStore()
        self.clock = ManualClock()
        self.sends = GroupCommit(self.store, capacity)
        self.objects = MemoryObjects()
        self.uploads = FakeAttachments(self.store)
        self.attachments = Attachments(
            self.uploads, self.store, self.objects, self.clock, new_id, UploadPolicy(waiting=3, per_message=2)
        )
        self.collector = Collector(self.uploads, self.objects, self.clock)
        self.messaging = Messaging(
            self.store, self.sends, self.clock, new_id, new_secret, Limits(text_chars=20), self.attachments
        )

    async def room(self) -> str:
        return str((await self.messaging.open_direct(ALICE, BOB)).id)


async def send(world: World, user: UserId, room: str, key: str, text: str) -> Message:
    return await world.messaging.send_text(user, room, TextRequest(key, Text(text)))
