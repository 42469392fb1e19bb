"""What people write, judged before it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from services.messaging import metrics
from services.messaging.hooks.core.holding import MAX_HELD, HeldState, Place, edit_key, held_of
from services.messaging.hooks.core.policy import HookPolicy, WithoutAnswer
from services.messaging.hooks.core.verdicts import Hold, Question, Refuse, Surface, Writing
from services.messaging.hooks.ports import HeldStore, NoAnswer, Places
from services.messaging.hooks.service.asking import Asking
from services.messaging.kernel.content import Content, Text
from services.messaging.kernel.errors import (
    ConversationFrozen,
    ConversationNotFound,
    HookUnavailable,
    MessageHeld,
    MessageRefused,
    MessagingError,
    NotAllowed,
)
from services.messaging.kernel.model import Attachment, Conversation, ConversationKind, DraftKey, UserId
from services.runtime.clock import Clock
from services.runtime.ids import NewId

_SURFACES = {ConversationKind.DIRECT: Surface.DIRECT, ConversationKind.GROUP: Surface.GROUP}


@dataclass(frozen=True)
class Judged:
    """What is to be stored of a message, and as of which version of the conversation, where that was remembered."""

    content: Content
    version: int | None = None


@dataclass(frozen=True)
class Written:
    """A message as it is to be stored, but for its place."""

    key: DraftKey
    content: Content
    attachments: Sequence[Attachment] = ()
    reply_to_seq: int = 0
    by_server: bool = False
    forwarded: bool = False
    view_once: bool = False


class Judging:
    """The use-cases of messages and groups ask here, after their own checks and outside of every transaction.

    Errors of each: MessageRefused, HookUnavailable, StoreUnavailable; of messages and edits MessageHeld.
    """

    def __init__(
        self, asking: Asking, held: HeldStore, places: Places, policy: HookPolicy, clock: Clock, new_id: NewId
    ) -> None:
        self._asking = asking
        self._places = places
        self._held = held
        self._policy = policy
        self._clock = clock
        self._new_id = new_id

    async def message(self, written: Written, *, look: bool = False) -> Judged:
        """What is to be stored of a new message. What was held under its key before is not judged anew. Nobody is asked
        about what is refused anyway, as far as this replica remembers; with `look` it asks for the place in any case.
        Errors: ConversationNotFound, NotAllowed, ConversationFrozen."""
        key = written.key
        remembered = None if look else self._places.remembered(key)
        place = remembered or await self._require_place(key)
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
            view_once=written.view_once,
        )
        answer = await self._answer(question)
        if remembered and not isinstance(answer, Content):
            await self._require_still(key)
        return Judged(await self._carried_out(question, answer), place.version)

    async def edit(self, conversation: Conversation, user_id: UserId, seq: int, text: Text) -> Text:
        """What is to be stored of a new text for a message, which its sender may edit."""
        question = replace(
            self._question(Writing.EDIT, _surface_of(conversation, user_id), user_id, text),
            conversation_id=conversation.id,
            client_message_id=edit_key(seq),
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
        return Question(self._new_id(now), writing, surface, sender_id, self._policy.asked_about(content), now)

    async def _require_place(self, key: DraftKey) -> Place:
        return _require_place(await self._held.find_place(key))

    async def _require_still(self, key: DraftKey) -> None:
        """How a remembered place stands now, which comes before what the hook makes of a message there."""
        try:
            await self._require_place(key)
        except MessagingError:
            self._places.forget([key.conversation_id])
            raise

    async def _judged(self, question: Question) -> Content:
        return await self._carried_out(question, await self._answer(question))

    async def _answer(self, question: Question) -> Content | Hold | Refuse | None:
        """None: there is none, and nothing passes without."""
        without = self._policy.of(question.surface, by_server=question.by_server)
        if without is WithoutAnswer.UNASKED:
            return question.content
        try:
            return await self._asking.judge(question)
        except NoAnswer:
            metrics.HOOK_UNJUDGED.labels(question.surface.value, without.value).inc()
            return None if without is WithoutAnswer.CLOSED else question.content

    async def _carried_out(self, question: Question, answer: Content | Hold | Refuse | None) -> Content:
        if answer is None:
            raise HookUnavailable
        if isinstance(answer, Refuse):
            raise MessageRefused(answer.reason)
        if isinstance(answer, Hold):
            await self._hold(question, answer)
        return answer

    async def _hold(self, question: Question, verdict: Hold) -> NoReturn:
        held = held_of(question, verdict.reason)
        if held is None or not await self._held.hold(held, MAX_HELD):
            raise MessageRefused(verdict.reason)
        # Its sender's next one is looked up, and so is a retry.
        self._places.forget([held.key.conversation_id])
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
