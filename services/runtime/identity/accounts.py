"""What every replica knows of accounts: which are deleted, and which tokens were revoked before their time was over.

It is read from `accounts.events.v1`, all of it, by each replica: no call asks anybody.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from google.protobuf.message import DecodeError
from parley.accounts.v1 import events_pb2

from services.runtime.clock import CLOCK_SKEW_S, Clock
from services.runtime.errors import AccountDeleted, Unauthenticated
from services.runtime.identity.auth import UserToken
from services.runtime.kafka.bus import Incoming, PoisonRecord
from services.runtime.observability.failures import describe

log = structlog.get_logger()

# Accounts with revocations that are held before those are looked for whose tokens have all expired. Raising it holds
# more that no token needs, about 300 bytes each; lowering it looks more often.
PRUNE_FROM = 10_000


class NotAnAccountState(ValueError):
    """A record of `accounts.events.v1` that cannot be read."""


@dataclass(frozen=True)
class Standing:
    """What holds for an account. Times are Unix seconds: tokens that were issued before are refused."""

    deleted: bool = False
    # Messaging has erased the person.
    erased: bool = False
    valid_from: float = 0.0
    # Whose tokens, known by their claim, `valid_from` is not about.
    kept_device: str = ""
    devices: Mapping[str, float] = field(default_factory=dict)

    def valid_from_of(self, device_id: str) -> float:
        """From when on tokens of a device are good; of those that name none, with an empty id."""
        own = self.devices.get(device_id, 0.0) if device_id else 0.0
        return own if device_id and device_id == self.kept_device else max(own, self.valid_from)

    def is_revoked(self, issued_at: float, token_device: str, named_device: str = "") -> bool:
        """Whether a token is refused that was issued then, to the device of its claim, and is used for a named one."""
        return issued_at < self.valid_from_of(token_device) or issued_at < self.devices.get(named_device, 0.0)

    @property
    def newest(self) -> float:
        """The time of the newest revocation; 0 when there is none."""
        return max(self.valid_from, *self.devices.values(), 0.0)


class Accounts:
    """The standings of accounts, for one process. `max_life_s` is the longest life of a token.

    A deletion is remembered for good, about 100 bytes each; a revocation until its tokens have expired.
    """

    def __init__(self, clock: Clock, max_life_s: float, *, refuses_deleted: bool = True) -> None:
        self._clock = clock
        self._max_life_s = max_life_s
        self._refuses_deleted = refuses_deleted
        self._deleted: set[str] = set()
        self._revoked: dict[str, Standing] = {}
        self._prune_at = PRUNE_FROM

    def __len__(self) -> int:
        """Accounts of which something is held."""
        return len(self._deleted) + len(self._revoked)

    def note(self, user_id: str, standing: Standing | None) -> None:
        """What holds now; None when nothing is known but that no token is revoked any more."""
        if standing is None:
            self._revoked.pop(user_id, None)
        elif standing.deleted:
            self._deleted.add(user_id)
            self._revoked.pop(user_id, None)
        elif standing.newest:
            self._revoked[user_id] = standing
            self._prune()

    def require_not_deleted(self, user_id: str) -> None:
        """Raises AccountDeleted."""
        if self._refuses_deleted and user_id in self._deleted:
            raise AccountDeleted("this account has been deleted")

    def check(self, token: UserToken, device_id: str = "") -> None:
        """Raises AccountDeleted, or Unauthenticated (TOKEN_REVOKED); `device_id` is the one that the request names."""
        self.require_not_deleted(token.user_id)
        standing = self._revoked.get(token.user_id)
        if standing and standing.is_revoked(token.issued_at, token.device_id, device_id):
            raise Unauthenticated("TOKEN_REVOKED", "this device was signed out: log in again")

    def _prune(self) -> None:
        if len(self._revoked) < self._prune_at:
            return
        oldest = self._clock.now().timestamp() - self._max_life_s - CLOCK_SKEW_S
        self._revoked = {user: standing for user, standing in self._revoked.items() if standing.newest >= oldest}
        self._prune_at = max(PRUNE_FROM, 2 * len(self._revoked))


class AccountsFeed:
    """accounts.events.v1 → the standings. `changed` is called for each account afterwards."""

    def __init__(self, accounts: Accounts, changed: Callable[[str], None] = lambda _: None) -> None:
        self._accounts = accounts
        self._changed = changed

    async def handle(self, records: Sequence[Incoming]) -> None:
        """Idempotent. What has no meaning is passed over, not parked: each replica reads it at each start."""
        for record in records:
            try:
                user_id, standing = decode(record)
            except ValueError:
                log.warning("account_state_unreadable", partition=record.partition, offset=record.offset)
                continue
            self._accounts.note(user_id, standing)
            self._changed(user_id)


def standings_in(records: Sequence[Incoming]) -> Iterator[tuple[str, Standing | None]]:
    """Whose standing each record tells, and which, for those that park what has no meaning. Raises PoisonRecord."""
    for record in records:
        try:
            told = decode(record)
        except ValueError as error:
            raise PoisonRecord(describe(error)) from error
        yield told


def decode(record: Incoming) -> tuple[str, Standing | None]:
    """Whose standing a record tells, and which. Raises ValueError for what has no meaning."""
    try:
        if not record.value:
            return record.key.decode(), None
        state = events_pb2.AccountState.FromString(record.value)
    except DecodeError as error:
        raise NotAnAccountState("not an AccountState") from error
    if not state.user_id or state.user_id.encode() != record.key:
        raise NotAnAccountState("the key is not the user_id")
    return state.user_id, Standing(
        deleted=state.HasField("delete_time"),
        erased=state.erased,
        valid_from=state.tokens_valid_from_time.ToNanoseconds() / 1e9,
        kept_device=state.kept_device_id,
        devices={one.device_id: one.tokens_valid_from_time.ToNanoseconds() / 1e9 for one in state.devices},
    )


def encode(user_id: str, standing: Standing, event_time_s: float, delete_time_s: float | None) -> bytes:
    """The record's value for a standing; times in Unix seconds."""
    state = events_pb2.AccountState(user_id=user_id, erased=standing.erased, kept_device_id=standing.kept_device)
    state.event_time.FromNanoseconds(int(event_time_s * 1e9))
    if delete_time_s is not None:
        state.delete_time.FromNanoseconds(int(delete_time_s * 1e9))
    if standing.valid_from:
        state.tokens_valid_from_time.FromNanoseconds(int(standing.valid_from * 1e9))
    for device_id, valid_from in sorted(standing.devices.items()):
        state.devices.add(device_id=device_id).tokens_valid_from_time.FromNanoseconds(int(valid_from * 1e9))
    return state.SerializeToString()
