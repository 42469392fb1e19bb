"""Jobs on accounts: who may ask for what, and how deleted accounts are kept out."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from services.messaging.accounts.core.jobs import AccountPolicy, AccountState, Job, JobId, JobKind
from services.messaging.accounts.service.accounts import AccountAdmission, Accounts
from services.messaging.kernel.errors import AccountDeleted, AccountRestricted, InvalidField, JobNotFound
from services.messaging.kernel.model import UserId
from services.runtime.ids import new_id
from tests.support.accounts import FakeJobs
from tests.support.attachments import MemoryObjects
from tests.support.clock import ManualClock

ALICE, BOB = UserId("alice"), UserId("bob")


class Office:
    """Accounts over jobs in memory."""

    def __init__(self) -> None:
        self.clock, self.jobs = ManualClock(), FakeJobs()
        self.admission = AccountAdmission(self.jobs, self.clock, 5)
        policy = AccountPolicy(start_delay=timedelta(seconds=15))
        self.accounts = Accounts(self.jobs, self.admission, MemoryObjects(), self.clock, new_id, policy)


@pytest.fixture
def office() -> Office:
    return Office()


async def test_a_deletion_must_be_confirmed_by_ones_own_id(office: Office) -> None:
    with pytest.raises(InvalidField) as refused:
        await office.accounts.delete(ALICE, BOB)
    assert refused.value.field == "confirm_user_id"
    await office.admission.require_not_deleted(ALICE)


async def test_a_deletion_is_closed_at_once_begins_later_and_can_be_asked_for_again(office: Office) -> None:
    job = await office.accounts.delete(ALICE, ALICE)
    with pytest.raises(AccountDeleted):
        await office.admission.require_not_deleted(ALICE)
    await office.admission.require_not_deleted(BOB)
    with pytest.raises(AccountDeleted):
        await office.accounts.start_export(ALICE)
    assert await office.accounts.delete(ALICE, ALICE) == job
    now = office.clock.now()
    assert await office.jobs.claim(now + timedelta(seconds=14), now, UUID(int=1)) is None
    assert await office.jobs.claim(now + timedelta(seconds=15), now, UUID(int=1)) is not None


async def test_the_gate_asks_once_in_a_while_and_learns_of_deletions_elsewhere(office: Office) -> None:
    for _ in range(10):
        await office.admission.require_not_deleted(ALICE)
    assert office.jobs.asked == 1
    deletion = Job(JobId(new_id(office.clock.now())), ALICE, JobKind.DELETION, office.clock.now())
    await office.jobs.start_deletion(deletion, office.clock.now())
    office.clock.advance(5)
    for _ in range(10):
        with pytest.raises(AccountDeleted):
            await office.admission.require_not_deleted(ALICE)
    assert office.jobs.asked == 2


async def test_a_question_that_was_under_way_does_not_open_the_gate_again(office: Office) -> None:
    asked = asyncio.Event()

    class Slow(FakeJobs):
        async def state_of(self, user_id: UserId) -> AccountState:
            await asked.wait()
            return AccountState()

    admission = AccountAdmission(Slow(), office.clock, 5)
    early = [asyncio.create_task(admission.require_not_deleted(user_id)) for user_id in (ALICE, BOB)]
    await asyncio.sleep(0)
    admission.note_deletion(ALICE)
    admission.note_restriction(BOB, office.clock.now() + timedelta(days=1))
    asked.set()
    with pytest.raises(AccountDeleted):
        await early[0]
    with pytest.raises(AccountDeleted):
        await admission.require_not_deleted(ALICE)
    await early[1]
    with pytest.raises(AccountRestricted):
        admission.require_may_write(BOB)


async def test_a_job_is_shown_to_whose_it_is_and_to_the_back_office(office: Office) -> None:
    job = await office.accounts.start_export(ALICE)
    assert await office.accounts.get_job(str(job.id), ALICE) == job
    assert await office.accounts.get_job(str(job.id), None) == job
    for job_id, user in ((str(job.id), BOB), (str(new_id(office.clock.now())), ALICE)):
        with pytest.raises(JobNotFound):
            await office.accounts.get_job(job_id, user)
    with pytest.raises(InvalidField):
        await office.accounts.get_job("x", ALICE)
