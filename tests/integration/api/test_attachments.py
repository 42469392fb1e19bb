"""Files beside messages and whole accounts, through the edge and the object store, as devices use them."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping

import aiohttp
import grpc
from parley.messaging.v1 import accounts_pb2 as accounts
from parley.messaging.v1 import accounts_pb2_grpc
from parley.messaging.v1 import attachments_pb2 as attachments
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import service_pb2 as messaging
from yarl import URL

from deploy.embedded.record import StackRecord
from parley_client.client import Device
from services.runtime.grpc.channels import connect
from tests.integration.api.conftest import DEADLINE_S, World, open_direct, refused, send
from tests.support.account_jobs import finished
from tests.support.admins import admin_of
from tests.support.file_samples import OTHERS, png, sound
from tests.support.stack import RunningStack
from tests.support.waiting import PATIENCE_S, eventually

PICTURE = png(200)


async def fetch(
    method: str, url: str, headers: Mapping[str, str] | None = None, data: bytes | None = None
) -> tuple[int, bytes, str]:
    """Status, body and Content-Disposition, by a plain HTTP client."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, URL(url, encoded=True), headers=headers, data=data) as response,
    ):
        return response.status, await response.read(), response.headers.get("Content-Disposition", "")


async def announce(
    device: Device, size_bytes: int = len(PICTURE), name: str = "café.png", content_type: str = "image/png"
) -> attachments.CreateUploadResponse:
    request = attachments.CreateUploadRequest(
        client_upload_id=secrets.token_hex(8), file_name=name, content_type=content_type, size_bytes=size_bytes
    )
    return await device.attachments.CreateUpload(request)


async def upload(device: Device) -> str:
    """The id of a picture that is put and in no message yet."""
    announced = await announce(device)
    status, _, _ = await fetch("PUT", announced.upload_url, announced.headers, PICTURE)
    assert status == 200
    return announced.attachment.attachment_id


async def send_files(device: Device, conversation: str, *ids: str) -> messages.Message:
    request = messaging.SendMessageRequest(
        conversation_id=conversation, client_message_id=secrets.token_hex(8), attachment_ids=ids
    )
    request.text.text = ""
    return (await device.messaging.SendMessage(request)).message


async def test_a_picture_is_put_sent_fetched_by_the_other_and_gone_when_it_is_unsent(world: World) -> None:
    one, other, conversation = await world.pair_online()
    stranger = world.device()
    sent = await send_files(one.device, conversation, await upload(one.device))
    await other.until_seq(conversation, sent.seq)
    entry = other.stream.inbox.conversations.history(conversation).entry(sent.seq)
    assert entry is not None
    assert entry.attachments == (sent.attachments[0].attachment_id,)
    wanted = attachments.GetDownloadRequest(
        conversation_id=conversation, seq=sent.seq, attachment_id=sent.attachments[0].attachment_id
    )
    url = (await other.device.attachments.GetDownload(wanted)).download_url
    status, body, disposition = await fetch("GET", url)
    assert (status, body) == (200, PICTURE)
    assert disposition == "inline; filename=\"caf_.png\"; filename*=UTF-8''caf%C3%A9.png"
    with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
        await stranger.attachments.GetDownload(wanted)
    await one.device.messaging.UnsendMessage(messaging.UnsendMessageRequest(conversation_id=conversation, seq=sent.seq))
    with refused(grpc.StatusCode.NOT_FOUND, "ATTACHMENT_NOT_FOUND"):
        await other.device.attachments.GetDownload(wanted)

    async def is_gone() -> bool:
        return (await fetch("GET", url))[0] == 404

    await eventually(is_gone, DEADLINE_S)


