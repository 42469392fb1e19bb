"""What a stranger can do before anybody lets the conversation in: say a few plain texts."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.conversations.consumer import FanOut
from services.messaging.groups.core.changes import Settings
from services.messaging.groups.service import GroupRequest
from services.messaging.kernel.content import Link, Mention, Text
from services.messaging.kernel.errors import NotAllowed, RequestPending, RequestPendingLimit
from services.messaging.kernel.model import Attachment, UserId
from services.messaging.kernel.request import REQUEST_MESSAGES, RequestState
from services.messaging.messages.service.requests import TextRequest
from services.messaging.relations.core.errors import RequestQuota
from services.messaging.relations.core.reach import MAX_UNANSWERED, Audience, SettingsChange
from services.messaging.relations.core.reports import Reason, ReportRequest, State
from services.messaging.relations.core.throttling import FREE_REPORTERS, requests_allowed
from services.messaging.sync.service import AccountSyncRequest
from tests.support.bus import MemoryPublisher
from tests.support.keyed import conversation_record
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, send

CAROL = UserId("carol")
LINKED = Text("see x.example", (Link(4, 9, "https://x.example/"),))
MENTIONED = Text("@alice", (Mention(0, 6, ALICE),))


async def closed_to_strangers(world: World, *people: UserId) -> None:
    for person in people:
        await world.relations.update_settings(person, SettingsChange(messages=Audience.FOLLOWED))


async def asked(world: World) -> str:
    """Mallory's conversation with Alice, who has not let it in."""
    await closed_to_strangers(world, ALICE)
    return str((await world.conversations.open_direct(MALLORY, "alice")).id)


async def asked_in_a_group(world: World) -> str:
    """Mallory's group, which waits with Alice and Bob."""
    await closed_to_strangers(world, ALICE, BOB)
    request = GroupRequest("g", "Free!", ["alice", "bob"], "pixel.png", False)
    return str((await world.groups.create_group(MALLORY, request)).id)


WAYS = pytest.mark.parametrize("bring", [asked, asked_in_a_group])
Bring = Callable[[World], Awaitable[str]]


async def put(world: World, user: UserId, key: str) -> str:
    """A file of the user's that is there."""
    upload, _ = await world.attachments.create_upload(user, UploadRequest(key, "a.png", "image/png", 80))
    world.objects.receive(upload)
    return str(upload.attachment.id)


async def fill(world: World, conversation: str) -> None:
    for number in range(REQUEST_MESSAGES):
        await send(world, MALLORY, conversation, f"k{number}", f"hello {number}")


@WAYS
async def test_a_few_texts_go_before_it_is_let_in_however_many_are_sent_at_once(world: World, bring: Bring) -> None:
    conversation = await bring(world)
    await fill(world, conversation)
    for number in range(20):
        with pytest.raises(RequestPendingLimit):
            await send(world, MALLORY, conversation, f"more {number}", "spam")
    # The retry of what was taken is not one more.
    assert (await send(world, MALLORY, conversation, "k0", "hello 0")).client_message_id == "k0"


@WAYS
async def test_what_was_taken_back_counts(world: World, bring: Bring) -> None:
    conversation = await bring(world)
    for number in range(REQUEST_MESSAGES):
        message = await send(world, MALLORY, conversation, f"k{number}", "hello")
        await world.changing.unsend_message(MALLORY, conversation, message.seq)
    with pytest.raises(RequestPendingLimit):
        await send(world, MALLORY, conversation, "more", "hello")


async def test_what_the_retention_deleted_counts(world: World) -> None:
    conversation_id = await asked(world)
    await fill(world, conversation_id)
    world.clock.advance(86_400)
    conversation = await world.conversations.get_conversation(MALLORY, conversation_id)
    await world.store.delete_old(conversation.id, world.clock.now(), world.clock.now(), 100)
    with pytest.raises(RequestPendingLimit):
        await send(world, MALLORY, conversation_id, "more", "hello")


