"""A person's life in each database, so that a deletion and an export have something to find in every table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from services.messaging.kernel.content import CallOutcome, CallRecord, LinkPreview, Poll, Sticker, Text, Voice
from services.messaging.kernel.errors import MessagingError
from services.messaging.kernel.model import Draft, MessageId
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy
from services.presence.core.model import UserId as PresenceUser
from services.presence.core.states import OngoingCall, PresenceStatus, UserState
from services.presence.ports import StateRow
from services.presence.sql import PostgresStates
from services.push.core.model import ConversationId as NoticeConversation
from services.push.core.model import DeviceId as PushDevice
from services.push.core.model import Facts, Level, Provider, Token, TokenId
from services.push.core.model import MessageId as NoticeMessage
from services.push.core.model import UserId as PushUser
from services.push.core.news import MessageChanged, MessageSent, Told
from services.push.ports import Question
from services.push.service import Notices
from services.push.sql.threads import PostgresThreads
from services.push.sql.tokens import PostgresTokens
from services.runtime.clock import SystemClock
from services.runtime.ids import new_id
from services.runtime.kafka.bus import Incoming
from services.runtime.postgres.database import Database
from services.runtime.quiet_hours import QuietHours
from services.signaling.accounts.service import AccountLifecycle
from services.signaling.accounts.sql import PostgresAccounts
from services.signaling.alarms import Alarms
from services.signaling.changes import CallChanges
from services.signaling.core.call_settings import CallSettings
from services.signaling.core.model import Call, CallId, ConversationId, DeviceId, UserId, WorkerId
from services.signaling.core.quality import Direction, QualityKey, QualityReport, interval
from services.signaling.keys.core import Device, SealedKey
from services.signaling.keys.service import DeviceKeys
from services.signaling.keys.sql import PostgresKeys
from services.signaling.links.sql import PostgresLinks
from services.signaling.moves import CallMoves
from services.signaling.publisher import KeyEvents
from services.signaling.scheduled.core import Answer
from services.signaling.scheduled.core import Draft as ScheduledDraft
from services.signaling.scheduled.service import ScheduledCalls
from services.signaling.scheduled.sql import PostgresScheduled
from services.signaling.sql.store import PostgresStore
from services.signaling.starting import StartRequest
from tests.support.account_town import Town
from tests.support.messaging_store import ALICE, BOB, fail
from tests.unit.signaling.fakes import (
    GROUP_TALK,
    TABLET,
    TALK,
    TIMEOUTS,
    WORKER,
    RecordingCloser,
    World,
    events_of,
    make_links,
    make_lobby,
    make_service,
    scheduled_events_of,
)

SERVICES = Path(__file__).parents[2] / "services"
# Alice's id holds it, and what she said and named.
DEVICE = DeviceId("canary-device-1")
WORDS = "canarywords"
# A group without her.
LOBBY_TALK = ConversationId("0190f000-0000-7000-8000-000000000011")


def record(value: bytes, offset: int = 0) -> Incoming:
    """A record of accounts.events.v1 about Alice."""
    key = ALICE.encode()
    return Incoming("accounts.events.v1", 0, offset, key, value or None, datetime(2026, 1, 1, tzinfo=UTC), None)


async def told(database: Database) -> list[Incoming]:
    """What messaging has told of accounts and not published yet; the outbox is empty afterwards."""
    async with database.transaction() as connection:
        rows = await connection.fetch("DELETE FROM outbox RETURNING id, topic, value")
    rows.sort(key=lambda row: row["id"])
    return [record(row["value"], row["id"]) for row in rows if row["topic"] == "accounts.events.v1"]


async def live_in_messaging(town: Town) -> None:
    """Beside the life that the town has: calls, relations, reports, devices, an export."""
    await town.settle()
    now = town.clock.now()
    call = CallRecord(uuid4(), True, CallOutcome.COMPLETED, timedelta(seconds=9), (BOB, ALICE))
    key = f"call:{call.call_id}"
    await town.store.append([Draft(MessageId(new_id(now)), town.pair.id, BOB, key, now, call)])
    url = f"https://x.example/{WORDS}"
    said = Text(f"{WORDS} once {url}", preview=LinkPreview(url, WORDS, WORDS, WORDS))
    (message,) = await town.store.append([Draft(MessageId(new_id(now)), town.pair.id, ALICE, "said", now, said)])
    assert not isinstance(message, MessagingError)
    await town.store.change_message(
        town.pair.id,
        message.seq,
        lambda _, found: changes.edit(found or fail(0), ALICE, Text(f"{WORDS} twice"), now, ChangePolicy()),
        now,
    )
    await town.store.index_words([(town.pair.id, message.seq)])
    # A kind that has no columns of its own.
    spoken = Voice(None, timedelta(seconds=2), WORDS.encode())
    await town.store.append([Draft(MessageId(new_id(now)), town.pair.id, ALICE, "spoken", now, spoken)])
    for asker, words in ((ALICE, WORDS), (BOB, "Bob's words")):
        poll = Poll(f"{words}?", (words, "others"))
        (sent,) = await town.store.append([Draft(MessageId(new_id(now)), town.pair.id, asker, "asked", now, poll)])
        assert not isinstance(sent, MessagingError)
        await town.store.change_message(
            town.pair.id, sent.seq, lambda _, found: changes.vote(found or fail(0), ALICE, frozenset({1})), now
        )
    sticker = Sticker(f"https://stickers.example/{WORDS}", 1, 1, WORDS, WORDS)
    await town.store.append([Draft(MessageId(new_id(now)), town.pair.id, ALICE, "stuck", now, sticker)])
    await town.sign_outs.devices(ALICE, [DEVICE])
    async with town.database.transaction() as connection:
        for statement, *values in _messaging_rows(now):
            await connection.execute(statement, *values)
        await connection.execute(
            "INSERT INTO openings (conversation_id, seq, user_id, client_request_id, opened_at)"
            " VALUES ($1, $2, $3, 'canarywords', $4)",
            *(town.pair.id, message.seq, ALICE, now),
        )
        # Whoever moves a cursor, or sends, moves these: the triggers of migration 0013.
        await connection.execute("UPDATE members SET added_by = $1 WHERE user_id = $2", ALICE, BOB)
    await town.accounts.start_export(ALICE)


def _messaging_rows(now: datetime) -> list[tuple[Any, ...]]:
    report, other = uuid4(), uuid4()
    return [
        ("INSERT INTO user_settings (user_id) VALUES ($1) ON CONFLICT DO NOTHING", ALICE),
        ("INSERT INTO blocks VALUES ($1, 'mallory', 'parley', true, $2)", ALICE, now),
        ("INSERT INTO blocks VALUES ('mallory', $1, 'parley', true, $2)", ALICE, now),
        ("INSERT INTO follows VALUES ($1, 'bob', true, $2)", ALICE, now),
        ("INSERT INTO follows VALUES ('bob', $1, true, $2)", ALICE, now),
        ("INSERT INTO group_bans VALUES ($1, $2, 'mallory', $3)", other, ALICE, now),
        ("INSERT INTO group_request_keys VALUES ($1, $2, 'add k', $3)", other, ALICE, now),
        ("INSERT INTO account_restrictions VALUES ($1, $2)", ALICE, now),
        ("INSERT INTO verified_users VALUES ($1, true, $2)", ALICE, now),
        (
            "INSERT INTO reports (id, reporter_id, client_report_id, conversation_id, reason, comment, created_at)"
            " VALUES ($1, $2, 'c', $3, 'spam', 'canarywords', $4)",
            *(report, ALICE, other, now),
        ),
        ("INSERT INTO report_messages VALUES ($1, 1, $2, $3, 'canarywords', '{}')", report, ALICE, now),
        (
            "INSERT INTO held_messages (id, conversation_id, sender_id, client_message_id, kind, body, held_at, word)"
            " VALUES ($1, $2, $3, 'held', 'text', 'canarywords', $4, 'SPAM')",
            *(uuid4(), other, ALICE, now),
        ),
        (
            "INSERT INTO scheduled_messages (sender_id, conversation_id, client_message_id, id, created_at, send_at,"
            " due_at, revision, kind, body) VALUES ($1, $2, 'later', $3, $4, $4, $4, 1, 'text', 'canarywords')",
            *(ALICE, other, uuid4(), now),
        ),
        (
            "INSERT INTO drafts (user_id, conversation_id, body, revision, changed_at)"
            " VALUES ($1, $2, 'canarywords', 1, $3)",
            *(ALICE, other, now),
        ),
    ]


@dataclass
class CallTown:
    """Signaling's use-cases over a real database."""

    database: Database

    def __post_init__(self) -> None:
        world = World()
        world.members.conversations[GROUP_TALK] = [UserId("alice"), UserId("bob"), UserId("carol")]
        self.world, self.clock, self.closer = world, world.clock, RecordingCloser()
        self.store = PostgresStore(self.database, lambda *_: None)
        self.changes = CallChanges(self.store, events_of, self.closer, Alarms(), self.clock, TIMEOUTS)
        world.members.conversations[LOBBY_TALK] = [UserId("dave"), UserId("erin"), UserId("frank")]
        moves = CallMoves(self.store, self.changes, world.media, world.workers)
        self.service = make_service(self.changes, world.members, moves, lambda now: str(new_id(now)))
        self.scheduled_store = PostgresScheduled(self.database, lambda *_: None)
        self.links = make_links(self.changes, self.service, PostgresLinks(self.database), self.scheduled_store)
        self.lobby = make_lobby(self.links)
        self.scheduled = ScheduledCalls(
            *(self.scheduled_store, world.members, scheduled_events_of, self.clock, lambda now: str(new_id(now)))
        )
        self.accounts = PostgresAccounts(self.database)
        events = KeyEvents(new_id)
        keys = PostgresKeys(self.database, lambda *_: None)
        self.keys = DeviceKeys(keys, self.store, world.members, self.clock, events.call_key, events.keys_changed)
        self.lifecycle = AccountLifecycle(self.accounts, self.changes, self.keys)

    def wait(self, seconds: int) -> None:
        """Time passes, and the worker announces itself."""
        self.clock.advance(seconds)
        self.world.hear(WORKER)

    async def start(self, caller: str, device: DeviceId, talk: ConversationId = TALK, key: str = "") -> Call:
        """Somebody places a call."""
        request = StartRequest(UserId(caller), device, talk, video=True, client_call_id=key or f"key-{uuid4()}")
        return (await self.service.start_call(request))[0]

    async def talk(self, caller: str = "alice", callee: str = "bob", *, end: bool = True) -> CallId:
        """Two talk, Alice on the device that the tests look for; with media that was measured."""
        devices = {"alice": DEVICE, "bob": TABLET}
        call = await self.start(caller, devices[caller])
        await self.service.accept_call(call.call_id, UserId(callee), devices[callee])
        await self.measure(call.call_id)
        if end:
            await self.service.leave_call(call.call_id, UserId(caller), devices[caller])
        return call.call_id

    async def measure(self, call_id: CallId, people: Mapping[str, DeviceId] | None = None) -> None:
        """The workers report of both."""
        for user, device in (people or {"alice": DEVICE, "bob": TABLET}).items():
            key = QualityKey(call_id, UserId(user), device, WorkerId("sfu-1"))
            leg = interval(5.0, 100, 10_000, 0.01, 3.0, 20.0)
            reports = [QualityReport(key, self.clock.now(), {Direction.UPLINK: leg, Direction.DOWNLINK: leg})]
            await self.store.add_quality(reports)

    async def live(self) -> None:
        """Alice has called, was called, is in a group's call to which she made a link, waited in the lobby of
        another one, published her device's keys and handed one over, and set her quiet hours."""
        await self.talk("alice", "bob")
        await self.talk("bob", "alice")
        self.group_call = await self.start("alice", DEVICE, GROUP_TALK, "canarywords")
        for person in ("bob", "carol"):
            await self.service.join_call(self.group_call.call_id, UserId(person), TABLET)
        await self.measure(self.group_call.call_id)
        published = Device(DEVICE, b"signing", b"kem", self.clock.now(), b"signature", b"sealed")
        await self.keys.publish(UserId("alice"), 1, b"account", published)
        for sender, of, other, to in (("alice", DEVICE, "bob", TABLET), ("bob", TABLET, "alice", DEVICE)):
            sealed = [SealedKey(UserId(other), to, b"sealed")]
            await self.keys.send(UserId(sender), of, self.group_call.call_id, 1, sealed)
        await self.links.create_link(self.group_call.call_id, UserId("alice"), 0, "canarywords")
        theirs = await self.start("dave", TABLET, LOBBY_TALK)
        _, secret = await self.links.create_link(theirs.call_id, UserId("dave"), 0, "")
        await self.lobby.open_link(secret, UserId("alice"))
        await self.service.leave_call(theirs.call_id, UserId("dave"), TABLET)
        await self._plan()
        await self.service.update_settings(UserId("alice"), CallSettings(True, QuietHours(60, 120, "Europe/Paris")))

    async def _plan(self) -> None:
        """She has planned a call, said that she comes, and waits for the time of another one."""
        draft = ScheduledDraft(f"{WORDS} on Friday", False, self.clock.now() + timedelta(days=1), 1800, 600)
        own = await self.scheduled.schedule(UserId("alice"), GROUP_TALK, draft, WORDS)
        await self.scheduled.answer(own.scheduled_id, UserId("alice"), Answer.YES)
        others = replace(draft, title="Friday")
        theirs = await self.scheduled.schedule(UserId("dave"), LOBBY_TALK, others, "")
        _, secret = await self.links.create_link(CallId(theirs.scheduled_id), UserId("dave"), 0, "")
        await self.lobby.open_link(secret, UserId("alice"))