async def test_a_voice_message_is_spoken_heard_by_the_other_and_gone_when_it_is_unsent(world: World) -> None:
    one, other, conversation = await world.pair_online()
    spoken = sound(400)
    announced = await announce(one.device, len(spoken), "a.ogg", "audio/ogg")
    assert (await fetch("PUT", announced.upload_url, announced.headers, spoken))[0] == 200
    id_ = announced.attachment.attachment_id
    voice = messages.VoiceContent(attachment_id=id_, length={"seconds": 3}, waveform=b"\x00\x80\xff")
    request = messaging.SendMessageRequest(
        conversation_id=conversation, client_message_id="spoken", attachment_ids=[id_], voice=voice
    )
    sent = (await one.device.messaging.SendMessage(request)).message
    assert (sent.voice, sent.attachments[0].content_type) == (voice, "audio/ogg")
    await other.until_seq(conversation, sent.seq)
    entry = other.stream.inbox.conversations.history(conversation).entry(sent.seq)
    assert entry is not None
    assert (entry.kind, entry.attachments) == ("voice", (id_,))
    wanted = attachments.GetDownloadRequest(conversation_id=conversation, seq=sent.seq, attachment_id=id_)
    url = (await other.device.attachments.GetDownload(wanted)).download_url
    assert (await fetch("GET", url))[:2] == (200, spoken)
    for wrong, field in (
        (messages.VoiceContent(attachment_id="x", length={"seconds": 3}), "voice"),
        (messages.VoiceContent(attachment_id=id_, length={"seconds": 2**62}), "voice"),
        (messages.VoiceContent(attachment_id=id_, length={"seconds": 901}), "voice.length"),
        (messages.VoiceContent(attachment_id=id_, length={"seconds": 3}, waveform=b"x" * 129), "voice.waveform"),
    ):
        request = messaging.SendMessageRequest(
            conversation_id=conversation, client_message_id=field, attachment_ids=[id_], voice=wrong
        )
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as why:
            await one.device.messaging.SendMessage(request)
        assert why.fields == (field,)
    await one.device.messaging.UnsendMessage(messaging.UnsendMessageRequest(conversation_id=conversation, seq=sent.seq))
    with refused(grpc.StatusCode.NOT_FOUND, "ATTACHMENT_NOT_FOUND"):
        await other.device.attachments.GetDownload(wanted)


async def test_bytes_of_another_size_or_type_are_refused_and_unfinished_uploads_cannot_be_sent(world: World) -> None:
    one, _, conversation = await world.pair()
    announced = await announce(one)
    url, headers = announced.upload_url, dict(announced.headers)
    assert (await fetch("PUT", url, headers, PICTURE + b"!"))[0] == 403
    assert (await fetch("PUT", url, {**headers, "content-type": "text/html"}, PICTURE))[0] == 403
    assert (await fetch("GET", url))[0] == 403
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ATTACHMENT_NOT_UPLOADED"):
        await send_files(one, conversation, announced.attachment.attachment_id)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await announce(one, 1 << 40)
    assert refusal.fields == ("size_bytes",)


async def test_a_program_that_calls_itself_a_picture_is_named_one_and_never_sent(world: World) -> None:
    one, _, conversation = await world.pair()
    program = OTHERS["a program of Windows"]
    announced = await announce(one, len(program), "setup\u202egnp.exe")
    assert announced.attachment.file_name == "setupgnp_exe.png"
    assert (await fetch("PUT", announced.upload_url, announced.headers, program))[0] == 200
    assert (await fetch("PUT", announced.upload_url, announced.headers, program))[0] == 412
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ATTACHMENT_REFUSED"):
        await send_files(one, conversation, announced.attachment.attachment_id)


async def test_a_link_that_reads_as_another_host_is_refused_in_messages_and_in_edits(world: World) -> None:
    one, _, conversation = await world.pair()
    lie = messages.TextContent(text="see bank.example now")
    lie.entities.add(offset=4, length=12, link_url="https://evil.example/login")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
        await one.messaging.SendMessage(
            messaging.SendMessageRequest(conversation_id=conversation, client_message_id="lie", text=lie)
        )
    assert refusal.fields == ("text.entities.link_url",)
    sent = await send(one, conversation, "see")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
        await one.messaging.EditMessage(
            messaging.EditMessageRequest(conversation_id=conversation, seq=sent.seq, text=lie)
        )


