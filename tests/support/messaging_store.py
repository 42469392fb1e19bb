"""What the tests of messaging's store do, in a word each."""

from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import ChangeStamp, Settings
from services.messaging.kernel.access import find_visible
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import (
    Conversation,
    ConversationId,
    Draft,
    Message,
    MessageId,
    UserId,
    open_direct,
)
from services.messaging.kernel.own_state import OwnState
from services.messaging.kernel.quotas import DayQuota, day_quota
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy
from services.runtime.ids import new_id
from tests.support.clock import ManualClock
from tests.support.messaging_cases import Store

ALICE, BOB, CAROL = UserId("alice"), UserId("bob"), UserId("carol")


async def opened(store: Store, clock: ManualClock, one: UserId = ALICE, other: UserId = BOB) -> Conversation:
    fresh = open_direct(ConversationId(new_id(clock.now())), one, other, clock.now())
    return await store.open_direct(fresh, one, quota(clock, one))


def quota(clock: ManualClock, user: UserId = ALICE, limit: int = 100) -> DayQuota:
    return day_quota(user, limit, clock.now())


def text(clock: ManualClock, conversation: Conversation, key: str, sender: UserId = ALICE) -> Draft:
    return Draft(MessageId(new_id(clock.now())), conversation.id, sender, key, clock.now(), Text(f"text {key}"))


async def fill(store: Store, clock: ManualClock, conversation: Conversation, count: int) -> None:
    await store.append([text(clock, conversation, str(number)) for number in range(1, count + 1)])


def stamp(clock: ManualClock, actor: UserId = ALICE) -> ChangeStamp:
    return ChangeStamp(MessageId(new_id(clock.now())), actor, clock.now())


async def founded(store: Store, clock: ManualClock, key: str = "k", *others: UserId) -> Conversation:
    made = groups.create_group(
        ConversationId(new_id(clock.now())), ALICE, others or (BOB,), Settings("Trip"), clock.now()
    )
    return await store.create_group(made, key, stamp(clock), quota(clock))


async def added(store: Store, clock: ManualClock, conversation: Conversation, *users: UserId) -> Conversation:
    return await store.change_group(
        conversation.id, lambda group: groups.add_members(group, ALICE, users, clock.now(), 256), stamp(clock)
    )


async def left(store: Store, clock: ManualClock, conversation: Conversation, user: UserId) -> Conversation:
    return await store.change_group(conversation.id, lambda group: groups.leave(group, user), stamp(clock, user))


async def own(store: Store, clock: ManualClock, user: UserId, conversation: Conversation) -> OwnState:
    listed = await store.list_conversations(user, None, 10, clock.now())
    return next(row.own for row in listed if row.conversation.id == conversation.id)


async def reacted(
    store: Store,
    clock: ManualClock,
    conversation: Conversation,
    seq: int,
    user: UserId,
    emoji: str,
    *,
    present: bool = True,
) -> Message:
    return await store.change_message(
        conversation.id,
        seq,
        lambda conversation, message: changes.react(
            find_visible(conversation, user, message), user, emoji, ChangePolicy(), present=present
        ),
        clock.now(),
    )


def fail(what: object) -> Message:
    raise AssertionError(f"not there: {what}")
