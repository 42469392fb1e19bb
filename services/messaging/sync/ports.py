"""What Sync and the list of conversations need of the world."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from services.messaging.kernel.model import ConversationId, Cursor, Delta, PageMark, Summary, UserId
from services.messaging.kernel.request import RequestState
from services.messaging.sync.core.account import AccountPage, Snapshot, SyncToken


class SyncStore(Protocol):
    """What each person has, and what a device lacks. Errors of every method: runtime's StoreUnavailable."""

    async def list_conversations(
        self,
        user_id: UserId,
        below: PageMark | None,
        limit: int,
        now: datetime,
        request: RequestState = RequestState.ACCEPTED,
    ) -> Sequence[Summary]:
        """The user's conversations that stand so, newest activity first."""

    async def sync(
        self,
        user_id: UserId,
        cursors: Mapping[ConversationId, Cursor],
        read_since: datetime | None,
        limit: int,
        max_deltas: int,
        now: datetime,
    ) -> Sequence[Delta]:
        """What the user's device lacks: see Sync in service.proto.

        First at most `max_deltas` conversations in which messages or changes are missing, the oldest activity first;
        when these are fewer, then also all in which only cursors moved.
        """

    async def snapshot(self) -> Snapshot:
        """What reads from now on show at least."""

    async def sync_account(
        self,
        user_id: UserId,
        token: SyncToken | None,
        cursors: Mapping[ConversationId, Cursor],
        limit: int,
        max_conversations: int,
        now: datetime,
    ) -> AccountPage:
        """What the user's device lacks: see `sync_token` in service.proto. None for a device that has nothing.

        At most `max_conversations`: those of the cursors first, the walk in what they leave.
        Errors: SyncTokenUnknown.
        """

    async def has_more_conversations_than(self, user_id: UserId, most: int) -> bool:
        """Whether Sync by cursors alone would have more to tell than so many conversations."""

    async def joined_of(
        self, user_id: UserId, conversation_ids: Collection[ConversationId]
    ) -> Collection[ConversationId]:
        """Those of the conversations that the user is in and did not decline."""
