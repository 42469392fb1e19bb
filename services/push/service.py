"""What is done with news, for the owners of devices, and for operators."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import structlog

from services.push import metrics
from services.push.core.decision import decide, needs_facts, new_reactor, recheck
from services.push.core.errors import ProviderNotServed
from services.push.core.model import (
    ConversationId,
    DeviceId,
    Facts,
    Level,
    Provider,
    Settings,
    Thread,
    Token,
    UserId,
    is_call,
)
from services.push.core.news import (
    MessageChanged,
    MessageSent,
    News,
    RelationsChanged,
    ScheduledCallTold,
    ThreadNews,
    Told,
)
from services.push.ports import (
    Accounts,
    Change,
    DeadLetter,
    FactSource,
    Kept,
    Operations,
    Places,
    Question,
    Store,
    Tokens,
)
from services.runtime.clock import Clock

log = structlog.get_logger()

# Devices of a person. Raising it sends more for each message; lowering it forgets people's older devices.
MAX_DEVICES = 20
# Conversations with a level of their own. Raising it keeps longer lists; lowering it refuses who is in many groups.
MAX_LEVELS = 1_000
# Dead letters of one step of a replay. Raising it holds more locks for longer; lowering it takes more steps.
REPLAY_STEP = 2_000
# Of one request to messaging. Raising it makes longer statements there; lowering it makes more requests.
MAX_QUESTIONS = 500
# People of one transaction. Raising it takes fewer round trips for a message of a large group; lowering it lets those
# who change their settings meanwhile, and senders, wait less for the people's rows.
MAX_PEOPLE = 100


class Notices:
    """News in, what devices are to show. `wake` is called when something is due."""

    def __init__(self, store: Store, facts: FactSource, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._facts = facts
        self._clock = clock
        self._wake = wake

    async def take(self, told: Sequence[Told]) -> None:
        """News in their order. Idempotent. Raises StoreUnavailable, FactsUnavailable."""
        known = await self._store.with_tokens({one.user_id for one in told}) if told else frozenset()
        by_person: dict[UserId, list[News]] = {}
        for one in told:
            if one.user_id in known:
                by_person.setdefault(one.user_id, []).append(one.news)
        people = list(by_person)
        for start in range(0, len(people), MAX_PEOPLE):
            if await self._take_of({user_id: by_person[user_id] for user_id in people[start : start + MAX_PEOPLE]}):
                self._wake()

    async def note_attended(self, people: Mapping[UserId, bool]) -> None:
        """Who is at some device. Idempotent. Raises StoreUnavailable."""
        if people:
            await self._store.note_attended(people)

    async def _take_of(self, by_person: Mapping[UserId, Sequence[News]]) -> bool:
        """Each person's news in their order; whether something is to be sent."""
        facts = await self._ask(by_person)
        is_due = False
        # A look again is at what stands then, so what came before it is written first.
        for steps in zip_longest(*(_steps(user_id, news) for user_id, news in by_person.items())):
            threads = {step.user_id: step.news for step in steps if step and step.news}
            is_due = await self._decide(threads, facts) or is_due
            for step in steps:
                if step and step.looks_again:
                    is_due = await self._look_again(step.user_id) or is_due
        return is_due

    async def _ask(self, by_person: Mapping[UserId, Sequence[News]]) -> Mapping[tuple[UserId, int], Facts]:
        """What messaging says, by person and place of the news."""
        asked: dict[tuple[UserId, int], Question] = {}
        # What has been decided on already is known without asking; which that is may only grow meanwhile.
        kept = await self._store.look({user_id: _places(news) for user_id, news in by_person.items()})
        for user_id, news in by_person.items():
            for place, one in enumerate(news):
                if not isinstance(one, RelationsChanged) and (question := _question(kept[user_id], one)):
                    asked[user_id, place] = question
        questions = list(asked.values())
        found: list[Facts] = []
        for start in range(0, len(questions), MAX_QUESTIONS):
            found += await self._facts.facts(questions[start : start + MAX_QUESTIONS])
        return dict(zip(asked, found, strict=True))

    async def _decide(
        self,
        by_person: Mapping[UserId, Sequence[tuple[int, ThreadNews]]],
        all_facts: Mapping[tuple[UserId, int], Facts],
    ) -> bool:
        if not by_person:
            return False

        def change(kept: Kept) -> Change:
            threads, reactors = dict(kept.threads), dict(kept.reactors)
            user_id = kept.person.user_id
            now = self._clock.now()
            for place, one in by_person[user_id]:
                thread = threads.get(one.thread, Thread(one.thread))
                before = reactors.get(one.message_id, frozenset()) if isinstance(one, MessageChanged) else frozenset()
                after = decide(kept.person, thread, one, before, all_facts.get((user_id, place), Facts()), now)
                _count(thread, after)
                threads[one.thread] = after
                if isinstance(one, MessageChanged) and one.sender_id == user_id and one.reactors:
                    reactors[one.message_id] = before | frozenset(one.reactors)
            return Change(list(threads.values()), reactors)

        places = {user_id: _places([one for _, one in news]) for user_id, news in by_person.items()}
        return await self._store.change(places, change)

    async def _look_again(self, user_id: UserId) -> bool:
        """Take back what may not stand any more, now that somebody blocked somebody."""
        standing = [thread for thread in await self._store.standing(user_id) if not is_call(thread.key)]
        notices = [thread.notice for thread in standing if thread.notice]
        questions = [Question(user_id, notice.conversation_id, UserId(notice.from_user_id)) for notice in notices]
        if not questions:
            return False
        found = await self._facts.facts(questions)
        facts = {thread.key: one for thread, one in zip(standing, found, strict=True)}

        def change(kept: Kept) -> Change:
            return Change([recheck(thread, facts[key]) for key, thread in kept.threads.items()])

        return await self._store.change({user_id: Places(set(facts))}, change)


