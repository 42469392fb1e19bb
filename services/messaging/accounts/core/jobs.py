"""Jobs on accounts, and what decides whether a person is let in."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

from services.messaging.kernel.model import UserId

JobId = NewType("JobId", UUID)


class JobKind(Enum):
    EXPORT = "export"
    DELETION = "deletion"


@dataclass(frozen=True)
class Job:
    """`parts` are the keys of a finished export's objects, in order."""

    id: JobId
    user_id: UserId
    kind: JobKind
    created_at: datetime
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A job in the hands of one runner; `lease` tells it from those who had it before."""

    job_id: JobId
    user_id: UserId
    kind: JobKind
    cursor: str
    lease: UUID


@dataclass(frozen=True)
class AccountPolicy:
    """Times of jobs."""

    # A finished export is given again instead of a new one. Raising it gives older data; lowering it makes more work
    # for impatient people.
    reuse: timedelta = timedelta(hours=24)
    # Raising it keeps all of a person's data lying about for longer; lowering it lets people come too late.
    kept: timedelta = timedelta(days=7)
    # How long the address of a part is good. Raising it lets the address be passed on for longer; lowering it makes
    # slow lines ask again.
    get_ttl: timedelta = timedelta(minutes=15)
    # A deletion begins so long after it was asked for: by then every replica refuses the account, and no call of it is
    # under way. Lower than PARLEY_ACCOUNT_CHECK_S and a call's deadline together: something could be written behind it.
    start_delay: timedelta = timedelta(seconds=15)


@dataclass(frozen=True)
class AccountState:
    """What decides whether a person is let in, and may write."""

    is_deleted: bool = False
    # Moderation lets the person write nothing before then; None for no restriction.
    restricted_until: datetime | None = None
