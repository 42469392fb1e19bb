"""What may be written before anybody lets a conversation in, and how many may be asked: the fake and PostgreSQL's."""

import asyncio
from dataclasses import replace

import pytest

from services.messaging.groups.core import changes as groups
from services.messaging.groups.core.changes import Settings
from services.messaging.kernel.content import Link, Text
from services.messaging.kernel.errors import (
    MessagingError,
    RequestPending,
    RequestPendingLimit,
)
from services.messaging.kernel.model import (
    Attachment,
    AttachmentId,
    Conversation,
    ConversationId,
    Draft,
    Message,
    UserId,
    open_direct,
)
from services.messaging.kernel.quotas import DayQuota, day_quota
from services.messaging.kernel.request import RequestState
from services.messaging.relations.core.errors import RequestQuota
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.core.reports import Reason, Report, State, resolve
from services.messaging.relations.core.throttling import FREE_REPORTERS, REPORTS_COUNT_FOR
from services.messaging.relations.ports import ReportStore
from services.messaging.vanishing.ports import SweepStore
from services.runtime.ids import new_id
from tests.support.clock import ManualClock
from tests.support.messaging_cases import RelationStore, Store
from tests.support.messaging_store import ALICE, BOB, CAROL, stamp, text


async def direct(store: Store, relations: RelationStore, clock: ManualClock) -> Conversation:
    """Alice's with Bob, who has not let it in."""
    await relations.change_settings(BOB, SettingsChange(messages=Audience.FOLLOWED), clock.now())
    fresh = open_direct(ConversationId(new_id(clock.now())), ALICE, BOB, clock.now())
    return await store.open_direct(fresh, ALICE, day_quota(ALICE, 100, clock.now()))


def founding(clock: ManualClock, *waiting: UserId) -> groups.GroupChange:
    requests = dict.fromkeys(waiting, RequestState.PENDING)
    return groups.create_group(
        ConversationId(new_id(clock.now())), ALICE, waiting, Settings("Trip"), clock.now(), requests
    )


async def group(store: Store, relations: RelationStore, clock: ManualClock) -> Conversation:
    """Alice's group, which neither Bob nor Carol has let in."""
    return await store.create_group(founding(clock, BOB, CAROL), "g", stamp(clock), day_quota(ALICE, 9, clock.now()))


KINDS = pytest.mark.parametrize("open_one", [direct, group])


def told(outcomes: object) -> list[str]:
    assert isinstance(outcomes, list)
    return ["sent" if isinstance(outcome, Message) else type(outcome).__name__ for outcome in outcomes]


@KINDS
async def test_a_few_texts_are_taken_however_they_come(
    store: Store, relations: RelationStore, clock: ManualClock, open_one: object
) -> None:
    conversation = await open_one(store, relations, clock)  # type: ignore[operator]
    batches = await asyncio.gather(
        *(store.append([text(clock, conversation, f"{batch}/{number}") for number in range(5)]) for batch in range(4))
    )
    outcomes = [outcome for batch in batches for outcome in batch]
    assert told(outcomes).count("sent") == 3
    assert told(outcomes).count(RequestPendingLimit.__name__) == 17
    assert told(list(await store.append([text(clock, conversation, "one more")]))) == [RequestPendingLimit.__name__]


@KINDS
@pytest.mark.parametrize("by", ["accepting", "writing", "writing in the same batch"])
async def test_whoever_lets_it_in_ends_that_at_once(
    store: Store, relations: RelationStore, clock: ManualClock, open_one: object, by: str
) -> None:
    conversation = await open_one(store, relations, clock)  # type: ignore[operator]
    await store.append([text(clock, conversation, str(number)) for number in range(3)])
    answer = [text(clock, conversation, "answer", BOB)]
    more = [text(clock, conversation, f"more {number}") for number in range(5)]
    if by == "accepting":
        await relations.accept(conversation.id, BOB, clock.now())
    elif by == "writing":
        await store.append(answer)
    outcomes = await store.append([*answer, *more])
    assert told(list(outcomes)) == ["sent"] * 6
    assert told(list(await store.append([text(clock, conversation, "last")]))) == ["sent"]


async def test_who_was_alone_in_a_group_and_adds_somebody_gets_no_more(store: Store, clock: ManualClock) -> None:
    made = await store.create_group(founding(clock), "g", stamp(clock), day_quota(ALICE, 9, clock.now()))
    # Alone one writes what one likes, and a replica may remember that.
    assert told(list(await store.append([text(clock, made, "note")]))) == ["sent"]
    requests = {BOB: RequestState.PENDING}
    await store.change_group(
        made.id,
        lambda conversation: groups.add_members(conversation, ALICE, [BOB], clock.now(), 9, requests),
        stamp(clock),
    )
    outcomes = [(await store.append([text(clock, made, str(number))]))[0] for number in range(9)]
    assert told(outcomes).count("sent") == 2


