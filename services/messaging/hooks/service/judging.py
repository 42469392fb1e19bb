"""What people write, judged before it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from services.messaging import metrics
from services.messaging.hooks.core.holding import MOST_HELD, HeldState, Place, held_of
from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import Hold, Question, Refuse, Surface, Writing
from services.messaging.hooks.ports import HeldStore, NoAnswer
from services.messaging.hooks.service.asking import Asking
from services.messaging.kernel.content import Content, Text
from services.messaging.kernel.errors import (
    ConversationFrozen,
    ConversationNotFound,
    HookUnavailable,
    MessageHeld,
    MessageRefused,
    NotAllowed,
)
from services.messaging.kernel.model import Attachment, Conversation, ConversationKind, DraftKey, UserId
from services.runtime.clock import Clock
from services.runtime.ids import NewId

# What an edit is held under: nothing that a device may choose as an id of its own.
EDIT_KEY_PREFIX = "\x1fedit/"
_SURFACES = {ConversationKind.DIRECT: Surface.DIRECT, ConversationKind.GROUP: Surface.GROUP}


@dataclass(frozen=True)
class Written:
    """A message as it is to be stored, but for its place."""

    key: DraftKey
    content: Content
    attachments: Sequence[Attachment] = ()
    reply_to_seq: int = 0
    by_server: bool = False
    forwarded: bool = False


class Judging:
    """The use-cases of messages and groups ask here, after their own checks and outside of every transaction.

    Errors of each: MessageRefused, HookUnavailable, StoreUnavailable; of messages and edits MessageHeld.
    """

    def __init__(self, asking: Asking, held: HeldStore, policy: HookPolicy, clock: Clock, new_id: NewId) -> None:
        self._asking = asking
        self._held = held
        self._policy = policy
        self._clock = clock
        self._new_id = new_id

    async def message(self, written: Written) -> Content:
        """What is to be stored of a new message. What was held under its key before is not judged anew. Nobody is asked
        about what is refused anyway. Errors: ConversationNotFound, NotAllowed, ConversationFrozen."""
        key = written.key
        place = _require_place(await self._held.find_place(key))
        surface = Surface.REQUEST if place.is_request else _SURFACES[place.kind]
        question = replace(
            self._question(Writing.MESSAGE, surface, key.sender_id, written.content),
            conversation_id=key.conversation_id,
            client_message_id=key.client_message_id,
            reply_to_seq=written.reply_to_seq,
            attachments=tuple(written.attachments),
            peer_id=place.peer_id,
            by_server=written.by_server,
            forwarded=written.forwarded,
        )
        return await self._judged(question)

    async def edit(self, conversation: Conversation, user_id: UserId, seq: int, text: Text) -> Text:
        """What is to be stored of a new text for a message, which its sender may edit."""
        question = replace(
            self._question(Writing.EDIT, _surface_of(conversation, user_id), user_id, text),
            conversation_id=conversation.id,
            client_message_id=f"{EDIT_KEY_PREFIX}{seq}",
            seq=seq,
            peer_id=_peer_of(conversation, user_id),
        )
        return _as_text(await self._judged(question))

    async def title(self, conversation: Conversation | None, user_id: UserId, title: str, *, by_server: bool) -> str:
        """What is to be stored of a title; without a conversation, of a group that is not there yet. What would be held
        is refused."""
        surface = _surface_of(conversation, user_id) if conversation else Surface.GROUP
        question = replace(
            self._question(Writing.GROUP_TITLE, surface, user_id, Text(title)),
            conversation_id=conversation.id if conversation else None,
            by_server=by_server,
        )
        return _as_text(await self._judged(question)).text

    def _question(self, writing: Writing, surface: Surface, sender_id: UserId, content: Content) -> Question:
        now = self._clock.now()
        return Question(self._new_id(now), writing, surface, sender_id, content, now)

    async def _judged(self, question: Question) -> Content:
        without = self._policy.of(question.surface, by_server=question.by_server)
        if without is WithoutAnswer.UNASKED:
            return question.content
        try:
            judged = await self._asking.judge(question)
        except NoAnswer:
            metrics.HOOK_UNJUDGED.labels(question.surface.value, without.value).inc()
            if without is WithoutAnswer.CLOSED:
                raise HookUnavailable from None
            return question.content
        if isinstance(judged, Refuse):
            raise MessageRefused(judged.word)
        if isinstance(judged, Hold):
            await self._hold(question, judged)
        return judged

    async def _hold(self, question: Question, verdict: Hold) -> NoReturn:
        held = held_of(question, verdict.word)
        if held is None or not await self._held.hold(held, MOST_HELD):
            raise MessageRefused(verdict.word)
        raise MessageHeld


def _require_place(place: Place | None) -> Place:
    """Where one may write. Refused now, and not only when it is stored: by then it might be taken, and nobody judged
    it."""
    if place is None or not place.is_member:
        raise ConversationNotFound
    if place.held in (HeldState.WAITING, HeldState.RELEASING):
        raise MessageHeld
    if place.held is HeldState.REFUSED:
        raise MessageRefused
    if place.is_frozen:
        raise ConversationFrozen
    if place.is_blocked:
        raise NotAllowed
    return place


def _surface_of(conversation: Conversation, user_id: UserId) -> Surface:
    return Surface.REQUEST if conversation.is_unaccepted_by_others(user_id) else _SURFACES[conversation.kind]


def _peer_of(conversation: Conversation, user_id: UserId) -> UserId | None:
    if conversation.kind is not ConversationKind.DIRECT:
        return None
    return next((member.user_id for member in conversation.members if member.user_id != user_id), None)


def _as_text(content: Content) -> Text:
    # Of a text nothing but a text is made (verdicts.content_after).
    assert isinstance(content, Text)
    return content
