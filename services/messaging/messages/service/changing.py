"""What people do with messages that stand: edits, taking back, reactions and votes."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from services.messaging.conversations.service import readable
from services.messaging.hooks.service.judging import Judging
from services.messaging.kernel import checks
from services.messaging.kernel.access import find_visible, require_open
from services.messaging.kernel.content import Text
from services.messaging.kernel.errors import AccountRestricted, MessagingError, SendRate
from services.messaging.kernel.expiry import as_of
from services.messaging.kernel.model import Conversation, ConversationId, Message, UserId, require_member
from services.messaging.kernel.ports import ConversationReader
from services.messaging.messages.core import changes
from services.messaging.messages.core.changes import ChangePolicy, MessageChange
from services.messaging.messages.ports import MessageStore
from services.messaging.messages.service.rates import SendRates
from services.messaging.messages.service.requests import MessageLimits
from services.messaging.messages.service.retries import Retries
from services.messaging.messages.service.texts import checked_text
from services.runtime.clock import Clock

# Of an edit that waited for its review: it was in time when it was written.
_ANY_TIME = ChangePolicy(edit_window=timedelta.max, max_edits=1_000_000)
# Decides on a message that the caller may see.
DecideVisible = Callable[[Message], MessageChange | None]


class Changing:
    """`user_id` is always the authenticated caller."""

    def __init__(
        self,
        store: MessageStore,
        conversations: ConversationReader,
        rates: SendRates,
        clock: Clock,
        limits: MessageLimits,
        judging: Judging | None = None,
    ) -> None:
        self._store = store
        self._conversations = conversations
        self._rates = rates
        self._clock = clock
        self._limits = limits
        # Without it nobody judges what people write.
        self._judging = judging
        self._retries = Retries(store, conversations, rates, clock)

    async def edit_message(self, user_id: UserId, conversation_id: str, seq: int, text: Text) -> Message:
        """Replace one's own text. Errors: InvalidField, ConversationNotFound, MessageNotFound, NotTheSender,
        NotAllowed, NotEditable, EditTooLate, TooManyEdits, SendRate; with a hook MessageHeld, MessageRefused,
        HookUnavailable."""
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        try:
            checked = await checked_text(self._conversations, user_id, target, text, self._limits.text_chars)
            self._rates.take(user_id, self._clock.monotonic())
            if self._judging:
                checked = await self._judged_edit(self._judging, user_id, target, seq, checked)
        except MessagingError as refusal:
            standing = self._retries.standing_text(user_id, target, seq, text)
            return await self._retries.result_of(user_id, refusal, standing)
        now, policy = self._clock.now(), self._limits.changes
        return await self._change_message(
            user_id,
            conversation_id,
            seq,
            lambda message: changes.edit(message, user_id, checked, now, policy),
            is_said=True,
        )

    async def edit_reviewed(self, user_id: UserId, conversation_id: ConversationId, seq: int, text: Text) -> Message:
        """See the hooks' ports.Editing."""
        now = self._clock.now()
        return await self._change_message(
            *(user_id, str(conversation_id), seq),
            lambda message: changes.edit(message, user_id, text, now, _ANY_TIME),
            is_said=True,
        )

    async def unsend_message(self, user_id: UserId, conversation_id: str, seq: int) -> Message:
        """Take one's own message back. Idempotent. Errors: InvalidField, ConversationNotFound, MessageNotFound,
        NotTheSender, NotEditable."""
        return await self._change_message(
            user_id, conversation_id, seq, lambda message: changes.unsend(message, user_id)
        )

    async def set_reaction(
        self, user_id: UserId, conversation_id: str, seq: int, emoji: str, *, present: bool
    ) -> Message:
        """Put a reaction on or take it away. Idempotent. Errors: InvalidField, ConversationNotFound,
        MessageNotFound, NotAllowed, NotEditable, TooManyReactions, SendRate."""
        if present:
            checks.check_emoji(emoji)
        policy = self._limits.changes
        try:
            self._rates.take(user_id, self._clock.monotonic())
        except (SendRate, AccountRestricted) as refusal:
            standing = self._retries.standing_reaction(user_id, conversation_id, seq, emoji, present=present)
            return await self._retries.result_of(user_id, refusal, standing)
        return await self._change_message(
            user_id,
            conversation_id,
            seq,
            lambda message: changes.react(
                message, user_id, changes.check_reaction(message, emoji, present=present), policy, present=present
            ),
            is_said=True,
        )

    async def vote_poll(
        self, user_id: UserId, conversation_id: str, seq: int, option_indexes: Sequence[int]
    ) -> Message:
        """Make these options of a poll one's choice; none takes the vote back. Idempotent. Errors: InvalidField,
        ConversationNotFound, MessageNotFound, NotAllowed, NotEditable, SendRate."""
        choice = changes.check_choice(option_indexes)
        try:
            self._rates.take(user_id, self._clock.monotonic())
        except (SendRate, AccountRestricted) as refusal:
            standing = self._retries.standing_vote(user_id, conversation_id, seq, choice)
            return await self._retries.result_of(user_id, refusal, standing)
        return await self._change_message(
            user_id, conversation_id, seq, lambda message: changes.vote(message, user_id, choice), is_said=True
        )

    async def _change_message(
        self, user_id: UserId, conversation_id: str, seq: int, decide: DecideVisible, *, is_said: bool = False
    ) -> Message:
        target = ConversationId(checks.check_uuid("conversation_id", conversation_id))
        checks.check_seq("seq", seq)
        now = self._clock.now()

        def decide_for_caller(conversation: Conversation, message: Message | None) -> MessageChange | None:
            require_member(conversation, user_id)
            visible = find_visible(conversation, user_id, message)
            try:
                change = decide(as_of(visible, now))
            except MessagingError:
                if is_said:
                    require_open(conversation, user_id)
                raise
            # What stands so already is answered under a block, too: it may be a retry.
            if change is not None and is_said:
                require_open(conversation, user_id)
            return change

        return as_of(await self._store.change_message(target, seq, decide_for_caller, now), now)

    async def _judged_edit(
        self, judging: Judging, user_id: UserId, conversation_id: ConversationId, seq: int, text: Text
    ) -> Text:
        """What the hook makes of a new text. It is asked of nothing that is refused, or stands, anyway."""
        conversation = await readable(self._conversations, user_id, str(conversation_id))
        found = await self._store.find_message(conversation_id, checks.check_seq("seq", seq))
        now = self._clock.now()
        message = as_of(find_visible(conversation, user_id, found), now)
        if changes.edit(message, user_id, text, now, self._limits.changes) is None:
            return text
        require_open(conversation, user_id)
        return await judging.edit(conversation, user_id, seq, text)