async def live_in_presence(database: Database, users: Sequence[str] = ("alice", "bob")) -> PostgresStates:
    """They were seen."""
    states = PostgresStates(database)
    call = OngoingCall(str(UUID(int=1)), 3)
    state = UserState(PresenceStatus.ONLINE, in_call=True)
    await states.save([StateRow(PresenceUser(user), 1.0, 2, state, call) for user in users])
    return states


async def live_in_push(database: Database) -> PostgresTokens:
    """Both have a device that is told, and are at it; each wrote to the other, and reacted. Nothing has been sent."""
    tokens, threads = PostgresTokens(database), PostgresThreads(database)
    conversation, now = NoticeConversation(str(UUID(int=3))), datetime(2026, 1, 1, tzinfo=UTC)
    for owner, device in ((ALICE, DEVICE), (BOB, "device-of-bob")):
        user = PushUser(owner)
        token = Token(TokenId(str(uuid4())), user, PushDevice(device), Provider.FCM, f"token of {owner}")
        await tokens.register(token, 20, now)
        await tokens.set_level(user, conversation, Level.ALL, 1_000)
    notices = Notices(threads, NothingInTheWay(), SystemClock(), lambda: None)
    for owner, other in ((ALICE, BOB), (BOB, ALICE)):
        said = MessageSent(conversation, NoticeMessage("1"), 1, PushUser(other), now, f"{WORDS} of {other}")
        own = MessageChanged(conversation, NoticeMessage("2"), 2, PushUser(owner), now, reactors=(PushUser(other),))
        await notices.take([Told(PushUser(owner), said), Told(PushUser(owner), own)])
    await notices.note_attended({PushUser(ALICE): True, PushUser(BOB): True})
    return tokens


class NothingInTheWay:
    """See push's ports.FactSource."""

    async def facts(self, questions: Sequence[Question]) -> Sequence[Facts]:
        return [Facts()] * len(questions)
