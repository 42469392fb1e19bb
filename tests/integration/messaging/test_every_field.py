"""The strangers' test, generated: to who is not in a conversation, every request about it is answered as one about a
conversation that does not exist, whatever else it says. New RPCs and fields are covered by being in the protos."""

from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.messaging.attachments.service.attachments import UploadRequest
from services.messaging.kernel.content import Text
from services.messaging.kernel.model import UserId
from services.messaging.messages.service.requests import TextRequest
from services.runtime.identity import scopes
from tests.integration.messaging.test_any_request import ALICE, RPCS, SERVICES, TABLE, Town
from tests.support.file_samples import sound
from tests.support.filled_requests import Values
from tests.support.strangers import Findings, Questions, ask_both, request_of, told

NOWHERE = str(UUID(int=7))
# Who was never let in; who was and was removed; who left.
STRANGER, REMOVED, LEFT = "mallory", "rae", "leo"
# They speak of others' conversations for Parley's own services, which hold a token of their own.
INTERNAL = {"MembershipService", "ModerationService", "AccountAdminService"}
# Of a server that moderates: it acts as nobody, in any conversation.
MODERATION = {
    method
    for method, rule in scopes.SCOPES["parley.messaging.v1.ServerMessagingService"].items()
    if rule.takes == scopes.MODERATION_WRITE
}
# Of the moment, whatever is asked.
OF_THE_MOMENT = ("sync_time", "sync_token")


@pytest.fixture
async def town(migrated_url: str) -> AsyncIterator[Town]:
    """Two have been in Alice and Bob's group, and said something there."""
    town = Town(migrated_url)
    await town.open()
    conversation = town.known["conversation_id"][0]
    await town.groups.add_members(ALICE, conversation, [REMOVED, LEFT])
    for user in (REMOVED, LEFT):
        message = await town.sending.send(UserId(user), conversation, TextRequest("before", Text("I was here")))
        await town.changing.set_reaction(UserId(user), conversation, message.seq, "👍", present=True)
    await town.groups.remove_member(ALICE, conversation, REMOVED)
    await town.groups.leave_group(UserId(LEFT), conversation)
    yield town
    await town.close()


async def own_upload(town: Town, user: str) -> str:
    upload, _ = await town.attachments.create_upload(UserId(user), UploadRequest("own", "a.ogg", "audio/ogg", 80))
    town.objects.receive(upload, sound(80))
    return str(upload.attachment.id)


def values_of(town: Town, user: str, conversation: str, own_file: str) -> Values:
    """What there is in the conversation, and what there is not."""
    users = ["bob", "alice", STRANGER, REMOVED, "nobody", ""]
    return {
        "conversation_id": [conversation],
        **dict.fromkeys(("user_id", "mention_user_id", "peer_user_id", "from_user_id"), users),
        "as_user_id": [user, "alice", "nobody", ""],
        "user_ids": users,
        "attachment_ids": [own_file, *town.known["attachment_id"], NOWHERE, "x"],
        "attachment_id": [own_file, *town.known["attachment_id"], NOWHERE],
        "seq": [1, 2, 3, 99, 0, -1],
        "seqs": [1, 2, 3, 99, -1],
        "reply_to_seq": [1, 2, 99, -1, 0],
        "before_seq": [1, 99, 0, -1],
        "offset": [0, 1, 99],
        "length": [1, 5, 99],
        "emoji": ["👍", "no emoji", ""],
        "option_indexes": [0, 1, 99, -1],
        # It is refused by what takes none, and where there is no file.
        "view_once": [False, True],
        "url": ["https://stickers.example/a.gif", "https://evil.example/a.gif", "ftp://x"],
        "link_url": ["https://x.example/", "ftp://x"],
        "query": ["hello", "here", ""],
        "page_token": ["", NOWHERE, "x"],
        "sync_token": ["", "x"],
        "seconds": [300, 0, 1, -1],
        "nanos": [0, 1, -1],
        "page_size": [1, 0, 10_000],
        "limit": [1, 0, 10_000],
        # With the word that the preview is of.
        "text": ["hello https://stickers.example/a.gif", "hello", "", "x" * 20_000],
    }


def names_conversation(message: Message) -> bool:
    """Whether there is a place for a conversation in it."""
    return any(
        field.name == "conversation_id"
        or (field.message_type is not None and names_conversation(GetMessageClass(field.message_type)()))
        for field in message.DESCRIPTOR.fields
    )


async def test_whoever_is_out_is_told_the_same_of_a_conversation_as_of_none(town: Town) -> None:
    group, direct = town.known["conversation_id"]
    findings = Findings()
    for user, conversations in ((STRANGER, (group, direct)), (REMOVED, (group,)), (LEFT, (group,))):
        own_file = await own_upload(town, user)
        for service, method in RPCS:
            described = SERVICES[service].methods_by_name[method]
            if service in INTERNAL or method in MODERATION or not names_conversation(request_of(described)()):
                continue
            ask = partial(town.ask, service, method, user)
            for conversation in conversations:
                questions = Questions(
                    values_of(town, user, conversation, own_file),
                    values_of(town, user, NOWHERE, own_file),
                    # What is held or waits is looked for by who wrote it: it is found, or not, wherever they are.
                    ["CONVERSATION_NOT_FOUND", "HELD_NOT_FOUND", "SCHEDULED_NOT_FOUND"],
                    [(conversation, NOWHERE)],
                )
                ask_as = partial(told, ask, table=TABLE, of_the_moment=OF_THE_MOMENT)
                await ask_both(findings, user, described, questions, ask_as)
    findings.assert_none()
