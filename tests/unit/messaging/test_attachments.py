"""Attachments: what may be announced, sent and fetched, by whom, and what is collected."""

import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.messaging.attachments.core.uploads import (
    DEFAULT_TYPES,
    Upload,
    UploadPolicy,
    check_content_type,
    content_disposition,
    object_key,
)
from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.groups.service import GroupRequest
from services.messaging.kernel.content import Text, Unsent
from services.messaging.kernel.errors import (
    AttachmentNotFound,
    AttachmentNotUploaded,
    ConversationNotFound,
    InvalidField,
    ObjectsUnavailable,
    TooManyUploads,
)
from services.messaging.kernel.media_types import ALIASES, media_type
from services.messaging.kernel.model import Attachment, AttachmentId, Message, UserId
from services.messaging.messages.service.requests import TextRequest
from services.runtime.errors import StoreUnavailable
from services.runtime.ids import new_id
from tests.support.cut_off import cut_off
from tests.support.messaging_world import ALICE, BOB, MALLORY, World

PNG = UploadRequest("u", "a.png", "image/png", 80, 4, 3)


async def uploaded(world: World, user: UserId = ALICE, client_id: str = "u") -> Upload:
    """An upload whose bytes are there."""
    upload, _ = await world.attachments.create_upload(user, replace(PNG, client_upload_id=client_id))
    world.objects.receive(upload)
    return upload


async def send_with(world: World, conversation: str, *uploads: Upload, key: str = "k", text: str = "") -> Message:
    ids = [str(upload.attachment.id) for upload in uploads]
    return await world.sending.send(ALICE, conversation, TextRequest(key, Text(text), attachment_ids=ids))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_upload_id", ""),
        ("file_name", ""),
        ("file_name", "x" * 256),
        ("file_name", "../a.png"),
        ("file_name", "a\x00.png"),
        ("file_name", "a\nb.png"),
        ("file_name", "a\ud83d.png"),
        ("file_name", "\u200b\u3164"),
        ("content_type", "image/svg+xml"),
        ("content_type", "text/html"),
        ("size_bytes", 0),
        ("size_bytes", 100 * 1024 * 1024 + 1),
        ("width", -1),
        ("height", 100_001),
        ("length", timedelta(seconds=-1)),
    ],
)
async def test_what_may_not_be_uploaded_is_refused_by_the_name_of_the_field(
    world: World, field: str, value: object
) -> None:
    with pytest.raises(InvalidField) as refused:
        await world.attachments.create_upload(ALICE, replace(PNG, **{field: value}))
    assert refused.value.field == field


async def test_the_answer_tells_the_name_that_is_kept(world: World) -> None:
    names = ("صورة.png", "👩\u200d👩\u200d👧.png", "a b\u202ec.png", "setup.exe", "noname")
    kept = ("صورة.png", "👩\u200d👩\u200d👧.png", "a bc.png", "setup_exe.png", "noname.png")
    for number, name in enumerate(names):
        request = replace(PNG, file_name=name)
        upload, _ = await world.attachments.create_upload(UserId(f"user{number}"), request)
        assert upload.attachment.file_name == kept[number]


def test_a_file_name_cannot_break_out_of_its_header() -> None:
    file = Attachment(AttachmentId(new_id(World().clock.now())), 'a";é\u202e.png', "image/png", 1)
    assert content_disposition(file) == ("inline; filename=\"a___.png\"; filename*=UTF-8''a_%3B%C3%A9.png")


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/png", "inline"),
        ("video/mp4", "inline"),
        ("application/pdf", "attachment"),
        ("image/svg+xml", "attachment"),
    ],
)
def test_only_pictures_sounds_and_videos_are_shown_in_place(content_type: str, kind: str) -> None:
    file = Attachment(AttachmentId(new_id(World().clock.now())), "a", content_type, 1)
    assert content_disposition(file).startswith(f"{kind};")