async def test_opening_it_again_or_declining_it_makes_no_room(world: World) -> None:
    conversation = await asked(world)
    await fill(world, conversation)
    await world.relations.decline_request(ALICE, conversation, block=False)
    again = str((await world.conversations.open_direct(MALLORY, "alice")).id)
    assert again == conversation
    with pytest.raises(RequestPendingLimit):
        await send(world, MALLORY, conversation, "more", "hello")


@WAYS
@pytest.mark.parametrize("by", ["accepting", "writing"])
async def test_whoever_lets_it_in_ends_all_that(world: World, bring: Bring, by: str) -> None:
    conversation = await bring(world)
    await fill(world, conversation)
    if by == "accepting":
        await world.relations.accept_request(ALICE, conversation)
    else:
        await send(world, ALICE, conversation, "answer", "who are you?")
    for number in range(REQUEST_MESSAGES + 2):
        await send(world, MALLORY, conversation, f"then {number}", "a friend")
    sent = TextRequest("file", LINKED, attachment_ids=[await put(world, MALLORY, "u")])
    message = await world.sending.send(MALLORY, conversation, sent)
    assert message.attachments
    assert message.content == LINKED


@WAYS
async def test_no_file_goes_before_it_is_let_in(world: World, bring: Bring) -> None:
    conversation = await bring(world)
    sent = TextRequest("file", Text(""), attachment_ids=[await put(world, MALLORY, "u")])
    with pytest.raises(RequestPending):
        await world.sending.send(MALLORY, conversation, sent)


@WAYS
@pytest.mark.parametrize("text", [LINKED, MENTIONED])
async def test_nothing_of_a_text_is_linked_or_rings_before_it_is_let_in(world: World, bring: Bring, text: Text) -> None:
    conversation = await bring(world)
    message = await world.sending.send(MALLORY, conversation, TextRequest("k", text))
    assert message.content == Text(text.text)
    shown, _ = await world.history.list_messages(ALICE, conversation, 0, 0)
    assert shown[0].content == Text(text.text)


async def edit(world: World, conversation: str, seq: int) -> object:
    return await world.changing.edit_message(MALLORY, conversation, seq, LINKED)


async def react(world: World, conversation: str, seq: int) -> object:
    return await world.changing.set_reaction(MALLORY, conversation, seq, "👍", present=True)


async def make_it_vanish(world: World, conversation: str, seq: int) -> object:
    return await world.vanishing.set_vanishing(MALLORY, conversation, timedelta(minutes=5))


async def rename(world: World, conversation: str, seq: int) -> object:
    return await world.groups.update_group(MALLORY, conversation, Settings(title="Buy now"))


@pytest.mark.parametrize(
    ("bring", "act"),
    [
        *((bring, act) for bring in (asked, asked_in_a_group) for act in (edit, react, make_it_vanish)),
        (asked_in_a_group, rename),
    ],
)
async def test_no_change_says_more_before_it_is_let_in(
    world: World, bring: Bring, act: Callable[[World, str, int], Awaitable[object]]
) -> None:
    conversation = await bring(world)
    message = await send(world, MALLORY, conversation, "k", "hello")
    before = len(world.store.events)
    with pytest.raises(RequestPending):
        await act(world, conversation, message.seq)
    assert len(world.store.events) == before
    await world.relations.accept_request(ALICE, conversation)
    await act(world, conversation, message.seq)


async def test_a_call_does_not_ring_before_it_is_let_in(world: World) -> None:
    conversation = await asked(world)
    assert (await world.relations.callees_of(conversation, "mallory")).user_ids == []


# A group that others are in: its members write what they like, and who has not let it in is shown little of that.


async def crowd(world: World) -> str:
    """Mallory and her friend Carol say much in a group that waits with Alice."""
    await closed_to_strangers(world, ALICE)
    request = GroupRequest("g", "Free!", ["alice", "carol"], "pixel.png", False)
    conversation = str((await world.groups.create_group(MALLORY, request)).id)
    sent = TextRequest("file", LINKED, attachment_ids=[await put(world, MALLORY, "u")])
    message = await world.sending.send(MALLORY, conversation, sent)
    await world.changing.edit_message(MALLORY, conversation, message.seq, MENTIONED)
    await world.changing.edit_message(MALLORY, conversation, message.seq, LINKED)
    return conversation


