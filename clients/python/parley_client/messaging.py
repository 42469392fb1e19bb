"""Conversations and messages of one device, as a program handles them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from parley.messaging.v1 import attachments_pb2 as files
from parley.messaging.v1 import messages_pb2 as wire
from parley.messaging.v1 import service_pb2 as api

from parley_client.asking import ask_until_told
from parley_client.client import Device
from parley_client.conversations import Conversations
from parley_client.entries import Entry, LinkPreview, Sticker
from parley_client.inbox import to_entry
from parley_client.stream import EventStream


@dataclass(frozen=True)
class Draft:
    """What one writes. `entities`: links and mentions; `attachment_ids`: uploads that have arrived at the store.
    `preview`: of a link among the entities, or of an address that is a word of the text."""

    text: str
    reply_to_seq: int = 0
    entities: Sequence[wire.TextEntity] = field(default=())
    attachment_ids: Sequence[str] = field(default=())
    preview: LinkPreview | None = None


@dataclass(frozen=True)
class NewPoll:
    """A poll that one sends: 2 to 10 options, of which a person may choose one, or several where it is `multiple`."""

    question: str
    options: Sequence[str]
    multiple: bool = False
    reply_to_seq: int = 0


@dataclass(frozen=True)
class NewSticker:
    """A sticker or a GIF that one sends, of a provider that the service allows."""

    sticker: Sticker
    reply_to_seq: int = 0


@dataclass(frozen=True)
class NewVoice:
    """A voice message that one sends. `attachment_id`: a sound that `ParleyClient.uploads` gave to the store.
    `length_s`: 0.1 to 900. `waveform`: its loudness in equal parts of its length, a byte each, at most 128 of them."""

    attachment_id: str
    length_s: float
    waveform: bytes = b""
    reply_to_seq: int = 0


# Whatever is sent.
Sendable = str | Draft | NewPoll | NewSticker | NewVoice


def send_request(conversation_id: str, draft: Sendable, client_message_id: str) -> api.SendMessageRequest:
    """What is asked of the service to send a draft."""
    if isinstance(draft, NewPoll):
        return api.SendMessageRequest(
            conversation_id=conversation_id,
            client_message_id=client_message_id,
            reply_to_seq=draft.reply_to_seq,
            poll=wire.PollContent(question=draft.question, options=draft.options, multiple=draft.multiple),
        )
    if isinstance(draft, NewSticker):
        sticker = draft.sticker
        return api.SendMessageRequest(
            conversation_id=conversation_id,
            client_message_id=client_message_id,
            reply_to_seq=draft.reply_to_seq,
            sticker=wire.StickerContent(
                url=sticker.url,
                width=sticker.width,
                height=sticker.height,
                description=sticker.description,
                provider_ref=sticker.provider_ref,
            ),
        )
    if isinstance(draft, NewVoice):
        return _voice_request(conversation_id, draft, client_message_id)
    draft = Draft(draft) if isinstance(draft, str) else draft
    return api.SendMessageRequest(
        conversation_id=conversation_id,
        client_message_id=client_message_id,
        reply_to_seq=draft.reply_to_seq,
        attachment_ids=draft.attachment_ids,
        text=_text_content(draft.text, draft.entities, draft.preview),
    )


def _voice_request(conversation_id: str, draft: NewVoice, client_message_id: str) -> api.SendMessageRequest:
    request = api.SendMessageRequest(
        conversation_id=conversation_id,
        client_message_id=client_message_id,
        reply_to_seq=draft.reply_to_seq,
        attachment_ids=[draft.attachment_id],
        voice=wire.VoiceContent(attachment_id=draft.attachment_id, waveform=draft.waveform),
    )
    request.voice.length.FromMilliseconds(round(draft.length_s * 1000))
    return request


def _text_content(text: str, entities: Sequence[wire.TextEntity], preview: LinkPreview | None) -> wire.TextContent:
    content = wire.TextContent(text=text, entities=entities)
    if preview:
        content.preview.CopyFrom(
            wire.LinkPreview(
                url=preview.url, title=preview.title, description=preview.description, site_name=preview.site_name
            )
        )
    return content


class Messaging:
    """Every method raises Failure, and repeats by itself what passes."""

    def __init__(self, device: Device, stream: EventStream) -> None:
        self._api = device.messaging
        self._files = device.attachments
        self._stream = stream
        self._me = device.user_id
        # Of the conversations in which something is being sent.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def store(self) -> Conversations:
        """What this device has: one order, no gaps, no doubles. `store.history(id).shown` are the messages."""
        return self._stream.inbox.conversations

    async def open_direct(self, peer_user_id: str) -> str:
        """Opens the one conversation with a person, and gives its id."""
        request = api.CreateDirectConversationRequest(peer_user_id=peer_user_id)
        answer = await ask_until_told(lambda: self._api.CreateDirectConversation(request))
        self._stream.take_conversation(answer.conversation)
        return answer.conversation.conversation_id

    async def send(
        self, conversation_id: str, draft: Sendable, *, client_message_id: str = "", view_once: bool = False
    ) -> Entry:
        """Sends, and gives the message as it is stored. The sends of one conversation go in the order of the calls.

        Give a `client_message_id` of your own to whatever another run of your program may send again: it is stored
        once, and a retry gets the first result. `view_once`: each recipient opens the one picture or video, which has
        no text, or the voice message once.
        """
        request = send_request(conversation_id, draft, client_message_id or str(uuid.uuid4()))
        request.view_once = view_once
        turn = self._turns.get(conversation_id) or self._turns.setdefault(conversation_id, asyncio.Lock())
        async with turn:
            answer = await ask_until_told(lambda: self._api.SendMessage(request))
        return self._taken(answer.message)

    async def edit(
        self,
        conversation_id: str,
        seq: int,
        text: str,
        entities: Sequence[wire.TextEntity] = (),
        preview: LinkPreview | None = None,
    ) -> Entry:
        """Replaces the text of one's own message, with its links, mentions and preview."""
        content = _text_content(text, entities, preview)
        request = api.EditMessageRequest(conversation_id=conversation_id, seq=seq, text=content)
        return self._taken((await ask_until_told(lambda: self._api.EditMessage(request))).message)

    async def forward(
        self, conversation_id: str, seq: int, targets: Sequence[str] | Mapping[str, str]
    ) -> dict[str, str]:
        """Puts copies of a message into up to 10 other conversations, and gives the reason of each that took none.

        Give the `client_message_id` of each copy (`{conversation: id}`) where another run of your program may forward
        the same again: what has gone does not go twice.
        """
        keys = targets if isinstance(targets, Mapping) else {target: str(uuid.uuid4()) for target in targets}
        request = api.ForwardMessageRequest(conversation_id=conversation_id, seq=seq)
        for target, key in keys.items():
            request.targets.add(conversation_id=target, client_message_id=key)
        answer = await ask_until_told(lambda: self._api.ForwardMessage(request))
        refused: dict[str, str] = {}
        for target, result in zip(keys, answer.results, strict=True):
            if result.HasField("message"):
                self._taken(result.message)
            else:
                refused[target] = result.refusal.reason
        return refused

    async def unsend(self, conversation_id: str, seq: int) -> Entry:
        """Takes one's own message back for everyone."""
        request = api.UnsendMessageRequest(conversation_id=conversation_id, seq=seq)
        return self._taken((await ask_until_told(lambda: self._api.UnsendMessage(request))).message)

    async def react(self, conversation_id: str, seq: int, emoji: str, present: bool = True) -> Entry:
        """Puts one's reaction on a message, or takes it away."""
        request = api.SetReactionRequest(conversation_id=conversation_id, seq=seq, emoji=emoji, present=present)
        return self._taken((await ask_until_told(lambda: self._api.SetReaction(request))).message)

    async def vote(self, conversation_id: str, seq: int, option_indexes: Sequence[int]) -> Entry:
        """Makes these options of a poll one's choice, in place of an earlier one; none takes the vote back."""
        request = api.VotePollRequest(conversation_id=conversation_id, seq=seq, option_indexes=option_indexes)
        return self._taken((await ask_until_told(lambda: self._api.VotePoll(request))).message)

    async def open_once(self, conversation_id: str, seq: int) -> str:
        """Opens a view-once message of somebody else's, which can be done once, and gives the address of its file. It
        is good for some minutes. Everybody in the conversation sees who has opened it."""
        request = files.OpenViewOnceRequest(
            conversation_id=conversation_id, seq=seq, client_request_id=str(uuid.uuid4())
        )
        answer = await ask_until_told(lambda: self._files.OpenViewOnce(request))
        self._taken(answer.message)
        return answer.download_url

    async def mark_read(self, conversation_id: str, seq: int = 0) -> int:
        """Says that this user has read up to a message, without a seq up to the newest that this device has.

        Gives the cursor as it stands; it only moves forward.
        """
        wanted = seq or self.store.history(conversation_id).cursor
        request = api.MarkReadRequest(conversation_id=conversation_id, seq=wanted)
        moved = (await ask_until_told(lambda: self._api.MarkRead(request))).read_seq
        self.store.history(conversation_id).move_own_read(moved)
        return moved

    async def list_messages(
        self, conversation_id: str, *, before_seq: int = 0, page_size: int = 50
    ) -> tuple[list[Entry], bool]:
        """A page of the service's history, the oldest first, and whether there is more below it.

        Of messages below `before_seq`; 0 is from the newest. The store does not keep them.
        """
        request = api.ListMessagesRequest(conversation_id=conversation_id, before_seq=before_seq, page_size=page_size)
        answer = await ask_until_told(lambda: self._api.ListMessages(request))
        return [to_entry(message) for message in reversed(answer.messages)], answer.has_more

    async def load_all(self) -> None:
        """Brings the rest of the account's list of conversations: it began with the newest 100 of each folder."""
        await ask_until_told(self._stream.load_all)

    def _taken(self, message: wire.Message) -> Entry:
        self._stream.take_message(message)
        return to_entry(message)

    async def set_draft(self, conversation_id: str, text: str, reply_to_seq: int = 0) -> None:
        """Keeps what is written and not sent, for all devices of this user; an empty text takes it away."""
        request = api.SetDraftRequest(conversation_id=conversation_id, text=text, reply_to_seq=reply_to_seq)
        await ask_until_told(lambda: self._api.SetDraft(request))

    async def drafts(self) -> list[wire.Draft]:
        """What is written and not sent, on whatever device; changes come to `on_event` (DeviceEvent.draft)."""
        found: list[wire.Draft] = []
        request = api.ListDraftsRequest()
        while True:
            page = await ask_until_told(lambda: self._api.ListDrafts(request))
            found += page.drafts
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token
