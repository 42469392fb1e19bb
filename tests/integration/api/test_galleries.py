"""What was sent in a conversation, by its kind, through the edge: who is shown what."""

from __future__ import annotations

import secrets

import grpc
from parley.messaging.v1 import messages_pb2 as messages
from parley.messaging.v1 import relations_pb2 as relations
from parley.messaging.v1 import service_pb2 as messaging

from parley_client.client import Device
from tests.integration.api.conftest import World, open_direct, refused
from tests.integration.api.test_attachments import announce, fetch, send_files, upload
from tests.integration.api.test_relations import take_requests
from tests.support.file_samples import sound

ADDRESS = "https://a.example/"
MEDIA, LINK = messaging.SEARCH_HAS_PICTURE_OR_VIDEO, messaging.SEARCH_HAS_LINK
FILE, VOICE = messaging.SEARCH_HAS_OTHER_FILE, messaging.SEARCH_HAS_VOICE


async def listed(device: Device, conversation_id: str, has: messaging.SearchHas.ValueType) -> list[int]:
    """The seqs, the newest first, over pages of one each."""
    seqs = []
    request = messaging.SearchMessagesRequest(conversation_id=conversation_id, has=[has], page_size=1)
    while True:
        answer = await device.messaging.SearchMessages(request)
        seqs += [message.seq for message in answer.messages]
        if not answer.next_page_token:
            return seqs
        request.page_token = answer.next_page_token


async def send_link(device: Device, conversation_id: str) -> int:
    text = messages.TextContent(
        text=ADDRESS, entities=[messages.TextEntity(offset=0, length=len(ADDRESS), link_url=ADDRESS)]
    )
    request = messaging.SendMessageRequest(
        conversation_id=conversation_id, client_message_id=secrets.token_hex(8), text=text
    )
    return (await device.messaging.SendMessage(request)).message.seq


async def put(device: Device, name: str, content_type: str, body: bytes) -> str:
    announced = await announce(device, len(body), name, content_type)
    assert (await fetch("PUT", announced.upload_url, announced.headers, body))[0] == 200
    return announced.attachment.attachment_id


async def test_each_kind_is_listed_by_itself_until_it_is_taken_back(world: World) -> None:
    alice, bob, conversation_id = await world.pair()
    picture = (await send_files(alice, conversation_id, await upload(alice))).seq
    document = (await send_files(bob, conversation_id, await put(bob, "a.pdf", "application/pdf", b"%PDF-1.7\n"))).seq
    links = [await send_link(alice, conversation_id) for _ in range(3)]
    spoken = await put(bob, "a.ogg", "audio/ogg", sound(400))
    voice = messages.VoiceContent(attachment_id=spoken, length={"seconds": 3})
    request = messaging.SendMessageRequest(
        conversation_id=conversation_id, client_message_id="spoken", attachment_ids=[spoken], voice=voice
    )
    heard = (await bob.messaging.SendMessage(request)).message.seq
    expected = {MEDIA: [picture], FILE: [document], LINK: links[::-1], VOICE: [heard]}
    assert {has: await listed(alice, conversation_id, has) for has in expected} == expected
    for seq in (picture, links[1]):
        await alice.messaging.UnsendMessage(messaging.UnsendMessageRequest(conversation_id=conversation_id, seq=seq))
    assert await listed(bob, conversation_id, MEDIA) == []
    assert await listed(bob, conversation_id, LINK) == [links[2], links[0]]


async def test_only_members_are_shown_anything_and_nothing_from_before_they_joined(world: World) -> None:
    alice, bob, carol = world.device(), world.device(), world.device()
    created = messaging.CreateGroupRequest(client_conversation_id="g", title="Trip", user_ids=[bob.user_id])
    group = (await alice.messaging.CreateGroup(created)).conversation.conversation_id
    before = await send_link(alice, group)
    await alice.messaging.AddMembers(messaging.AddMembersRequest(conversation_id=group, user_ids=[carol.user_id]))
    after = await send_link(alice, group)
    assert await listed(bob, group, LINK) == [after, before]
    assert await listed(carol, group, LINK) == [after]
    await bob.messaging.LeaveGroup(messaging.LeaveGroupRequest(conversation_id=group))
    for nobody in (bob, world.device()):
        with refused(grpc.StatusCode.NOT_FOUND, "CONVERSATION_NOT_FOUND"):
            await listed(nobody, group, LINK)


async def test_a_request_shows_nothing_until_it_is_let_in(world: World) -> None:
    alice, bob, carol = world.device(), world.device(), world.device()
    await take_requests(bob)
    # Carol lets it in, so that more than plain texts may be said.
    created = messaging.CreateGroupRequest(
        client_conversation_id="g", title="Trip", user_ids=[bob.user_id, carol.user_id]
    )
    group = (await alice.messaging.CreateGroup(created)).conversation.conversation_id
    picture = (await send_files(alice, group, await upload(alice))).seq
    link = await send_link(alice, group)
    for has in (MEDIA, FILE, LINK, VOICE):
        assert await listed(bob, group, has) == []
    await bob.relations.AcceptRequest(relations.AcceptRequestRequest(conversation_id=group))
    assert (await listed(bob, group, MEDIA), await listed(bob, group, LINK)) == ([picture], [link])


async def test_without_words_one_kind_of_one_conversation_is_asked_for(world: World) -> None:
    alice, _, conversation_id = await world.pair()
    other = await open_direct(alice, world.device().user_id)
    for request, field in (
        (messaging.SearchMessagesRequest(has=[LINK]), "query"),
        (messaging.SearchMessagesRequest(conversation_id=conversation_id), "query"),
        (messaging.SearchMessagesRequest(conversation_id=conversation_id, has=[LINK, MEDIA]), "has"),
        (messaging.SearchMessagesRequest(conversation_id=other, has=[messaging.SEARCH_HAS_FILE]), "has"),
        (messaging.SearchMessagesRequest(conversation_id=other, has=[LINK], page_token="x"), "page_token"),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID") as refusal:
            await alice.messaging.SearchMessages(request)
        assert refusal.fields == (field,)