@dataclass(frozen=True)
class _Step:
    """News of a person that are decided on together, each with its place, and whether a look again follows."""

    user_id: UserId
    news: Sequence[tuple[int, ThreadNews]]
    looks_again: bool = False


def _steps(user_id: UserId, news: Sequence[News]) -> Iterator[_Step]:
    waiting: list[tuple[int, ThreadNews]] = []
    for place, one in enumerate(news):
        if isinstance(one, RelationsChanged):
            yield _Step(user_id, waiting, looks_again=True)
            waiting = []
        else:
            waiting.append((place, one))
    yield _Step(user_id, waiting)


def _places(news: Collection[News]) -> Places:
    return Places(
        {one.thread for one in news if not isinstance(one, RelationsChanged)},
        {one.message_id for one in news if isinstance(one, MessageChanged)},
    )


def _question(kept: Kept, news: ThreadNews) -> Question | None:
    """What to ask before the news can be decided on; None when nothing is."""
    user_id = kept.person.user_id
    thread = kept.threads.get(news.thread, Thread(news.thread))
    match news:
        case MessageSent():
            if needs_facts(user_id, thread, news, frozenset()):
                return Question(user_id, news.conversation_id, news.sender_id, news.reply_to_seq)
        case MessageChanged():
            reactors = kept.reactors.get(news.message_id, frozenset())
            if reactor := new_reactor(user_id, news, reactors):
                return Question(user_id, news.conversation_id, reactor)
        case ScheduledCallTold():
            if needs_facts(user_id, thread, news, frozenset()):
                # A block between the person and themselves there is none.
                maker_id = UserId("") if news.maker_id == user_id else news.maker_id
                return Question(user_id, news.conversation_id, maker_id)
        case _:
            pass
    return None


def _count(before: Thread, after: Thread) -> None:
    if after.version == before.version:
        return
    if after.notice is None:
        metrics.TAKEN_BACK.inc()
    else:
        metrics.DECIDED.labels(after.notice.kind.value).inc()


class Devices:
    """For the owners of devices. `served`: by which providers is sent now. Methods that wait raise StoreUnavailable."""

    def __init__(self, tokens: Tokens, served: Callable[[], Collection[Provider]], clock: Clock) -> None:
        self._tokens = tokens
        self._served = served
        self._clock = clock

    def providers(self) -> list[Provider]:
        """By which notices are sent."""
        served = self._served()
        return [provider for provider in Provider if provider in served]

    async def register(self, token: Token) -> None:
        """Tell the device from now on. Idempotent. Raises ProviderNotServed."""
        if token.provider not in self._served():
            raise ProviderNotServed(f"notices are not sent by {token.provider.value} here")
        await self._tokens.register(token, MAX_DEVICES, self._clock.now())

    async def remove(self, user_id: UserId, device_id: DeviceId, provider: Provider | None) -> None:
        """Tell it no more. Idempotent."""
        await self._tokens.remove(user_id, device_id, provider)

    async def settings(self, user_id: UserId) -> Settings:
        """As they stand."""
        return await self._tokens.settings(user_id)

    async def update_settings(self, user_id: UserId, settings: Settings) -> Settings:
        """All but the levels of conversations. Idempotent."""
        await self._tokens.write_settings(user_id, settings)
        return settings

    async def set_level(self, user_id: UserId, conversation_id: ConversationId, level: Level | None) -> None:
        """Of one conversation; None takes it away. Idempotent. Raises TooManyConversations."""
        await self._tokens.set_level(user_id, conversation_id, level, MAX_LEVELS)


@dataclass(frozen=True)
class AccountLifecycle:
    """What goes with accounts and devices. Idempotent. Every method raises StoreUnavailable."""

    accounts: Accounts
    tokens: Tokens

    async def delete(self, user_id: UserId) -> None:
        """Nothing stays."""
        await self.accounts.erase(user_id)
        log.info("account_erased")

    async def sign_out(self, user_id: UserId, is_revoked: Callable[[float, DeviceId], bool]) -> None:
        """Devices that registered with a token that is refused now are told no more."""
        for device_id, registered in await self.accounts.registered(user_id):
            if is_revoked(registered.timestamp(), device_id):
                await self.tokens.remove(user_id, device_id, None)


class Operating:
    """For people who look after it. Every method raises StoreUnavailable."""

    def __init__(self, store: Operations, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def dead_letters(self, provider: Provider | None, limit: int) -> Sequence[DeadLetter]:
        """The newest that were given up."""
        return await self._store.dead_letters(provider, limit)

    async def replay(self, provider: Provider | None) -> int:
        """Have some of them sent again; how many."""
        count = await self._store.replay(provider, REPLAY_STEP)
        if count:
            self._wake()
        return count
