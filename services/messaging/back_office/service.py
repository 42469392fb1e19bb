"""What servers do, as use-cases: mostly what an account could do by itself, by the code that does it for users."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from services.messaging.back_office.core import check_reason, check_removed, check_until
from services.messaging.back_office.ports import Admission, ModerationStore
from services.messaging.conversations.service import Conversations
from services.messaging.groups.service import GroupRequest, Groups
from services.messaging.hooks.core.holding import Held
from services.messaging.hooks.service.reviewing import Reviews
from services.messaging.kernel import checks
from services.messaging.kernel.errors import ConversationNotFound, MessageNotFound
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Conversation, ConversationId, Message, UserId
from services.messaging.kernel.ports import ConversationReader
from services.messaging.kernel.weighing import MAX_ANSWER_BYTES, fitting, weigh_message
from services.messaging.kernel.withholding import shown
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import MessageChange
from services.messaging.messages.ports import MessageStore
from services.messaging.messages.service.history import History
from services.messaging.messages.service.requests import Said
from services.messaging.messages.service.sending import Sending
from services.runtime.clock import Clock
from services.runtime.identity.server_keys import Server


class BackOffice:
    """`server` is always the authenticated caller, `as_user` the account as whom it acts; moderation acts as nobody.

    Errors of each beside those named: InvalidField, AccountDeleted, and runtime's CallerNotAllowed.
    """

    def __init__(
        self,
        conversations: Conversations,
        sending: Sending,
        history: History,
        groups: Groups,
        conversation_reader: ConversationReader,
        message_store: MessageStore,
        moderation: ModerationStore,
        admission: Admission,
        reviews: Reviews,
        clock: Clock,
    ) -> None:
        self._conversations = conversations
        self._sending = sending
        self._history = history
        self._groups = groups
        self._conversation_reader = conversation_reader
        self._message_store = message_store
        self._moderation = moderation
        self._admission = admission
        self._reviews = reviews
        self._clock = clock

    async def send(self, server: Server, as_user: str, conversation_id: str, request: Said) -> Message:
        """Errors and idempotency as Sending.send has them."""
        account = await self._require_account(server, as_user)
        return await self._sending.send(account, conversation_id, replace(request, by_server=True))

    async def open_direct(self, server: Server, as_user: str, peer: str) -> Conversation:
        """Errors and idempotency as Conversations.open_direct has them."""
        return await self._conversations.open_direct(await self._require_account(server, as_user), peer)

    async def create_group(self, server: Server, as_user: str, request: GroupRequest) -> Conversation:
        """Errors and idempotency as Groups.create_group has them."""
        account = await self._require_account(server, as_user)
        return await self._groups.create_group(account, replace(request, by_server=True))

    async def add_members(
        self, server: Server, as_user: str, conversation_id: str, user_ids: Sequence[str], client_request_id: str
    ) -> Conversation:
        """Errors and idempotency as Groups.add_members has them."""
        account = await self._require_account(server, as_user)
        return await self._groups.add_members(account, conversation_id, user_ids, client_request_id)

    async def remove_members(
        self, server: Server, as_user: str, conversation_id: str, user_ids: Sequence[str], reason: str
    ) -> Conversation:
        """One after the other; idempotent, so that one that was refused in the middle may be asked for again.

        Errors as Groups.remove_member has them.
        """
        account = await self._require_account(server, as_user)
        check_reason(reason)
        first, *others = check_removed(user_ids)
        group = await self._groups.remove_member(account, conversation_id, first)
        for person in others:
            group = await self._groups.remove_member(account, conversation_id, person)
        return group

    async def get_conversation(self, server: Server, as_user: str, conversation_id: str) -> Conversation:
        """Without an account any conversation, for servers that may act as everybody. Errors: ConversationNotFound."""
        if as_user:
            account = await self._require_account(server, as_user)
            return await self._conversations.get_conversation(account, conversation_id)
        server.require_every_account()
        return await self._any_conversation(conversation_id)

    async def list_messages(
        self, server: Server, as_user: str, conversation_id: str, before_seq: int, page_size: int
    ) -> tuple[Sequence[Message], bool]:
        """A page, descending, and whether there is more; without an account as get_conversation. What vanished stays
        unseen. Errors: ConversationNotFound."""
        if as_user:
            account = await self._require_account(server, as_user)
            return await self._history.list_messages(account, conversation_id, before_seq, page_size)
        server.require_every_account()
        limit = checks.check_range("page_size", page_size, 50, 200)
        before = checks.check_seq("before_seq", before_seq) or None
        conversation = await self._any_conversation(conversation_id)
        found = await self._message_store.list_messages(conversation.id, 0, before, limit + 1)
        fits = fitting([weigh_message(message) for message in found[:limit]], MAX_ANSWER_BYTES)
        return shown(found[:fits], self._clock.now()), len(found) > fits

    async def take_down_message(self, conversation_id: str, seq: int, reason: str) -> Message:
        """Take a message away from everyone; its place stays. Idempotent. Errors: ConversationNotFound,
        MessageNotFound, NotEditable."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        checks.check_seq("seq", seq)
        check_reason(reason)
        now = self._clock.now()

        def decide(_: Conversation, message: Message | None) -> MessageChange | None:
            if message is None:
                raise MessageNotFound
            return changes.take_down(as_of(message, now))

        return as_of(await self._message_store.change_message(target, seq, decide, now), now)

    async def list_held(self, page_size: int, page_token: str) -> tuple[Sequence[Held], str]:
        """What waits for a review, the oldest first, and the token of the next page."""
        return await self._reviews.list_held(page_size, page_token)

    async def release_held(self, held_id: str, reason: str) -> Message:
        """Let it pass. Idempotent. Errors as Reviews.release has them."""
        check_reason(reason)
        return await self._reviews.release(held_id)

    async def refuse_held(self, held_id: str, reason: str) -> None:
        """Do not let it pass. Idempotent. Errors as Reviews.refuse has them."""
        check_reason(reason)
        await self._reviews.refuse(held_id)

    async def freeze_conversation(self, conversation_id: str, reason: str, *, frozen: bool) -> None:
        """Let nobody say anything in a conversation, or let people again. Idempotent. Errors: ConversationNotFound."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        check_reason(reason)
        await self._moderation.set_frozen(target, frozen=frozen)

    async def restrict_account(self, user_id: str, until: datetime, reason: str) -> None:
        """Let an account write nothing before then; a later call sets another time. Idempotent."""
        person = checks.check_user_id("user_id", user_id)
        check_reason(reason)
        check_until(until, self._clock.now())
        await self._admission.require_not_deleted(person)
        await self._set_restriction(person, until)

    async def lift_restriction(self, user_id: str, reason: str) -> None:
        """Let an account write again. Idempotent."""
        person = checks.check_user_id("user_id", user_id)
        check_reason(reason)
        await self._admission.require_not_deleted(person)
        await self._set_restriction(person, None)

    async def _set_restriction(self, person: UserId, until: datetime | None) -> None:
        await self._moderation.set_restriction(person, until)
        self._admission.note_restriction(person, until)

    async def _require_account(self, server: Server, as_user: str) -> UserId:
        """As whom it acts. Raises InvalidField, CallerNotAllowed, AccountDeleted."""
        account = checks.check_user_id("as_user_id", as_user)
        server.require_account(account)
        await self._admission.require_not_deleted(account)
        return account

    async def _any_conversation(self, conversation_id: str) -> Conversation:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        found = await self._conversation_reader.find_conversation(target)
        if found is None:
            raise ConversationNotFound
        return found