async def everything_shown(world: World, user: UserId, conversation: str) -> str:
    pages = [await world.sync.list_conversations(user, 0, "", request) for request in RequestState]
    return repr(
        [
            pages,
            await world.conversations.get_conversation(user, conversation),
            await world.history.list_messages(user, conversation, 0, 0),
            await world.history.list_edits(user, conversation, 2),
            await world.sync.sync(user, [], 0, None),
            await world.sync.sync_account(user, AccountSyncRequest("")),
            await world.search.search(user, "example", conversation, 0, ""),
        ]
    )


async def test_nothing_is_drawn_linked_or_fetched_before_it_is_let_in(world: World) -> None:
    conversation_id = await crowd(world)
    conversation = await world.conversations.get_conversation(MALLORY, conversation_id)
    await world.store.index_words([(conversation.id, 2)])
    drawn = (Attachment.__name__, Link.__name__ + "(", Mention.__name__ + "(", "pixel.png", "a.png")
    seen_by_alice = await everything_shown(world, ALICE, conversation_id)
    assert [word for word in drawn if word in seen_by_alice] == []
    assert "see x.example" in seen_by_alice
    assert [word for word in drawn if word not in await everything_shown(world, MALLORY, conversation_id)] == []
    message = await world.store.find_message(conversation.id, 2)
    assert message is not None
    file_id = str(message.attachments[0].id)
    with pytest.raises(NotAllowed):
        await world.attachments.get_download(ALICE, conversation_id, 2, file_id)
    await world.relations.accept_request(ALICE, conversation_id)
    await world.attachments.get_download(ALICE, conversation_id, 2, file_id)
    assert [word for word in drawn if word not in await everything_shown(world, ALICE, conversation_id)] == []


async def test_who_has_not_let_a_group_in_hears_of_its_first_texts_alone_and_plainly(world: World) -> None:
    conversation = await crowd(world)
    for number in range(20):
        await send(world, MALLORY, conversation, f"k{number}", "spam")
    publisher = MemoryPublisher()
    events = [conversation_record(event) for event in world.store.events]
    await FanOut(world.store, publisher).handle(events)
    told = [record for record in publisher.records if record.key == b"alice"]
    frames = b"".join(record.value or b"" for record in told)
    assert frames.count(b"spam") <= REQUEST_MESSAGES
    assert b"pixel.png" not in frames
    assert b"https://x.example/" not in frames
    assert b"a.png" not in frames
    assert sum(record.key == b"carol" and b"spam" in (record.value or b"") for record in publisher.records) == 20


# How many people a day.


async def test_so_many_people_a_day_can_be_asked_by_whatever_way(world: World) -> None:
    crowd = [UserId(f"person-{number}") for number in range(130)]
    await closed_to_strangers(world, *crowd)
    for person in crowd[:40]:
        await world.conversations.open_direct(MALLORY, person)
    group = await world.groups.create_group(MALLORY, GroupRequest("g", "Free!", crowd[40:70], "", False))
    await world.groups.add_members(MALLORY, str(group.id), crowd[70:100])
    # Those who are in are not asked again.
    await world.groups.add_members(MALLORY, str(group.id), crowd[70:100])
    with pytest.raises(RequestQuota) as refused:
        await world.conversations.open_direct(MALLORY, crowd[100])
    assert refused.value.retry_delay_s > 0
    with pytest.raises(RequestQuota):
        await world.groups.create_group(MALLORY, GroupRequest("g2", "Free!", crowd[100:101], "", False))
    with pytest.raises(RequestQuota):
        await world.groups.add_members(MALLORY, str(group.id), crowd[100:101])
    # Whoever takes messages of everyone is asked nothing.
    await world.conversations.open_direct(MALLORY, "open-to-all")
    world.clock.advance(86_400)
    await world.conversations.open_direct(MALLORY, crowd[100])


