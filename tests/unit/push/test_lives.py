"""Random lives of a person with several devices: what the devices show in the end, and what they were ever sent.

The machine keeps its own account of what should be told, from the rules as people know them; it shares none of the
decision's state. Beneath it stands a small shell over the core, which loses answers, repeats news and fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from services.push.core.decision import decide, needs_facts, recheck
from services.push.core.effects import Effect, Notify, Shown, badge, effect, receivers
from services.push.core.model import (
    ConversationId,
    DeviceId,
    Facts,
    Level,
    MessageId,
    NoticeKind,
    Person,
    Provider,
    RequestState,
    Thread,
    ThreadKey,
    Token,
    TokenId,
    UserId,
    call_key,
    conversation_key,
)
from services.push.core.news import (
    CallRang,
    ConversationLeft,
    MessageChanged,
    MessageSent,
    OwnStateChanged,
    RingEnded,
    ThreadNews,
)

ME = UserId("me")
PEOPLE = ("ann", "bob", "eve")
CONVERSATIONS = ("direct", "group", "strange")
PROVIDERS = (Provider.APNS, Provider.FCM, Provider.WEB_PUSH)
SECRET = "words of "


@dataclass
class Screen:
    """What one device shows, by what collapses, and how it came there."""

    notices: dict[ThreadKey, Notify] = field(default_factory=dict)
    badge: int = 0

    def take(self, sent: Effect) -> None:
        self.badge = sent.badge
        if isinstance(sent, Notify):
            self.notices[sent.key] = sent
        else:
            self.notices.pop(sent.key, None)


class Shell:
    """Threads, and for each device what it was sent; every attempt may be lost before or after the provider had it."""

    def __init__(self, check: Callable[[Effect], None]) -> None:
        self.check = check
        self.person = Person(ME)
        self.now = datetime(2026, 5, 4, 12, tzinfo=UTC)
        self.tokens: dict[TokenId, Token] = {}
        self.screens: dict[TokenId, Screen] = {}
        self.threads: dict[ThreadKey, Thread] = {}
        self.shown: dict[tuple[TokenId, ThreadKey], Shown] = {}
        self.reactors: dict[MessageId, frozenset[UserId]] = {}
        # What providers said that they have, by device, thread and version.
        self.acknowledged: set[tuple[TokenId, ThreadKey, int]] = set()

    def take(self, news: ThreadNews, facts: Facts) -> None:
        thread = self.threads.get(news.thread, Thread(news.thread))
        is_change = isinstance(news, MessageChanged)
        known = self.reactors.get(news.message_id, frozenset()) if is_change else frozenset()
        asked = facts if needs_facts(ME, thread, news, known) else Facts()
        self.write(thread, decide(self.person, thread, news, known, asked, self.now))
        if isinstance(news, MessageChanged) and news.sender_id == ME:
            self.reactors[news.message_id] = known | frozenset(news.reactors)

    def write(self, before: Thread, after: Thread) -> None:
        self.threads[after.key] = after
        if after.version == before.version:
            return
        for token in receivers(after.key, self.tokens.values()):
            # As the store has it: a row for each device there is at that moment.
            self.shown.setdefault((token.id, after.key), Shown())

    def attempt(self, token_id: TokenId, key: ThreadKey, *, provider_has_it: bool, answer_comes: bool) -> None:
        shown, thread = self.shown[token_id, key], self.threads[key]
        number = badge(list(self.threads.values()))
        sent = effect(thread, shown, self.tokens[token_id], self.person.settings, number, self.now)
        if sent is None:
            self.shown[token_id, key] = Shown(thread.version, is_up=False if thread.notice is None else shown.is_up)
            return
        if isinstance(sent, Notify):
            # Written down before anything leaves.
            self.shown[token_id, key] = replace(shown, is_up=True)
        # One notice a device: what a provider has is not sent again.
        assert (token_id, key, thread.version) not in self.acknowledged
        if provider_has_it:
            self.check(sent)
            self.screens[token_id].take(sent)
        if provider_has_it and answer_comes:
            self.acknowledged.add((token_id, key, thread.version))
            self.shown[token_id, key] = Shown(thread.version, is_up=isinstance(sent, Notify))

    def waiting(self) -> list[tuple[TokenId, ThreadKey]]:
        return [place for place, shown in self.shown.items() if shown.version < self.threads[place[1]].version]

    def flush(self) -> None:
        for token_id, key in self.waiting():
            self.attempt(token_id, key, provider_has_it=True, answer_comes=True)


@dataclass
class Told:
    """By the machine's own account: a message of which the person should be told, and who had a device then."""

    seq: int
    devices: frozenset[TokenId]