async def test_who_is_left_with_those_who_have_not_let_it_in_gets_no_more(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    conversation = await group(store, relations, clock)
    await relations.accept(conversation.id, BOB, clock.now())
    assert (
        told(list(await store.append([text(clock, conversation, str(number)) for number in range(9)]))) == ["sent"] * 9
    )
    await store.change_group(conversation.id, lambda now: groups.leave(now, BOB), stamp(clock, BOB))
    assert told(list(await store.append([text(clock, conversation, "more")]))) == [RequestPendingLimit.__name__]


async def test_what_the_retention_deleted_counts(
    store: Store, relations: RelationStore, sweeps: SweepStore, clock: ManualClock
) -> None:
    conversation = await direct(store, relations, clock)
    await store.append([text(clock, conversation, str(number)) for number in range(3)])
    clock.advance(10)
    await sweeps.delete_old(conversation.id, clock.now(), clock.now(), 100)
    assert told(list(await store.append([text(clock, conversation, "more")]))) == [RequestPendingLimit.__name__]


@KINDS
async def test_texts_are_kept_plain_and_files_are_refused(
    store: Store, relations: RelationStore, clock: ManualClock, open_one: object
) -> None:
    conversation = await open_one(store, relations, clock)  # type: ignore[operator]
    linked = replace(text(clock, conversation, "k"), content=Text("x.example", (Link(0, 9, "https://x.example/"),)))
    stored = (await store.append([linked]))[0]
    assert isinstance(stored, Message)
    assert stored.content == Text("x.example")
    found = await store.find_message(conversation.id, stored.seq)
    assert found is not None
    assert found.content == Text("x.example")
    file = Attachment(AttachmentId(new_id(clock.now())), "a.png", "image/png", 1)
    refused = (await store.append([with_file(text(clock, conversation, "f"), file)]))[0]
    assert isinstance(refused, RequestPending)


def with_file(draft: Draft, file: Attachment) -> Draft:
    return replace(draft, attachments=(file,))


async def test_how_many_conversations_of_one_asker_are_unanswered(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    async def unanswered(person: UserId, other: UserId) -> int:
        return (await relations.relationships([(person, other)]))[person, other].unanswered

    conversation = await direct(store, relations, clock)
    await group(store, relations, clock)
    assert await unanswered(BOB, ALICE) == 2
    assert await unanswered(CAROL, ALICE) == 1
    assert await unanswered(ALICE, BOB) == await unanswered(BOB, CAROL) == 0
    await relations.decline(conversation.id, BOB, clock.now())
    assert await unanswered(BOB, ALICE) == 2
    await relations.accept(conversation.id, BOB, clock.now())
    assert await unanswered(BOB, ALICE) == 1


def asking(clock: ManualClock, requests: int, user: UserId = ALICE) -> DayQuota:
    return day_quota(user, 1_000, clock.now(), requests)


async def ask(store: Store, relations: RelationStore, clock: ManualClock, other: str, quota: DayQuota) -> bool:
    await relations.change_settings(UserId(other), SettingsChange(messages=Audience.FOLLOWED), clock.now())
    fresh = open_direct(ConversationId(new_id(clock.now())), quota.user_id, UserId(other), clock.now())
    try:
        await store.open_direct(fresh, quota.user_id, quota)
    except RequestQuota:
        return False
    return True


async def test_people_who_are_asked_count_by_whatever_way_and_a_refusal_counts_nothing(
    store: Store, relations: RelationStore, clock: ManualClock
) -> None:
    quota = asking(clock, 5)
    made = await store.create_group(founding(clock, BOB, CAROL), "g", stamp(clock), quota)

    async def add(*users: str) -> MessagingError | None:
        people = [UserId(user) for user in users]
        requests = dict.fromkeys(people, RequestState.PENDING)
        try:
            await store.change_group(
                made.id,
                lambda conversation: groups.add_members(conversation, ALICE, people, clock.now(), 256, requests),
                stamp(clock),
                quota=quota,
            )
        except MessagingError as error:
            return error
        return None

    assert isinstance(await add("p1", "p2", "p3", "p4"), RequestQuota)
    assert await add("p1", "p2") is None
    assert await add("p1", "p2") is None
    assert await ask(store, relations, clock, "p3", quota)
    assert not await ask(store, relations, clock, "p4", quota)
    assert isinstance(await add("p5"), RequestQuota)
    # Somebody else's are not touched, and tomorrow is another day.
    assert await ask(store, relations, clock, "p6", asking(clock, 5, BOB))
    clock.advance(86_400)
    assert await ask(store, relations, clock, "p4", asking(clock, 5))


def report(clock: ManualClock, reporter: str, key: str = "k", about: UserId = ALICE) -> Report:
    conversation = ConversationId(new_id(clock.now()))
    made = Report(new_id(clock.now()), UserId(reporter), key, conversation, Reason.SPAM, "", clock.now())
    return replace(made, reported_ids=(about,))


async def test_reports_of_different_people_lower_how_many_may_be_asked_for_a_while(
    store: Store, relations: RelationStore, reports: ReportStore, clock: ManualClock
) -> None:
    async def left(requests: int = 4) -> int:
        """How many more may be asked today."""
        count = 0
        while await ask(store, relations, clock, f"p{new_id(clock.now())}", asking(clock, requests)):
            count += 1
        return count

    async def file(reporter: str, key: str = "k", about: UserId = ALICE) -> Report:
        made = report(clock, reporter, key, about)
        return await reports.file(made, day_quota(made.reporter_id, 99, clock.now()))

    for number in range(FREE_REPORTERS):
        await file(f"r{number}")
        await file(f"r{number}", "again")
        await file(f"q{number}", about=BOB)
    assert await left() == 4
    clock.advance(86_400)
    third = await file("r-third")
    assert await reports.find(third.id) == third
    assert await left() == 2
    clock.advance(86_400)
    await reports.change(third.id, lambda before: resolve(before, State.DISMISSED, "moderator", clock.now()))
    assert await left() == 4
    await file("r-fourth")
    await file("r-fifth")
    clock.advance(86_400)
    assert await left() == 1
    clock.advance(REPORTS_COUNT_FOR.total_seconds() + 86_400)
    assert await left() == 4
