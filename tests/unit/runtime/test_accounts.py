"""What each replica holds of accounts."""

from datetime import UTC, datetime

import pytest

from services.runtime.clock import CLOCK_SKEW_S
from services.runtime.errors import AccountDeleted, Unauthenticated
from services.runtime.identity import accounts as module
from services.runtime.identity.accounts import (
    Accounts,
    AccountsFeed,
    Standing,
    decode,
    encode,
    standings_in,
)
from services.runtime.identity.auth import UserId, UserToken
from services.runtime.kafka.bus import Incoming, PoisonRecord
from tests.support.clock import ManualClock

ALICE = UserId("alice")
DAY_S = 86_400


def token(issued_at: float, device_id: str = "", user_id: UserId = ALICE) -> UserToken:
    return UserToken(user_id, issued_at + 3_600, issued_at, device_id)


def record(value: bytes | None, key: bytes = b"alice", offset: int = 0) -> Incoming:
    return Incoming("accounts.events.v1", 0, offset, key, value, datetime(2026, 1, 1, tzinfo=UTC), None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def accounts(clock: ManualClock) -> Accounts:
    return Accounts(clock, DAY_S)


def is_refused(accounts: Accounts, one: UserToken, device_id: str = "") -> bool:
    try:
        accounts.check(one, device_id)
    except Unauthenticated as error:
        return error.reason == "TOKEN_REVOKED"
    return False


# Standing, when the token was issued, to which device, which one the request names, whether it is refused.
CASES = [
    (Standing(), 0, "", "", False),
    (Standing(valid_from=100), 99, "", "", True),
    (Standing(valid_from=100), 99.999, "phone-01", "phone-01", True),
    (Standing(valid_from=100), 100, "", "phone-01", False),
    (Standing(devices={"phone-01": 100}), 99, "phone-01", "", True),
    (Standing(devices={"phone-01": 100}), 100, "phone-01", "phone-01", False),
    (Standing(devices={"phone-01": 100}), 99, "tablet-1", "tablet-1", False),
    (Standing(devices={"phone-01": 100}), 99, "tablet-1", "phone-01", True),
    # No claim: only what names the device is known to be its.
    (Standing(devices={"phone-01": 100}), 99, "", "", False),
    (Standing(devices={"phone-01": 100}), 99, "", "phone-01", True),
    (Standing(valid_from=100, kept_device="phone-01"), 50, "phone-01", "", False),
    (Standing(valid_from=100, kept_device="phone-01"), 50, "tablet-1", "", True),
    # To name the kept device does not make a token that device's.
    (Standing(valid_from=100, kept_device="phone-01"), 50, "", "phone-01", True),
    (Standing(valid_from=100, kept_device="phone-01", devices={"phone-01": 60}), 50, "phone-01", "", True),
    (Standing(valid_from=100, kept_device="phone-01", devices={"phone-01": 60}), 60, "phone-01", "", False),
]


@pytest.mark.parametrize(("standing", "issued_at", "claimed", "named", "refused"), CASES)
def test_which_tokens_a_revocation_is_about(
    accounts: Accounts, standing: Standing, issued_at: float, claimed: str, named: str, refused: bool
) -> None:
    accounts.note(ALICE, standing)
    assert is_refused(accounts, token(issued_at, claimed), named) is refused
    assert not is_refused(accounts, token(0, claimed, UserId("bob")), named)


def test_a_deleted_account_is_refused_whenever_its_token_was_issued(accounts: Accounts) -> None:
    accounts.note(ALICE, Standing(deleted=True))
    for issued_at in (0.0, 1e12):
        with pytest.raises(AccountDeleted):
            accounts.check(token(issued_at))
    # Nothing takes a deletion back.
    accounts.note(ALICE, Standing(valid_from=5))
    accounts.note(ALICE, None)
    with pytest.raises(AccountDeleted):
        accounts.check(token(6))


def test_a_tombstone_lifts_revocations(accounts: Accounts) -> None:
    accounts.note(ALICE, Standing(valid_from=100))
    accounts.note(ALICE, None)
    assert not is_refused(accounts, token(1))
    assert len(accounts) == 0


def test_memory_is_bounded_by_the_life_of_tokens(
    accounts: Accounts, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRUNE_FROM", 10)
    accounts = Accounts(clock, DAY_S)
    for _ in range(5):
        now = clock.now().timestamp()
        for number in range(8):
            accounts.note(f"user-{now}-{number}", Standing(devices={"phone-01": now}))
        # Whoever may still have a token that lives is held.
        assert is_refused(accounts, token(now - 1, "phone-01", UserId(f"user-{now}-0")))
        clock.advance(DAY_S + CLOCK_SKEW_S + 1)
        assert len(accounts) <= 16


@pytest.mark.parametrize(
    "standing",
    [
        Standing(deleted=True, erased=True),
        Standing(valid_from=1_700_000_000, kept_device="phone-01"),
        Standing(devices={"phone-01": 1_700_000_000, "tablet-1": 1_700_000_001}),
    ],
)
async def test_what_is_said_of_an_account_is_understood(accounts: Accounts, standing: Standing) -> None:
    value = encode(ALICE, standing, 1_700_000_002.5, 1_700_000_000.0 if standing.deleted else None)
    assert decode(record(value)) == (ALICE, standing)


GOOD = encode(ALICE, Standing(deleted=True), 1.0, 1.0)
STRANGE = [record(b"\xff\xff"), record(GOOD, b"bob"), record(b"\x12\x00"), record(None, b"\xff")]


async def test_what_has_no_meaning_is_passed_over_and_the_next_is_read(accounts: Accounts) -> None:
    told: list[str] = []
    feed = AccountsFeed(accounts, told.append)
    await feed.handle([*STRANGE, record(GOOD)])
    with pytest.raises(AccountDeleted):
        accounts.check(token(5))
    assert told[-1] == ALICE


@pytest.mark.parametrize("strange", STRANGE)
def test_what_has_no_meaning_is_poison_to_whom_it_must_not_escape(strange: Incoming) -> None:
    """What stands before it is told first."""
    found = standings_in([record(GOOD), strange])
    assert next(found) == (ALICE, Standing(deleted=True))
    with pytest.raises(PoisonRecord):
        next(found)
