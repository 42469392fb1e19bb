"""What people do in conversations: type, write, send pictures, read, react, search; timed from when it was due."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Awaitable, Callable

from parley.gateway.v1 import messages_pb2 as events
from parley.messaging.v1 import attachments_pb2, messages_pb2, service_pb2
from parley.presence.v1 import service_pb2 as presence

from loadtests.evening.handset import Handset, Person
from loadtests.evening.schedule import Action, Kind
from loadtests.evening.state import EXPECTED, Evening
from parley_client.retries import retrying

# How a JPEG begins; the rest of a picture carries nothing.
_JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
_WORDS = ("tonight", "tomorrow", "dinner", "really", "coming", "where", "home", "later", "photo", "game", "friend")
_REACTIONS = ("👍", "❤️", "😂", "😮", "🎉")
# How long a session that is being opened is waited for before what was to be done in it has failed.
THERE_WITHIN_S = 30.0

Doing = Callable[[Evening, Person, Action], Awaitable[None]]


async def type_notice(evening: Evening, person: Person, action: Action) -> None:
    """Tells the others that the person types. The first notice of a text is timed to each device that shows it."""
    conversation_id = evening.conversation_ids[action.place]
    place = evening.town.places[action.place]
    if not place.is_group and not evening.typing.is_awaited(conversation_id, person.user_id):
        evening.typing.begin(conversation_id, person.user_id, action.due_s, _names(_others(evening, person, action)))
    request = presence.SetTypingRequest(conversation_id=conversation_id, typing=True)
    await person.phone.device.presence.SetTyping(request)
    evening.counts["typing notices"] += 1


async def send(evening: Evening, person: Person, action: Action) -> None:
    """Sends a text, with its picture when there is one, and awaits it on the devices of all others that are there."""
    conversation_id, phone = evening.conversation_ids[action.place], person.phone
    for typed_s in evening.typing.end(conversation_id, person.user_id):
        evening.latencies.fail("typing", typed_s, "AFTER_THE_MESSAGE")
    due_s = action.due_s
    attachment_ids = []
    if action.file_bytes:
        attachment_ids.append(await _upload(evening, person, action))
        # The picture's time has been told; the message is due now.
        due_s = time.monotonic()
    key = secrets.token_hex(16)
    request = service_pb2.SendMessageRequest(
        conversation_id=conversation_id,
        client_message_id=key,
        attachment_ids=attachment_ids,
        text=messages_pb2.TextContent(text=_text(action.characters, evening.habits.chance)),
    )
    evening.on_their_way.send(key, due_s, _names(_others(evening, person, action)))
    try:
        answer = await retrying(lambda: phone.device.messaging.SendMessage(request))
    except EXPECTED:
        evening.on_their_way.give_up(key)
        raise
    evening.record("send", due_s)
    evening.on_their_way.acknowledge(key, conversation_id, answer.message.seq)
    evening.counts["messages"] += 1


async def _upload(evening: Evening, person: Person, action: Action) -> str:
    request = attachments_pb2.CreateUploadRequest(
        client_upload_id=secrets.token_hex(16),
        file_name="evening.jpg",
        content_type="image/jpeg",
        size_bytes=max(action.file_bytes, len(_JPEG)),
    )
    try:
        made = await retrying(lambda: person.phone.device.attachments.CreateUpload(request))
        body = _JPEG.ljust(action.file_bytes, b"\0")
        async with evening.http.put(made.upload_url, data=body, headers=dict(made.headers)) as answer:
            answer.raise_for_status()
    except EXPECTED as error:
        evening.fail("upload", action.due_s, error)
        raise
    evening.record("upload", action.due_s)
    evening.counts["files"] += 1
    return str(made.attachment.attachment_id)


async def fetch(evening: Evening, person: Person, action: Action) -> None:
    """Fetches the picture of a message."""
    request = attachments_pb2.GetDownloadRequest(
        conversation_id=evening.conversation_ids[action.place], seq=action.seq, attachment_id=action.attachment_id
    )
    told = await retrying(lambda: person.phone.device.attachments.GetDownload(request))
    async with evening.http.get(told.download_url) as answer:
        answer.raise_for_status()
        async for _ in answer.content.iter_any():
            pass
    evening.record("download", action.due_s)


async def read(evening: Evening, person: Person, action: Action) -> None:
    """Says that all up to a message is read."""
    seq = person.reading.pop(action.place, action.seq)
    request = service_pb2.MarkReadRequest(conversation_id=evening.conversation_ids[action.place], seq=seq)
    await retrying(lambda: person.phone.device.messaging.MarkRead(request))
    evening.record("read", action.due_s)


async def react(evening: Evening, person: Person, action: Action) -> None:
    """Puts a reaction on a message."""
    request = service_pb2.SetReactionRequest(
        conversation_id=evening.conversation_ids[action.place],
        seq=action.seq,
        emoji=evening.habits.chance.choice(_REACTIONS),
        present=True,
    )
    await retrying(lambda: person.phone.device.messaging.SetReaction(request))
    evening.record("react", action.due_s)


async def search(evening: Evening, person: Person, action: Action) -> None:
    """Looks for a word in all of the person's conversations."""
    request = service_pb2.SearchMessagesRequest(query=evening.habits.chance.choice(_WORDS))
    await retrying(lambda: person.phone.device.messaging.SearchMessages(request))
    evening.record("search", action.due_s)


