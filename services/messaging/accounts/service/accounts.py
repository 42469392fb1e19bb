"""What people and the network's back office ask of accounts, and how deleted accounts are kept out."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

from services.messaging.accounts.core.jobs import AccountPolicy, AccountState, Job, JobId, JobKind
from services.messaging.accounts.ports import JobStore
from services.messaging.attachments.ports import ObjectStore
from services.messaging.kernel import checks
from services.messaging.kernel.errors import AccountDeleted, AccountRestricted, InvalidField, JobNotFound
from services.messaging.kernel.model import UserId
from services.runtime.clock import Clock
from services.runtime.ids import NewId

# People whose admission is remembered. Raising it takes more memory (about 150 bytes each); lowering it makes busy
# replicas ask more often.
REMEMBERED = 100_000
# Of an answer. Raising it makes larger answers; lowering it makes more of them.
DELETED_PAGE = 1_000
_UNKNOWN = (-math.inf, AccountState())


class AccountAdmission:
    """Refuses accounts whose deletion was asked for, and what restricted ones write.

    Every call passes it, so it asks the store once in a while only: another replica's deletion or restriction is
    noticed after `check_s` at the latest, and a deletion begins its work later than that.
    """

    def __init__(self, jobs: JobStore, clock: Clock, check_s: float) -> None:
        self._jobs = jobs
        self._clock = clock
        self._check_s = check_s
        # Until when (monotonic) what is known of a person holds, and what that is.
        self._known: OrderedDict[UserId, tuple[float, AccountState]] = OrderedDict()

    async def require_not_deleted(self, user_id: UserId) -> None:
        """Raises AccountDeleted. Errors: StoreUnavailable."""
        until, state = known = self._known.get(user_id, _UNKNOWN)
        now = self._clock.monotonic()
        if until <= now:
            state = await self._jobs.state_of(user_id)
            newest = self._known.get(user_id, _UNKNOWN)
            if newest is known or newest is _UNKNOWN:
                self._remember(user_id, math.inf if state.is_deleted else now + self._check_s, state)
            else:
                # What was noted while the store was asked is newer than its answer.
                _, state = newest
        if state.is_deleted:
            raise AccountDeleted

    def require_may_write(self, user_id: UserId) -> None:
        """Raises AccountRestricted. It asks nobody: by what require_not_deleted found for the same call."""
        _, state = self._known.get(user_id, _UNKNOWN)
        if state.restricted_until and self._clock.now() < state.restricted_until:
            raise AccountRestricted(state.restricted_until)

    def note_deletion(self, user_id: UserId) -> None:
        """The account's deletion was asked for just now."""
        self._remember(user_id, math.inf, AccountState(is_deleted=True))

    def note_restriction(self, user_id: UserId, until: datetime | None) -> None:
        """The account was restricted until then just now; None when that was lifted."""
        hold_until = self._clock.monotonic() + self._check_s
        self._remember(user_id, hold_until, AccountState(restricted_until=until))

    def _remember(self, user_id: UserId, until: float, state: AccountState) -> None:
        # A deletion stays known.
        if not self._known.get(user_id, _UNKNOWN)[1].is_deleted:
            self._known[user_id] = (until, state)
        self._known.move_to_end(user_id)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


class Accounts:
    """The use-cases."""

    def __init__(
        self,
        jobs: JobStore,
        admission: AccountAdmission,
        objects: ObjectStore,
        clock: Clock,
        new_id: NewId,
        policy: AccountPolicy,
        wake_jobs: Callable[[], None] = lambda: None,
    ) -> None:
        self._wake_jobs = wake_jobs
        self._jobs = jobs
        self._admission = admission
        self._objects = objects
        self._clock = clock
        self._new_id = new_id
        self._policy = policy

    async def start_export(self, user_id: str) -> Job:
        """An export of all that stands about a person. Idempotent. Errors: InvalidField, AccountDeleted."""
        person = checks.check_user_id("user_id", user_id)
        await self._admission.require_not_deleted(person)
        job = self._job(person, JobKind.EXPORT)
        stored = await self._jobs.start_export(job, job.created_at - self._policy.reuse)
        self._wake_jobs()
        return stored

    async def delete(self, user_id: str, confirmed: str, *, tell_again: bool = False) -> Job:
        """Delete an account for good. Idempotent; with `tell_again` all services hear of it also when it is known:
        their databases may have been restored. Errors: InvalidField."""
        person = checks.check_user_id("user_id", user_id)
        if confirmed != user_id:
            raise InvalidField("confirm_user_id", "is not the id of the account that is to be deleted")
        job = self._job(person, JobKind.DELETION)
        stored = await self._jobs.start_deletion(job, job.created_at + self._policy.start_delay)
        self._admission.note_deletion(person)
        self._wake_jobs()
        if tell_again and stored.id != job.id:
            await self._jobs.tell_deletion(person, job.created_at)
        return stored

    async def list_deleted(self, after: str) -> Sequence[UserId]:
        """Who was ever deleted, by id, some at a time. Errors: InvalidField."""
        person = checks.check_user_id("after_user_id", after) if after else ""
        return await self._jobs.list_deleted(person, DELETED_PAGE)

    async def get_job(self, job_id: str, of: UserId | None) -> Job:
        """A job; with `of` that person's only. Errors: InvalidField, JobNotFound."""
        job = await self._jobs.find(JobId(checks.check_uuid("job_id", job_id)))
        if job is None or of not in (None, job.user_id):
            raise JobNotFound
        return job

    def download_urls(self, job: Job) -> Sequence[str]:
        """Where the parts of a finished export can be fetched for some minutes, in order."""
        if job.finished_at is None:
            return ()
        return [
            self._objects.sign_get(
                key,
                self._policy.get_ttl,
                content_type="application/x-ndjson",
                disposition=f'attachment; filename="parley-{job.id}-{number}.jsonl"',
            )
            for number, key in enumerate(job.parts, start=1)
        ]

    def _job(self, user_id: UserId, kind: JobKind) -> Job:
        now = self._clock.now()
        return Job(JobId(self._new_id(now)), user_id, kind, now)