async def test_one_who_does_not_answer_is_asked_by_one_a_few_times_and_no_more(world: World) -> None:
    await closed_to_strangers(world, ALICE)
    conversations = [
        await world.groups.create_group(MALLORY, GroupRequest(f"g{n}", "Free!", [ALICE], "", False)) for n in range(9)
    ]
    assert sum(conversation.member(ALICE) is not None for conversation in conversations) == MAX_UNANSWERED
    with pytest.raises(NotAllowed):
        await world.conversations.open_direct(MALLORY, "alice")
    await world.relations.decline_request(ALICE, str(conversations[0].id), block=False)
    added = await world.groups.add_members(MALLORY, str(conversations[-1].id), [ALICE])
    assert added.member(ALICE) is None
    # Others may ask her, and who was let in goes on.
    await world.conversations.open_direct(CAROL, "alice")
    await world.relations.accept_request(ALICE, str(conversations[0].id))
    added = await world.groups.add_members(MALLORY, str(conversations[-1].id), [ALICE])
    assert added.member(ALICE) is not None


def test_each_reporter_beyond_a_few_halves_what_is_left_and_nobody_is_shut_out() -> None:
    allowed = [requests_allowed(100, reporters) for reporters in range(FREE_REPORTERS + 9)]
    assert allowed[: FREE_REPORTERS + 1] == [100] * (FREE_REPORTERS + 1)
    assert allowed[FREE_REPORTERS + 1 :] == [50, 25, 12, 6, 3, 1, 1, 1]
    assert requests_allowed(100, 1_000_000) == 1


async def reported(world: World, reporter: UserId, times: int = 1, *, named: bool = True) -> list[str]:
    conversation = str((await world.conversations.open_direct(MALLORY, reporter)).id)
    message = await send(world, MALLORY, conversation, "k", "spam")
    requests = [
        ReportRequest(f"r{number}", conversation, [message.seq] if named else [], Reason.SPAM, "")
        for number in range(times)
    ]
    return [str((await world.reports.report(reporter, request)).id) for request in requests]


async def ask(world: World, count: int, begin: int = 0) -> int:
    """How many new people Mallory can ask."""
    strangers = [UserId(f"stranger-{number}") for number in range(begin, begin + count)]
    await closed_to_strangers(world, *strangers)
    for number, stranger in enumerate(strangers):
        try:
            await world.conversations.open_direct(MALLORY, stranger)
        except RequestQuota:
            return number
    return count


@pytest.mark.parametrize("named", [True, False])
async def test_reports_of_different_people_slow_down_whom_they_are_about(world: World, named: bool) -> None:
    for number in range(FREE_REPORTERS + 2):
        await reported(world, UserId(f"victim-{number}"), named=named)
    assert await ask(world, 30) == 25
    # Nobody else, and nothing that was let in.
    await closed_to_strangers(world, BOB)
    await world.conversations.open_direct(CAROL, "bob")
    # They count for a week.
    world.clock.advance(9 * 86_400)
    assert await ask(world, 60, 100) == 60


async def test_one_who_reports_much_counts_once(world: World) -> None:
    await reported(world, BOB, times=20)
    await reported(world, CAROL)
    assert await ask(world, 60) == 60


async def test_what_the_moderators_dismissed_does_not_count(world: World) -> None:
    for number in range(FREE_REPORTERS + 3):
        for report_id in await reported(world, UserId(f"victim-{number}")):
            await world.reports.resolve_report(report_id, State.DISMISSED, "moderator")
    assert await ask(world, 60) == 60


async def test_who_reports_a_group_slows_down_who_brought_it_and_nobody_else(world: World) -> None:
    for number in range(FREE_REPORTERS + 2):
        victim = UserId(f"victim-{number}")
        group = GroupRequest(f"g{number}", "Free!", [victim, CAROL], "", False)
        conversation = str((await world.groups.create_group(MALLORY, group)).id)
        await send(world, CAROL, conversation, "k", "hello")
        await world.reports.report(victim, ReportRequest("r", conversation, [], Reason.SPAM, ""))
    assert await ask(world, 30) == 25
    strangers = [UserId(f"other-{number}") for number in range(40)]
    await closed_to_strangers(world, *strangers)
    for stranger in strangers:
        await world.conversations.open_direct(CAROL, stranger)