class Life:
    """One person's. Each act takes what it leaves to chance from a generator of its own."""

    def __init__(self) -> None:
        self.shell = Shell(self.check_sent)
        self.number = 0
        self.last_seq = dict.fromkeys(CONVERSATIONS, 0)
        self.read_seq = dict.fromkeys(CONVERSATIONS, 0)
        self.authors: dict[tuple[str, int], str] = {}
        self.gone: set[tuple[str, int]] = set()
        self.blocked: set[str] = set()
        self.muted: set[str] = set()
        self.strange = RequestState.PENDING
        self.told: dict[str, list[Told]] = {name: [] for name in CONVERSATIONS}
        self.requested: list[Told] = []
        self.history: list[tuple[ThreadNews, Facts]] = []
        self.ringing: CallRang | None = None
        for provider in PROVIDERS[:2]:
            self.add_device(provider)

    # What the person does with devices and settings.

    def register(self, chance: Random) -> None:
        self.add_device(chance.choice(PROVIDERS))

    def add_device(self, provider: Provider) -> None:
        self.number += 1
        token_id = TokenId(f"t{self.number}")
        device = DeviceId(f"d{self.number}")
        self.shell.tokens[token_id] = Token(token_id, ME, device, provider, f"address-{self.number}")
        self.shell.screens[token_id] = Screen()

    def remove(self, chance: Random) -> None:
        if self.shell.tokens:
            token_id = chance.choice(sorted(self.shell.tokens))
            del self.shell.tokens[token_id]
            del self.shell.screens[token_id]
            self.shell.shown = {place: shown for place, shown in self.shell.shown.items() if place[0] != token_id}

    def set_account(self, chance: Random) -> None:
        level, previews = chance.choice(list(Level)), chance.random() < 0.5
        chosen = replace(self.shell.person.settings, level=level, previews=previews)
        self.shell.person = replace(self.shell.person, settings=chosen)

    def set_conversation(self, chance: Random) -> None:
        name, level = chance.choice(CONVERSATIONS), chance.choice([None, *Level])
        levels = dict(self.shell.person.settings.conversations)
        levels.pop(ConversationId(name), None)
        if level:
            levels[ConversationId(name)] = level
        chosen = replace(self.shell.person.settings, conversations=levels)
        self.shell.person = replace(self.shell.person, settings=chosen)

    def mute(self, chance: Random) -> None:
        (self.muted.add if chance.random() < 0.3 else self.muted.discard)(chance.choice(CONVERSATIONS))

    def block(self, chance: Random) -> None:
        self.blocked.add(chance.choice(PEOPLE))
        for key, thread in list(self.shell.threads.items()):
            if thread.notice is None or key.startswith("call:"):
                continue
            name = str(thread.notice.conversation_id)
            facts = self.facts_of(name, thread.notice.from_user_id)
            after = recheck(thread, facts)
            self.shell.write(thread, after)
            if after.notice is None:
                self.told[name] = []

    def unblock(self, chance: Random) -> None:
        self.blocked.discard(chance.choice(PEOPLE))

    def answer_request(self, chance: Random) -> None:
        self.strange = state = chance.choice([RequestState.ACCEPTED, RequestState.DECLINED])
        self.requested = []
        if state is RequestState.DECLINED:
            self.told["strange"] = []
        self.own_state("strange")

    # What happens.

    def send(self, chance: Random) -> None:
        name, who = chance.choice(CONVERSATIONS), chance.choice((*PEOPLE, ME))
        mentions_me, is_missed_call, devices_first = (chance.random() < share for share in (0.2, 0.1, 0.5))
        if devices_first:
            self.shell.flush()
        self.last_seq[name] += 1
        seq = self.last_seq[name]
        self.authors[name, seq] = who
        news = MessageSent(
            ConversationId(name),
            MessageId(f"{name}-{seq}"),
            seq,
            UserId(who),
            self.shell.now,
            "" if is_missed_call else f"{SECRET}{who} in {name}",
            frozenset({ME}) if mentions_me else frozenset(),
            is_missed_call=is_missed_call,
        )
        if who != ME and self.is_told(name, who, is_for_me=mentions_me or is_missed_call):
            told = Told(seq, frozenset(self.shell.tokens))
            if name == "strange" and self.strange is RequestState.PENDING:
                # Once, until it is answered or read.
                self.requested = self.requested or [told]
                self.requested.append(replace(told, devices=frozenset()))
            else:
                self.told[name].append(told)
        self.bring(news, self.facts_of(name, who))

    def read(self, chance: Random) -> None:
        name = chance.choice(CONVERSATIONS)
        seq = max(self.read_seq[name], self.last_seq[name] - chance.choice((0, 0, 1, 2)))
        if seq == self.read_seq[name]:
            return
        self.read_seq[name] = seq
        self.told[name] = [told for told in self.told[name] if told.seq > seq]
        if name == "strange" and self.requested:
            self.read_request(seq)
        self.own_state(name)

    def read_request(self, seq: int) -> None:
        if self.requested[0].seq <= seq:
            self.requested = []

    def unsend(self, chance: Random) -> None:
        name = chance.choice(CONVERSATIONS)
        candidates = [seq for seq in range(1, self.last_seq[name] + 1) if (name, seq) not in self.gone]
        # A request keeps its one quiet notice; what becomes of it is in test_decision.py.
        if not candidates or name == "strange":
            return
        seq = chance.choice(candidates[-4:])
        self.gone.add((name, seq))
        self.told[name] = [told for told in self.told[name] if told.seq != seq]
        self.bring(
            MessageChanged(
                ConversationId(name),
                MessageId(f"{name}-{seq}"),
                seq,
                UserId(self.authors[name, seq]),
                self.shell.now,
                is_gone=True,
            ),
            Facts(),
        )

    def react(self, chance: Random) -> None:
        name, who = chance.choice(CONVERSATIONS), chance.choice(PEOPLE)
        mine = [seq for (place, seq), author in self.authors.items() if place == name and author == ME]
        mine = [seq for seq in mine if (name, seq) not in self.gone]
        if mine:
            seq = chance.choice(mine)
            news = MessageChanged(
                ConversationId(name), MessageId(f"{name}-{seq}"), seq, ME, self.shell.now, reactors=(UserId(who),)
            )
            self.bring(news, self.facts_of(name, who))

    def ring(self, chance: Random) -> None:
        who = chance.choice(PEOPLE)
        self.number += 1
        deadline = self.shell.now + timedelta(seconds=45)
        self.ringing = CallRang(
            f"call{self.number}", ConversationId("direct"), UserId(who), True, self.shell.now, deadline
        )
        self.bring(self.ringing, Facts())

    def end_ring(self, _: Random) -> None:
        if self.ringing:
            self.bring(RingEnded(self.ringing.call_id, self.ringing.conversation_id, self.shell.now), Facts())
            self.ringing = None

    def wait(self, chance: Random) -> None:
        self.pass_time(chance.randint(1, 60))

    def pass_time(self, seconds: int) -> None:
        self.shell.now += timedelta(seconds=seconds)

    def leave_group(self, _: Random) -> None:
        self.told["group"] = []
        self.bring(ConversationLeft(ConversationId("group"), self.shell.now), Facts())

    # What goes wrong.

    def bring_again(self, chance: Random) -> None:
        """Kafka repeats a stretch up to the newest, in its order."""
        if self.history:
            first = chance.randrange(len(self.history))
            for news, facts in self.history[first:]:
                # Facts are asked anew, so they are those of now.
                is_sent = isinstance(news, MessageSent)
                self.shell.take(news, self.facts_of(str(news.conversation_id), news.sender_id) if is_sent else facts)

    def attempt(self, chance: Random) -> None:
        provider_has_it, answer_comes = chance.random() < 0.7, chance.random() < 0.6
        if self.shell.shown:
            # Also of those who show what they should: they are to be sent nothing.
            token_id, key = chance.choice(self.shell.waiting() or list(self.shell.shown))
            self.shell.attempt(token_id, key, provider_has_it=provider_has_it, answer_comes=answer_comes)

    def settle(self, _: Random) -> None:
        """Providers are well, and everything was sent."""
        self.shell.flush()
        assert not self.shell.waiting()
        number = badge(list(self.shell.threads.values()))
        assert number == sum(len(told) for told in self.told.values())
        for token_id, screen in self.shell.screens.items():
            self.check_screen(token_id, screen)

    def check_screen(self, token_id: TokenId, screen: Screen) -> None:
        for name, told in self.told.items():
            notice = screen.notices.get(conversation_key(ConversationId(name)))
            if told and token_id in told[-1].devices:
                assert notice, f"{token_id} is not told of {told[-1].seq} in {name}"
                assert notice.notice.seq == told[-1].seq
            elif not told and not (name == "strange" and self.requested):
                # Reactions count for nothing, and stay until the person reads on.
                assert notice is None or notice.notice.kind is NoticeKind.REACTION
        strange = screen.notices.get(conversation_key(ConversationId("strange")))
        if self.requested and not self.told["strange"] and token_id in self.requested[0].devices:
            assert strange
            assert strange.notice.kind is NoticeKind.REQUEST
        calls = {key for key in screen.notices if key.startswith("call:")}
        assert calls <= ({call_key(self.ringing.call_id)} if self.ringing else set()) | self.unended()

    def unended(self) -> set[ThreadKey]:
        """Calls of which no end was said here: a ring that follows another leaves it to its deadline."""
        ended = {news.thread for news, _ in self.history if isinstance(news, RingEnded)}
        return {news.thread for news, _ in self.history if isinstance(news, CallRang)} - ended

    def check_sent(self, sent: Effect) -> None:
        """What must hold of all that leaves, at that moment."""
        if not isinstance(sent, Notify) or sent.notice.kind is NoticeKind.CALL:
            # Whom a call may ring signaling has decided.
            return
        notice, name = sent.notice, str(sent.notice.conversation_id)
        assert notice.kind is NoticeKind.REACTION or notice.seq > self.read_seq[name]
        assert notice.from_user_id not in self.blocked
        if name == "strange" and self.strange is RequestState.PENDING:
            assert (notice.text, notice.from_user_id, notice.title) == ("", "", "")
            assert notice.is_quiet
        assert not notice.text or notice.text == f"{SECRET}{notice.from_user_id} in {name}"
        assert self.shell.person.settings.previews or (notice.text, notice.from_user_id) == ("", "")

    # Below: the rules as people know them.

    def is_told(self, name: str, who: str, *, is_for_me: bool) -> bool:
        if who in self.blocked or name in self.muted:
            return False
        if name == "strange" and self.strange is RequestState.DECLINED:
            return False
        own = self.shell.person.settings.conversations.get(ConversationId(name))
        level = own or self.shell.person.settings.level
        if level is Level.NONE:
            return False
        if name == "strange" and self.strange is RequestState.PENDING:
            return True
        return level is Level.ALL or is_for_me or (own is None and name != "group")

    def facts_of(self, name: str, who: str) -> Facts:
        return Facts(
            is_group=name == "group",
            request=self.strange if name == "strange" else RequestState.ACCEPTED,
            is_blocked=who in self.blocked,
            muted_until=self.shell.now + timedelta(days=1) if name in self.muted else None,
            read_seq=self.read_seq[name],
            title="the group" if name == "group" else "",
        )

    def own_state(self, name: str) -> None:
        request = self.strange if name == "strange" else RequestState.ACCEPTED
        self.bring(OwnStateChanged(ConversationId(name), self.read_seq[name], request, self.shell.now), Facts())

    def bring(self, news: ThreadNews, facts: Facts) -> None:
        self.history.append((news, facts))
        self.shell.take(news, facts)
        # So that one thing is after the other by the clock, as it is in messaging.
        self.pass_time(1)


# Each as often as it stands here.
ACTS = (
    *(Life.send,) * 6,
    *(Life.attempt,) * 6,
    *(Life.settle,) * 3,
    *(Life.read,) * 3,
    *(Life.unsend, Life.react, Life.bring_again, Life.register, Life.set_conversation) * 2,
    *(Life.remove, Life.set_account, Life.mute, Life.block, Life.unblock, Life.answer_request),
    *(Life.ring, Life.end_ring, Life.wait, Life.leave_group),
)


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 1 << 32)), min_size=20, max_size=80))
@hypothesis_settings(max_examples=150, deadline=None)
def test_devices_show_what_is_unread_once_and_nothing_that_they_may_not(
    acts: list[tuple[Callable[[Life, Random], None], int]],
) -> None:
    life = Life()
    for act, seed in acts:
        # Not for secrets: the life is to be lived again.
        act(life, Random(seed))
    life.settle(Random(0))
