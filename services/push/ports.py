"""What push needs from outside."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.push.core.attempts import Answer
from services.push.core.effects import Effect, Shown
from services.push.core.model import (
    ConversationId,
    DeviceId,
    Facts,
    Level,
    MessageId,
    Person,
    Provider,
    Settings,
    Thread,
    ThreadKey,
    Token,
    UserId,
)


@dataclass(frozen=True)
class Kept:
    """What is kept of a person, as far as some news need it."""

    person: Person
    threads: Mapping[ThreadKey, Thread]
    reactors: Mapping[MessageId, frozenset[UserId]]


@dataclass(frozen=True)
class Places:
    """What of a person some news are about."""

    threads: Collection[ThreadKey]
    messages: Collection[MessageId] = ()


@dataclass(frozen=True)
class Change:
    """What of it is different now."""

    threads: Sequence[Thread] = ()
    reactors: Mapping[MessageId, frozenset[UserId]] = field(default_factory=dict)


class Store(Protocol):
    """Threads and what devices were sent of them. Every method raises StoreUnavailable."""

    async def with_tokens(self, user_ids: Collection[UserId]) -> frozenset[UserId]:
        """Those who have a device that can be told."""

    async def look(self, places: Mapping[UserId, Places]) -> Mapping[UserId, Kept]:
        """What is kept of each person, without a lock. Threads that nobody knows are left out."""

    async def standing(self, user_id: UserId) -> Sequence[Thread]:
        """The person's threads with a notice."""

    async def change(self, places: Mapping[UserId, Places], decide: Callable[[Kept], Change]) -> bool:
        """Lock the people, decide for each, write, and have devices told of threads whose version rose, in one
        transaction; whether something is to be sent. Nothing is done for who has no token."""

    async def note_attended(self, people: Mapping[UserId, bool]) -> None:
        """Who is at some device, of those who are known here."""


class Tokens(Protocol):
    """Tokens and settings, for their owners. Every method raises StoreUnavailable."""

    async def register(self, token: Token, most: int, now: datetime) -> None:
        """The device's token at its provider; whoever had it before has it no more, and the oldest devices beyond
        `most` have none."""

    async def remove(self, user_id: UserId, device_id: DeviceId, provider: Provider | None) -> None:
        """The device's tokens, of one provider or of all."""

    async def settings(self, user_id: UserId) -> Settings:
        """As they stand; the defaults for who never made any."""

    async def write_settings(self, user_id: UserId, settings: Settings) -> None:
        """All but the levels of conversations."""

    async def set_level(self, user_id: UserId, conversation_id: ConversationId, level: Level | None, most: int) -> None:
        """None takes it away. Raises TooManyConversations."""


class Accounts(Protocol):
    """What goes with accounts and devices. Every method raises StoreUnavailable, and is idempotent."""

    async def erase(self, user_id: UserId) -> None:
        """All that is kept of a person, and their words and name in what stands for others."""

    async def registered(self, user_id: UserId) -> Sequence[tuple[DeviceId, datetime]]:
        """The person's devices, and when each registered its newest token."""

    async def rows_of(self, user_id: UserId) -> Sequence[tuple[str, dict[str, object]]]:
        """The person's rows for an export, each under the name of its lines; tokens of providers are left out, which
        are the device's secrets."""


@dataclass(frozen=True)
class Claimed:
    """Something that this replica alone sends for a while."""

    token: Token
    person: Person
    thread: Thread
    shown: Shown
    badge: int
    attempts: int
    waited_s: float
    claim: str


@dataclass(frozen=True)
class DeadLetter:
    """What was given up, without what is in it."""

    provider: Provider
    user_id: UserId
    device_id: DeviceId
    give_up_time: datetime
    attempts: int
    last_status: int


@dataclass(frozen=True)
class Backlog:
    """What waits for a provider."""

    # Until the next is due, from now.
    due_in_s: float
    # How long the oldest has waited.
    oldest_s: float


class Queue(Protocol):
    """What is due. Every method raises StoreUnavailable."""

    async def backlogs(self, providers: Collection[Provider]) -> Mapping[Provider, Backlog]:
        """What waits for each provider; those of which nothing does are left out."""

    async def claim(self, provider: Provider, limit: int, lease_s: float, claim: str) -> Sequence[Claimed]:
        """Take what is due, the longest due first. From then on each device may show its notice."""

    async def settle(self, claimed: Claimed, version: int, *, is_up: bool, status: int) -> None:
        """The device has this version; when the thread has moved on meanwhile, it is due again."""

    async def defer(self, claimed: Claimed, status: int, delay_s: float) -> None:
        """Once more, after a while."""

    async def give_up(self, claimed: Claimed, status: int) -> None:
        """It is a dead letter, until the thread moves on or somebody has it sent again."""

    async def drop_token(self, token: Token) -> None:
        """The token reaches nothing any more."""


class Operations(Protocol):
    """What operators ask. Every method raises StoreUnavailable."""

    async def dead_letters(self, provider: Provider | None, limit: int) -> Sequence[DeadLetter]:
        """The newest first."""

    async def replay(self, provider: Provider | None, limit: int) -> int:
        """Have some of them sent again; how many."""


class Keeping(Protocol):
    """What is kept only for so long."""

    async def purge(self, keep_s: float, limit: int) -> int:
        """Forget some threads of which nothing stands, and reactions, that did not change for so long: how many.
        Raises StoreUnavailable."""


@dataclass(frozen=True)
class Question:
    """Whether a person is to be told of what another did."""

    user_id: UserId
    conversation_id: ConversationId
    from_user_id: UserId
    reply_to_seq: int = 0


class FactSource(Protocol):
    """Messaging."""

    async def facts(self, questions: Sequence[Question]) -> Sequence[Facts]:
        """As things stand now, in the order of the questions. Raises FactsUnavailable."""


class FactsUnavailable(Exception):
    """Messaging cannot be asked now."""


class Sender(Protocol):
    """One provider."""

    async def send(self, token: Token, sent: Effect) -> Answer:
        """What came back, within the time that a provider has. Never raises for what the provider does."""
