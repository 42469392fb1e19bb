"""What was sent in a conversation, by its kind: a search without words, and who is shown what by it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.groups.service import GroupRequest
from services.messaging.kernel.content import Link, Text, Voice
from services.messaging.kernel.errors import ConversationNotFound, InvalidField
from services.messaging.kernel.model import AttachmentId, Message, UserId
from services.messaging.messages.service.requests import SendRequest, TextRequest
from services.messaging.relations.core.reach import Audience, SettingsChange
from services.messaging.search.core import LISTED, Filters, Has
from tests.support.file_samples import sound
from tests.support.messaging_world import ALICE, BOB, MALLORY, World, group, send

CAROL = UserId("carol")
LINKED = Text("see a.example", (Link(4, 9, "https://a.example/"),))


async def upload(world: World, user: UserId, key: str, name: str, content_type: str) -> str:
    upload, _ = await world.attachments.create_upload(user, UploadRequest(key, name, content_type, 80))
    world.objects.receive(upload, sound(80) if content_type == "audio/ogg" else None)
    return str(upload.attachment.id)


async def send_picture(world: World, user: UserId, conversation: str, key: str = "p") -> Message:
    ids = [await upload(world, user, key, "a.png", "image/png")]
    return await world.sending.send(user, conversation, TextRequest(key, Text(""), attachment_ids=ids))


async def send_link(world: World, user: UserId, conversation: str, key: str = "l") -> Message:
    return await world.sending.send(user, conversation, TextRequest(key, LINKED))


async def send_voice(world: World, user: UserId, conversation: str) -> Message:
    id_ = await upload(world, user, "v", "a.ogg", "audio/ogg")
    return await world.sending.send(
        user, conversation, SendRequest("v", Voice(AttachmentId(UUID(id_)), timedelta(seconds=3)), attachment_ids=[id_])
    )


async def listed(world: World, user: UserId, conversation: str, has: Has = Has.LINK) -> list[int]:
    """Over all pages, which hold two each."""
    seqs, token = await page_of(world, user, conversation, has, "")
    while token:
        more, token = await page_of(world, user, conversation, has, token)
        seqs += more
    return seqs


async def page_of(world: World, user: UserId, conversation: str, has: Has, token: str) -> tuple[list[int], str]:
    messages, token = await world.search.search(user, "", conversation, 2, token, Filters(has=frozenset({has})))
    return _seqs(messages), token


def _seqs(messages: Sequence[Message]) -> list[int]:
    return [message.seq for message in messages]


async def test_each_kind_is_listed_in_pages_without_words_of_its_own(world: World) -> None:
    conversation = await world.conversation()
    links = [(await send_link(world, ALICE, conversation, str(number))).seq for number in range(5)]
    await send(world, BOB, conversation, "k", "see nothing")
    picture = await send_picture(world, ALICE, conversation)
    voice = await send_voice(world, ALICE, conversation)
    assert await listed(world, BOB, conversation) == links[::-1]
    assert await listed(world, BOB, conversation, Has.PICTURE_OR_VIDEO) == [picture.seq]
    assert await listed(world, BOB, conversation, Has.VOICE) == [voice.seq]
    assert await listed(world, BOB, conversation, Has.OTHER_FILE) == []


async def test_only_a_member_is_shown_anything_and_nothing_from_before_they_joined_or_after_they_left(
    world: World,
) -> None:
    conversation = await group(world, BOB)
    before = await send_link(world, ALICE, conversation, "before")
    await world.groups.add_members(ALICE, conversation, [CAROL])
    after = await send_link(world, ALICE, conversation, "after")
    assert await listed(world, BOB, conversation) == [after.seq, before.seq]
    assert await listed(world, CAROL, conversation) == [after.seq]
    await world.groups.leave_group(BOB, conversation)
    for nobody in (BOB, MALLORY):
        with pytest.raises(ConversationNotFound):
            await listed(world, nobody, conversation)


async def test_what_vanished_is_not_shown_though_nobody_swept_it_yet_and_no_page_ends_the_list_early(
    world: World,
) -> None:
    conversation = await world.conversation()
    stays = await send_link(world, ALICE, conversation, "stays")
    await world.vanishing.set_vanishing(ALICE, conversation, timedelta(minutes=5))
    vanished = [await send_picture(world, ALICE, conversation, "p"), await send_link(world, ALICE, conversation)]
    vanished += [await send_link(world, ALICE, conversation, str(number)) for number in range(2)]
    assert len(await listed(world, BOB, conversation)) == 4
    world.clock.advance(300)
    assert await listed(world, BOB, conversation) == [stays.seq]
    assert await listed(world, BOB, conversation, Has.PICTURE_OR_VIDEO) == []
    # Two of them were on it.
    assert (await page_of(world, BOB, conversation, Has.LINK, ""))[0] == []
    assert vanished[0].expires_at == world.clock.now()


async def test_what_was_taken_back_is_not_shown(world: World) -> None:
    conversation = await world.conversation()
    picture, link = await send_picture(world, ALICE, conversation), await send_link(world, ALICE, conversation)
    for message in (picture, link):
        await world.changing.unsend_message(ALICE, conversation, message.seq)
    for has in LISTED:
        assert await listed(world, ALICE, conversation, has) == []


async def test_a_request_shows_nothing_until_it_is_let_in(world: World) -> None:
    await world.relations.update_settings(BOB, SettingsChange(messages=Audience.FOLLOWED))
    asked = await world.groups.create_group(MALLORY, GroupRequest("g", "Free!", [ALICE, BOB], "", False))
    await send_link(world, MALLORY, str(asked.id))
    await send_picture(world, MALLORY, str(asked.id))
    await send_voice(world, MALLORY, str(asked.id))
    for has in LISTED:
        assert await page_of(world, BOB, str(asked.id), has, "") == ([], "")
    await world.relations.accept_request(BOB, str(asked.id))
    assert len(await listed(world, BOB, str(asked.id))) == 1


@pytest.mark.parametrize(
    ("has", "token", "field"),
    [
        ((), "", "query"),
        ((Has.FILE,), "", "has"),
        ((Has.LINK, Has.VOICE), "", "has"),
        ((Has.LINK,), "x", "page_token"),
        ((Has.LINK,), "0", "page_token"),
        ((Has.LINK,), "٣", "page_token"),
        ((Has.LINK,), "9" * 19, "page_token"),
    ],
)
async def test_a_list_without_words_is_of_one_conversation_and_one_kind(
    world: World, has: tuple[Has, ...], token: str, field: str
) -> None:
    conversation = await world.conversation()
    with pytest.raises(InvalidField) as refusal:
        await world.search.search(ALICE, "", conversation, 0, token, Filters(has=frozenset(has)))
    assert refusal.value.field == field
    with pytest.raises(InvalidField):
        await world.search.search(ALICE, "", "", 0, "", Filters(has=frozenset({Has.LINK})))