async def test_announcing_again_gives_the_first_upload(world: World) -> None:
    first, _ = await world.attachments.create_upload(ALICE, PNG)
    world.clock.advance(60)
    again, put = await world.attachments.create_upload(ALICE, replace(PNG, size_bytes=6))
    assert again.attachment == first.attachment
    assert again.put_until == first.put_until + timedelta(seconds=60)
    assert put.url.endswith("?80")
    other, _ = await world.attachments.create_upload(BOB, PNG)
    assert other.attachment.id != first.attachment.id


async def test_nobody_has_more_uploads_waiting_than_is_allowed(world: World) -> None:
    conversation = await world.conversation()
    uploads = [await uploaded(world, ALICE, f"u{number}") for number in range(3)]
    with pytest.raises(TooManyUploads):
        await uploaded(world, ALICE, "u3")
    await uploaded(world, BOB)
    await send_with(world, conversation, uploads[0])
    await uploaded(world, ALICE, "u3")


async def test_a_message_has_its_files_everywhere_and_may_have_no_text(world: World) -> None:
    conversation = await world.conversation()
    one, other = await uploaded(world, client_id="1"), await uploaded(world, client_id="2")
    sent = await send_with(world, conversation, other, one)
    assert sent.attachments == (other.attachment, one.attachment)
    listed, _ = await world.history.list_messages(BOB, conversation, 0, 10)
    caught_up = await world.sync.sync(BOB, [], 10, None)
    assert [listed[0], caught_up.deltas[0].messages[0]] == [sent, sent]
    edited = await world.changing.edit_message(ALICE, conversation, sent.seq, Text("look"))
    assert edited.attachments == sent.attachments


async def test_a_text_without_files_may_not_be_empty(world: World) -> None:
    with pytest.raises(InvalidField):
        await send_with(world, await world.conversation())


async def test_files_of_others_of_another_message_or_unknown_are_not_there(world: World) -> None:
    conversation = await world.conversation()
    mine, bobs = await uploaded(world), await uploaded(world, BOB)
    unknown = replace(mine, attachment=replace(mine.attachment, id=AttachmentId(new_id(world.clock.now()))))
    await send_with(world, conversation, mine)
    for upload in (bobs, unknown, mine):
        with pytest.raises(AttachmentNotFound):
            await send_with(world, conversation, upload, key="k2")


async def test_bytes_must_be_there_in_full(world: World) -> None:
    conversation = await world.conversation()
    upload, _ = await world.attachments.create_upload(ALICE, PNG)
    with pytest.raises(AttachmentNotUploaded):
        await send_with(world, conversation, upload)
    world.objects.held[object_key(upload.attachment.id)] = b"1234"
    with pytest.raises(AttachmentNotUploaded):
        await send_with(world, conversation, upload)
    world.objects.receive(upload)
    assert (await send_with(world, conversation, upload)).attachments


async def test_too_many_files_or_one_twice_are_refused(world: World) -> None:
    conversation = await world.conversation()
    uploads = [await uploaded(world, client_id=f"u{number}") for number in range(3)]
    for some in (uploads, uploads[:1] * 2):
        with pytest.raises(InvalidField):
            await send_with(world, conversation, *some)


async def test_a_retry_gives_the_first_result_even_after_an_unsending_and_without_the_object_store(
    world: World,
) -> None:
    conversation = await world.conversation()
    upload = await uploaded(world)
    sent = await send_with(world, conversation, upload)
    world.objects.away = True
    assert await send_with(world, conversation, upload) == sent
    await world.changing.unsend_message(ALICE, conversation, sent.seq)
    assert (await send_with(world, conversation, upload)).content == Unsent()


async def test_texts_go_on_while_the_object_store_is_away_and_files_are_told_to_wait(world: World) -> None:
    conversation = await world.conversation()
    upload = await uploaded(world)
    world.objects.away = True
    assert (await send_with(world, conversation, key="text", text="hello")).seq == 1
    with pytest.raises(ObjectsUnavailable):
        await send_with(world, conversation, upload)


