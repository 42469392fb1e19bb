"""Voice messages: what may be sent as one, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from parley.messaging.v1 import events_pb2, messages_pb2, service_pb2

from services.messaging.attachments.core.uploads import ScanState, Upload
from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.kernel.content import Text, Unsent, Voice
from services.messaging.kernel.errors import (
    AttachmentNotFound,
    AttachmentNotScanned,
    AttachmentNotUploaded,
    InvalidField,
    NotEditable,
    RequestPending,
    SendRate,
)
from services.messaging.kernel.model import AttachmentId, Message
from services.messaging.kernel.weighing import weigh_message
from services.messaging.kernel.withholding import withhold
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import (
    MessageLimits,
    SendRequest,
    TextRequest,
)
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.wire import api
from services.messaging.wire.contents import read_content
from services.messaging.wire.events import message_sent, withheld_event
from services.messaging.wire.storage import from_columns, to_columns
from services.runtime.ids import new_id
from tests.support.file_samples import sound
from tests.support.messaging_cases import Cases
from tests.support.messaging_world import ALICE, BOB, World, at_work

SOUND = UploadRequest("u", "a.ogg", "audio/ogg", 80)
SPOKEN = Voice(None, timedelta(seconds=12.4), bytes(range(128)))


async def put(world: World, request: UploadRequest = SOUND) -> Upload:
    upload, _ = await world.attachments.create_upload(ALICE, request)
    world.objects.receive(upload, sound(80) if request.content_type == "audio/ogg" else None)
    return upload


async def speak(world: World, conversation: str, upload: Upload, voice: Voice = SPOKEN, *ids: str) -> Message:
    id_ = upload.attachment.id
    request = SendRequest("k", replace(voice, attachment_id=id_), attachment_ids=ids or [str(id_)])
    return await world.sending.send(ALICE, conversation, request)


async def test_what_was_spoken_is_heard_by_the_other_as_it_was_sent(world: World) -> None:
    conversation, upload = await world.conversation(), await put(world)
    sent = await speak(world, conversation, upload)
    assert sent.content == replace(SPOKEN, attachment_id=upload.attachment.id)
    assert sent.attachments == (upload.attachment,)
    (shown,), _ = await world.history.list_messages(BOB, conversation, 0, 0)
    assert shown == sent
    url, _ = await world.attachments.get_download(BOB, conversation, 1, str(upload.attachment.id))
    assert "audio/ogg" in url
    told = api.message_message(shown).voice
    assert (told.attachment_id, told.length.ToTimedelta(), told.waveform) == (
        str(upload.attachment.id),
        SPOKEN.length,
        SPOKEN.waveform,
    )


async def test_a_retry_gets_the_first_result(world: World) -> None:
    conversation, upload = await world.conversation(), await put(world)
    first = await speak(world, conversation, upload)
    assert await speak(world, conversation, upload) == first
    # Also of what would be refused today.
    assert await speak(world, conversation, upload, replace(SPOKEN, length=timedelta(0))) == first


@pytest.mark.parametrize(
    ("field", "voice"),
    [
        ("voice.length", replace(SPOKEN, length=timedelta(0))),
        ("voice.length", replace(SPOKEN, length=timedelta(seconds=-3))),
        ("voice.length", replace(SPOKEN, length=timedelta(milliseconds=99, microseconds=999))),
        ("voice.length", replace(SPOKEN, length=timedelta(minutes=15, microseconds=1))),
        ("voice.waveform", replace(SPOKEN, waveform=b"\x00" * 129)),
    ],
)
async def test_what_is_beyond_the_bounds_is_refused_by_the_name_of_the_field(
    world: World, field: str, voice: Voice
) -> None:
    conversation, upload = await world.conversation(), await put(world)
    with pytest.raises(InvalidField) as refused:
        await speak(world, conversation, upload, voice)
    assert refused.value.field == field


@pytest.mark.parametrize("length", [timedelta(milliseconds=100), timedelta(minutes=15)])
async def test_the_bounds_themselves_are_taken_and_a_waveform_may_be_left_out(world: World, length: timedelta) -> None:
    conversation, upload = await world.conversation(), await put(world)
    assert isinstance(
        (await speak(world, conversation, upload, replace(SPOKEN, length=length, waveform=b""))).content, Voice
    )


async def test_it_has_its_one_sound_and_no_other_file(world: World) -> None:
    conversation, upload = await world.conversation(), await put(world)
    other = await put(world, replace(SOUND, client_upload_id="v"))
    one, two = str(upload.attachment.id), str(other.attachment.id)
    for ids in ((one, two), (two,), (one, one), ("x",)):
        with pytest.raises(InvalidField) as refused:
            await speak(world, conversation, upload, SPOKEN, *ids)
        assert refused.value.field == "attachment_ids"
    for voice, beside in ((SPOKEN, ()), (SPOKEN, (one,)), (replace(SPOKEN, attachment_id=upload.attachment.id), ())):
        with pytest.raises(InvalidField):
            await world.sending.send(ALICE, conversation, SendRequest("k", voice, attachment_ids=beside))


async def test_a_picture_is_no_sound(world: World) -> None:
    conversation, picture = await world.conversation(), await put(world, UploadRequest("u", "a.png", "image/png", 80))
    with pytest.raises(InvalidField, match="audio/") as refused:
        await speak(world, conversation, picture)
    assert refused.value.field == "attachment_ids"


async def test_its_sound_must_be_there_and_ones_own(world: World) -> None:
    conversation = await world.conversation()
    upload, _ = await world.attachments.create_upload(ALICE, SOUND)
    with pytest.raises(AttachmentNotUploaded):
        await speak(world, conversation, upload)
    id_ = upload.attachment.id
    theirs = SendRequest("k", replace(SPOKEN, attachment_id=id_), attachment_ids=[str(id_)])
    with pytest.raises(AttachmentNotFound):
        await world.sending.send(BOB, conversation, theirs)


async def test_the_scanner_is_asked_about_it_as_about_any_file() -> None:
    async with at_work(World(wake_scans=lambda: None)) as world:
        conversation, upload = await world.conversation(), await put(world)
        with pytest.raises(AttachmentNotScanned):
            await speak(world, conversation, upload)
        (waiting,) = await world.uploads.claim_scans(world.clock.now(), world.clock.now() + timedelta(seconds=30), 9)
        await world.uploads.end_scan(upload.attachment.id, waiting.etag, ScanState.CLEAN)
        assert (await speak(world, conversation, upload)).attachments == (upload.attachment,)


async def test_it_counts_as_a_send_of_the_person(world: World) -> None:
    conversation, upload = await world.conversation(), await put(world)
    rates = SendRates(per_s=0.001, burst=1)
    cases = Cases(world.store, world.sends, rates, world.clock, new_id, MessageLimits(), world.attachments)
    slow = cases.sending
    id_ = upload.attachment.id
    await slow.send(ALICE, conversation, TextRequest("t", Text("one")))
    with pytest.raises(SendRate):
        await slow.send(
            ALICE, conversation, SendRequest("k", replace(SPOKEN, attachment_id=id_), attachment_ids=[str(id_)])
        )


async def test_before_anybody_lets_it_in_nothing_is_spoken(world: World) -> None:
    nobody = SettingsChange(Audience.FOLLOWED, None, None)
    await world.store.relations.change_settings(BOB, nobody, world.clock.now())
    conversation, upload = await world.conversation(), await put(world)
    with pytest.raises(RequestPending):
        await speak(world, conversation, upload)


async def test_it_can_be_unsent_with_its_sound_and_not_be_edited(world: World) -> None:
    conversation, upload = await world.conversation(), await put(world)
    await speak(world, conversation, upload)
    with pytest.raises(NotEditable):
        await world.changing.edit_message(ALICE, conversation, 1, Text("no"))
    unsent = await world.changing.unsend_message(ALICE, conversation, 1)
    assert (unsent.content, unsent.attachments) == (Unsent(), ())
    await world.collector.collect()
    assert world.objects.held == {}


async def test_in_requests_its_length_is_told_and_nothing_to_fetch_or_draw(world: World) -> None:
    conversation, upload = await world.conversation(), await put(world)
    sent = await speak(world, conversation, upload)
    shown = withhold(sent)
    assert (shown.content, shown.attachments) == (Voice(None, SPOKEN.length), ())
    event = events_pb2.ConversationEvent.FromString(message_sent(sent))
    live = withheld_event(event).message_sent.message
    assert live == api.message_message(shown)
    assert weigh_message(sent) > weigh_message(shown)


def test_it_is_stored_as_it_is() -> None:
    voice = replace(SPOKEN, attachment_id=AttachmentId(UUID(int=7)))
    columns = to_columns(voice)
    assert (columns.kind, columns.body, columns.entities, columns.call, columns.line) == ("voice", "", None, None, None)
    assert from_columns(columns._asdict()) == voice


@pytest.mark.parametrize(
    "voice",
    [
        messages_pb2.VoiceContent(attachment_id="x"),
        messages_pb2.VoiceContent(length={"seconds": 2**62}),
    ],
)
def test_what_cannot_be_read_says_so(voice: messages_pb2.VoiceContent) -> None:
    with pytest.raises((ValueError, OverflowError)):
        read_content(service_pb2.SendMessageRequest(voice=voice))


def test_a_request_without_content_has_none() -> None:
    assert read_content(service_pb2.SendMessageRequest()) is None
