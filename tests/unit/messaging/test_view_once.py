"""View-once messages: what may be sent as one, who opens it when, and what becomes of its file."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.messaging.attachments.core.uploads import Upload, object_key
from services.messaging.attachments.core.view_once import KEPT, RETRY
from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.kernel.content import Expired, Text, Unsent, Voice
from services.messaging.kernel.errors import (
    AlreadyOpened,
    AttachmentNotFound,
    ConversationNotFound,
    InvalidField,
    NotAllowed,
    NotEditable,
    NotForwardable,
    ViewOnce,
)
from services.messaging.kernel.model import Message, UserId
from services.messaging.kernel.weighing import weigh_message
from services.messaging.messages.service.requests import Said, SendRequest, TextRequest
from services.messaging.search.core import Filters, Has
from services.messaging.vanishing.service import Sweeper, SweepPolicy
from services.messaging.wire import api
from tests.support.file_samples import sound
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, send

CAROL = UserId("carol")
PICTURE = UploadRequest("u", "a.png", "image/png", 80)
SOUND = UploadRequest("s", "a.ogg", "audio/ogg", 80)
# UploadPolicy of the world.
ADDRESS_TTL = timedelta(minutes=5)


async def put(world: World, request: UploadRequest = PICTURE) -> Upload:
    upload, _ = await world.attachments.create_upload(ALICE, request)
    world.objects.receive(upload, sound(80) if request.content_type == "audio/ogg" else None)
    return upload


def picture_of(upload: Upload, text: str = "", key: str = "k") -> TextRequest:
    return TextRequest(key, Text(text), attachment_ids=[str(upload.attachment.id)], view_once=True)


def voice_of(upload: Upload) -> SendRequest:
    spoken = Voice(upload.attachment.id, timedelta(seconds=2), bytes(8))
    return SendRequest("k", spoken, attachment_ids=[str(upload.attachment.id)], view_once=True)


async def show(world: World, conversation: str) -> Message:
    """Alice sends a picture to be opened once."""
    return await world.sending.send(ALICE, conversation, picture_of(await put(world)))


async def stands(world: World, user: UserId, conversation: str, seq: int = 1) -> Message:
    messages, _ = await world.history.list_messages(user, conversation, seq + 1, 1)
    return messages[0]


async def sweep(world: World) -> None:
    await Sweeper(world.store, world.clock, SweepPolicy()).sweep()
    await world.collector.collect()


async def test_each_recipient_opens_it_once_and_everybody_is_told(world: World) -> None:
    trip = await group(world, BOB, CAROL)
    sent = await show(world, trip)
    assert (sent.view_once, sent.opened_by, len(sent.attachments)) == (True, (), 1)
    url, until, after = await world.openings.open(BOB, trip, sent.seq, "r")
    assert object_key(sent.attachments[0].id) in url
    assert until == world.clock.now() + ADDRESS_TTL
    assert (after.opened_by, after.revision) == ((BOB,), 1)
    assert await stands(world, CAROL, trip, sent.seq) == after
    with pytest.raises(AlreadyOpened):
        await world.openings.open(BOB, trip, sent.seq, "another")
    _, _, last = await world.openings.open(CAROL, trip, sent.seq, "r")
    assert last.opened_by == (BOB, CAROL)
    told = api.message_message(await stands(world, ALICE, trip, sent.seq))
    assert (told.view_once, list(told.opened_by_user_ids)) == (True, [BOB, CAROL])


async def test_a_retry_gets_an_address_for_a_minute_and_tells_nothing(world: World) -> None:
    conversation = await world.conversation()
    await show(world, conversation)
    url, _, first = await world.openings.open(BOB, conversation, 1, "r")
    told = len(world.store.events)
    world.clock.advance(RETRY.total_seconds())
    assert await world.openings.open(BOB, conversation, 1, "r") == (url, world.clock.now() + ADDRESS_TTL, first)
    assert len(world.store.events) == told
    world.clock.advance(1)
    with pytest.raises(AlreadyOpened):
        await world.openings.open(BOB, conversation, 1, "r")


async def test_nobody_fetches_it_in_the_ordinary_way(world: World) -> None:
    conversation = await world.conversation()
    sent = await show(world, conversation)
    for user in (ALICE, BOB):
        with pytest.raises(ViewOnce):
            await world.attachments.get_download(user, conversation, 1, str(sent.attachments[0].id))
    with pytest.raises(NotAllowed):
        await world.openings.open(ALICE, conversation, 1, "r")
    with pytest.raises(ConversationNotFound):
        await world.openings.open(MALLORY, conversation, 1, "r")


async def test_only_what_is_view_once_is_opened(world: World) -> None:
    conversation, upload = await world.conversation(), await put(world)
    await world.sending.send(ALICE, conversation, replace(picture_of(upload), view_once=False))
    for seq in (1, 2):
        with pytest.raises(AttachmentNotFound):
            await world.openings.open(BOB, conversation, seq, "r")
    for request in ("", "x" * 65):
        with pytest.raises(InvalidField) as refused:
            await world.openings.open(BOB, conversation, 1, request)
        assert refused.value.field == "client_request_id"


async def test_a_video_and_a_voice_message_can_be_sent_so(world: World) -> None:
    conversation = await world.conversation()
    sent = await world.sending.send(ALICE, conversation, voice_of(await put(world, SOUND)))
    assert sent.view_once
    url, _, _ = await world.openings.open(BOB, conversation, 1, "r")
    assert object_key(sent.attachments[0].id) in url


async def test_anything_else_is_refused_by_the_name_of_the_field(world: World) -> None:
    conversation, picture, spoken = await world.conversation(), await put(world), await put(world, SOUND)
    both = [str(picture.attachment.id), str(spoken.attachment.id)]
    refused: list[Said] = [
        picture_of(picture, "look"),
        picture_of(spoken),
        replace(picture_of(picture), attachment_ids=both),
        TextRequest("k", Text("words"), view_once=True),
    ]
    for request in refused:
        with pytest.raises(InvalidField) as refusal:
            await world.sending.send(ALICE, conversation, request)
        assert refusal.value.field == "view_once"
    # The retry of what was stored gets it, whatever it asks for.
    sent = await world.sending.send(ALICE, conversation, picture_of(picture))
    assert await world.sending.send(ALICE, conversation, picture_of(picture, "look")) == sent


async def test_its_file_goes_when_all_have_opened_it_and_their_addresses_are_over(world: World) -> None:
    conversation = await world.conversation()
    sent = await show(world, conversation)
    await world.openings.open(BOB, conversation, 1, "r")
    world.clock.advance((ADDRESS_TTL + RETRY).total_seconds() - 1)
    await sweep(world)
    assert (await stands(world, BOB, conversation)).attachments == sent.attachments
    world.clock.advance(1)
    await sweep(world)
    left = await stands(world, BOB, conversation)
    assert (left.view_once, left.opened_by, left.attachments, left.content) == (True, (BOB,), (), Text(""))
    assert left.revision == 2
    world.clock.advance(3600)
    await sweep(world)
    assert world.objects.held == {}
    assert (await stands(world, BOB, conversation)) == left
    with pytest.raises(AlreadyOpened):
        await world.openings.open(BOB, conversation, 1, "s")


async def test_its_file_waits_for_who_has_not_opened_it_and_goes_after_two_weeks(world: World) -> None:
    trip = await group(world, BOB, CAROL)
    sent = await world.sending.send(ALICE, trip, voice_of(await put(world, SOUND)))
    await world.openings.open(BOB, trip, sent.seq, "r")
    world.clock.advance(KEPT.total_seconds() - 1)
    await sweep(world)
    assert (await stands(world, CAROL, trip, sent.seq)).attachments
    world.clock.advance(1)
    await sweep(world)
    left = await stands(world, CAROL, trip, sent.seq)
    assert (left.content, left.attachments, left.opened_by) == (Voice(None, timedelta(seconds=2)), (), (BOB,))
    with pytest.raises(AttachmentNotFound):
        await world.openings.open(CAROL, trip, sent.seq, "r")


async def test_an_opening_in_the_last_minute_puts_it_off_until_its_address_is_over(world: World) -> None:
    trip = await group(world, BOB, CAROL)
    sent = await show(world, trip)
    world.clock.advance(KEPT.total_seconds() - 1)
    _, until, _ = await world.openings.open(BOB, trip, sent.seq, "r")
    world.clock.advance(2)
    await sweep(world)
    assert (await stands(world, BOB, trip, sent.seq)).attachments
    world.clock.advance((until + RETRY - world.clock.now()).total_seconds())
    await sweep(world)
    assert not (await stands(world, BOB, trip, sent.seq)).attachments


async def test_who_came_later_and_does_not_see_it_is_not_waited_for(world: World) -> None:
    trip = await group(world, BOB)
    sent = await show(world, trip)
    await world.groups.add_members(ALICE, trip, [CAROL])
    with pytest.raises(AttachmentNotFound):
        await world.openings.open(CAROL, trip, sent.seq, "r")
    await world.openings.open(BOB, trip, sent.seq, "r")
    world.clock.advance((ADDRESS_TTL + RETRY).total_seconds())
    await sweep(world)
    assert not (await stands(world, BOB, trip, sent.seq)).attachments


async def test_who_was_removed_or_has_not_let_it_in_opens_nothing(world: World) -> None:
    trip = await group(world, BOB, CAROL)
    sent = await show(world, trip)
    await world.groups.remove_member(ALICE, trip, BOB)
    with pytest.raises(ConversationNotFound):
        await world.openings.open(BOB, trip, sent.seq, "r")


async def test_under_a_block_it_is_opened_as_other_files_are_fetched(world: World) -> None:
    conversation = await world.conversation()
    await show(world, conversation)
    await world.relations.block_user(ALICE, BOB)
    assert (await world.openings.open(BOB, conversation, 1, "r"))[2].opened_by == (BOB,)


async def test_it_is_taken_back_with_its_openings_and_neither_edited_nor_forwarded(world: World) -> None:
    conversation, other = await world.conversation(), await group(world, BOB)
    await show(world, conversation)
    await world.openings.open(BOB, conversation, 1, "r")
    with pytest.raises(NotEditable):
        await world.changing.edit_message(ALICE, conversation, 1, Text("words"))
    for user in (ALICE, BOB):
        with pytest.raises(NotForwardable):
            await world.forwarding.forward(user, conversation, 1, [(other, "f")])
    await world.changing.set_reaction(BOB, conversation, 1, "👍", present=True)
    gone = await world.changing.unsend_message(ALICE, conversation, 1)
    assert (gone.content, gone.view_once, gone.opened_by) == (Unsent(), False, ())
    with pytest.raises(AttachmentNotFound):
        await world.openings.open(BOB, conversation, 1, "r")


async def test_what_has_vanished_is_not_opened_before_the_sweeper_was_there(world: World) -> None:
    conversation = await world.conversation()
    sent = await show(world, conversation)
    world.store._replace(replace(sent, expires_at=world.clock.now()))
    with pytest.raises(AttachmentNotFound):
        await world.openings.open(BOB, conversation, 1, "r")
    left = await stands(world, BOB, conversation)
    assert (left.content, left.view_once) == (Expired(), False)


async def test_it_is_in_no_gallery(world: World) -> None:
    conversation = await world.conversation()
    await show(world, conversation)
    await send(world, BOB, conversation, "t", "nice")
    found, _ = await world.search.search(BOB, "", conversation, 10, "", Filters(has=frozenset({Has.PICTURE_OR_VIDEO})))
    assert found == []


async def test_openings_weigh_what_they_take(world: World) -> None:
    sent = await show(world, await world.conversation())
    full = replace(sent, opened_by=tuple(UserId(f"person-{number:057}") for number in range(256)))
    assert api.message_message(full).ByteSize() <= 2 * weigh_message(full)
