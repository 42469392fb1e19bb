"""The proof of Sync: a device that missed some events, and got some twice, stands after one Sync where a new device
stands. Real use-cases, real encoding, the real fan-out and the real client's memory; only the store is in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from parley.gateway.v1 import messages_pb2 as device_events
from parley.gateway.v1 import service_pb2 as gateway
from parley.messaging.v1 import service_pb2
from parley.messaging.v1.messages_pb2 import OwnState
from parley.presence.v1 import events_pb2 as presence

from parley_client.account_sync import AccountSync
from parley_client.entries import Entry
from parley_client.history import ConversationInfo
from parley_client.inbox import Inbox
from services.messaging.attachments.core.uploads import UploadPolicy
from services.messaging.attachments.service.attachments import Attachments, UploadRequest
from services.messaging.conversations.consumer import FanOut
from services.messaging.conversations.service import ConversationLimits
from services.messaging.groups.core.changes import Settings
from services.messaging.groups.service import GroupLimits, GroupRequest, Groups
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import (
    InvalidField,
    MessagingError,
    SyncTokenUnknown,
    TooManyConversations,
)
from services.messaging.kernel.model import Role, UserId
from services.messaging.kernel.own_state import OwnChange
from services.messaging.messages.service.group_commit import GroupCommit
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits, TextRequest
from services.messaging.receipts.service import Receipts
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.service import RelationLimits, Relations
from services.messaging.sync.service import AccountSyncRequest
from services.messaging.vanishing.service import Sweeper, SweepPolicy, Vanishing
from services.messaging.wire import api
from services.messaging.wire.deliveries import own_state_delivery
from services.runtime.ids import uuid7
from tests.support.account_device import AccountDevice
from tests.support.attachments import FakeAttachments, MemoryObjects
from tests.support.bus import MemoryPublisher
from tests.support.clock import ManualClock
from tests.support.examples import examples
from tests.support.keyed import conversation_record
from tests.support.messaging_cases import Cases
from tests.support.messaging_memory import MemoryStore
from tests.support.messaging_world import World as Small
from tests.support.messaging_world import at_work, send

ALICE = UserId("alice")
PEOPLE = [UserId(name) for name in ("alice", "bob", "carol", "dave")]


DOINGS = (
    *("send", "send", "send", "send", "picture", "edit", "unsend", "react", "unreact"),
    *("add", "remove", "leave", "role", "rename", "open"),
    *("vanish", "wait", "sweep", "read", "read", "deliver", "deliver", "keep"),
)
# Longer than the shortest time after which messages vanish, and than the policy below keeps them.
LONG_S = 301
POLICY = SweepPolicy(retention=timedelta(seconds=900), batch=3, conversations=2)


# Nobody begins too many conversations.
BUSY_DAYS = ConversationLimits(new_conversations_per_day=1_000_000)


class World:
    """Messaging, its fan-out, and one device for each person that misses and doubles events."""

    def __init__(self, seed: int, open_share: float, *, relates: bool, is_naming: bool = False) -> None:
        self.random = Random(seed)
        # Of the groups, those that show newcomers what was said before.
        self.open_share = open_share
        # Whether people also decline, accept and block: devices hear of that by deliveries that are not carried here.
        self._relates = relates
        # Apart from the other, so that ids too are those of the seed: pages are cut by them.
        self._ids = Random(seed)
        self.clock = ManualClock()
        self.store = MemoryStore(large_above=2 if is_naming else 16)
        self.sends = GroupCommit(self.store, 100)
        self.objects = MemoryObjects()
        self.attachments = Attachments(
            *(FakeAttachments(self.store), self.store, self.store, self.objects, self.clock, self._new_id),
            UploadPolicy(),
        )
        rates = SendRates()
        cases = Cases(*(self.store, self.sends, rates, self.clock, self._new_id, MessageLimits(), self.attachments))
        self.conversations, self.sending, self.changing = cases.conversations, cases.sending, cases.changing
        self.syncing = cases.sync
        self.groups = Groups(
            *(self.store, self.store, self.store, self.store.relations, self.store.relations, rates, self.clock),
            *(self._new_id, self._new_secret, GroupLimits(members=4)),
        )
        self.receipts = Receipts(self.store, self.clock)
        self.vanishing = Vanishing(self.store, self.clock, self._new_id)
        self.sweeper = Sweeper(self.store, self.clock, POLICY)
        self.store.silent.add(PEOPLE[0])
        self.relations = Relations(
            *(self.store, self.store.relations, self.store.relations, self.clock, RelationLimits())
        )
        self.devices = {user: Inbox(user) for user in PEOPLE}
        self.accounts: dict[int, AccountSync] = {}
        # Whether devices name the conversations that they have: in large ones Sync tells cursors of others only then.
        self.is_naming = is_naming
        self.page_size = 1 + seed % 5
        self.conversation_ids: list[str] = []
        # Devices that an event of the last fan-out told to sync, and its kind.
        self.must_sync: list[tuple[UserId, str]] = []
        self.count = 0
        self._told = 0
        self._own_told = 0

    @property
    def now_s(self) -> float:
        return self.clock.now().timestamp()

    def _new_id(self, now: datetime) -> UUID:
        return uuid7(int(now.timestamp() * 1000), self._ids.randbytes(10))

    def _new_secret(self) -> str:
        return self._ids.randbytes(16).hex()

    async def do_something(self) -> None:
        """Anybody tries anything; refusals are part of life."""
        self.clock.advance(1)
        self.count += 1
        actor, other = self.random.choice(PEOPLE), self.random.choice(PEOPLE)
        with suppress(MessagingError):
            await self._act(actor, other)
        # The store in memory finds out what changed by looking: who came and went between two looks was never there.
        await self.store.snapshot()

    async def _act(self, actor: UserId, other: UserId) -> None:  # noqa: C901 - one case a doing
        random = self.random
        if not self.conversation_ids or random.random() < 0.08:
            request = GroupRequest(
                f"g{self.count}", f"group {self.count}", [other], "", random.random() < self.open_share
            )
            group = await self.groups.create_group(actor, request)
            self.conversation_ids.append(str(group.id))
            return
        conversation, seq = random.choice(self.conversation_ids), random.randint(1, 12)
        if self._relates and random.random() < 0.15:
            await self._relate(actor, other, conversation)
            return
        match random.choice(DOINGS):
            case "send":
                await self.sending.send(actor, conversation, TextRequest(f"k{self.count}", Text(f"text {self.count}")))
            case "picture":
                request = UploadRequest(f"k{self.count}", f"{self.count}.png", "image/png", 80)
                upload, _ = await self.attachments.create_upload(actor, request)
                self.objects.receive(upload)
                files = [str(upload.attachment.id)]
                await self.sending.send(
                    actor, conversation, TextRequest(f"k{self.count}", Text(""), attachment_ids=files)
                )
            case "edit":
                await self.changing.edit_message(actor, conversation, seq, Text(f"edit {self.count}"))
            case "unsend":
                await self.changing.unsend_message(actor, conversation, seq)
            case "react":
                await self.changing.set_reaction(actor, conversation, seq, random.choice("👍❤"), present=True)
            case "unreact":
                await self.changing.set_reaction(actor, conversation, seq, random.choice("👍❤"), present=False)
            case "add":
                await self.groups.add_members(actor, conversation, [other])
            case "remove":
                await self.groups.remove_member(actor, conversation, other)
            case "leave":
                await self.groups.leave_group(actor, conversation)
            case "role":
                await self.groups.set_role(actor, conversation, other, random.choice(list(Role)))
            case "rename":
                await self.groups.update_group(actor, conversation, Settings(title=f"title {self.count}"))
            case "vanish":
                await self.vanishing.set_vanishing(actor, conversation, timedelta(minutes=random.choice([0, 5])))
            case "wait":
                self.clock.advance(random.choice([30, LONG_S]))
            case "sweep":
                await self.sweeper.sweep()
            case "keep":
                change = OwnChange(pinned=random.random() < 0.5, archived=random.random() < 0.5)
                await self.conversations.update_own_state(actor, conversation, change)
            case "read":
                await self.receipts.mark_read(actor, conversation, seq)
            case "deliver":
                await self.receipts.mark_delivered(
                    actor, [(conversation, seq), (random.choice(self.conversation_ids), seq + 2)]
                )
            case _:
                self.conversation_ids.append(str((await self.conversations.open_direct(actor, other)).id))

    async def _relate(self, actor: UserId, other: UserId, conversation: str) -> None:
        match self.random.choice(("decline", "decline", "accept", "block", "unblock", "choosy")):
            case "decline":
                await self.relations.decline_request(actor, conversation, block=False)
            case "accept":
                await self.relations.accept_request(actor, conversation)
            case "block":
                await self.relations.block_user(actor, other)
            case "unblock":
                await self.relations.unblock_user(actor, other)
            case _:
                await self.relations.update_settings(actor, SettingsChange(messages=Audience.FOLLOWED))

    async def fan_out(self, loss: float) -> None:
        """Carry what happened to the devices: some of it never, some of it twice, in order otherwise."""
        self.must_sync.clear()
        publisher = MemoryPublisher()
        fan_out = FanOut(self.store, publisher)
        news, self._told = self.store.events[self._told :], len(self.store.events)
        await fan_out.handle([conversation_record(event) for event in news])
        for record in publisher.records:
            delivery = presence.Delivery.FromString(record.value or b"")
            event = gateway.SubscribeResponse.FromString(delivery.frame).event
            self._carry(UserId(delivery.user_id), event, loss)
        own, self._own_told = self.store.own_told[self._own_told :], len(self.store.own_told)
        for user_id, conversation_id, state in own:
            frame = presence.Delivery.FromString(
                own_state_delivery(user_id, conversation_id, state, self.clock.now())
            ).frame
            self._carry(user_id, gateway.SubscribeResponse.FromString(frame).event, loss)

    def _carry(self, user_id: UserId, event: device_events.DeviceEvent, loss: float) -> None:
        for _ in range(self.random.choices([0, 1, 2], [loss, 1 - loss, 0.2])[0]):
            if self.devices[user_id].apply(event, 0.0):
                self.must_sync.append((user_id, event.WhichOneof("event") or ""))

    async def sync(self, device: Inbox, limit: int) -> None:
        """What a device does: ask until there is no more."""
        unknown = device.conversations.unknown()
        account = self._account_of(device, limit)
        for _ in range(400):
            if not account.take(await self.answer(UserId(device.me), account.request())):
                return device.conversations.forget_unknown(unknown)
        raise AssertionError("Sync never ends")

    async def sync_for_a_while(self, device: Inbox, limit: int, loss: float) -> None:
        """The same while life goes on, and breaking off anywhere: also when the answer is made, and does not come."""
        unknown = device.conversations.unknown()
        account = self._account_of(device, limit)
        while self.random.random() < 0.8:
            answer = await self.answer(UserId(device.me), account.request())
            if self.random.random() < 0.1:
                return
            if not account.take(answer):
                device.conversations.forget_unknown(unknown)
                return
            for _ in range(self.random.randrange(3)):
                await self.do_something()
            await self.fan_out(loss)

    def _account_of(self, device: Inbox, limit: int) -> AccountSync:
        account = self.accounts.setdefault(id(device), AccountSync(device, limit, self.page_size))
        if self.is_naming:
            account.open = {history.conversation_id for history in device.conversations}
        return account

    async def answer(self, user_id: UserId, request: service_pb2.SyncRequest) -> service_pb2.SyncResponse:
        """Sync as the wire carries it."""
        cursors = [(cursor.conversation_id, cursor.seq, cursor.revision) for cursor in request.cursors]
        wanted = AccountSyncRequest(request.sync_token, cursors, request.limit, request.page_size)
        catchup, token = await self.syncing.sync_account(user_id, wanted)
        assert len(catchup.deltas) <= request.page_size
        answer = service_pb2.SyncResponse(
            deltas=[api.delta_message(delta) for delta in catchup.deltas],
            has_more=catchup.has_more,
            gone_conversation_ids=[str(id_) for id_ in catchup.gone],
            sync_token=token,
        )
        return service_pb2.SyncResponse.FromString(answer.SerializeToString())


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    async with at_work(Small(conversation_limits=BUSY_DAYS)) as world:
        yield world


@pytest.fixture
async def small_with_long_texts() -> AsyncIterator[Small]:
    rates, limits = SendRates(per_s=1e6, burst=10**6), MessageLimits(text_chars=10_000)
    async with at_work(Small(rates=rates, limits=limits, conversation_limits=BUSY_DAYS)) as world:
        yield world


@dataclass(frozen=True)
class Sight:
    """What a person sees of a conversation."""

    info: ConversationInfo | None
    # What the members read, what the others got, and what one read oneself.
    cursors: tuple[dict[str, int], dict[str, int], int]
    # How the person keeps it, without what was read: pinned, archived, waiting in Requests.
    kept: OwnState
    messages: tuple[Entry, ...]


def sights(device: Inbox, now_s: float) -> dict[str, Sight]:
    """As the person sees it then: what is over is hidden."""
    return {
        history.conversation_id: Sight(
            # Its revision rises with those of the messages, which are compared below.
            history.info and replace(history.info, revision=0),
            (
                {user: history.read_seq.get(user, 0) for user in history.members},
                {user: history.delivered_seq.get(user, 0) for user in history.members if user != device.me},
                # What one may not see needs no reading.
                max(history.own_read_seq, history.info.visible_after_seq if history.info else 0),
            ),
            _kept(device, history.conversation_id),
            tuple(entry.as_of(now_s) for entry in history.shown),
        )
        for history in device.conversations
    }


def conversations_of(device: Inbox) -> set[str]:
    """The ids of those that it has."""
    return {history.conversation_id for history in device.conversations}


def _kept(device: Inbox, conversation_id: str) -> OwnState:
    kept = OwnState()
    kept.CopyFrom(device.own_states.get(conversation_id, kept))
    # A device counts these by itself.
    for field in ("read_seq", "unread_count"):
        kept.ClearField(field)
    return kept


@asynccontextmanager
async def living(seed: int, open_share: float = 0.3, *, relates: bool, is_naming: bool = False) -> AsyncIterator[World]:
    world = World(seed, open_share, relates=relates, is_naming=is_naming)
    committer = asyncio.create_task(world.sends.run())
    try:
        yield world
    finally:
        committer.cancel()


def assert_same(stale: Inbox, fresh: Inbox, now_s: float) -> None:
    """What both show is the same, over what both have: each may begin at another page."""
    old, new = sights(stale, now_s), sights(fresh, now_s)
    assert old.keys() == new.keys()
    for key, sight in new.items():
        assert (old[key].info, old[key].cursors, old[key].kept) == (sight.info, sight.cursors, sight.kept)
        count = min(len(sight.messages), len(old[key].messages))
        assert count > 0 or not sight.messages
        assert old[key].messages[len(old[key].messages) - count :] == sight.messages[len(sight.messages) - count :]
        assert not stale.conversations.history(key).conflicts


async def assert_unread_is_right(world: World, device: Inbox) -> None:
    """What the device counts, where it has all that is unread, is what the service counts."""
    page = await world.syncing.list_conversations(UserId(device.me), 100, "")
    for listed in page.items:
        history = device.conversations.history(str(listed.conversation.id))
        member = listed.conversation.member(UserId(device.me))
        begins = max(listed.own.read_seq, member.visible_after_seq if member else 0)
        if history.base <= max(begins, listed.conversation.history_start_seq):
            assert history.unread(device.me, world.now_s) == listed.own.unread


@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from([0.0, 0.2, 0.8]), st.booleans(), st.booleans())
# A picture came withheld while the group waited in Requests, and writing in it let it in.
@example(23552, 1, 0.0, False, False)
@example(23552, 2, 0.0, False, False)
@settings(max_examples=examples(60), deadline=None)
async def test_a_stale_device_stands_after_sync_where_a_new_one_stands(
    seed: int, limit: int, loss: float, is_naming: bool, breaks_off: bool
) -> None:
    async with living(seed, relates=True, is_naming=is_naming) as world:
        for _ in range(6):
            for _ in range(15):
                await world.do_something()
            await world.fan_out(loss)
            wanderer = world.devices[world.random.choice(PEOPLE)]
            if breaks_off:
                await world.sync_for_a_while(wanderer, limit, loss)
            else:
                await world.sync(wanderer, limit)
        for user, device in world.devices.items():
            await world.sync(device, limit)
            fresh = Inbox(user)
            await world.sync(fresh, 200)
            assert_same(device, fresh, world.now_s)
            assert not device.conversations.has_gap
            await assert_unread_is_right(world, device)


@pytest.mark.parametrize("seed", range(30))
async def test_a_device_that_missed_nothing_syncs_only_for_conversations_that_are_new_to_it(seed: int) -> None:
    # Who comes into an open group must ask for what was said before.
    async with living(seed, open_share=0.0, relates=False) as world:
        for _ in range(150):
            await world.do_something()
            known = {user: conversations_of(device) for user, device in world.devices.items()}
            await world.fan_out(0.0)
            for user, kind in world.must_sync:
                device = world.devices[user]
                assert kind == "conversation"
                assert conversations_of(device) != known[user]
                await world.sync(device, 200)
        for user, device in world.devices.items():
            fresh = Inbox(user)
            await world.sync(fresh, 200)
            assert_same(device, fresh, world.now_s)
            await assert_unread_is_right(world, device)


async def acquainted(world: Small, count: int) -> list[str]:
    """Alice and so many people who each wrote to her once."""
    conversations = []
    for number in range(count):
        world.clock.advance(1)
        peer = UserId(f"peer{number:05}")
        conversations.append(str((await world.conversations.open_direct(peer, ALICE)).id))
        await send(world, peer, conversations[-1], "k", "hello")
    return conversations


@pytest.mark.parametrize("count", [1_000, 1_001])
async def test_an_account_of_any_size_hears_its_news_by_token_and_one_too_large_for_cursors_is_told_so(
    small: Small, count: int
) -> None:
    conversations = await acquainted(small, count)
    device = AccountDevice(ALICE, small.sync)
    await device.log_in()
    await send(small, UserId(f"peer{count - 1:05}"), conversations[-1], "k2", "NEWS")
    await send(small, UserId("peer00003"), conversations[3], "k2", "NEWS")
    answers = await device.sync()
    assert [[each.conversation.conversation_id for each in answer.deltas] for answer in answers] == [
        sorted((conversations[3], conversations[-1]))
    ]
    await device.load_all()
    assert len(list(device.inbox.conversations)) == count
    # All of them at once, more than any page and any list of cursors.
    for number, conversation in enumerate(conversations):
        await send(small, UserId(f"peer{number:05}"), conversation, "k3", "all")
    answers = await device.sync()
    assert {
        conversation: device.inbox.conversations.history(conversation).shown[-1].text for conversation in conversations
    } == dict.fromkeys(conversations, "all")
    assert max(len(answer.deltas) for answer in answers) <= 100

    cursors = [(conversation, 1, 0) for conversation in conversations[-1_000:]]
    if count > 1_000:
        with pytest.raises(TooManyConversations):
            await small.sync.sync(ALICE, cursors, 200, None)
    else:
        assert (await small.sync.sync(ALICE, cursors, 200, None)).has_more
    with pytest.raises(InvalidField):
        await small.sync.sync(
            ALICE, [(conversation, 1, 0) for conversation in [*conversations, *conversations][:1_001]], 200, None
        )


async def test_a_token_of_somebody_else_or_of_nobody_is_refused_and_a_forged_one_shows_nothing_of_others(
    small: Small,
) -> None:
    await acquainted(small, 3)
    (token, rest) = (await small.sync.list_conversations(ALICE, 0, "")).sync_token, "A" * 88
    for foreign in (token, rest, token[:-4], token + "AAAA", "no token", "\u2603", "A", token.replace("A", "*", 1)):
        with pytest.raises(SyncTokenUnknown):
            await small.sync.sync_account(UserId("mallory"), AccountSyncRequest(foreign))


async def test_long_answers_end_before_they_are_too_large_for_a_client(small_with_long_texts: Small) -> None:
    small = small_with_long_texts
    conversations = await acquainted(small, 8)
    for conversation in conversations:
        for number in range(60):
            await send(small, ALICE, conversation, f"long {number}", "\U0001f600" * 10_000)
    # The device's own check is that of a client of gRPC: see AccountDevice.
    device = AccountDevice(ALICE, small.sync, limit=200)
    await device.log_in()
    for conversation in conversations:
        assert device.inbox.conversations.history(conversation).cursor == 61
        messages, has_more = await small.history.list_messages(ALICE, conversation, 0, 200)
        assert (len(messages) <= 30, has_more) == (True, True)
    named = AccountDevice(ALICE, small.sync, limit=200)
    named.account.token = device.account.token
    for conversation in conversations:
        named.inbox.conversations.begin(conversation).take_info(ConversationInfo(conversation, roles=(("alice", 1),)))
        named.inbox.conversations.history(conversation).held_back[99] = Entry(conversation, 99, "x", "x", "x")
        named.inbox.conversations.history(conversation).base = 1
    await named.sync()
    for conversation in conversations:
        assert named.inbox.conversations.history(conversation).cursor == 61