async def test_only_who_sees_the_message_gets_a_download(world: World) -> None:
    group = await world.groups.create_group(ALICE, GroupRequest("g", "Trip", ["bob"], "", False))
    conversation, upload = str(group.id), await uploaded(world)
    sent = await send_with(world, conversation, upload)
    await world.groups.add_members(ALICE, conversation, ["carol"])
    wanted = (conversation, sent.seq, str(upload.attachment.id))
    url, until = await world.attachments.get_download(BOB, *wanted)
    assert object_key(upload.attachment.id) in url
    assert until == world.clock.now() + timedelta(minutes=5)
    with pytest.raises(ConversationNotFound):
        await world.attachments.get_download(MALLORY, *wanted)
    with pytest.raises(AttachmentNotFound):
        await world.attachments.get_download(UserId("carol"), *wanted)
    with pytest.raises(AttachmentNotFound):
        await world.attachments.get_download(BOB, conversation, 1, wanted[2])
    await world.changing.unsend_message(ALICE, conversation, sent.seq)
    with pytest.raises(AttachmentNotFound):
        await world.attachments.get_download(BOB, *wanted)


async def test_a_file_whose_message_is_over_is_not_fetched_before_the_sweeper_was_there(world: World) -> None:
    conversation = await world.conversation()
    await world.vanishing.set_vanishing(ALICE, conversation, timedelta(minutes=5))
    sent = await send_with(world, conversation, await uploaded(world))
    wanted = (conversation, sent.seq, str(sent.attachments[0].id))
    await world.attachments.get_download(BOB, *wanted)
    world.clock.advance(300)
    with pytest.raises(AttachmentNotFound):
        await world.attachments.get_download(BOB, *wanted)


async def test_an_unsent_messages_objects_are_deleted_and_once_more_when_they_could_have_been_put_again(
    world: World,
) -> None:
    conversation = await world.conversation()
    upload = await uploaded(world)
    sent = await send_with(world, conversation, upload)
    await world.changing.unsend_message(ALICE, conversation, sent.seq)
    await world.collector.collect()
    assert world.objects.held == {}
    # The address is still good.
    world.objects.receive(upload)
    world.clock.advance(3_600)
    await world.collector.collect()
    assert world.objects.held == {}
    assert world.store.pending_deletes == {}


async def test_an_upload_that_no_message_took_is_collected_and_one_that_was_sent_is_not(world: World) -> None:
    conversation = await world.conversation()
    kept, late = await uploaded(world, client_id="1"), await uploaded(world, client_id="2")
    await send_with(world, conversation, kept)
    world.clock.advance(86_399)
    await world.collector.collect()
    assert len(world.objects.held) == 2
    world.clock.advance(2)
    await world.collector.collect()
    assert list(world.objects.held) == [object_key(kept.attachment.id)]
    with pytest.raises(AttachmentNotFound):
        await send_with(world, conversation, late, key="k2")


async def test_what_could_not_be_deleted_is_tried_again(world: World) -> None:
    await uploaded(world)
    world.clock.advance(86_401)
    world.objects.away = True
    await world.collector.collect()
    world.objects.away = False
    await world.collector.collect()
    assert world.objects.held
    world.clock.advance(31)
    await world.collector.collect()
    assert world.objects.held == {}


