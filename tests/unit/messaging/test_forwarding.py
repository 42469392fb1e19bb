"""Forwarding: what goes on and what stays behind, who may, and how long the bytes of files live."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.messaging.attachments.core.uploads import Upload, object_key
from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.forwarding.core import MAX_TARGETS
from services.messaging.forwarding.service import Forwarding
from services.messaging.kernel.content import CallOutcome, CallRecord, Link, Mention, Text, Unsent, Voice
from services.messaging.kernel.errors import (
    AttachmentNotFound,
    ConversationNotFound,
    InvalidField,
    MessageNotFound,
    MessagingError,
    NotAllowed,
    NotEditable,
    NotForwardable,
    RequestPending,
    SendRate,
)
from services.messaging.kernel.model import ConversationId, Message, UserId
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import SendRequest, TextRequest
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.relations.core.reports import copy_of
from services.messaging.vanishing.service import Sweeper, SweepPolicy
from services.messaging.wire.api import message_message
from services.messaging.wire.storage import attachment_bytes, to_attachments
from tests.support.file_samples import sound
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, at_work, group, said, send

CAROL, DAN = UserId("carol"), UserId("dan")
PNG = UploadRequest("u", "a.png", "image/png", 80, 4, 3)


async def pair(world: World, user: UserId, other: UserId) -> str:
    """A conversation that both let in."""
    return await said(world, user, other, both=True)


async def forward(
    world: World, user: UserId, source: str, seq: int, *targets: str, key: str = "f"
) -> Sequence[Message | MessagingError]:
    return await world.forwarding.forward(user, source, seq, [(target, key) for target in targets])


async def copied(world: World, user: UserId, source: str, seq: int, target: str, key: str = "f") -> Message:
    (message,) = await forward(world, user, source, seq, target, key=key)
    assert isinstance(message, Message), message
    return message


async def picture(world: World, conversation: str, key: str = "p") -> tuple[Upload, Message]:
    """Alice sends a picture."""
    upload, _ = await world.attachments.create_upload(ALICE, replace(PNG, client_upload_id=key))
    world.objects.receive(upload)
    request = TextRequest(key, Text("look"), attachment_ids=[str(upload.attachment.id)])
    return upload, await world.sending.send(ALICE, conversation, request)


async def collected(world: World) -> set[str]:
    """The objects that are left once everything due was deleted."""
    world.clock.advance(3_600)
    for _ in range(2):
        await world.collector.collect()
    return set(world.objects.held)


async def test_a_text_goes_on_with_its_links_and_without_what_tells_where_it_was(world: World) -> None:
    trip, other = await group(world, BOB), await pair(world, BOB, CAROL)
    words = Text("@bob a.example", (Mention(0, 4, BOB), Link(5, 9, "https://a.example/x")))
    source = await world.sending.send(ALICE, trip, TextRequest("k", words, 1))
    await world.changing.set_reaction(BOB, trip, source.seq, "👍", present=True)
    copy = await copied(world, BOB, trip, source.seq, other)
    assert copy.content == Text("@bob a.example", (Link(5, 9, "https://a.example/x"),))
    assert (copy.sender_id, copy.forwarded, copy.reply_to_seq, copy.reactions) == (BOB, True, 0, ())
    assert (copy.revision, copy.edit_count, copy.expires_at, str(copy.conversation_id)) == (0, 0, None, other)
    told = message_message(copy).SerializeToString()
    for secret in (ALICE, trip, str(source.id)):
        assert secret.encode() not in told
    assert not source.forwarded


async def test_a_copy_of_a_copy_is_forwarded_and_nobody_edits_what_another_wrote(world: World) -> None:
    one, other = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    copy = await copied(world, BOB, one, 1, other)
    again = await copied(world, CAROL, other, copy.seq, await pair(world, CAROL, DAN))
    assert (again.forwarded, again.content) == (True, Text("hello"))
    with pytest.raises(NotEditable):
        await world.changing.edit_message(BOB, other, copy.seq, Text("mine now"))
    taken_back = await world.changing.unsend_message(BOB, other, copy.seq)
    assert (taken_back.content, taken_back.forwarded) == (Unsent(), False)


async def test_each_target_gets_one_copy_and_a_retry_the_same_whatever_became_of_the_message(world: World) -> None:
    source = await pair(world, ALICE, BOB)
    targets = [await pair(world, BOB, CAROL), await pair(world, BOB, DAN), source]
    first = await forward(world, BOB, source, 1, *targets)
    assert [isinstance(result, Message) for result in first] == [True] * 3
    await world.changing.unsend_message(ALICE, source, 1)
    assert await forward(world, BOB, source, 1, *targets) == first
    with pytest.raises(NotForwardable):
        await forward(world, BOB, source, 1, *targets, key="new")
    # Some of it was done: the rest is refused for itself.
    mixed = await forward(world, BOB, source, 1, targets[0], await group(world, BOB))
    assert mixed[0] == first[0]
    assert isinstance(mixed[1], NotForwardable)


async def test_one_target_that_is_refused_keeps_none_of_the_others(world: World) -> None:
    source = await pair(world, ALICE, BOB)
    blocked, good, foreign = await pair(world, BOB, DAN), await pair(world, BOB, CAROL), await pair(world, ALICE, CAROL)
    await world.relations.block_user(DAN, BOB)
    results = await forward(world, BOB, source, 1, blocked, foreign, good, str(uuid4()))
    assert [type(result) for result in results] == [NotAllowed, ConversationNotFound, Message, ConversationNotFound]


@pytest.mark.parametrize("count", [0, MAX_TARGETS + 1])
async def test_a_request_names_some_conversations_and_not_too_many(world: World, count: int) -> None:
    source = await pair(world, ALICE, BOB)
    with pytest.raises(InvalidField):
        await forward(world, BOB, source, 1, *(str(uuid4()) for _ in range(count)))


async def test_a_request_that_cannot_be_read_does_nothing(world: World) -> None:
    source, other = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    for targets in ([(other, "")], [(other, "k"), ("x", "k")], [(other, "k"), (other, "k2")]):
        with pytest.raises(InvalidField):
            await world.forwarding.forward(BOB, source, 1, targets)
    for place, seq in (("x", 1), (source, -1)):
        with pytest.raises(InvalidField):
            await world.forwarding.forward(BOB, place, seq, [(other, "k")])
    assert (await world.conversations.get_conversation(BOB, other)).last_seq == 2


async def test_nobody_forwards_what_they_do_not_see(world: World) -> None:
    trip, hers = await group(world, BOB), await pair(world, MALLORY, CAROL)
    await send(world, ALICE, trip, "k", "secret")
    with pytest.raises(ConversationNotFound):
        await forward(world, MALLORY, trip, 2, hers)
    await world.groups.add_members(ALICE, trip, [MALLORY])
    with pytest.raises(MessageNotFound):
        await forward(world, MALLORY, trip, 2, hers)
    with pytest.raises(MessageNotFound):
        await forward(world, MALLORY, trip, 99, hers)
    nobody_asks = SettingsChange(messages=Audience.FOLLOWED)
    await world.store.relations.change_settings(DAN, nobody_asks, world.clock.now())
    request, theirs = await said(world, ALICE, DAN), await pair(world, DAN, CAROL)
    with pytest.raises(NotAllowed):
        await forward(world, DAN, request, 1, theirs)


async def test_calls_lines_and_what_is_gone_go_nowhere(world: World) -> None:
    trip, other = await group(world, BOB), await pair(world, BOB, CAROL)
    call = CallRecord(uuid4(), True, CallOutcome.MISSED, timedelta(0))
    await world.sending.record_call(
        ConversationId((await world.conversations.get_conversation(ALICE, trip)).id), ALICE, call
    )
    await world.vanishing.set_vanishing(ALICE, trip, timedelta(minutes=5))
    await send(world, ALICE, trip, "k", "soon gone")
    world.clock.advance(300)
    for seq in (1, 2, 3, 4):
        with pytest.raises(NotForwardable):
            await forward(world, BOB, trip, seq, other)


async def test_a_copy_vanishes_as_its_own_conversation_says(world: World) -> None:
    short, stays = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    await world.vanishing.set_vanishing(ALICE, short, timedelta(minutes=5))
    vanishing = await send(world, ALICE, short, "k", "for a while")
    assert (await copied(world, BOB, short, vanishing.seq, stays)).expires_at is None
    into = await copied(world, BOB, stays, 1, short)
    assert into.expires_at == world.clock.now() + timedelta(minutes=5)
    world.clock.advance(300)
    await Sweeper(world.store, world.clock, SweepPolicy()).sweep()
    (gone,) = [m for m in world.store.messages_of(into.conversation_id) if m.seq == into.seq]
    assert not gone.forwarded


async def test_what_is_forwarded_counts_as_sent() -> None:
    async with at_work(World(rates=SendRates(per_s=0.001, burst=5))) as world:
        source, targets = await pair(world, ALICE, BOB), [await group(world, BOB, key=f"g{n}") for n in range(4)]
        # Beside his answer, so that three are left.
        await send(world, BOB, source, "k", "and more")
        results = await forward(world, BOB, source, 1, *targets)
        assert [type(result) for result in results] == [Message, Message, Message, SendRate]
        # A retry of what was taken costs no send.
        assert (await forward(world, BOB, source, 1, *targets[:2])) == results[:2]


async def test_into_a_request_goes_a_plain_text_and_no_file(world: World) -> None:
    source = await pair(world, ALICE, BOB)
    linked = Text("see a.example", (Link(4, 9, "https://a.example/"),))
    await world.sending.send(ALICE, source, TextRequest("l", linked))
    _, shown = await picture(world, source)
    await world.store.relations.change_settings(DAN, SettingsChange(messages=Audience.FOLLOWED), world.clock.now())
    asked = str((await world.conversations.open_direct(BOB, DAN)).id)
    assert (await copied(world, BOB, source, 3, asked)).content == Text("see a.example")
    (refused,) = await forward(world, BOB, source, shown.seq, asked, key="p")
    assert isinstance(refused, RequestPending)


async def test_a_file_goes_on_without_another_upload_and_under_an_id_of_its_own(world: World) -> None:
    source, other = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    upload, sent = await picture(world, source)
    copy = await copied(world, BOB, source, sent.seq, other)
    (file,) = copy.attachments
    assert file == replace(upload.attachment, id=file.id, object_id=upload.attachment.id)
    assert file.id != upload.attachment.id
    assert len(world.objects.held) == 1
    url, _ = await world.attachments.get_download(CAROL, other, copy.seq, str(file.id))
    assert object_key(upload.attachment.id) in url
    # Neither way does one lead to the other's file.
    for user, place, seq, id_ in ((CAROL, other, copy.seq, upload.attachment.id), (ALICE, source, sent.seq, file.id)):
        with pytest.raises(AttachmentNotFound):
            await world.attachments.get_download(user, place, seq, str(id_))
    assert await copied(world, BOB, source, sent.seq, other) == copy
    third = await copied(world, CAROL, other, copy.seq, await pair(world, CAROL, DAN))
    assert third.attachments[0].object_id == upload.attachment.id
    assert to_attachments(attachment_bytes(third.attachments)) == third.attachments
    # What is reported is kept under the name of the object.
    assert copy_of(third).attachment_ids == (str(upload.attachment.id),)


async def test_bytes_live_as_long_as_any_message_that_holds_them(world: World) -> None:
    source, other = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    upload, sent = await picture(world, source)
    copy = await copied(world, BOB, source, sent.seq, other)
    key = object_key(upload.attachment.id)
    await world.changing.unsend_message(ALICE, source, sent.seq)
    assert await collected(world) == {key}
    url, _ = await world.attachments.get_download(CAROL, other, copy.seq, str(copy.attachments[0].id))
    assert key in url
    again = await copied(world, CAROL, other, copy.seq, await pair(world, CAROL, DAN))
    await world.changing.unsend_message(BOB, other, copy.seq)
    assert await collected(world) == {key}
    await world.changing.unsend_message(CAROL, str(again.conversation_id), again.seq)
    assert await collected(world) == set()
    assert world.store.pending_deletes == {}


async def test_a_copy_that_was_refused_leaves_no_bytes_behind(world: World) -> None:
    source, blocked = await pair(world, ALICE, BOB), await pair(world, BOB, DAN)
    upload, sent = await picture(world, source)
    await world.relations.block_user(DAN, BOB)
    (refused,) = await forward(world, BOB, source, sent.seq, blocked)
    assert isinstance(refused, NotAllowed)
    await world.changing.unsend_message(ALICE, source, sent.seq)
    assert await collected(world) == {object_key(upload.attachment.id)}
    world.clock.advance(86_400)
    assert await collected(world) == set()


async def test_a_message_that_let_go_of_its_file_meanwhile_is_not_forwarded(world: World) -> None:
    source, other = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    _, sent = await picture(world, source)
    held = await world.store.find_message(sent.conversation_id, sent.seq)
    await world.changing.unsend_message(ALICE, source, sent.seq)

    class Late:
        async def find_message(self, *_: object) -> Message | None:
            return held

    late: Any = Late()
    world.forwarding = Forwarding(world.sending, world.store, late, world.attachments, world.clock)
    (refused,) = await forward(world, BOB, source, sent.seq, other)
    assert isinstance(refused, AttachmentNotFound)


async def test_a_voice_message_goes_on_with_its_sound(world: World) -> None:
    source, other = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    upload, _ = await world.attachments.create_upload(ALICE, UploadRequest("v", "a.ogg", "audio/ogg", 80))
    world.objects.receive(upload, sound(80))
    id_ = upload.attachment.id
    spoken = Voice(id_, timedelta(seconds=3), b"\x01\x02")
    sent = await world.sending.send(ALICE, source, SendRequest("v", spoken, attachment_ids=[str(id_)]))
    copy = await copied(world, BOB, source, sent.seq, other)
    assert copy.content == replace(spoken, attachment_id=copy.attachments[0].id)
    assert copy.attachments[0].object_id == id_


async def test_the_account_of_who_wrote_first_goes_without_the_copies(world: World) -> None:
    source, other = await pair(world, ALICE, BOB), await pair(world, BOB, CAROL)
    upload, sent = await picture(world, source)
    copy = await copied(world, BOB, source, sent.seq, other)
    await world.delete_account(ALICE)
    kept = (await world.history.list_messages(CAROL, other, 0, 1))[0][0]
    assert kept == copy
    assert await collected(world) == {object_key(upload.attachment.id)}
