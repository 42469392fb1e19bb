"""Who may sign out which devices, and that this replica knows at once."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from services.messaging.accounts.core.revocations import Revocations
from services.messaging.accounts.mapping import standing_of
from services.messaging.accounts.service.accounts import AccountAdmission
from services.messaging.accounts.service.signing_out import SignOuts
from services.messaging.kernel.errors import AccountDeleted, InvalidField
from services.messaging.kernel.model import UserId
from tests.support.accounts import FakeJobs
from tests.support.clock import ManualClock


class MemoryRevocations:
    """See accounts.ports.RevocationStore."""

    def __init__(self) -> None:
        self.held: dict[UserId, Revocations] = {}

    async def change(self, user_id: UserId, decide: Callable[[Revocations], Revocations], now: datetime) -> Revocations:
        self.held[user_id] = decide(self.held.get(user_id, Revocations()))
        return self.held[user_id]

    async def prune(self, before: datetime, now: datetime, limit: int) -> int:
        return 0


class Office:
    """Signing out over memory."""

    def __init__(self) -> None:
        self.clock, self.jobs, self.store = ManualClock(), FakeJobs(), MemoryRevocations()
        self.admission = AccountAdmission(self.jobs, self.clock, 5)
        self.noted: list[UserId] = []
        self.sign_outs = SignOuts(
            self.store, self.admission, lambda user_id, _: self.noted.append(user_id), self.clock, timedelta(days=1)
        )


async def test_this_replica_knows_at_once() -> None:
    office = Office()
    valid_from = await office.sign_outs.devices("alice", ["phone-01"])
    assert valid_from > office.clock.now()
    assert office.noted == ["alice"]
    assert standing_of(office.store.held[UserId("alice")]).is_revoked(office.clock.now().timestamp(), "phone-01")


@pytest.mark.parametrize("device_ids", [[], ["short"], ["a b c d e f"], ["x" * 65], ["phone-01", ""], ["é" * 8]])
async def test_what_names_no_device_is_refused(device_ids: list[str]) -> None:
    office = Office()
    with pytest.raises(InvalidField):
        await office.sign_outs.devices("alice", device_ids)
    assert office.store.held == {}


async def test_too_many_devices_at_once_are_refused() -> None:
    with pytest.raises(InvalidField):
        await Office().sign_outs.devices("alice", [f"device-{number:03}" for number in range(21)])


async def test_a_deleted_account_signs_nobody_out() -> None:
    office = Office()
    office.admission.note_deletion(UserId("alice"))
    with pytest.raises(AccountDeleted):
        await office.sign_outs.others("alice")