@pytest.mark.parametrize(
    ("sent", "file_name", "kept"),
    [
        ("image/JPEG", "a", "image/jpeg"),
        ("image/jpg", "a", "image/jpeg"),
        (" image/png ", "a", "image/png"),
        ("image/heif", "IMG_1.HEIF", "image/heif"),
        ("image/heic-sequence", "a", "image/heic"),
        ("audio/x-m4a", "a.m4a", "audio/mp4"),
        ("audio/mp4", "a.m4a", "audio/mp4"),
        ("audio/aac", "a", "audio/aac"),
        ("audio/x-wav", "a", "audio/wav"),
        ("audio/vnd.wave", "a", "audio/wav"),
        ("audio/mp3", "a", "audio/mpeg"),
        ("audio/webm;codecs=opus", "a", "audio/webm"),
        ("audio/ogg; codecs=opus", "a", "audio/ogg"),
        ("audio/3gpp", "a", "audio/3gpp"),
        ("audio/AMR", "a", "audio/amr"),
        ('video/mp4;codecs="avc1.42E01E, mp4a.40.2"', "a", "video/mp4"),
        ('VIDEO/WebM; Codecs="vp8;opus"', "a", "video/webm"),
        ("video/quicktime", "a.MOV", "video/quicktime"),
        ("video/x-m4v", "a", "video/mp4"),
        ("video/3gpp", "a", "video/3gpp"),
        ("video/x-matroska;codecs=avc1", "a", "video/matroska"),
        ("application/x-zip-compressed", "a", "application/zip"),
        ("text/plain;charset=UTF-8", "a", "text/plain"),
        ("application/vnd.ms-excel", "table.CSV", "text/csv"),
        ("text/csv", "a", "text/csv"),
        ("", "IMG_1.HEIC", "image/heic"),
        ("application/octet-stream", "voice.m4a", "audio/mp4"),
        ("application/octet-stream;x=y", "a.b.pdf", "application/pdf"),
    ],
)
async def test_types_are_taken_as_browsers_and_phones_write_them(
    world: World, sent: str, file_name: str, kept: str
) -> None:
    upload, put = await world.attachments.create_upload(ALICE, replace(PNG, content_type=sent, file_name=file_name))
    assert upload.attachment.content_type == kept
    assert put.headers["content-type"] == kept


@pytest.mark.parametrize(
    ("sent", "file_name", "word"),
    [
        ("image", "a.png", "media type"),
        ("image/", "a.png", "media type"),
        ("image/png/x", "a.png", "media type"),
        ("ima ge/png", "a.png", "media type"),
        ("image/png, text/html", "a.png", "media type"),
        ("image/png\r\nx-evil: 1", "a.png", "media type"),
        ("imägé/png", "a.png", "media type"),
        (";charset=utf-8", "a.png", "media type"),
        ("image/svg+xml", "a.png", "image/svg+xml is not one"),
        ("IMAGE/SVG+XML;a=image/png", "a.png", "image/svg+xml is not one"),
        ("text/html", "a.txt", "text/html is not one"),
        ("application/vnd.ms-excel", "a.xls", "vnd.ms-excel is not one"),
        ("", "noname", "application/octet-stream is not one"),
        ("application/octet-stream", "a.exe", "application/octet-stream is not one"),
    ],
)
async def test_other_types_are_refused_in_words(world: World, sent: str, file_name: str, word: str) -> None:
    with pytest.raises(InvalidField, match=re.escape(word)) as refused:
        await world.attachments.create_upload(ALICE, replace(PNG, content_type=sent, file_name=file_name))
    assert refused.value.field == "content_type"


def test_every_alias_leads_to_a_type_that_can_be_sent_and_every_such_type_is_its_own_name() -> None:
    assert set(ALIASES.values()) <= set(DEFAULT_TYPES)
    assert [media_type(allowed, "") for allowed in DEFAULT_TYPES] == list(DEFAULT_TYPES)


def test_configured_types_are_compared_alike() -> None:
    policy = UploadPolicy(types=frozenset({"Audio/X-M4A"}))
    assert check_content_type("audio/mp4", "a", policy) == "audio/mp4"


@pytest.mark.parametrize("others_pass", [True, False])
async def test_what_is_queued_is_deleted_although_nothing_more_can_be_queued(
    world: World, monkeypatch: pytest.MonkeyPatch, others_pass: bool
) -> None:
    conversation = await world.conversation()
    sent = await send_with(world, conversation, await uploaded(world))
    await world.changing.unsend_message(ALICE, conversation, sent.seq)

    async def queue_unused(now: datetime, limit: int) -> int:
        raise cut_off(others_pass=others_pass)

    monkeypatch.setattr(world.uploads, "queue_unused", queue_unused)
    with nullcontext() if others_pass else pytest.raises(StoreUnavailable):
        await world.collector.collect()
    assert (world.objects.held == {}) == others_pass
