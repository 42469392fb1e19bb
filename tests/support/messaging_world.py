"""Messaging's use-cases over a store in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from services.messaging.attachments.core.uploads import UploadPolicy
from services.messaging.attachments.service.attachments import Attachments
from services.messaging.attachments.service.collecting import Collector
from services.messaging.attachments.service.openings import Openings
from services.messaging.conversations.service import ConversationLimits, Conversations
from services.messaging.forwarding.service import Forwarding
from services.messaging.groups.service import GroupLimits, GroupRequest, Groups
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import ConversationKind, Message, UserId
from services.messaging.messages.service.changing import Changing
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.history import History
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.messaging.messages.service.sending import Sending
from services.messaging.pins.service import Pins
from services.messaging.receipts.service import Receipts
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.service import RelationLimits, Relations, Reports
from services.messaging.search.service import Search
from services.messaging.sync.service import Sync
from services.messaging.vanishing.service import Vanishing
from services.runtime.ids import new_id, new_secret
from tests.support.attachments import FakeAttachments, MemoryObjects
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Cases
from tests.support.messaging_memory import MemoryStore
from tests.support.relations import FakeReports

ALICE, BOB, MALLORY = UserId("alice"), UserId("bob"), UserId("mallory")


class People(Protocol):
    """Messaging's use-cases, over whatever stores."""

    clock: ManualClock
    conversations: Conversations
    sending: Sending
    changing: Changing
    history: History
    sync: Sync
    search: Search
    groups: Groups
    receipts: Receipts
    vanishing: Vanishing
    pins: Pins
    forwarding: Forwarding
    relations: Relations
    reports: Reports
    attachments: Attachments

    async def delete_account(self, user_id: UserId) -> None:
        """As if the person's deletion had been asked for and carried out."""


class World:
    """Messaging over a store in memory. `capacity`: of the queue of sends; `wake_scans`: with a scanner."""

    def __init__(
        self,
        capacity: int = 100,
        *,
        rates: SendRates | None = None,
        limits: MessageLimits | None = None,
        conversation_limits: ConversationLimits | None = None,
        wake_scans: Callable[[], None] | None = None,
    ) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.sends = GroupCommit(self.store, capacity)
        self.rates = rates or SendRates()
        self.objects = MemoryObjects()
        self.uploads = FakeAttachments(self.store)
        self.attachments = Attachments(
            *(self.uploads, self.store, self.store, self.objects, self.clock, new_id),
            UploadPolicy(waiting=3, per_message=2),
            wake_scans=wake_scans,
        )
        self.openings = Openings(self.store, self.store, self.store, self.attachments, self.clock)
        self.collector = Collector(self.uploads, self.objects, self.clock)
        cases = Cases(
            *(self.store, self.sends, self.rates, self.clock, new_id, limits or MessageLimits(text_chars=20)),
            *(self.attachments, conversation_limits),
        )
        self.conversations, self.history = cases.conversations, cases.history
        self.sending, self.changing = cases.sending, cases.changing
        self.sync, self.search = cases.sync, cases.search
        self.forwarding = Forwarding(self.sending, self.store, self.store, self.attachments, self.clock)
        self.groups = Groups(
            *(self.store, self.store, self.store, self.store.relations, self.store.relations, self.rates, self.clock),
            *(new_id, new_secret, GroupLimits()),
        )
        self.receipts = Receipts(self.store, self.clock)
        self.vanishing = Vanishing(self.store, self.clock, new_id)
        self.pins = Pins(self.store, self.rates, self.clock, new_id)
        self.relations = Relations(
            *(self.store, self.store.relations, self.store.relations, self.clock, RelationLimits())
        )
        self.reports = Reports(
            *(self.store, self.store, FakeReports(self.store.relations), self.clock, new_id, RelationLimits())
        )

    async def delete_account(self, user_id: UserId) -> None:
        """As the runner of deletions leaves it (accounts/sql/deleting.py): nobody reaches them, groups are left, pairs
        closed, and what they wrote is taken back."""
        nobody = SettingsChange(Audience.NOBODY, Audience.NOBODY, Audience.NOBODY)
        await self.store.relations.change_settings(user_id, nobody, self.clock.now())
        for conversation in self.store.conversations_of(user_id):
            if conversation.kind is ConversationKind.GROUP:
                await self.groups.leave_group(user_id, str(conversation.id))
            else:
                self.store.set_blocked(conversation.id, True)
            await self.store.take_back(conversation.id, user_id)

    async def conversation(self) -> str:
        return str((await self.conversations.open_direct(ALICE, BOB)).id)


@asynccontextmanager
async def at_work(world: World) -> AsyncIterator[World]:
    """The world, while what is sent is stored."""
    committer = asyncio.create_task(world.sends.run())
    try:
        yield world
    finally:
        committer.cancel()


async def send(world: World, user: UserId, conversation: str, key: str, text: str) -> Message:
    return await world.sending.send(user, conversation, TextRequest(key, Text(text)))


async def said(world: World, user: UserId, other: UserId, *, both: bool = False) -> str:
    """A conversation that the user opened and wrote in; the other answered, if both."""
    conversation = str((await world.conversations.open_direct(user, other)).id)
    await send(world, user, conversation, "hello", "hello")
    if both:
        await send(world, other, conversation, "answer", "answer")
    return conversation


async def group(world: World, *others: UserId, key: str = "g") -> str:
    return str((await world.groups.create_group(ALICE, GroupRequest(key, "Trip", others, "", False))).id)