# By kind: how it is done, and the name of what is measured.
DOINGS: dict[Kind, tuple[str, Doing]] = {
    Kind.TYPE: ("typing", type_notice),
    Kind.SEND: ("send", send),
    Kind.FETCH: ("download", fetch),
    Kind.READ: ("read", read),
    Kind.REACT: ("react", react),
    Kind.SEARCH: ("search", search),
}


def hear_message(evening: Evening, handset: Handset, message: messages_pb2.Message, now_s: float) -> None:
    """A stream brought a message: it is timed, and its reader reads, reacts, answers, fetches what is attached."""
    if not handset.check.take(message.conversation_id, message.seq, message.revision):
        return
    due_s = evening.on_their_way.arrive(handset.name, message.client_message_id)
    if due_s is not None:
        evening.latencies.record("deliver", due_s, now_s)
        evening.counts["deliveries"] += 1
    handset.delivered[message.conversation_id] = max(message.seq, handset.delivered.get(message.conversation_id, 0))
    person = evening.by_user[handset.user_id]
    place = evening.place_of.get(message.conversation_id, -1)
    is_looked_at = place >= 0 and person.handsets[:1] == [handset] and message.sender_id != person.user_id
    if is_looked_at and message.WhichOneof("content") == "text":
        evening.add(*_responses(evening, person, place, message, now_s))


def hear_typing(evening: Evening, handset: Handset, typing: events.Typing, now_s: float) -> None:
    """A stream brought the word that somebody types."""
    due_s = evening.typing.see(typing.conversation_id, typing.user_id, handset.name) if typing.typing else None
    if due_s is not None:
        evening.latencies.record("typing", due_s, now_s)


def _responses(
    evening: Evening, person: Person, place: int, message: messages_pb2.Message, now_s: float
) -> list[Action]:
    habits = evening.habits
    read_s = now_s + habits.reading_s(len(message.text.text))
    actions = [
        Action(now_s, Kind.FETCH, person.number, place, seq=message.seq, attachment_id=attachment.attachment_id)
        for attachment in message.attachments
    ]
    if place not in person.reading:
        actions.append(Action(read_s, Kind.READ, person.number, place, seq=message.seq))
    # Whoever reads on says only once how far.
    person.reading[place] = message.seq
    if habits.reacts():
        actions.append(Action(read_s, Kind.REACT, person.number, place, seq=message.seq))
    if not evening.town.places[place].is_group:
        actions += habits.reply(now_s, person.number, place, len(message.text.text))
    return actions


def _others(evening: Evening, person: Person, action: Action) -> list[Handset]:
    """The devices of the others in the conversation that are there, and are told of everything."""
    members = evening.town.places[action.place].members
    return [
        handset
        for member in members
        if member != person.number
        for handset in evening.persons[member].handsets
        if handset.is_current
    ]


def _names(handsets: list[Handset]) -> list[str]:
    return [handset.name for handset in handsets]


def _text(characters: int, chance: random.Random) -> str:
    """Words, so that searches find some."""
    words = " ".join(chance.choices(_WORDS, k=characters // 6 + 1))
    return words[: max(characters, 1)].strip() or "x"
