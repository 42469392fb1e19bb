"""What jobs on accounts need of the world."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.messaging.accounts.core.deletions import DeletionCursor
from services.messaging.accounts.core.exports import ExportCursor
from services.messaging.accounts.core.jobs import AccountState, Claim, Job, JobId
from services.messaging.accounts.core.revocations import Revocations
from services.messaging.kernel.model import ConversationId, UserId


class LeaseLost(Exception):
    """Another runner has the job by now: whatever this one wanted to write was not written."""


@dataclass(frozen=True)
class ExportBatch:
    """Some lines, without their line ends, and where the next ones begin."""

    lines: Sequence[str]
    after: ExportCursor


class SourceUnavailable(Exception):
    """Another service does not say what it holds of a person. The export waits for it."""


class JobStore(Protocol):
    """The jobs. Errors of every method: StoreUnavailable; of those that take a claim also LeaseLost."""

    async def start_export(self, job: Job, reuse_since: datetime) -> Job:
        """The person's export that runs, or was made since then; else this one. Idempotent."""

    async def start_deletion(self, job: Job, due_at: datetime) -> Job:
        """The person's deletion; this one when there is none. Nobody new reaches the person any more, and all services
        are told. Idempotent."""

    async def tell_deletion(self, user_id: UserId, now: datetime) -> None:
        """Tell all services of a deletion once more."""

    async def list_deleted(self, after: str, limit: int) -> Sequence[UserId]:
        """Who has a deletion, by id, above `after`."""

    async def find(self, job_id: JobId) -> Job | None:
        """With its parts."""

    async def state_of(self, user_id: UserId) -> AccountState:
        """Whether the account's deletion was asked for, and how it is restricted."""

    async def claim(self, now: datetime, until: datetime, lease: UUID) -> Claim | None:
        """A job that is due, for the caller alone until then; the oldest first."""

    async def extend(self, claim: Claim, until: datetime) -> None:
        """Keep the job until then. With a time that is over it is given back."""

    async def save_part(self, claim: Claim, object_key: str, cursor: ExportCursor, until: datetime) -> None:
        """One part more, and where the next begins, at once."""

    async def announce_object(self, object_key: str, due_at: datetime) -> None:
        """An object that is about to be put, to be deleted then unless `save_part` takes it."""

    async def finish(self, claim: Claim, now: datetime, expires_at: datetime | None) -> None:
        """The job is done."""

    async def expire(self, now: datetime, limit: int) -> int:
        """Forget exports that are over, and queue their objects for deletion. Returns how many."""


class RevocationStore(Protocol):
    """Which tokens are revoked. Errors of every method: StoreUnavailable."""

    async def change(self, user_id: UserId, decide: Callable[[Revocations], Revocations], now: datetime) -> Revocations:
        """Decide under the person's lock, store, and tell all services, at once. What it is afterwards."""

    async def prune(self, before: datetime, now: datetime, limit: int) -> int:
        """Forget revocations of which all are older than that, and tell so. Returns of how many people."""


class AccountSource(Protocol):
    """Another service that holds something of people."""

    name: str

    async def read(self, user_id: UserId, page: str) -> tuple[Sequence[str], str]:
        """Some lines of the export and the next page, empty after the last. Errors: SourceUnavailable."""


class AccountData(Protocol):
    """What stands about a person. Errors of every method: StoreUnavailable; with a claim also LeaseLost."""

    async def read_export(self, user_id: UserId, cursor: ExportCursor, limit: int, now: datetime) -> ExportBatch:
        """At most about `limit` lines, as they stand now. The cursor's section is DONE after the last ones."""

    async def next_group(self, user_id: UserId) -> ConversationId | None:
        """A group that the person is in."""

    async def next_conversation(self, user_id: UserId, after: ConversationId | None) -> ConversationId | None:
        """The next conversation, by id, that the person is or was in."""

    async def erase_in(self, claim: Claim, conversation_id: ConversationId, limit: int, now: datetime) -> bool:
        """Erase some of what the person left in a conversation, and tell its devices; whether there may be more."""

    async def delete_rows(self, claim: Claim, table: int, limit: int) -> bool:
        """Delete some of the person's rows of a table of personal_columns.DELETED; whether there may be more."""

    async def conclude(self, claim: Claim, now: datetime) -> None:
        """Forget the person's exports, queue their objects for deletion, and tell presence that the account is gone.

        Idempotent.
        """

    async def save_deletion(self, claim: Claim, cursor: DeletionCursor, until: datetime) -> None:
        """Where the deletion stands; the job is kept until then."""
