"""What relations need of the world."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.messaging.kernel.model import ConversationId, UserId
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.quotas import DayQuota
from services.messaging.relations.core.graph import Block, GraphEvent
from services.messaging.relations.core.reach import Relationship, Settings, SettingsChange
from services.messaging.relations.core.reports import Report, State

# A person, and the other whom the person may or may not let reach them.
Pair = tuple[UserId, UserId]
DecideReport = Callable[[Report], Report | None]


class RelationStore(Protocol):
    """The truth of who may reach whom. Every change tells the gateways of those whom it concerns, and the devices of
    the one who made it, in the same transaction.

    Errors of every method: runtime's StoreUnavailable.
    """

    async def settings_of(self, user_id: UserId) -> Settings:
        """As they stand; the defaults for who never made any."""

    async def change_settings(self, user_id: UserId, change: SettingsChange, now: datetime) -> Settings:
        """The settings afterwards. Idempotent."""

    async def block(self, user_id: UserId, other: UserId, limit: int, now: datetime) -> None:
        """Block in Parley: nothing is written in the direct conversation of the two once this returns. Idempotent.

        Errors: TooManyBlocks beyond `limit` of the user's.
        """

    async def unblock(self, user_id: UserId, other: UserId, now: datetime) -> None:
        """Take back what was blocked in Parley; a block of the network's stands. Idempotent."""

    async def list_blocks(self, user_id: UserId, below: Block | None, limit: int) -> Sequence[Block]:
        """Whom the user blocked, in Parley or in the network, each once; by time and then id, descending."""

    async def blocked_among(self, user_id: UserId, others: Collection[UserId]) -> Collection[UserId]:
        """Those of the others with a block between them and the user, either way."""

    async def relationships(self, pairs: Collection[Pair]) -> Mapping[Pair, Relationship]:
        """What decides how far each person lets the other reach them."""

    async def apply_graph_events(self, events: Sequence[GraphEvent]) -> None:
        """Apply events of the network's graph. Idempotent, in any order: of two with one key the later holds."""


class RequestStore(Protocol):
    """Whether people let conversations in. Errors of every method: runtime's StoreUnavailable."""

    async def accept(self, conversation_id: ConversationId, user_id: UserId, now: datetime) -> None:
        """Let the conversation in, if the user is in it. Idempotent."""

    async def decline(self, conversation_id: ConversationId, user_id: UserId, now: datetime) -> None:
        """Put the conversation away, if it waits. Idempotent."""


class ContactReader(ConversationReader, Protocol):
    """Conversations, and who shares one with whom. Errors of every method: runtime's StoreUnavailable."""

    async def contacts_among(self, user_id: UserId, candidates: Collection[UserId]) -> Collection[UserId]:
        """The candidates who share a conversation with the user that both let in and that is not closed."""


class ReportStore(Protocol):
    """Reports and their copies. Errors of every method: runtime's StoreUnavailable."""

    async def file(self, report: Report, quota: DayQuota) -> Report:
        """Store it unless its key has one; the one that stands. Idempotent. Errors: ReportQuota."""

    async def find_filed(self, reporter_id: UserId, client_report_id: str) -> Report | None:
        """What was filed under this key; its copies may be left out."""

    async def find(self, report_id: UUID) -> Report | None:
        """With its copies."""

    async def list(self, state: State, after: UUID | None, limit: int) -> Sequence[Report]:
        """Without copies, the oldest first."""

    async def change(self, report_id: UUID, decide: DecideReport) -> Report:
        """Lock, decide, write what closes it; the report as it stands then. Errors: ReportNotFound."""