async def test_nobody_sends_the_upload_of_another(world: World) -> None:
    one, other, conversation = await world.pair()
    with refused(grpc.StatusCode.NOT_FOUND, "ATTACHMENT_NOT_FOUND"):
        await send_files(other, conversation, await upload(one))


async def test_ones_data_can_be_taken_along_by_oneself_only(world: World) -> None:
    one, other, conversation = await world.pair()
    await send(one, conversation, "to be taken along")
    started = (await one.account.StartExport(accounts.StartExportRequest())).job
    assert (await one.account.StartExport(accounts.StartExportRequest())).job.job_id == started.job_id
    with refused(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"):
        await other.account.GetJob(accounts.GetJobRequest(job_id=started.job_id))
    job = await finished(one, started)
    parts = [await fetch("GET", url) for url in job.download_urls]
    assert {status for status, _, _ in parts} == {200}
    lines = [json.loads(line) for _, body, _ in parts for line in body.decode().splitlines()]
    assert lines[0]["format"] == "parley-account-export"
    assert [line["message"]["text"]["text"] for line in lines if line["type"] == "message"] == ["to be taken along"]


async def test_a_deleted_account_is_refused_and_its_messages_are_taken_back_live(world: World) -> None:
    one, other, conversation = await world.pair_online()
    sent = await send(one.device, conversation, "soon to be gone")
    await other.until_seq(conversation, sent.seq)
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"):
        await one.device.account.DeleteAccount(accounts.DeleteAccountRequest(confirm_user_id=other.user_id))
    request = accounts.DeleteAccountRequest(confirm_user_id=one.user_id)
    job = (await one.device.account.DeleteAccount(request)).job
    assert (await one.device.account.DeleteAccount(request)).job.job_id == job.job_id
    for call in (
        send(one.device, conversation, "still here?"),
        open_direct(one.device, "somebody"),
        one.device.messaging.ListConversations(messaging.ListConversationsRequest()),
        announce(one.device),
        one.device.account.StartExport(accounts.StartExportRequest()),
    ):
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_DELETED"):
            await call

    def is_taken_back() -> bool:
        entry = other.stream.inbox.conversations.history(conversation).entry(sent.seq)
        return entry is not None and entry.text is None

    await other.stream.until(is_taken_back, 60, "the message to be taken back")
    await finished(one.device, job)


async def test_the_back_office_exports_and_deletes_with_a_persons_token(world: World, record: StackRecord) -> None:
    one, _, conversation = await world.pair()
    await send(one, conversation, "hello")
    async with connect(record.admin_addresses["messaging"], admin_of(record, "privacy")) as channel:
        admin = accounts_pb2_grpc.AccountAdminServiceStub(channel)
        exported = (await admin.ExportUser(accounts.ExportUserRequest(user_id=one.user_id), timeout=PATIENCE_S)).job
        found = await admin.GetUserJob(accounts.GetUserJobRequest(job_id=exported.job_id), timeout=PATIENCE_S)
        assert found.job.kind == accounts.JOB_KIND_EXPORT
        deleted = (await admin.DeleteUser(accounts.DeleteUserRequest(user_id=one.user_id), timeout=PATIENCE_S)).job
        assert deleted.kind == accounts.JOB_KIND_DELETION
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "ACCOUNT_DELETED"):
        await send(one, conversation, "still here?")


async def test_texts_are_sent_while_the_object_store_is_dead_and_files_are_told_to_wait(
    world: World, stack: RunningStack
) -> None:
    one, _, conversation = await world.pair()
    file = await upload(one)
    pid = stack.kill("objects")
    sent = await send(one, conversation, "without a file")
    assert sent.seq == 1
    await asyncio.to_thread(stack.wait_for_restart, "objects", pid)
    assert (await send_files(one, conversation, file)).seq == 2
